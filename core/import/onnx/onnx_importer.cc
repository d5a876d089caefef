#include "core/import/onnx/onnx_importer.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/import/onnx/conversion.h"
#include "core/import/onnx/converter.h"
#include "core/import/onnx/skeleton.h"
#include "core/import/onnx/weights.h"
#include "protos/onnx/onnx.pb.h"

namespace omserve {
namespace {

constexpr int64_t kOldestIrVersion = 3;

// One import. Borrows the skeleton and the loader.
class Importer {
 public:
  Importer(const onnx::ModelProto& model, WeightLoader* weights)
      : model_(model), proto_(model.graph()), weights_(*weights),
        graph_(proto_.name().empty() ? "graph" : proto_.name()) {}

  absl::StatusOr<Graph> Run() {
    RETURN_IF_ERROR(CheckModel());
    RETURN_IF_ERROR(CollectNames());
    for (const onnx::ValueInfoProto& input : proto_.input()) {
      if (initializers_.contains(input.name())) continue;  // IR 3 lists its weights among the inputs
      RETURN_IF_ERROR_WITH(AddInput(input), absl::StrCat("graph input '", input.name(), "'"));
    }
    for (int i = 0; i < proto_.node_size(); ++i) {
      const onnx::NodeProto& node = proto_.node(i);
      const std::string name = node.name().empty() ? absl::StrCat(node.op_type(), "_", i) : node.name();
      RETURN_IF_ERROR_WITH(AddNode(node, name), absl::StrCat("node '", name, "' (", node.op_type(), ")"));
    }
    for (const onnx::ValueInfoProto& output : proto_.output()) {
      ASSIGN_OR_RETURN_WITH(ValueId value, Lookup(output.name()), "graph output");
      graph_.AddOutput(output.name(), value);
    }
    RETURN_IF_ERROR(Verify(graph_));
    return std::move(graph_);
  }

 private:
  absl::Status CheckModel() {
    if (!model_.has_graph()) return absl::InvalidArgumentError("not an ONNX model: it has no graph");
    if (model_.ir_version() < kOldestIrVersion) {
      return absl::UnimplementedError(absl::StrCat("IR version ", model_.ir_version(),
                                                   " is not supported; the oldest is ", kOldestIrVersion));
    }
    for (const onnx::OperatorSetIdProto& opset : model_.opset_import()) {
      // Domains that no node uses may have any version.
      opsets_[opset.domain() == "ai.onnx" ? "" : opset.domain()] = opset.version();
    }
    auto it = opsets_.find("");
    if (it == opsets_.end()) {
      return absl::InvalidArgumentError("not an ONNX model: no opset of domain 'ai.onnx' is imported");
    }
    if (it->second < kOldestOpset || it->second > kNewestOpset) {
      return absl::UnimplementedError(absl::StrCat("opset ", it->second, " is not supported; ", kOldestOpset, " to ",
                                                   kNewestOpset, " are"));
    }
    if (proto_.sparse_initializer_size() > 0) return absl::UnimplementedError("sparse initializers are not supported");
    if (proto_.output_size() == 0) return absl::InvalidArgumentError("the graph has no outputs");
    return absl::OkStatus();
  }

  absl::Status CollectNames() {
    for (const onnx::TensorProto& initializer : proto_.initializer()) {
      if (!initializers_.emplace(initializer.name(), &initializer).second) {
        return absl::InvalidArgumentError(absl::StrCat("two initializers are named '", initializer.name(), "'"));
      }
    }
    for (const onnx::NodeProto& node : proto_.node()) {
      for (const std::string& input : node.input()) used_.insert(input);
    }
    for (const onnx::ValueInfoProto& output : proto_.output()) used_.insert(output.name());
    for (const onnx::ValueInfoProto& value : proto_.value_info()) value_infos_[value.name()] = InfoOf(value);
    for (const onnx::ValueInfoProto& value : proto_.output()) value_infos_[value.name()] = InfoOf(value);
    for (const onnx::FunctionProto& function : model_.functions()) {
      functions_.emplace(function.domain(), function.name());
    }
    return absl::OkStatus();
  }

