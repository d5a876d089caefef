#include <cstdlib>
#include <filesystem>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/atc/commands.h"
#include "core/base/temporary_folder.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "core/cluster/cluster.h"
#include "core/om/om_file.h"
#include "core/partition/parallel_options.h"
#include "core/partition/relation.h"
#include "omserve/client.h"
#include "omserve/standalone.h"

namespace omserve::atc {
namespace {

// The text of the JSON file of an option.
absl::StatusOr<std::string> ReadJson(const Options& options, const char* name) {
  const std::string& path = options[name];
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return Annotate(text.status(), absl::StrCat("E10410: parameter [--", name, "]"));
  RETURN_IF_ERROR_WITH(JsonDocument::Parse(*text, path).status(), "E10032");
  return text;
}

absl::StatusOr<client::BuildOptions> Distribution(const Options& options) {
  client::BuildOptions build;
  build.input_shapes = options["input_shape"];
  if (!options["cluster_config"].empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadJson(options, "cluster_config"));
    RETURN_IF_ERROR_WITH(Cluster::FromJson(text, options["cluster_config"]).status(), "EF2001");
    // Without a distributed build the file only says which groups the operators of the model may name.
    if (options.distributed) build.cluster_config = text;
  }
  if (options.parallel) {
    ASSIGN_OR_RETURN(build.parallel_config, ReadJson(options, "graph_parallel_option_path"));
    RETURN_IF_ERROR_WITH(
        ParallelOptions::FromJson(build.parallel_config, options["graph_parallel_option_path"]).status(), "EF1001");
  }
  if (options.slices()) {
    ASSIGN_OR_RETURN(build.relation_config, ReadJson(options, "model_relation_config"));
    RETURN_IF_ERROR(ModelRelation::FromJson(build.relation_config, options["model_relation_config"]).status());
  }
  return build;
}

// The model file, or the folder of slices.
absl::StatusOr<std::string> Source(const Options& options) {
  const char* const name = options.slices() ? "shard_model_dir" : "model";
  const std::filesystem::path path = options[name];
  std::error_code error;
  const bool folder = std::filesystem::is_directory(path, error);
  if (!folder && !std::filesystem::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat("E10410: ", path.string(), " of parameter [--", name, "] does not exist"));
  }
  if (folder != options.slices()) {
    return absl::InvalidArgumentError(absl::StrCat("E10001: value [", path.string(), "] for parameter [--", name,
                                                   "] is invalid. Reason: it must be a ", folder ? "file" : "folder"));
  }
  if (options.slices()) return path.string();
  const std::string extension = path.extension().string();
  const bool onnx = options.framework == Framework::kOnnx;
  if (onnx != (extension == ".onnx")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "E10001: value [", path.string(), "] for parameter [--model] is invalid. Reason: --framework=",
        options["framework"], onnx ? " takes ONNX files (.onnx)" : " takes AIR files (.air, .pb)"));
  }
  return path.string();
}

// The only slice of a model that is not for a cluster is an ordinary OM.
absl::Status WriteOrdinaryOm(const std::string& cluster_om, const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<OmFile> om, OmFile::Open(cluster_om));
  const OmSubmodel& slice = om->submodels().front();
  const std::string_view bytes = slice.file->view().substr(slice.offset, slice.size);
  return WriteFileAtomically(path, {bytes.data(), bytes.size()});
}

std::string LogLevel(const Options& options) { return options["log"] == "null" ? "error" : options["log"]; }

}  // namespace

absl::StatusOr<std::string> Build(const Options& options) {
  ASSIGN_OR_RETURN(client::BuildOptions build, Distribution(options));
  ASSIGN_OR_RETURN(const std::string source, Source(options));
  const std::string output = options["output"] + ".om";
  build.model_name = std::filesystem::path(options["output"]).filename().string();

  std::unique_ptr<Standalone> standalone;
  const char* const address = std::getenv("OMSERVE_ADDRESS");
  std::string target = address == nullptr ? "" : address;
  if (target.empty()) {
    ASSIGN_OR_RETURN(standalone, Standalone::Start({.devices = 1, .log_level = LogLevel(options)}));
    target = standalone->address();
  }
  ASSIGN_OR_RETURN_WITH(const std::unique_ptr<Client> client, Client::Connect(target), "OMSERVE_ADDRESS");
  if (options.distributed) {
    RETURN_IF_ERROR(client->Build(source, output, build).status());
    return output;
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<TemporaryFolder> scratch, TemporaryFolder::Create("atc-"));
  RETURN_IF_ERROR(client->Build(source, scratch->File("model.om"), build).status());
  RETURN_IF_ERROR_WITH(WriteOrdinaryOm(scratch->File("model.om"), output), "E19004");
  return output;
}

}  // namespace omserve::atc
