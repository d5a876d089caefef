// Operators that packages bring (core/custom), beside the built-in ones. OpRegistry::Find and Types know both, so
// nothing else has to tell them apart.
#ifndef OMSERVE_CORE_OPS_PACKAGED_OPS_H_
#define OMSERVE_CORE_OPS_PACKAGED_OPS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/ops/op.h"

namespace omserve {

struct PackagedOp {
  OpDef def;
  std::string package;
  std::string version;      // of the package
  std::string onnx_domain;  // the ONNX nodes that stand for it; empty: none
  std::string onnx_type;
};

// Adds the operators of one package, all or none; they are never removed. Thread-safe, at any time. ALREADY_EXISTS names
// an operator whose type (or ONNX name) is taken, and by whom.
absl::Status RegisterPackagedOps(std::vector<PackagedOp> ops);

// Null for built-in and unknown operators.
const PackagedOp* FindPackagedOp(absl::string_view type);
// The operator for an ONNX node, or null.
const PackagedOp* FindPackagedOnnxOp(absl::string_view domain, absl::string_view op_type);

std::vector<std::string> PackagedTypes();

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_PACKAGED_OPS_H_
