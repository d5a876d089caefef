#include "air.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/om/ge_ir_names.h"
#include "ge/ge_ir.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/text_format.h"
#include "graph/operator_factory.h"
#include "operator_impl.h"

namespace ge {
namespace {

using OpPtr = std::shared_ptr<OperatorImpl>;
using ListValue = proto::AttrDef::ListValue;

// Type numbers of GE IR files by those of ge::DataType; the unused 5 is undefined.
constexpr int kProtoTypes[] = {1,  2,  3,  7,  4,  0,  5,  6,  9,  8,  10, 12, 11, 13, 14, 15, 16, 17, 18, 19, 20,
                               21, 22, 23, 24, 25, 26, 27, 0,  28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40};

constexpr const char* kFormatNames[] = {"NCHW", "NHWC", "ND"};

proto::DataType ToProto(DataType type) {
  const auto number = static_cast<size_t>(type);
  return static_cast<proto::DataType>(number < std::size(kProtoTypes) ? kProtoTypes[number] : 0);
}

DataType FromProto(proto::DataType type) {
  if (type == proto::DT_UNDEFINED) return DT_UNDEFINED;
  const auto* found = std::find(std::begin(kProtoTypes), std::end(kProtoTypes), static_cast<int>(type));
  return found == std::end(kProtoTypes) ? DT_UNDEFINED : static_cast<DataType>(found - kProtoTypes);
}

// Numbers of files that stand for no format or type are told apart from those that do.
Format FormatOf(int64_t number) {
  return number >= 0 && number <= FORMAT_MAX ? static_cast<Format>(number) : FORMAT_RESERVED;
}
DataType TypeOf(int64_t number) {
  return number >= 0 && number < DT_MAX ? static_cast<DataType>(number) : DT_UNDEFINED;
}

void SetFormat(Format format, const std::string& prefix, google::protobuf::Map<std::string, proto::AttrDef>& attrs) {
  attrs[prefix + "format_for_int"].set_i(format);
}

void ToProto(const TensorDesc& desc, proto::TensorDescriptor* def) {
  def->set_name(desc.GetName());
  def->set_dtype(ToProto(desc.GetDataType()));
  const std::vector<int64_t> dims = desc.GetShape().GetDims();
  def->mutable_shape()->mutable_dim()->Assign(dims.begin(), dims.end());
  const Format format = desc.GetFormat();
  def->set_layout(format <= FORMAT_ND ? kFormatNames[format] : absl::StrCat(format));
  def->set_device_type("NPU");
  SetFormat(format, "", *def->mutable_attr());
  SetFormat(desc.GetOriginFormat(), "origin_", *def->mutable_attr());
}

TensorDesc FromProto(const proto::TensorDescriptor& def) {
  TensorDesc desc;
  desc.SetName(def.name());
  desc.SetDataType(FromProto(def.dtype()));
  desc.SetShape(Shape({def.shape().dim().begin(), def.shape().dim().end()}));
  if (auto it = def.attr().find("format_for_int"); it != def.attr().end()) {
    desc.SetFormat(FormatOf(it->second.i()));
  } else {
    const auto* name = std::find(std::begin(kFormatNames), std::end(kFormatNames), def.layout());
    if (name != std::end(kFormatNames)) desc.SetFormat(static_cast<Format>(name - kFormatNames));
  }
  if (auto it = def.attr().find("origin_format_for_int"); it != def.attr().end()) {
    desc.SetOriginFormat(FormatOf(it->second.i()));
  }
  return desc;
}

void ToProto(const Tensor& tensor, proto::TensorDef* def) {
  ToProto(tensor.GetTensorDesc(), def->mutable_desc());
  def->set_data(tensor.GetData(), tensor.GetSize());
  def->mutable_desc()->set_weight_size(static_cast<int64_t>(tensor.GetSize()));
}

Tensor FromProto(const proto::TensorDef& def) {
  return Tensor(FromProto(def.desc()), reinterpret_cast<const uint8_t*>(def.data().data()), def.data().size());
}

struct AttrWriter {
  proto::AttrDef* def;
  void operator()(int64_t v) const { def->set_i(v); }
  void operator()(float v) const { def->set_f(v); }
  void operator()(bool v) const { def->set_b(v); }
  void operator()(const std::string& v) const { def->set_s(v); }
  void operator()(DataType v) const { def->set_dt(v); }
  void operator()(const Tensor& v) const { ToProto(v, def->mutable_t()); }
  void operator()(const std::vector<uint8_t>& v) const { def->set_bt(v.data(), v.size()); }
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
    List(ListValue::VT_LIST_DATA_TYPE)->mutable_dt()->Assign(v.begin(), v.end());
  }
  void operator()(const std::vector<Tensor>& v) const {
    ListValue* list = List(ListValue::VT_LIST_TENSOR);
    for (const Tensor& item : v) ToProto(item, list->add_t());
  }
  void operator()(const std::vector<std::vector<int64_t>>& v) const {
    auto* lists = def->mutable_list_list_int();
    for (const auto& item : v) lists->add_list_list_i()->mutable_list_i()->Assign(item.begin(), item.end());
  }
  // Readers skip a list without its kind.
  ListValue* List(ListValue::ListValueType kind) const {
    def->mutable_list()->set_val_type(kind);
    return def->mutable_list();
  }
};

template <typename T, typename Items>
AttrValue Listed(const Items& items) {
  AttrValue value;
  std::vector<T> list;
  for (const auto& item : items) list.push_back(static_cast<T>(item));
  (void)value.SetValue(list);
  return value;
}

template <typename T>
AttrValue Single(const T& item) {
  AttrValue value;
  (void)value.SetValue(item);
  return value;
}

// Nothing for an attribute without a value.
absl::StatusOr<std::optional<AttrValue>> FromProto(const proto::AttrDef& def) {
  switch (def.value_case()) {
    case proto::AttrDef::VALUE_NOT_SET:
      return std::optional<AttrValue>();
    case proto::AttrDef::kI:
      return Single<int64_t>(def.i());
    case proto::AttrDef::kF:
      return Single(def.f());
    case proto::AttrDef::kB:
      return Single(def.b());
    case proto::AttrDef::kS:
      return Single(def.s());
    case proto::AttrDef::kDt:
      return Single(TypeOf(def.dt()));
    case proto::AttrDef::kT:
      return Single(FromProto(def.t()));
    case proto::AttrDef::kBt:
      return Single(std::vector<uint8_t>(def.bt().begin(), def.bt().end()));
    case proto::AttrDef::kListListInt: {
      std::vector<std::vector<int64_t>> lists;
      for (const auto& list : def.list_list_int().list_list_i()) {
        lists.emplace_back(list.list_i().begin(), list.list_i().end());
      }
      return Single(lists);
    }
    case proto::AttrDef::kList:
      break;
    default:
      return absl::UnimplementedError(absl::StrCat("values of kind ", def.value_case(), " are not supported"));
  }
  const ListValue& list = def.list();
  switch (list.val_type()) {
    case ListValue::VT_LIST_NONE:
      return std::optional<AttrValue>();
    case ListValue::VT_LIST_INT:
      return Listed<int64_t>(list.i());
    case ListValue::VT_LIST_FLOAT:
      return Listed<float>(list.f());
    case ListValue::VT_LIST_BOOL:
      return Listed<bool>(list.b());
    case ListValue::VT_LIST_STRING:
      return Listed<std::string>(list.s());
    case ListValue::VT_LIST_DATA_TYPE: {
      std::vector<DataType> types;
      for (int64_t number : list.dt()) types.push_back(TypeOf(number));
      return Single(types);
    }
    case ListValue::VT_LIST_TENSOR: {
      std::vector<Tensor> tensors;
      for (const auto& item : list.t()) tensors.push_back(FromProto(item));
      return Single(tensors);
    }
    default:
      return absl::UnimplementedError(absl::StrCat("lists of kind ", list.val_type(), " are not supported"));
  }
}

// The description that a Data has, whichever of its two was given.
const Slot* Described(const OperatorImpl& op) {
  if (!op.outputs.empty() && op.outputs[0].described) return &op.outputs[0];
  if (op.type == "Data" && !op.inputs.empty() && op.inputs[0].described) return &op.inputs[0];
  return nullptr;
}

absl::Status WriteInputs(const OperatorImpl& op, proto::OpDef* def) {
  if (op.type == "Data") return absl::OkStatus();
  size_t count = op.inputs.size();
  while (count > 0 && op.inputs[count - 1].source == nullptr &&
         op.input_ports[op.inputs[count - 1].port].kind == PortKind::kOptional) {
    --count;
  }
  for (size_t i = 0; i < count; ++i) {
    const Slot& slot = op.inputs[i];
    if (slot.source == nullptr) {
      if (op.input_ports[slot.port].kind != PortKind::kOptional) {
        return absl::InvalidArgumentError(absl::StrCat(op.Title(), ": input '", slot.name, "' is missing"));
      }
      def->add_input("");
      TensorDesc absent;
      absent.SetDataType(DT_UNDEFINED);
      absent.SetFormat(FORMAT_RESERVED);
      ToProto(absent, def->add_input_desc());
      continue;
    }
    def->add_input(absl::StrCat(slot.source->name, ":", slot.source_index));
    ToProto(slot.described ? slot.desc : slot.source->OutputDesc(slot.source_index), def->add_input_desc());
  }
  for (const OpPtr& control : op.controls) def->add_input(absl::StrCat(control->name, ":-1"));
  return absl::OkStatus();
}

absl::Status Write(const OperatorImpl& op, std::optional<int64_t> data_index, proto::GraphDef* graph) {
  proto::OpDef* def = graph->add_op();
  def->set_name(op.name);
  def->set_type(op.type);
  def->set_id(graph->op_size() - 1);
  RETURN_IF_ERROR(WriteInputs(op, def));
  for (const std::string& name : op.required_attrs) {
    if (!op.attrs.contains(name)) {
      return absl::InvalidArgumentError(absl::StrCat(op.Title(), ": attribute '", name, "' is missing"));
    }
  }
  for (const auto& [name, value] : op.attrs) {
    if (!value.IsEmpty()) std::visit(AttrWriter{&(*def->mutable_attr())[name]}, value.data()->value);
  }
  if (data_index) (*def->mutable_attr())["index"].set_i(*data_index);
  const Tensor* constant = op.ConstantValue();
  if ((op.type == "Const" || op.type == "Constant") && constant == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(op.Title(), " has no tensor 'value'"));
  }
  if (constant != nullptr && Tensor(*constant).IsValid() != GRAPH_SUCCESS) {
    return absl::InvalidArgumentError(absl::StrCat(op.Title(), ": its value has ", constant->GetSize(),
                                                   " bytes, which is not what its shape and data type ask for"));
  }
  for (size_t i = 0; i < op.outputs.size(); ++i) ToProto(op.OutputDesc(i), def->add_output_desc());
  if (op.type == "Data") {
    const Slot* described = Described(op);
    if (described == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(op.Title(), " needs a description of its tensor (update_input_desc_x or update_output_desc_y)"));
    }
    ToProto(described->desc, def->mutable_output_desc(0));
    *def->add_input_desc() = def->output_desc(0);
  }
  return absl::OkStatus();
}

