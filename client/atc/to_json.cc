#include <utility>

#include "absl/strings/str_cat.h"
#include "client/atc/commands.h"
#include "client/atc/model_files.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/import/onnx/onnx_importer.h"
#include "core/om/ge_ir.h"
#include "core/om/ge_ir_names.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"

namespace omserve::atc {
namespace {

using nlohmann::ordered_json;

absl::StatusOr<ordered_json> MessageJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions print;
  print.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, print);
  if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat("E19005: no JSON of this model: ", std::string(status.message())));
  return ordered_json::parse(text);
}

// GE's converter leaves out what only its executor reads, and the bytes of weights.
void LeaveOut(ordered_json& json) {
  static const char* const kFields[] = {"output", "data_offset", "data", "workspace", "workspace_bytes", "memory_size",
                                        "weight_size", "size", "bt", "quantize_factor"};
  if (json.is_object()) {
    for (const char* field : kFields) json.erase(field);
  }
  if (json.is_structured()) {
    for (ordered_json& child : json) LeaveOut(child);
  }
}

absl::StatusOr<ordered_json> GraphJson(ge::proto::ModelDef model) {
  // Before the text is made, which would hold them in base64.
  for (ge::proto::GraphDef& graph : *model.mutable_graph()) {
    for (ge::proto::OpDef& op : *graph.mutable_op()) {
      auto value = op.mutable_attr()->find(kValueAttr);
      if (value != op.mutable_attr()->end() && value->second.has_t()) value->second.mutable_t()->clear_data();
    }
  }
  ASSIGN_OR_RETURN(ordered_json json, MessageJson(model));
  LeaveOut(json);
  return json;
}

absl::StatusOr<ge::proto::ModelDef> ReadAir(const std::string& path) {
  ASSIGN_OR_RETURN_WITH(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path), "E10410");
  ge::proto::ModelDef model;
  const std::string_view bytes = file->view();
  if (bytes.size() > INT32_MAX || !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError(absl::StrCat("E19005: ", path, " is not an AIR file"));
  }
  return model;
}

// The graph that the importer makes of it, in the operators of GE IR.
absl::StatusOr<ge::proto::ModelDef> ReadOnnx(const std::string& path) {
  ASSIGN_OR_RETURN_WITH(const Graph graph, ImportOnnx(path), "import");
  ge::proto::ModelDef model;
  model.set_name(graph.name());
  WeightRanges places;  // of no bytes: they are left out
  for (int32_t id : graph.NodeIds()) {
    if (graph.node(id)->is_const()) places[id] = {};
  }
  RETURN_IF_ERROR(GraphToGe(graph, places, model.add_graph()));
  return model;
}

absl::StatusOr<ordered_json> JsonOf(const Options& options) {
  if (!options["om"].empty()) {
    ASSIGN_OR_RETURN(OmGraphs om, ReadOmGraphs(options["om"]));
    ASSIGN_OR_RETURN(ordered_json json, GraphJson(std::move(om.model)));
    for (ge::proto::ModelDef& submodel : om.submodels) {
      ASSIGN_OR_RETURN(ordered_json child, GraphJson(std::move(submodel)));
      json["submodel"].push_back(std::move(child));
    }
    return json;
  }
  ASSIGN_OR_RETURN(ge::proto::ModelDef model,
                   options.framework == Framework::kAir ? ReadAir(options["model"]) : ReadOnnx(options["model"]));
  return GraphJson(std::move(model));
}

}  // namespace

absl::Status ToJson(const Options& options) {
  ASSIGN_OR_RETURN(const ordered_json json, JsonOf(options));
  RETURN_IF_ERROR_WITH(WriteFileAtomically(options["json"], json.dump(1) + "\n"), "E19004");
  return absl::OkStatus();
}

}  // namespace omserve::atc
