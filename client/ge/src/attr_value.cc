#include "graph/attr_value.h"

#include "operator_impl.h"

namespace ge {

#define OMSERVE_GE_DEFINE(Type)                                           \
  graphStatus AttrValue::SetValue(const Type& value) {                    \
    data_ = std::make_shared<const AttrData>(AttrData{value});            \
    return GRAPH_SUCCESS;                                                 \
  }                                                                       \
  graphStatus AttrValue::GetValue(Type& value) const {                    \
    if (data_ == nullptr) return GRAPH_FAILED;                            \
    const Type* found = std::get_if<Type>(&data_->value);                 \
    if (found == nullptr) return GRAPH_FAILED;                            \
    value = *found;                                                       \
    return GRAPH_SUCCESS;                                                 \
  }
OMSERVE_GE_ATTR_TYPES(OMSERVE_GE_DEFINE)
#undef OMSERVE_GE_DEFINE

graphStatus AttrValue::GetValue(AscendString& value) const {
  std::string text;
  if (GetValue(text) != GRAPH_SUCCESS) return GRAPH_FAILED;
  value = AscendString(text.data(), text.size());
  return GRAPH_SUCCESS;
}

const char_t* AttrValue::TypeName() const {
  if (data_ == nullptr) return "";
  static constexpr const char* kNames[] = {"VT_INT",         "VT_FLOAT",       "VT_BOOL",          "VT_STRING",
                                           "VT_DATA_TYPE",   "VT_TENSOR",      "VT_LIST_INT",      "VT_LIST_FLOAT",
                                           "VT_LIST_BOOL",   "VT_LIST_STRING", "VT_LIST_DATA_TYPE", "VT_LIST_TENSOR",
                                           "VT_LIST_LIST_INT", "VT_BYTES"};
  return kNames[data_->value.index()];
}

}  // namespace ge