class Reader {
 public:
  explicit Reader(const proto::GraphDef& def) : def_(def), graph_(std::make_shared<GraphImpl>(def.name())) {}

  absl::StatusOr<Graph> Read() {
    for (const proto::OpDef& op : def_.op()) RETURN_IF_ERROR(AddOperator(op));
    for (const proto::OpDef& op : def_.op()) {
      RETURN_IF_ERROR_WITH(Wire(op), absl::StrCat("operator '", op.name(), "' (", op.type(), ")"));
    }
    std::vector<std::string> outputs(def_.output().begin(), def_.output().end());
    for (const proto::OpDef& op : def_.op()) {
      if (op.type() == "NetOutput") outputs.assign(op.input().begin(), op.input().end());
    }
    for (const std::string& text : outputs) {
      ASSIGN_OR_RETURN_WITH(auto edge, Edge(text), "an output of the graph");
      if (edge.second >= 0) graph_->outputs.push_back({edge.first, static_cast<size_t>(edge.second)});
    }
    auto names = def_.attr().find(omserve::kOutputNamesAttr);
    if (names != def_.attr().end() && names->second.list().s_size() == static_cast<int>(graph_->outputs.size())) {
      graph_->output_names.assign(names->second.list().s().begin(), names->second.list().s().end());
    }
    std::sort(inputs_.begin(), inputs_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [index, op] : inputs_) graph_->inputs.push_back(std::move(op));
    return GraphAccess::Make(graph_);
  }

