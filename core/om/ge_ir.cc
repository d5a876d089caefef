#include "core/om/ge_ir.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/om/ge_ir_names.h"
#include "core/om/text.h"

namespace omserve {
namespace {

using ListValue = ge::proto::AttrDef::ListValue;

constexpr char kFormatName[] = "ND";
constexpr int64_t kFormatNumber = 2;
// Of the descriptor that stands for an absent optional input.
constexpr char kNoFormatName[] = "RESERVED";
constexpr int64_t kNoFormatNumber = 40;

void SetDescAttrs(const TensorDesc& desc, const char* format, int64_t format_number,
                  ge::proto::TensorDescriptor* def) {
  def->set_layout(format);
  auto& attrs = *def->mutable_attr();
  AttrToGe(std::string(format), &attrs["origin_format"]);
  AttrToGe(format_number, &attrs["origin_format_for_int"]);
  AttrToGe(format_number, &attrs["format_for_int"]);
  AttrToGe(std::string(GeName(desc.type)), &attrs["origin_data_type"]);
  AttrToGe(true, &attrs["origin_shape_initialized"]);
  AttrToGe(desc.shape, &attrs["origin_shape"]);
}

ge::proto::TensorDescriptor AbsentInput() {
  ge::proto::TensorDescriptor def;
  def.set_dtype(ge::proto::DT_UNDEFINED);
  def.mutable_shape();
  SetDescAttrs(TensorDesc{}, kNoFormatName, kNoFormatNumber, &def);
  return def;
}

std::string EdgeTo(const Graph& graph, ValueId value) {
  return absl::StrCat(graph.node(value.node)->name(), ":", value.output);
}

absl::Status SetValue(const Node& node, const WeightRanges& weights, ge::proto::OpDef* op) {
  const TensorSlice& constant = *node.constant();
  ge::proto::TensorDef value;
  *value.mutable_desc() = DescToGe(constant.desc());
  auto range = weights.find(node.id());
  if (range != weights.end()) {
    value.mutable_desc()->set_data_offset(static_cast<int64_t>(range->second.offset));
    value.mutable_desc()->set_weight_size(static_cast<int64_t>(range->second.size));
  } else {
    const Tensor dense = constant.Materialize();
    value.set_data(dense.data(), dense.byte_size());
    value.mutable_desc()->set_weight_size(static_cast<int64_t>(dense.byte_size()));
  }
  *(*op->mutable_attr())[kValueAttr].mutable_t() = std::move(value);
  return absl::OkStatus();
}

absl::Status AddOperator(const Graph& graph, const Node& node, const WeightRanges& weights,
                         ge::proto::GraphDef* def) {
  const std::string here = absl::StrCat("node '", node.name(), "' (", node.type(), ")");
  RETURN_IF_ERROR(CheckName("the name of a node", node.name()));
  RETURN_IF_ERROR(CheckName(absl::StrCat("the type of node '", node.name(), "'"), node.type()));
  if (node.is(kNetOutputType)) {
    return absl::InvalidArgumentError(
        absl::StrCat(here, ": outputs are listed in the graph, not by a NetOutput"));
  }
  ge::proto::OpDef* op = def->add_op();
  op->set_name(node.name());
  op->set_type(node.type());
  op->set_id(def->op_size() - 1);
  for (ValueId input : node.inputs()) {
    if (!input.valid()) {
      op->add_input("");
      *op->add_input_desc() = AbsentInput();
      op->add_is_input_const(false);
      continue;
    }
    op->add_input(EdgeTo(graph, input));
    *op->add_input_desc() = DescToGe(graph.desc(input));
    op->add_is_input_const(graph.ConstantOf(input) != nullptr);
  }
  for (const TensorDesc& desc : node.outputs()) *op->add_output_desc() = DescToGe(desc);
  for (const auto& [name, value] : node.attrs()) {
    RETURN_IF_ERROR(CheckName(absl::StrCat(here, ": the name of an attribute"), name));
    AttrToGe(value, &(*op->mutable_attr())[name]);
  }
  if (node.is_data()) *op->add_input_desc() = DescToGe(node.output());
  if (!node.is_const()) return absl::OkStatus();
  if (node.attrs().contains(kValueAttr)) {
    return absl::InvalidArgumentError(
        absl::StrCat(here, ": attribute '", kValueAttr, "' is reserved for its value"));
  }
  return SetValue(node, weights, op);
}

}  // namespace

void AttrToGe(const AttrValue& value, ge::proto::AttrDef* def) {
  struct Visitor {
    ge::proto::AttrDef* def;
    void operator()(int64_t v) const { def->set_i(v); }
    void operator()(float v) const { def->set_f(v); }
    void operator()(bool v) const { def->set_b(v); }
    void operator()(const std::string& v) const { def->set_s(v); }
    void operator()(DataType v) const { def->set_dt(ToAclNumber(v)); }
    void operator()(const std::vector<int64_t>& v) const {
      List(ListValue::VT_LIST_INT)->mutable_i()->Assign(v.begin(), v.end());
    }
    void operator()(const std::vector<float>& v) const {
      List(ListValue::VT_LIST_FLOAT)->mutable_f()->Assign(v.begin(), v.end());
    }
    void operator()(const std::vector<bool>& v) const {
      List(ListValue::VT_LIST_BOOL)->mutable_b()->Assign(v.begin(), v.end());
    }
    void operator()(const std::vector<std::string>& v) const {
      ListValue* list = List(ListValue::VT_LIST_STRING);
      for (const std::string& item : v) list->add_s(item);
    }
    void operator()(const std::vector<DataType>& v) const {
      ListValue* list = List(ListValue::VT_LIST_DATA_TYPE);
      for (DataType item : v) list->add_dt(ToAclNumber(item));
    }
    void operator()(const std::vector<std::vector<int64_t>>& v) const {
      auto* list = def->mutable_list_list_int();
      list->clear_list_list_i();
      for (const std::vector<int64_t>& item : v)
        list->add_list_list_i()->mutable_list_i()->Assign(item.begin(), item.end());
    }
    // The kind is always set: readers skip a list without it, even an empty one.
    ListValue* List(ListValue::ListValueType kind) const {
      def->mutable_list()->Clear();
      def->mutable_list()->set_val_type(kind);
      return def->mutable_list();
    }
  };
  std::visit(Visitor{def}, value);
}

ge::proto::TensorDescriptor DescToGe(const TensorDesc& desc) {
  ge::proto::TensorDescriptor def;
  def.set_dtype(static_cast<ge::proto::DataType>(ToProtoNumber(desc.type)));
  def.mutable_shape()->mutable_dim()->Assign(desc.shape.begin(), desc.shape.end());
  def.set_device_type("NPU");
  const absl::StatusOr<size_t> bytes = CheckedByteSize(desc);
  def.set_size(bytes.ok() ? static_cast<int64_t>(*bytes) : 0);
  SetDescAttrs(desc, kFormatName, kFormatNumber, &def);
  return def;
}

absl::StatusOr<std::vector<int32_t>> GeOperatorOrder(const Graph& graph) {
  ASSIGN_OR_RETURN(std::vector<int32_t> topological, graph.TopologicalOrder());
  std::vector<int32_t> order(graph.inputs().begin(), graph.inputs().end());
  for (int32_t id : topological) {
    if (!graph.node(id)->is_data()) order.push_back(id);
  }
  if (order.size() != topological.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("graph '", graph.name(), "' has Data nodes that are not among its inputs"));
  }
  return order;
}

