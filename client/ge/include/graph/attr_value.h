// AttrValue: one attribute of an operator, of any of the kinds that GE IR has a form for.
#ifndef OMSERVE_GE_GRAPH_ATTR_VALUE_H_
#define OMSERVE_GE_GRAPH_ATTR_VALUE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph/ascend_string.h"
#include "graph/tensor.h"
#include "graph/types.h"

namespace ge {

struct AttrData;

// A value; copies share it, and SetValue gives the copy a value of its own.
class GE_FUNC_VISIBILITY AttrValue {
 public:
  // Kinds with a value of this library's own; all others convert to one of them.
#define OMSERVE_GE_ATTR_TYPES(DO)   \
  DO(int64_t)                       \
  DO(float)                         \
  DO(bool)                          \
  DO(std::string)                   \
  DO(DataType)                      \
  DO(Tensor)                        \
  DO(std::vector<int64_t>)          \
  DO(std::vector<float>)            \
  DO(std::vector<bool>)             \
  DO(std::vector<std::string>)      \
  DO(std::vector<DataType>)         \
  DO(std::vector<Tensor>)           \
  DO(std::vector<std::vector<int64_t>>) \
  DO(std::vector<uint8_t>)

#define OMSERVE_GE_DECLARE(Type)            \
  graphStatus SetValue(const Type &value);  \
  graphStatus GetValue(Type &value) const;
  OMSERVE_GE_ATTR_TYPES(OMSERVE_GE_DECLARE)
#undef OMSERVE_GE_DECLARE
  graphStatus SetValue(const char_t *value) { return SetValue(std::string(value == nullptr ? "" : value)); }
  graphStatus SetValue(const AscendString &value) { return SetValue(std::string(value.GetString())); }
  graphStatus GetValue(AscendString &value) const;

  bool IsEmpty() const { return data_ == nullptr; }
  // "VT_INT", "VT_LIST_FLOAT", …; "" when empty.
  const char_t *TypeName() const;
  const AttrData *data() const { return data_.get(); }

 private:
  std::shared_ptr<const AttrData> data_;
};

}  // namespace ge

#endif  // OMSERVE_GE_GRAPH_ATTR_VALUE_H_