 private:
  absl::Status AddOperator(const proto::OpDef& def) {
    const std::string here = absl::StrCat("operator '", def.name(), "' (", def.type(), ")");
    if (def.name().empty() || def.type().empty()) return absl::InvalidArgumentError("an operator without name or type");
    if (def.subgraph_name_size() > 0) {
      return absl::UnimplementedError(absl::StrCat(here, ": subgraphs are not supported"));
    }
    if (def.type() == "NetOutput") return absl::OkStatus();
    Operator op = OperatorFactory::CreateOperator(def.name().c_str(), def.type().c_str());
    if (op.IsEmpty()) op = Operator(def.name(), def.type());
    const OpPtr impl = OperatorAccess::Of(op);
    if (!ops_.emplace(def.name(), impl).second) return absl::InvalidArgumentError(absl::StrCat(here, " appears twice"));
    size_t inputs = 0;
    if (def.type() != "Data") {
      for (const std::string& text : def.input()) inputs += absl::EndsWith(text, ":-1") ? 0 : 1;
    }
    Fit(inputs, impl->input_ports, impl->inputs, *impl);
    Fit(static_cast<size_t>(def.output_desc_size()), impl->output_ports, impl->outputs, *impl);
    for (int i = 0; i < def.output_desc_size(); ++i) {
      impl->outputs[static_cast<size_t>(i)].desc = FromProto(def.output_desc(i));
      impl->outputs[static_cast<size_t>(i)].described = true;
    }
    for (const auto& [name, attr] : def.attr()) {
      ASSIGN_OR_RETURN_WITH(std::optional<AttrValue> value, FromProto(attr), absl::StrCat(here, ", attribute '", name, "'"));
      if (value) impl->attrs[name] = *std::move(value);
    }
    if (def.type() == "Data") inputs_.emplace_back(def.attr().contains("index") ? def.attr().at("index").i() : 0, impl);
    graph_->Hold(impl);
    return absl::OkStatus();
  }