  static ValueInfo InfoOf(const onnx::ValueInfoProto& value) {
    ValueInfo info;
    const onnx::TypeProto::Tensor& tensor = value.type().tensor_type();
    absl::StatusOr<DataType> type = DataTypeFromOnnxNumber(tensor.elem_type());
    if (type.ok()) info.type = *type;
    if (tensor.has_shape() && tensor.shape().dim_size() <= kMaxRank) info.rank = tensor.shape().dim_size();
    return info;
  }

  absl::Status AddInput(const onnx::ValueInfoProto& input) {
    if (!input.type().has_tensor_type()) return absl::UnimplementedError("only tensors are supported");
    const onnx::TypeProto::Tensor& tensor = input.type().tensor_type();
    ASSIGN_OR_RETURN(DataType type, DataTypeFromOnnxNumber(tensor.elem_type()));
    if (SizeOf(type) == 0) {
      return absl::UnimplementedError(absl::StrCat("the type ", std::string(Name(type)), " is not supported"));
    }
    if (!tensor.has_shape()) return absl::UnimplementedError("an input must have a known rank");
    if (tensor.shape().dim_size() > kMaxRank) {
      return absl::UnimplementedError(
          absl::StrCat("rank ", tensor.shape().dim_size(), " is not supported; at most ", kMaxRank));
    }
    Shape shape;
    for (const onnx::TensorShapeProto::Dimension& dim : tensor.shape().dim()) {
      shape.push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value() : kUnknownDim);
    }
    const int rank = static_cast<int>(shape.size());
    const ValueId value = graph_.AddData(input.name(), {type, std::move(shape)})->out();
    infos_[value] = {type, rank};
    return Define(input.name(), value);
  }

  absl::Status Define(const std::string& name, ValueId value) {
    if (initializers_.contains(name) || !values_.emplace(name, value).second) {
      return absl::InvalidArgumentError(absl::StrCat("the value '", name, "' is made twice"));
    }
    return absl::OkStatus();
  }

  // The value of that name; an initializer becomes a Const when it is first used.
  absl::StatusOr<ValueId> Lookup(const std::string& name) {
    auto known = values_.find(name);
    if (known != values_.end()) return known->second;
    auto initializer = initializers_.find(name);
    if (initializer == initializers_.end()) {
      return absl::InvalidArgumentError(absl::StrCat("nothing before it makes the value '", name, "'"));
    }
    ASSIGN_OR_RETURN_WITH(Tensor tensor, weights_.Load(*initializer->second),
                          absl::StrCat("initializer '", name, "'"));
    const ValueInfo info{tensor.type(), static_cast<int>(tensor.shape().size())};
    const ValueId value = graph_.AddConst(name, std::move(tensor))->out();
    values_.emplace(name, value);
    infos_[value] = info;
    return value;
  }

  int64_t OpsetOf(const std::string& domain) const {
    auto it = opsets_.find(domain == "ai.onnx" ? "" : domain);
    return it == opsets_.end() ? 0 : it->second;
  }

