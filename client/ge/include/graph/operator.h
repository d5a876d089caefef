// Operator: one operator of a graph under construction, a handle whose copies mean the same operator. An operator keeps
// those it reads alive. Wiring something that does not exist (a port's name, an index) is remembered and reported when
// the graph is used: GRAPH_FAILED or GRAPH_PARAM_INVALID, with the text in GEGetErrorMsg.
#ifndef OMSERVE_GE_GRAPH_OPERATOR_H_
#define OMSERVE_GE_GRAPH_OPERATOR_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graph/ascend_string.h"
#include "graph/attr_value.h"
#include "graph/ge_error_codes.h"
#include "graph/tensor.h"
#include "graph/types.h"

namespace ge {

class OperatorImpl;

class GE_FUNC_VISIBILITY Operator {
 public:
  Operator() = default;
  explicit Operator(const std::string &type);
  explicit Operator(const char_t *type) : Operator(std::string(type == nullptr ? "" : type)) {}
  explicit Operator(const AscendString &type) : Operator(std::string(type.GetString())) {}
  Operator(const std::string &name, const std::string &type);
  Operator(const char_t *name, const char_t *type)
      : Operator(std::string(name == nullptr ? "" : name), std::string(type == nullptr ? "" : type)) {}
  Operator(const AscendString &name, const AscendString &type)
      : Operator(std::string(name.GetString()), std::string(type.GetString())) {}
  virtual ~Operator() = default;
  Operator(const Operator &) = default;
  Operator &operator=(const Operator &) = default;

  bool IsEmpty() const { return impl_ == nullptr; }
  std::string GetName() const;
  graphStatus GetName(AscendString &name) const;
  std::string GetOpType() const;
  graphStatus GetOpType(AscendString &type) const;

  // Wiring. Without a port of the source, its first output.
  Operator &SetInput(const std::string &port, const Operator &source);
  Operator &SetInput(const std::string &port, const Operator &source, const std::string &source_port);
  Operator &SetInput(const std::string &port, const Operator &source, uint32_t source_index);
  Operator &SetInput(const char_t *port, const Operator &source) { return SetInput(std::string(port), source); }
  Operator &SetInput(const char_t *port, const Operator &source, const char_t *source_port) {
    return SetInput(std::string(port), source, std::string(source_port));
  }
  Operator &SetInput(const char_t *port, const Operator &source, uint32_t source_index) {
    return SetInput(std::string(port), source, source_index);
  }
  Operator &SetInput(uint32_t index, const Operator &source, uint32_t source_index);
  // Tensor `index` of a dynamic input.
  Operator &SetInput(const char_t *port, uint32_t index, const Operator &source, const char_t *source_port);
  Operator &AddControlInput(const Operator &source);

  // Descriptions. An index counts the tensors of all ports in order.
  graphStatus UpdateInputDesc(const std::string &port, const TensorDesc &desc);
  graphStatus UpdateInputDesc(const char_t *port, const TensorDesc &desc) { return UpdateInputDesc(std::string(port), desc); }
  graphStatus UpdateInputDesc(uint32_t index, const TensorDesc &desc);
  graphStatus UpdateOutputDesc(const std::string &port, const TensorDesc &desc);
  graphStatus UpdateOutputDesc(const char_t *port, const TensorDesc &desc) { return UpdateOutputDesc(std::string(port), desc); }
  graphStatus UpdateOutputDesc(uint32_t index, const TensorDesc &desc);
  TensorDesc GetInputDesc(const std::string &port) const;
  TensorDesc GetInputDesc(uint32_t index) const;
  TensorDesc GetInputDescByName(const char_t *port) const { return GetInputDesc(std::string(port)); }
  TensorDesc GetOutputDesc(const std::string &port) const;
  TensorDesc GetOutputDesc(uint32_t index) const;
  TensorDesc GetOutputDescByName(const char_t *port) const { return GetOutputDesc(std::string(port)); }
  graphStatus TryGetInputDesc(const std::string &port, TensorDesc &desc) const;
  graphStatus TryGetInputDesc(const char_t *port, TensorDesc &desc) const { return TryGetInputDesc(std::string(port), desc); }
  // The value behind an input, when a Const or Constant is wired to it.
  graphStatus GetInputConstData(const char_t *port, Tensor &data) const;
  size_t GetInputsSize() const;
  size_t GetOutputsSize() const;
  int GetDynamicInputNum(const std::string &port) const;
  int GetDynamicInputNum(const char_t *port) const { return GetDynamicInputNum(std::string(port)); }
  int GetDynamicOutputNum(const std::string &port) const;
  int GetDynamicOutputNum(const char_t *port) const { return GetDynamicOutputNum(std::string(port)); }

  // Attributes. GetAttr falls back on the prototype's default.
#define OMSERVE_GE_DECLARE(Type)                                                                                   \
  Operator &SetAttr(const std::string &name, const Type &value);                                                   \
  Operator &SetAttr(const char_t *name, const Type &value) { return SetAttr(std::string(name), value); }           \
  graphStatus GetAttr(const std::string &name, Type &value) const;                                                 \
  graphStatus GetAttr(const char_t *name, Type &value) const { return GetAttr(std::string(name), value); }
  OMSERVE_GE_ATTR_TYPES(OMSERVE_GE_DECLARE)
  OMSERVE_GE_DECLARE(int32_t)
  OMSERVE_GE_DECLARE(uint32_t)
  OMSERVE_GE_DECLARE(AscendString)
  OMSERVE_GE_DECLARE(std::vector<int32_t>)
  OMSERVE_GE_DECLARE(std::vector<uint32_t>)
  OMSERVE_GE_DECLARE(std::vector<AscendString>)
  OMSERVE_GE_DECLARE(AttrValue)
#undef OMSERVE_GE_DECLARE
  Operator &SetAttr(const std::string &name, const char_t *value);
  Operator &SetAttr(const char_t *name, const char_t *value) { return SetAttr(std::string(name), value); }
  // Kinds as AttrValue::TypeName.
  graphStatus GetAllAttrNamesAndTypes(std::map<AscendString, AscendString> &kinds) const;

  // Every required input is wired and every required attribute set; else GRAPH_FAILED.
  graphStatus VerifyAllAttr(bool disable_common_verifier = false);
  // Types and shapes are worked out when a graph is built: GRAPH_FAILED, with a text that says so.
  graphStatus InferShapeAndType();

 protected:
  void InputRegister(const char_t *port);
  void OptionalInputRegister(const char_t *port);
  void OutputRegister(const char_t *port);
  void DynamicInputRegister(const char_t *port, uint32_t count);
  void DynamicOutputRegister(const char_t *port, uint32_t count);
  void RequiredAttrRegister(const char_t *name);
  void AttrRegister(const char_t *name, const AttrValue &fallback);

 private:
  friend struct OperatorAccess;
  std::shared_ptr<OperatorImpl> impl_;
};

}  // namespace ge

#endif  // OMSERVE_GE_GRAPH_OPERATOR_H_