  // As many slots as the file has: those of a dynamic port take the slack, and where the prototype has no room, ports
  // without a name of their own are added.
  static void Fit(size_t count, std::vector<Port>& ports, std::vector<Slot>& slots, OperatorImpl& op) {
    if (slots.size() < count) {
      for (const Port& port : std::vector<Port>(ports)) {
        if (port.kind != PortKind::kDynamic) continue;
        op.AddPort(ports, slots, port.name, PortKind::kDynamic, static_cast<uint32_t>(count - slots.size()));
        return;
      }
    }
    while (slots.size() < count) op.AddPort(ports, slots, absl::StrCat("_", slots.size()), PortKind::kOptional, 1);
  }

  absl::StatusOr<std::pair<OpPtr, int>> Edge(const std::string& text) const {
    const size_t colon = text.rfind(':');
    int index = 0;
    if (colon == std::string::npos || !absl::SimpleAtoi(absl::string_view(text).substr(colon + 1), &index) || index < -1) {
      return absl::InvalidArgumentError(absl::StrCat("'", text, "' is no edge; expected <operator>:<output>"));
    }
    auto it = ops_.find(text.substr(0, colon));
    if (it == ops_.end()) return absl::InvalidArgumentError(absl::StrCat("'", text, "' names no operator"));
    if (index >= static_cast<int>(it->second->outputs.size())) {
      return absl::InvalidArgumentError(absl::StrCat("'", text, "' names an output that is not there"));
    }
    return std::make_pair(it->second, index);
  }

