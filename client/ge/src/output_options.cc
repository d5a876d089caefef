#include "output_options.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "air.h"
#include "core/base/status.h"
#include "ge/ge_api_types.h"
#include "graph/operator_factory.h"
#include "operator_impl.h"

namespace ge {
namespace {

absl::StatusOr<DataType> TypeNamed(const std::string& name) {
  static constexpr struct {
    const char* name;
    DataType type;
  } kTypes[] = {{"FP32", DT_FLOAT},  {"FP16", DT_FLOAT16}, {"BF16", DT_BF16},     {"DOUBLE", DT_DOUBLE},
                {"INT8", DT_INT8},   {"INT16", DT_INT16},  {"INT32", DT_INT32},   {"INT64", DT_INT64},
                {"UINT8", DT_UINT8}, {"UINT16", DT_UINT16}, {"UINT32", DT_UINT32}, {"UINT64", DT_UINT64},
                {"BOOL", DT_BOOL}};
  for (const auto& item : kTypes) {
    if (name == item.name) return item.type;
  }
  return absl::InvalidArgumentError(absl::StrCat("E10001: value '", name, "' of option '", ir_option::OUTPUT_TYPE,
                                                 "' is no data type for all outputs, such as FP32 or FP16"));
}

absl::Status Choose(GraphImpl& graph, const std::string& nodes) {
  std::vector<GraphImpl::Output> outputs;
  for (absl::string_view part : absl::StrSplit(nodes, ';', absl::SkipWhitespace())) {
    const size_t colon = part.rfind(':');
    uint32_t index = 0;
    if (colon == absl::string_view::npos || !absl::SimpleAtoi(part.substr(colon + 1), &index)) {
      return absl::InvalidArgumentError(absl::StrCat("E10001: '", part, "' in option '", ir_option::OUT_NODES,
                                                     "' is not of the form node:index"));
    }
    const absl::string_view name = part.substr(0, colon);
    std::shared_ptr<OperatorImpl> found;
    for (const auto& op : graph.All()) {
      if (op->name == name) found = op;
    }
    if (found == nullptr || index >= found->outputs.size()) {
      return absl::InvalidArgumentError(absl::StrCat("E10016: the graph has no output '", part, "', which option '",
                                                     ir_option::OUT_NODES, "' names"));
    }
    outputs.push_back({found, index});
  }
  graph.outputs = std::move(outputs);
  graph.output_names.clear();
  return absl::OkStatus();
}

absl::Status Convert(GraphImpl& graph, const std::string& type_name) {
  ASSIGN_OR_RETURN(const DataType type, TypeNamed(type_name));
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    GraphImpl::Output& output = graph.outputs[i];
    Operator cast = OperatorFactory::CreateOperator(absl::StrCat(output.op->name, "_output_type_", i).c_str(), "Cast");
    cast.SetInput("x", OperatorAccess::Make(output.op), static_cast<uint32_t>(output.index));
    cast.SetAttr("dst_type", static_cast<int64_t>(type));
    output = {OperatorAccess::Of(cast), 0};
    graph.Hold(output.op);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Graph> WithOutputOptions(const Graph& graph, const Options& options) {
  const std::string nodes = ValueOf(options, ir_option::OUT_NODES);
  const std::string type = ValueOf(options, ir_option::OUTPUT_TYPE);
  if (nodes.empty() && type.empty()) return graph;
  ASSIGN_OR_RETURN(const std::string air, GraphToAir(graph));
  ASSIGN_OR_RETURN(Graph copy, GraphFromAir(air));
  GraphImpl& impl = *GraphAccess::Of(copy);
  if (!nodes.empty()) RETURN_IF_ERROR(Choose(impl, nodes));
  if (!type.empty()) RETURN_IF_ERROR(Convert(impl, type));
  return copy;
}

absl::StatusOr<std::string> BuildableAir(const Graph& graph, const Options& options) {
  ASSIGN_OR_RETURN(const Graph changed, WithOutputOptions(graph, options));
  ASSIGN_OR_RETURN(std::string air, GraphToAir(changed));
  for (const auto& op : GraphAccess::Of(changed)->All()) {
    if (op->type == "Variable" || op->type == "VariableV2") {
      return absl::InvalidArgumentError(
          absl::StrCat("E10055: ", op->Title(), ": graphs with variables cannot be built; make it a Const"));
    }
  }
  return air;
}

}  // namespace ge
