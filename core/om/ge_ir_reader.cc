#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/om/ge_ir.h"
#include "core/om/ge_ir_names.h"
#include "core/om/text.h"

namespace omserve {
namespace {

using ge::proto::AttrDef;
using ListValue = AttrDef::ListValue;

absl::Status InvalidOp(const ge::proto::OpDef& op, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("operator '", op.name(), "' (", op.type(), "): ", what));
}

std::string Context(const ge::proto::OpDef& op) {
  return absl::StrCat("operator '", op.name(), "' (", op.type(), ")");
}

const AttrDef* FindAttr(const google::protobuf::Map<std::string, AttrDef>& attrs, const char* name) {
  auto it = attrs.find(name);
  return it == attrs.end() ? nullptr : &it->second;
}

absl::StatusOr<std::optional<AttrValue>> ListFromGe(const ListValue& list) {
  switch (list.val_type()) {
    case ListValue::VT_LIST_NONE:
      return std::optional<AttrValue>();
    case ListValue::VT_LIST_STRING:
      return AttrValue(std::vector<std::string>(list.s().begin(), list.s().end()));
    case ListValue::VT_LIST_INT:
      return AttrValue(std::vector<int64_t>(list.i().begin(), list.i().end()));
    case ListValue::VT_LIST_FLOAT:
      return AttrValue(std::vector<float>(list.f().begin(), list.f().end()));
    case ListValue::VT_LIST_BOOL:
      return AttrValue(std::vector<bool>(list.b().begin(), list.b().end()));
    case ListValue::VT_LIST_DATA_TYPE: {
      std::vector<DataType> types;
      for (int64_t number : list.dt()) {
        ASSIGN_OR_RETURN(DataType type, DataTypeFromAclNumber(number));
        types.push_back(type);
      }
      return AttrValue(std::move(types));
    }
    default:
      return absl::UnimplementedError(absl::StrCat("lists of kind ", list.val_type(), " are not supported"));
  }
}

// The constant's value: its bytes are in the partition, or with the descriptor.
absl::StatusOr<Tensor> ValueFromGe(const ge::proto::TensorDef& def, const Buffer& weights) {
  ASSIGN_OR_RETURN(TensorDesc desc, DescFromGe(def.desc()));
  ASSIGN_OR_RETURN(size_t bytes, CheckedByteSize(desc));
  const int64_t offset = def.desc().data_offset();
  if (offset == 0) {
    if (def.data().size() != bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(ToString(desc), " needs ", bytes, " bytes, ", def.data().size(), " are stored"));
    }
    return Tensor::Create(desc, Buffer::CopyOf(def.data().data(), def.data().size()));
  }
  if (!def.data().empty())
    return absl::InvalidArgumentError("bytes both with the value and among the weights");
  if (def.desc().weight_size() < 0 || static_cast<uint64_t>(def.desc().weight_size()) != bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(ToString(desc), " needs ", bytes, " bytes, weight_size is ", def.desc().weight_size()));
  }
  if (offset < 0 || static_cast<uint64_t>(offset) > weights.size() ||
      bytes > weights.size() - static_cast<size_t>(offset)) {
    return absl::InvalidArgumentError(absl::StrCat("bytes [", offset, ", +", bytes, ") leave the ",
                                                   weights.size(), " bytes of WEIGHTS_DATA"));
  }
  Buffer value = weights.Slice(static_cast<size_t>(offset), bytes);
  // Kernels read elements in place. Our own files are aligned; others need not be.
  if (reinterpret_cast<uintptr_t>(value.data()) % SizeOf(desc.type) != 0) {
    value = Buffer::CopyOf(value.data(), value.size());
  }
  return Tensor::Create(std::move(desc), std::move(value));
}

class GraphReader {
 public:
  GraphReader(const ge::proto::GraphDef& def, const Buffer& weights)
      : def_(def), weights_(weights), graph_(def.name()) {}

  absl::StatusOr<Graph> Read() {
    RETURN_IF_ERROR(CheckOperators());
    RETURN_IF_ERROR(AddInputs());
    for (const ge::proto::OpDef& op : def_.op()) {
      if (op.type() == kDataType || op.type() == kNetOutputType) continue;
      RETURN_IF_ERROR(AddNode(op));
    }
    for (const ge::proto::OpDef& op : def_.op()) {
      if (op.type() == kNetOutputType) continue;
      ASSIGN_OR_RETURN_WITH(std::vector<ValueId> inputs, Inputs(op), Context(op));
      nodes_[op.name()]->SetInputs(std::move(inputs));
    }
    RETURN_IF_ERROR(AddOutputs());
    RETURN_IF_ERROR(Verify(graph_));
    return std::move(graph_);
  }