  absl::Status Wire(const proto::OpDef& def) {
    if (def.type() == "NetOutput" || def.type() == "Data") return absl::OkStatus();
    const OpPtr& op = ops_.at(def.name());
    size_t slot = 0;
    for (const std::string& text : def.input()) {
      if (text.empty()) {
        ++slot;
        continue;
      }
      ASSIGN_OR_RETURN(auto edge, Edge(text));
      const bool acyclic = edge.second >= 0
                               ? Connect(op, op->inputs[slot++], edge.first, static_cast<uint32_t>(edge.second))
                               : ConnectControl(op, edge.first);
      if (!acyclic) return absl::InvalidArgumentError(absl::StrCat("'", text, "' closes a cycle"));
    }
    return absl::OkStatus();
  }

  const proto::GraphDef& def_;
  const std::shared_ptr<GraphImpl> graph_;
  std::map<std::string, OpPtr> ops_;
  std::vector<std::pair<int64_t, OpPtr>> inputs_;
};

}  // namespace

absl::StatusOr<std::string> GraphToAir(const Graph& graph) {
  const std::shared_ptr<GraphImpl>& impl = GraphAccess::Of(graph);
  if (impl == nullptr) return absl::InvalidArgumentError("the graph is empty");
  ASSIGN_OR_RETURN(const std::vector<OpPtr> ops, impl->Sorted());
  // Positions that nobody gave come from SetInputs.
  const bool numbered = std::any_of(ops.begin(), ops.end(), [](const OpPtr& op) {
    return op->type == "Data" && op->attrs.contains("index");
  });
  proto::ModelDef model;
  model.set_name(impl->name);
  proto::GraphDef* def = model.add_graph();
  def->set_name(impl->name);
  for (const OpPtr& op : ops) {
    std::optional<int64_t> index;
    auto position = std::find(impl->inputs.begin(), impl->inputs.end(), op);
    if (op->type == "Data" && !op->attrs.contains("index")) {
      index = numbered || position == impl->inputs.end() ? 0 : position - impl->inputs.begin();
    }
    RETURN_IF_ERROR_WITH(Write(*op, index, def), absl::StrCat("graph '", impl->name, "'"));
    if (op->type == "Data") def->add_input(absl::StrCat(op->name, ":0"));
  }
  for (const GraphImpl::Output& output : impl->outputs) def->add_output(absl::StrCat(output.op->name, ":", output.index));
  if (!impl->output_names.empty()) AttrWriter{&(*def->mutable_attr())[omserve::kOutputNamesAttr]}(impl->output_names);
  if (model.ByteSizeLong() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    return absl::ResourceExhaustedError(absl::StrCat("graph '", impl->name, "' has ", model.ByteSizeLong(),
                                                     " bytes as AIR; files of this kind end at 2 GiB"));
  }
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    model.SerializeToCodedStream(&coded);
  }
  return bytes;
}

absl::StatusOr<Graph> GraphFromAir(absl::string_view bytes) {
  proto::ModelDef model;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()) ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || model.graph_size() == 0) {
    return absl::InvalidArgumentError("not an AIR file: it is no serialized ge.proto.ModelDef with a graph");
  }
  return Reader(model.graph(0)).Read();
}

absl::StatusOr<std::string> GraphToText(const Graph& graph) {
  ASSIGN_OR_RETURN(const std::string bytes, GraphToAir(graph));
  proto::ModelDef model;
  model.ParseFromString(bytes);
  std::string text;
  google::protobuf::TextFormat::PrintToString(model, &text);
  return text;
}

absl::StatusOr<std::vector<AirInput>> InputsOfAir(absl::string_view bytes) {
  proto::ModelDef model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || model.graph_size() == 0) {
    return absl::InvalidArgumentError("not an AIR file");
  }
  std::vector<std::pair<int64_t, AirInput>> inputs;
  for (const proto::OpDef& op : model.graph(0).op()) {
    if (op.type() != "Data") continue;
    const auto& dims = op.output_desc(0).shape().dim();
    inputs.push_back({op.attr().at("index").i(), {op.name(), {dims.begin(), dims.end()}}});
  }
  std::stable_sort(inputs.begin(), inputs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<AirInput> sorted;
  for (auto& [index, input] : inputs) sorted.push_back(std::move(input));
  return sorted;
}

}  // namespace ge
