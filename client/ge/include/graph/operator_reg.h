// Prototypes of operators as classes:
//
//   REG_OP(Scale)
//       .INPUT(x, TensorType({DT_FLOAT}))
//       .OUTPUT(y, TensorType({DT_FLOAT}))
//       .ATTR(factor, Float, 1.0)
//       .OP_END_FACTORY_REG(Scale)
//
// gives ge::op::Scale with set_input_x, set_attr_factor, …, known to OperatorFactory. all_ops.h is made of these.
// Each macro ends the function that the one before it began, declares its members and begins a function of its own,
// whose first call takes the dot that comes next.
#ifndef OMSERVE_GE_GRAPH_OPERATOR_REG_H_
#define OMSERVE_GE_GRAPH_OPERATOR_REG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "graph/operator.h"
#include "graph/operator_factory.h"

namespace ge {

using OpInt = int64_t;
using OpFloat = float;
using OpBool = bool;
using OpString = std::string;
using OpType = DataType;
using OpTensor = Tensor;
using OpBytes = std::vector<uint8_t>;
using OpListInt = std::vector<int64_t>;
using OpListFloat = std::vector<float>;
using OpListBool = std::vector<bool>;
using OpListString = std::vector<std::string>;
using OpListType = std::vector<DataType>;
using OpListTensor = std::vector<Tensor>;
using OpListListInt = std::vector<std::vector<int64_t>>;

// The link of the chain.
struct OpReg {
  OpReg &N() { return *this; }
};

template <typename T>
AttrValue MakeAttr(const T &value) {
  AttrValue attr;
  (void)attr.SetValue(value);
  return attr;
}

}  // namespace ge