 private:
  absl::Status CheckOperators() {
    RETURN_IF_ERROR(CheckName("the name of a graph", def_.name()));
    absl::flat_hash_set<absl::string_view> names;
    for (const ge::proto::OpDef& op : def_.op()) {
      RETURN_IF_ERROR(CheckName("the name of an operator", op.name()));
      if (op.type().empty()) return InvalidOp(op, "it has no type");
      if (!names.insert(op.name()).second) return InvalidOp(op, "another operator has this name");
      if (op.subgraph_name_size() > 0) {
        return absl::UnimplementedError(
            absl::StrCat(Context(op), ": subgraph '", op.subgraph_name(0), "'; subgraphs are not supported"));
      }
      if (op.type() == kNetOutputType && std::exchange(net_output_, &op) != nullptr) {
        return InvalidOp(op, "the graph has a second NetOutput");
      }
    }
    return absl::OkStatus();
  }

  // Data nodes by position, which must run from 0 without gaps.
  absl::Status AddInputs() {
    std::vector<std::pair<int64_t, const ge::proto::OpDef*>> data;
    for (const ge::proto::OpDef& op : def_.op()) {
      if (op.type() != kDataType) continue;
      const AttrDef* index = FindAttr(op.attr(), kIndexAttr);
      if (index == nullptr || index->value_case() != AttrDef::kI)
        return InvalidOp(op, "it has no integer 'index'");
      data.emplace_back(index->i(), &op);
    }
    std::stable_sort(data.begin(), data.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (size_t i = 0; i < data.size(); ++i) {
      const ge::proto::OpDef& op = *data[i].second;
      if (data[i].first != static_cast<int64_t>(i)) {
        return InvalidOp(op, absl::StrCat("its index is ", data[i].first, "; expected ", i));
      }
      if (op.output_desc_size() != 1) return InvalidOp(op, "a Data has exactly one output");
      ASSIGN_OR_RETURN_WITH(TensorDesc desc, DescFromGe(op.output_desc(0)), Context(op));
      Node* node = graph_.AddData(op.name(), std::move(desc));
      RETURN_IF_ERROR(SetAttrs(op, node));
    }
    return absl::OkStatus();
  }

  absl::Status AddNode(const ge::proto::OpDef& op) {
    if (op.type() == kConstType || op.type() == kOlderConstType) {
      const AttrDef* value = FindAttr(op.attr(), kValueAttr);
      if (value == nullptr || value->value_case() != AttrDef::kT)
        return InvalidOp(op, "it has no tensor 'value'");
      ASSIGN_OR_RETURN_WITH(Tensor tensor, ValueFromGe(value->t(), weights_), Context(op));
      if (op.output_desc_size() != 1) return InvalidOp(op, "a Const has exactly one output");
      ASSIGN_OR_RETURN_WITH(TensorDesc desc, DescFromGe(op.output_desc(0)), Context(op));
      if (desc != tensor.desc()) {
        return InvalidOp(
            op, absl::StrCat("its output is ", ToString(desc), ", its value ", ToString(tensor.desc())));
      }
      return SetAttrs(op, graph_.AddConst(op.name(), std::move(tensor)));
    }
    Node* node = graph_.AddNode(op.type(), op.name(), {});
    std::vector<TensorDesc> outputs;
    for (int i = 0; i < op.output_desc_size(); ++i) {
      ASSIGN_OR_RETURN_WITH(TensorDesc desc, DescFromGe(op.output_desc(i)),
                            absl::StrCat(Context(op), ", output ", i));
      outputs.push_back(std::move(desc));
    }
    node->SetOutputs(std::move(outputs));
    return SetAttrs(op, node);
  }

  absl::Status SetAttrs(const ge::proto::OpDef& op, Node* node) {
    nodes_[op.name()] = node;
    for (const auto& [name, def] : op.attr()) {
      if (node->is_const() && name == kValueAttr) continue;
      ASSIGN_OR_RETURN_WITH(std::optional<AttrValue> value, AttrFromGe(def),
                            absl::StrCat(Context(op), ", attribute '", name, "'"));
      if (value) node->SetAttr(name, *std::move(value));
    }
    return absl::OkStatus();
  }

  // "name:index", cut at the last colon; an invalid value for an empty text. Control edges ("name:-1") come
  // after the data edges and say nothing that a graph of pure functions needs.
  absl::StatusOr<ValueId> Edge(const std::string& text, bool* control) const {
    *control = false;
    if (text.empty()) return ValueId{};
    const size_t colon = text.rfind(':');
    int index = 0;
    if (colon == std::string::npos || !absl::SimpleAtoi(absl::string_view(text).substr(colon + 1), &index) ||
        index < -1) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", text, "' is no edge; expected <operator>:<output>"));
    }
    auto source = nodes_.find(absl::string_view(text).substr(0, colon));
    if (source == nodes_.end())
      return absl::InvalidArgumentError(absl::StrCat("'", text, "' names no operator"));
    *control = index == -1;
    if (index >= source->second->num_outputs()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", text, "' names an output that is not there; it has ", source->second->num_outputs()));
    }
    return source->second->out(index);
  }

