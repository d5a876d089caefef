#include "graph/gnode.h"

#include "operator_impl.h"

namespace ge {

namespace {

AscendString Text(const std::string& text) { return AscendString(text.data(), text.size()); }

const Slot* At(const std::vector<Slot>& slots, int32_t index) {
  return index < 0 || static_cast<size_t>(index) >= slots.size() ? nullptr : &slots[static_cast<size_t>(index)];
}

}  // namespace

graphStatus GNode::GetType(AscendString& type) const {
  if (op_ == nullptr) return GRAPH_FAILED;
  type = Text(op_->type);
  return GRAPH_SUCCESS;
}

graphStatus GNode::GetName(AscendString& name) const {
  if (op_ == nullptr) return GRAPH_FAILED;
  name = Text(op_->name);
  return GRAPH_SUCCESS;
}

std::pair<GNodePtr, int32_t> GNode::GetInDataNodesAndPortIndexs(const int32_t index) const {
  const Slot* slot = op_ == nullptr ? nullptr : At(op_->inputs, index);
  if (slot == nullptr || slot->source == nullptr) return {nullptr, 0};
  return {GNodePtr(new GNode(graph_, slot->source)), static_cast<int32_t>(slot->source_index)};
}

std::vector<GNodePtr> GNode::GetInControlNodes() const {
  std::vector<GNodePtr> nodes;
  if (op_ == nullptr) return nodes;
  for (const auto& control : op_->controls) nodes.push_back(GNodePtr(new GNode(graph_, control)));
  return nodes;
}

std::vector<std::pair<GNodePtr, int32_t>> GNode::GetOutDataNodesAndPortIndexs(const int32_t index) const {
  std::vector<std::pair<GNodePtr, int32_t>> nodes;
  if (op_ == nullptr || graph_ == nullptr) return nodes;
  for (const auto& reader : graph_->All()) {
    for (size_t i = 0; i < reader->inputs.size(); ++i) {
      const Slot& slot = reader->inputs[i];
      if (slot.source == op_ && static_cast<int32_t>(slot.source_index) == index) {
        nodes.emplace_back(GNodePtr(new GNode(graph_, reader)), static_cast<int32_t>(i));
      }
    }
  }
  return nodes;
}

std::vector<GNodePtr> GNode::GetOutControlNodes() const {
  std::vector<GNodePtr> nodes;
  if (op_ == nullptr || graph_ == nullptr) return nodes;
  for (const auto& reader : graph_->All()) {
    for (const auto& control : reader->controls) {
      if (control == op_) nodes.push_back(GNodePtr(new GNode(graph_, reader)));
    }
  }
  return nodes;
}

graphStatus GNode::GetInputConstData(const int32_t index, Tensor& data) const {
  const Slot* slot = op_ == nullptr ? nullptr : At(op_->inputs, index);
  const Tensor* value = slot == nullptr || slot->source == nullptr ? nullptr : slot->source->ConstantValue();
  if (value == nullptr) return GRAPH_NODE_WITHOUT_CONST_INPUT;
  data = *value;
  return GRAPH_SUCCESS;
}

graphStatus GNode::GetInputDesc(const int32_t index, TensorDesc& desc) const {
  if (op_ == nullptr || At(op_->inputs, index) == nullptr) return GRAPH_FAILED;
  desc = OperatorAccess::Make(op_).GetInputDesc(static_cast<uint32_t>(index));
  return GRAPH_SUCCESS;
}

graphStatus GNode::UpdateInputDesc(const int32_t index, const TensorDesc& desc) {
  if (op_ == nullptr || index < 0) return GRAPH_FAILED;
  return OperatorAccess::Make(op_).UpdateInputDesc(static_cast<uint32_t>(index), desc);
}

graphStatus GNode::GetOutputDesc(const int32_t index, TensorDesc& desc) const {
  const Slot* slot = op_ == nullptr ? nullptr : At(op_->outputs, index);
  if (slot == nullptr) return GRAPH_FAILED;
  desc = slot->desc;
  return GRAPH_SUCCESS;
}

graphStatus GNode::UpdateOutputDesc(const int32_t index, const TensorDesc& desc) {
  if (op_ == nullptr || index < 0) return GRAPH_FAILED;
  return OperatorAccess::Make(op_).UpdateOutputDesc(static_cast<uint32_t>(index), desc);
}

graphStatus GNode::GetAttr(const AscendString& name, AttrValue& value) const {
  if (op_ == nullptr) return GRAPH_FAILED;
  return OperatorAccess::Make(op_).GetAttr(name.GetString(), value);
}

graphStatus GNode::SetAttr(const AscendString& name, AttrValue& value) const {
  if (op_ == nullptr || value.IsEmpty()) return GRAPH_FAILED;
  op_->attrs[name.GetString()] = value;
  return GRAPH_SUCCESS;
}

bool GNode::HasAttr(const AscendString& name) const {
  return op_ != nullptr && op_->FindAttr(name.GetString()) != nullptr;
}

size_t GNode::GetInputsSize() const { return op_ == nullptr ? 0 : op_->inputs.size(); }
size_t GNode::GetOutputsSize() const { return op_ == nullptr ? 0 : op_->outputs.size(); }

}  // namespace ge
