#include "absl/strings/str_cat.h"
#include "client/atc/commands.h"
#include "client/atc/model_files.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"
#include "protos/onnx/onnx.pb.h"

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

absl::StatusOr<ordered_json> GraphJson(const ge::proto::ModelDef& model) {
  ASSIGN_OR_RETURN(ordered_json json, MessageJson(model));
  LeaveOut(json);
  return json;
}

// Empties the bytes of weights.
void DropWeights(onnx::GraphProto* graph) {
  auto drop = [](onnx::TensorProto* tensor) {
    tensor->clear_raw_data();
    tensor->clear_float_data();
    tensor->clear_int32_data();
    tensor->clear_int64_data();
    tensor->clear_double_data();
    tensor->clear_uint64_data();
  };
  for (onnx::TensorProto& tensor : *graph->mutable_initializer()) drop(&tensor);
  for (onnx::NodeProto& node : *graph->mutable_node()) {
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_t()) drop(attribute.mutable_t());
      if (attribute.has_g()) DropWeights(attribute.mutable_g());
    }
  }
}

template <typename Message>
absl::StatusOr<Message> ParseFile(const std::string& path, const char* kind) {
  ASSIGN_OR_RETURN_WITH(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path), "E10410");
  Message message;
  const std::string_view bytes = file->view();
  if (bytes.size() > INT32_MAX || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError(absl::StrCat("E19005: ", path, " is not ", kind));
  }
  return message;
}

absl::StatusOr<ordered_json> JsonOf(const Options& options) {
  if (!options["om"].empty()) {
    ASSIGN_OR_RETURN(const OmGraphs om, ReadOmGraphs(options["om"]));
    ASSIGN_OR_RETURN(ordered_json json, GraphJson(om.model));
    for (const ge::proto::ModelDef& submodel : om.submodels) {
      ASSIGN_OR_RETURN(ordered_json child, GraphJson(submodel));
      json["submodel"].push_back(std::move(child));
    }
    return json;
  }
  if (options.framework == Framework::kAir) {
    ASSIGN_OR_RETURN(const auto model, ParseFile<ge::proto::ModelDef>(options["model"], "an AIR file"));
    return GraphJson(model);
  }
  ASSIGN_OR_RETURN(auto model, ParseFile<onnx::ModelProto>(options["model"], "an ONNX file"));
  DropWeights(model.mutable_graph());
  return MessageJson(model);
}

}  // namespace

absl::Status ToJson(const Options& options) {
  ASSIGN_OR_RETURN(const ordered_json json, JsonOf(options));
  RETURN_IF_ERROR_WITH(WriteFileAtomically(options["json"], json.dump(1) + "\n"), "E19004");
  return absl::OkStatus();
}

}  // namespace omserve::atc