  absl::StatusOr<std::vector<ValueId>> Inputs(const ge::proto::OpDef& op) const {
    std::vector<ValueId> inputs;
    bool after_data = false;
    for (const std::string& text : op.input()) {
      bool control = false;
      ASSIGN_OR_RETURN(ValueId value, Edge(text, &control));
      if (after_data && !control) {
        return absl::InvalidArgumentError(absl::StrCat("data edge '", text, "' after a control edge"));
      }
      after_data = control;
      if (!control) inputs.push_back(value);
    }
    if (!inputs.empty() &&
        (op.type() == kDataType || op.type() == kConstType || op.type() == kOlderConstType)) {
      return absl::InvalidArgumentError("it has inputs");
    }
    return inputs;
  }

  absl::Status AddOutputs() {
    std::vector<ValueId> values;
    if (net_output_ != nullptr) {
      ASSIGN_OR_RETURN_WITH(values, Inputs(*net_output_), Context(*net_output_));
    } else {
      for (const std::string& text : def_.output()) {
        bool control = false;
        ASSIGN_OR_RETURN_WITH(ValueId value, Edge(text, &control), "an output of the graph");
        if (control) return absl::InvalidArgumentError(absl::StrCat("output '", text, "' is a control edge"));
        values.push_back(value);
      }
    }
    std::vector<std::string> names;
    if (const AttrDef* attr = FindAttr(def_.attr(), kOutputNamesAttr)) {
      names.assign(attr->list().s().begin(), attr->list().s().end());
      if (names.size() != values.size()) {
        return absl::InvalidArgumentError(absl::StrCat("graph '", def_.name(), "' has ", values.size(),
                                                       " outputs and ", names.size(), " names for them"));
      }
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (!values[i].valid()) {
        return absl::InvalidArgumentError(
            absl::StrCat("output ", i, " of graph '", def_.name(), "' has no producer"));
      }
      std::string name = names.empty()
                             ? absl::StrCat(graph_.node(values[i].node)->name(), ":", values[i].output)
                             : std::move(names[i]);
      RETURN_IF_ERROR(CheckName("the name of an output", name));
      graph_.AddOutput(std::move(name), values[i]);
    }
    return absl::OkStatus();
  }

  const ge::proto::GraphDef& def_;
  const Buffer& weights_;
  Graph graph_;
  const ge::proto::OpDef* net_output_ = nullptr;
  absl::flat_hash_map<std::string, Node*> nodes_;  // by name
};

}  // namespace

absl::StatusOr<std::optional<AttrValue>> AttrFromGe(const AttrDef& def) {
  switch (def.value_case()) {
    case AttrDef::VALUE_NOT_SET:
      return std::optional<AttrValue>();
    case AttrDef::kI:
      return AttrValue(static_cast<int64_t>(def.i()));
    case AttrDef::kF:
      return AttrValue(def.f());
    case AttrDef::kB:
      return AttrValue(def.b());
    case AttrDef::kS:
      return AttrValue(def.s());
    case AttrDef::kDt: {
      ASSIGN_OR_RETURN(DataType type, DataTypeFromAclNumber(def.dt()));
      return AttrValue(type);
    }
    case AttrDef::kList:
      return ListFromGe(def.list());
    case AttrDef::kListListInt: {
      std::vector<std::vector<int64_t>> lists;
      for (const auto& list : def.list_list_int().list_list_i()) {
        lists.emplace_back(list.list_i().begin(), list.list_i().end());
      }
      return AttrValue(std::move(lists));
    }
    default:
      return absl::UnimplementedError(
          absl::StrCat("values of kind ", def.value_case(), " are not supported"));
  }
}

absl::StatusOr<TensorDesc> DescFromGe(const ge::proto::TensorDescriptor& def) {
  TensorDesc desc;
  ASSIGN_OR_RETURN(desc.type, DataTypeFromProtoNumber(def.dtype()));
  if (def.shape().dim_size() > kMaxRank) {
    return absl::InvalidArgumentError(
        absl::StrCat("a tensor of rank ", def.shape().dim_size(), "; at most ", kMaxRank, " is supported"));
  }
  desc.shape.assign(def.shape().dim().begin(), def.shape().dim().end());
  for (int64_t dim : desc.shape) {
    if (dim == -2) return absl::UnimplementedError("tensors of unknown rank are not supported");
    if (dim < kUnknownDim) {
      return absl::InvalidArgumentError(absl::StrCat("dimension ", dim, " of ", ToString(desc)));
    }
  }
  if (IsStatic(desc.shape)) {
    RETURN_IF_ERROR(CheckedNumElements(desc.shape).status());
    if (SizeOf(desc.type) != 0) RETURN_IF_ERROR(CheckedByteSize(desc).status());
  }
  return desc;
}

absl::StatusOr<Graph> GraphFromGe(const ge::proto::GraphDef& def, const Buffer& weights) {
  return GraphReader(def, weights).Read();
}

}  // namespace omserve