std::vector<std::string> OutputNodeNames(const Graph& graph) {
  std::vector<std::string> names;
  for (const GraphOutput& output : graph.outputs()) names.push_back(EdgeTo(graph, output.value));
  return names;
}

absl::Status GraphToGe(const Graph& graph, const WeightRanges& weights, ge::proto::GraphDef* def) {
  RETURN_IF_ERROR(Verify(graph));
  RETURN_IF_ERROR(CheckName("the name of a graph", graph.name()));
  ASSIGN_OR_RETURN(std::vector<int32_t> order, GeOperatorOrder(graph));
  if (order.size() >= static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    return absl::ResourceExhaustedError("the graph has too many nodes");
  }
  def->Clear();
  def->set_name(graph.name());
  for (int32_t id : order) RETURN_IF_ERROR(AddOperator(graph, *graph.node(id), weights, def));
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const Node& data = *graph.node(graph.inputs()[i]);
    def->add_input(absl::StrCat(data.name(), ":0"));
    AttrToGe(static_cast<int64_t>(i), &(*def->mutable_op(static_cast<int>(i))->mutable_attr())[kIndexAttr]);
  }

  // Readers look for this name; only a node of the same name moves it aside.
  std::string name = kNetOutputName;
  while (graph.FindNode(name) != nullptr) name += "_";
  ge::proto::OpDef* net_output = def->add_op();
  net_output->set_name(name);
  net_output->set_type(kNetOutputType);
  net_output->set_id(def->op_size() - 1);
  std::vector<std::string> names;
  for (const GraphOutput& output : graph.outputs()) {
    RETURN_IF_ERROR(CheckName("the name of an output", output.name));
    names.push_back(output.name);
    const std::string edge = EdgeTo(graph, output.value);
    def->add_output(edge);
    net_output->add_input(edge);
    *net_output->add_input_desc() = DescToGe(graph.desc(output.value));
    net_output->add_is_input_const(graph.ConstantOf(output.value) != nullptr);
  }
  AttrToGe(std::move(names), &(*def->mutable_attr())[kOutputNamesAttr]);
  return absl::OkStatus();
}

}  // namespace omserve
