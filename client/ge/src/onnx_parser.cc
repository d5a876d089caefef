#include "parser/onnx_parser.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "air.h"
#include "core/base/status.h"
#include "core/import/onnx/onnx_importer.h"
#include "core/om/ge_ir.h"
#include "ge/ge_api_types.h"
#include "messages.h"
#include "operator_impl.h"
#include "options.h"
#include "output_options.h"

namespace ge {
namespace {

absl::StatusOr<Graph> ToGraph(const omserve::Graph& imported, const Options& options) {
  proto::ModelDef model;
  RETURN_IF_ERROR(omserve::GraphToGe(imported, {}, model.add_graph()));
  if (model.ByteSizeLong() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    return absl::ResourceExhaustedError(absl::StrCat("E19023: the model has ", model.ByteSizeLong(),
                                                     " bytes; graphs with more than 2 GiB of weights are built from the "
                                                     "file, by atc or omctl"));
  }
  ASSIGN_OR_RETURN(Graph graph, GraphFromAir(model.SerializeAsString()));
  GraphImpl& impl = *GraphAccess::Of(graph);
  if (const std::string name = ValueOf(options, ir_option::OUTPUT); !name.empty()) {
    impl.name = name.substr(name.rfind('/') + 1);
  } else if (impl.name.empty()) {
    impl.name = imported.name();
  }
  return WithOutputOptions(graph, options);
}

graphStatus Parse(const std::map<AscendString, AscendString>& params, const absl::StatusOr<omserve::Graph>& imported,
                  Graph& graph) {
  const Options options = FromAscend(params);
  if (absl::Status status = CheckKeys("aclgrphParseONNX", options); !status.ok()) return Report(GRAPH_FAILED, status);
  WarnUnknown("aclgrphParseONNX", options, ParseKeys());
  for (const char* key : {ir_option::INPUT_FP16_NODES, ir_option::ENABLE_SCOPE_FUSION_PASSES}) {
    if (ValueOf(options, key).empty()) continue;
    return Report(GRAPH_PARAM_INVALID, "E10055", absl::StrCat("option '", key, "' of aclgrphParseONNX is not supported"));
  }
  if (!imported.ok()) return Report(GRAPH_FAILED, imported.status());
  absl::StatusOr<Graph> parsed = ToGraph(*imported, options);
  if (!parsed.ok()) return Report(GRAPH_FAILED, parsed.status());
  graph = *std::move(parsed);
  return GRAPH_SUCCESS;
}

}  // namespace

graphStatus aclgrphParseONNX(const char_t* model_file, const std::map<AscendString, AscendString>& parser_params,
                             Graph& graph) {
  if (model_file == nullptr) return Report(GRAPH_PARAM_INVALID, "E10004", "aclgrphParseONNX: no model file");
  return Parse(parser_params, omserve::ImportOnnx(std::string(model_file)), graph);
}

graphStatus aclgrphParseONNXFromMem(const char_t* buffer, size_t size,
                                    const std::map<AscendString, AscendString>& parser_params, Graph& graph) {
  if (buffer == nullptr || size == 0) return Report(GRAPH_PARAM_INVALID, "E10004", "aclgrphParseONNXFromMem: no model");
  return Parse(parser_params, omserve::ImportOnnx(omserve::Buffer::CopyOf(buffer, size), ""), graph);
}

}  // namespace ge
