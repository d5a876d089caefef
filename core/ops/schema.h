// Short names for the parts of an OpDef, so that a family reads like the prototypes it comes from.
#ifndef OMSERVE_CORE_OPS_SCHEMA_H_
#define OMSERVE_CORE_OPS_SCHEMA_H_

#include <string>
#include <utility>

#include "core/ops/op.h"

namespace omserve {

inline InputDef Required(std::string name) { return {std::move(name), InputKind::kRequired}; }
inline InputDef Optional(std::string name) { return {std::move(name), InputKind::kOptional}; }
inline InputDef Dynamic(std::string name) { return {std::move(name), InputKind::kDynamic}; }
inline InputDef Parameter(std::string name) { return {std::move(name), InputKind::kParameter}; }
inline InputDef OptionalParameter(std::string name) {
  return {std::move(name), InputKind::kOptionalParameter};
}

template <typename T>
AttrDef RequiredAttr(std::string name) {
  return {std::move(name), AttrValue(T{}), /*required=*/true};
}
inline AttrDef DefaultAttr(std::string name, AttrValue fallback) {
  return {std::move(name), std::move(fallback), /*required=*/false};
}

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_SCHEMA_H_