#define REG_OP(x)                                                                          \
  namespace op {                                                                           \
  class x : public ::ge::Operator {                                                        \
    using Self = x;                                                                        \
                                                                                           \
   public:                                                                                 \
    x() : ::ge::Operator(#x) { RegisterPrototype(); }                                      \
    explicit x(const char *name) : ::ge::Operator(name, #x) { RegisterPrototype(); }       \
    explicit x(const std::string &name) : x(name.c_str()) {}                               \
    explicit x(const ::ge::AscendString &name) : x(name.GetString()) {}                    \
                                                                                           \
   private:                                                                                \
    void RegisterPrototype() {                                                             \
      ::ge::OpReg()

#define OMSERVE_GE_ATTR_MEMBERS(x, Type)                                                   \
    N();                                                                                   \
    RegisterAttr_##x();                                                                    \
    }                                                                                      \
                                                                                           \
   public:                                                                                 \
    static const char *name_attr_##x() { return #x; }                                      \
    ::ge::Op##Type get_attr_##x() const {                                                  \
      ::ge::Op##Type value{};                                                              \
      (void)::ge::Operator::GetAttr(#x, value);                                            \
      return value;                                                                        \
    }                                                                                      \
    Self &set_attr_##x(const ::ge::Op##Type &value) {                                      \
      (void)::ge::Operator::SetAttr(#x, value);                                            \
      return *this;                                                                        \
    }                                                                                      \
                                                                                           \
   private:                                                                                \
    void RegisterAttr_##x() {

// ATTR(name, Int, 0): an attribute with a default. Kinds: Int, Float, Bool, String, Type, Tensor, ListInt, …
#define ATTR(x, Type, ...)                                                                 \
    OMSERVE_GE_ATTR_MEMBERS(x, Type)                                                       \
      ::ge::Operator::AttrRegister(#x, ::ge::MakeAttr(::ge::Op##Type(__VA_ARGS__)));       \
      ::ge::OpReg()

#define REQUIRED_ATTR(x, Type)                                                             \
    OMSERVE_GE_ATTR_MEMBERS(x, Type)                                                       \
      ::ge::Operator::RequiredAttrRegister(#x);                                            \
      ::ge::OpReg()

#define OMSERVE_GE_INPUT(x, Register)                                                      \
    N();                                                                                   \
    RegisterInput_##x();                                                                   \
    }                                                                                      \
                                                                                           \
   public:                                                                                 \
    static const char *name_in_##x() { return #x; }                                        \
    Self &set_input_##x(const ::ge::Operator &source) {                                    \
      ::ge::Operator::SetInput(#x, source);                                                \
      return *this;                                                                        \
    }                                                                                      \
    Self &set_input_##x(const ::ge::Operator &source, uint32_t index) {                    \
      ::ge::Operator::SetInput(#x, source, index);                                         \
      return *this;                                                                        \
    }                                                                                      \
    Self &set_input_##x(const ::ge::Operator &source, const std::string &port) {           \
      ::ge::Operator::SetInput(#x, source, port.c_str());                                  \
      return *this;                                                                        \
    }                                                                                      \
    Self &set_input_##x##_by_name(const ::ge::Operator &source, const char *port) {        \
      ::ge::Operator::SetInput(#x, source, port);                                          \
      return *this;                                                                        \
    }                                                                                      \
    ::ge::TensorDesc get_input_desc_##x() const { return ::ge::Operator::GetInputDesc(#x); } \
    ::ge::graphStatus update_input_desc_##x(const ::ge::TensorDesc &desc) {                \
      return ::ge::Operator::UpdateInputDesc(#x, desc);                                    \
    }                                                                                      \
                                                                                           \
   private:                                                                                \
    void RegisterInput_##x() {                                                             \
      ::ge::Operator::Register(#x);                                                        \
      ::ge::OpReg()

#define INPUT(x, types) OMSERVE_GE_INPUT(x, InputRegister)
#define OPTIONAL_INPUT(x, types) OMSERVE_GE_INPUT(x, OptionalInputRegister)

#define DYNAMIC_INPUT(x, types)                                                            \
    N();                                                                                   \
    RegisterInput_##x();                                                                   \
    }                                                                                      \
                                                                                           \
   public:                                                                                 \
    Self &create_dynamic_input_##x(uint32_t count, bool is_push_back = true) {             \
      ::ge::Operator::DynamicInputRegister(#x, count);                                     \
      return *this;                                                                        \
    }                                                                                      \
    Self &set_dynamic_input_##x(uint32_t index, const ::ge::Operator &source) {            \
      ::ge::Operator::SetInput(#x, index, source, "");                                     \
      return *this;                                                                        \
    }                                                                                      \
    Self &set_dynamic_input_##x(uint32_t index, const ::ge::Operator &source, const char *port) { \
      ::ge::Operator::SetInput(#x, index, source, port);                                   \
      return *this;                                                                        \
    }                                                                                      \
    Self &set_dynamic_input_##x(uint32_t index, const ::ge::Operator &source, const std::string &port) { \
      return set_dynamic_input_##x(index, source, port.c_str());                           \
    }                                                                                      \
    ::ge::TensorDesc get_dynamic_input_desc_##x(uint32_t index) const {                    \
      return ::ge::Operator::GetInputDesc(#x + std::to_string(index));                     \
    }                                                                                      \
    ::ge::graphStatus update_dynamic_input_desc_##x(uint32_t index, const ::ge::TensorDesc &desc) { \
      return ::ge::Operator::UpdateInputDesc(#x + std::to_string(index), desc);            \
    }                                                                                      \
                                                                                           \
   private:                                                                                \
    void RegisterInput_##x() {                                                             \
      ::ge::Operator::DynamicInputRegister(#x, 0);                                         \
      ::ge::OpReg()

#define OUTPUT(x, types)                                                                   \
    N();                                                                                   \
    RegisterOutput_##x();                                                                  \
    }                                                                                      \
                                                                                           \
   public:                                                                                 \
    static const char *name_out_##x() { return #x; }                                       \
    ::ge::TensorDesc get_output_desc_##x() const { return ::ge::Operator::GetOutputDesc(#x); } \
    ::ge::graphStatus update_output_desc_##x(const ::ge::TensorDesc &desc) {               \
      return ::ge::Operator::UpdateOutputDesc(#x, desc);                                   \
    }                                                                                      \
                                                                                           \
   private:                                                                                \
    void RegisterOutput_##x() {                                                            \
      ::ge::Operator::OutputRegister(#x);                                                  \
      ::ge::OpReg()

#define DYNAMIC_OUTPUT(x, types)                                                           \
    N();                                                                                   \
    RegisterOutput_##x();                                                                  \
    }                                                                                      \
                                                                                           \
   public:                                                                                 \
    Self &create_dynamic_output_##x(uint32_t count, bool is_push_back = true) {            \
      ::ge::Operator::DynamicOutputRegister(#x, count);                                    \
      return *this;                                                                        \
    }                                                                                      \
    ::ge::TensorDesc get_dynamic_output_desc_##x(uint32_t index) const {                   \
      return ::ge::Operator::GetOutputDesc(#x + std::to_string(index));                    \
    }                                                                                      \
    ::ge::graphStatus update_dynamic_output_desc_##x(uint32_t index, const ::ge::TensorDesc &desc) { \
      return ::ge::Operator::UpdateOutputDesc(#x + std::to_string(index), desc);           \
    }                                                                                      \
                                                                                           \
   private:                                                                                \
    void RegisterOutput_##x() {                                                            \
      ::ge::Operator::DynamicOutputRegister(#x, 0);                                        \
      ::ge::OpReg()

#define OP_END()                                                                           \
    N();                                                                                   \
    }                                                                                      \
  };                                                                                       \
  }

#define OP_END_FACTORY_REG(x)                                                              \
    OP_END()                                                                               \
    static const ::ge::OperatorCreatorRegister g_register_##x(                             \
        #x, [](const ::ge::AscendString &name) -> ::ge::Operator { return ::ge::op::x(name); });

#endif  // OMSERVE_GE_GRAPH_OPERATOR_REG_H_