  absl::Status AddNode(const onnx::NodeProto& node, const std::string& name) {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g() || attribute.graphs_size() > 0) {
        return absl::UnimplementedError(absl::StrCat("operator '", node.op_type(), "' holds a subgraph ('",
                                                     attribute.name(), "'); subgraphs are not supported"));
      }
    }
    const PackagedOp* custom = FindPackagedOnnxOp(node.domain(), node.op_type());
    if (custom == nullptr && functions_.contains({node.domain(), node.op_type()})) {
      return absl::UnimplementedError(absl::StrCat("operator '", node.op_type(), "' of domain '", node.domain(),
                                                   "' is a function of the model; functions are not supported"));
    }
    const int64_t opset = OpsetOf(node.domain());
    const Converter* converter = nullptr;
    if (custom == nullptr) {
      ASSIGN_OR_RETURN(converter, FindConverter(node.domain(), node.op_type(), opset));
    }
    if (converter != nullptr && (node.input_size() < converter->min_inputs || node.input_size() > converter->max_inputs)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "it has ", node.input_size(), " inputs; it needs ",
          converter->min_inputs == converter->max_inputs ? "exactly " : "at least ",
          converter->min_inputs, InputLimit(*converter)));
    }
    std::vector<ValueId> inputs;
    for (const std::string& input : node.input()) {
      if (input.empty()) {
        inputs.emplace_back();
        continue;
      }
      ASSIGN_OR_RETURN(ValueId value, Lookup(input));
      inputs.push_back(value);
    }
    std::vector<bool> used;
    for (const std::string& output : node.output()) used.push_back(!output.empty() && used_.contains(output));

    Conversion conversion(node, name, static_cast<int>(opset), converter == nullptr ? "" : converter->target,
                          std::move(inputs), std::move(used), &graph_, &infos_, &weights_);
    absl::Status status = custom != nullptr ? ConvertCustom(conversion, *custom) : converter->convert(conversion);
    // What an accessor complained about comes first: later complaints may only follow from it.
    RETURN_IF_ERROR(conversion.status());
    RETURN_IF_ERROR(status);
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (!conversion.WasRead(attribute.name())) {
        return absl::UnimplementedError(absl::StrCat("its attribute '", attribute.name(), "' is not supported"));
      }
    }
    for (int i = 0; i < node.output_size(); ++i) RETURN_IF_ERROR(AddResult(conversion, i, node.output(i)));
    return absl::OkStatus();
  }

  static std::string InputLimit(const Converter& converter) {
    if (converter.max_inputs == converter.min_inputs || converter.max_inputs == kAnyNumber) return "";
    return absl::StrCat(" and at most ", converter.max_inputs);
  }

  absl::Status AddResult(const Conversion& conversion, int i, const std::string& name) {
    if (name.empty()) return absl::OkStatus();
    const ValueId value = conversion.outputs()[i];
    if (!value.valid()) {
      if (!conversion.uses_output(i)) return absl::OkStatus();
      return absl::UnimplementedError(absl::StrCat("its output ", i, " ('", name, "') is not supported"));
    }
    auto hint = value_infos_.find(name);
    if (hint != value_infos_.end()) {
      ValueInfo& info = infos_[value];
      if (info.type == DataType::kUndefined) info.type = hint->second.type;
      if (info.rank < 0) info.rank = hint->second.rank;
    }
    return Define(name, value);
  }

  const onnx::ModelProto& model_;
  const onnx::GraphProto& proto_;
  WeightLoader& weights_;
  Graph graph_;
  ValueInfos infos_;
  std::set<std::pair<std::string, std::string>> functions_;
  absl::flat_hash_map<std::string, int64_t> opsets_;  // by domain; "" is ai.onnx
  absl::flat_hash_map<std::string, const onnx::TensorProto*> initializers_;
  absl::flat_hash_set<std::string> used_;                      // names that a node or the graph reads
  absl::flat_hash_map<std::string, ValueInfo> value_infos_;    // what the model says of its values
  absl::flat_hash_map<std::string, ValueId> values_;
};

}  // namespace

absl::StatusOr<Graph> ImportOnnx(Buffer model, const std::string& folder, OnnxImportStats* stats) {
  ASSIGN_OR_RETURN(onnx::ModelProto skeleton, ParseSkeleton(model.view()));
  WeightLoader weights(std::move(model), folder);
  absl::StatusOr<Graph> graph = Importer(skeleton, &weights).Run();
  if (stats != nullptr) *stats = weights.stats();
  return graph;
}

absl::StatusOr<Graph> ImportOnnx(const std::string& path, OnnxImportStats* stats) {
  ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  const size_t size = file->size();
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? std::string(".") : parent.string();
  absl::StatusOr<Graph> graph = ImportOnnx(Buffer::OfFile(std::move(file), 0, size), folder, stats);
  if (!graph.ok()) return Annotate(graph.status(), path);
  return graph;
}

}  // namespace omserve
