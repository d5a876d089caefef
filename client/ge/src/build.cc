// aclgrphBuildInitialize, aclgrphBuildModel, aclgrphSaveModel and what belongs to them.
#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "air.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/temporary_folder.h"
#include "core/cluster/cluster.h"
#include "core/om/om_file.h"
#include "core/partition/parallel_options.h"
#include "ge/ge_ir_build.h"
#include "messages.h"
#include "operator_impl.h"
#include "options.h"
#include "output_options.h"
#include "service.h"
#include "slice_files.h"

namespace ge {
namespace {

struct BuildState {
  std::mutex mutex;
  std::optional<Options> options;  // set: initialized
};

BuildState& TheBuildState() {
  static auto* const state = new BuildState;
  return *state;
}

graphStatus Initialize(const Options& options) {
  if (absl::Status status = CheckKeys("aclgrphBuildInitialize", options); !status.ok()) return Report(GRAPH_FAILED, status);
  WarnUnknown("aclgrphBuildInitialize", options, InitializeKeys());
  if (absl::Status status = CheckValues(options); !status.ok()) return Report(GRAPH_PARAM_INVALID, status);
  BuildState& state = TheBuildState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (state.options.has_value()) {
    Warn("W11002: aclgrphBuildInitialize was called before; its first options stay");
    return GRAPH_SUCCESS;
  }
  state.options = options;
  HoldService();
  return GRAPH_SUCCESS;
}

// What the service cannot do is refused here, by name.
absl::Status CheckSupported(const Options& options) {
  static constexpr struct {
    const char* key;
    const char* why;
  } kUnsupported[] = {
      {ir_option::DYNAMIC_BATCH_SIZE, "models are built for one shape; give it by INPUT_SHAPE"},
      {ir_option::DYNAMIC_IMAGE_SIZE, "models are built for one shape; give it by INPUT_SHAPE"},
      {ir_option::DYNAMIC_DIMS, "models are built for one shape; give it by INPUT_SHAPE"},
      {ir_option::INPUT_SHAPE_RANGE, "models are built for one shape; give it by INPUT_SHAPE"},
      {ir_option::INSERT_OP_FILE, "there is no AIPP"},
      {ir_option::INPUT_FP16_NODES, "inputs keep the data types of the graph"},
  };
  for (const auto& option : kUnsupported) {
    if (ValueOf(options, option.key).empty()) continue;
    return absl::UnimplementedError(absl::StrCat("E10055: option '", option.key, "' is not supported: ", option.why));
  }
  if (const std::string value = ValueOf(options, ir_option::EXTERNAL_WEIGHT); !value.empty() && value != "0") {
    return absl::UnimplementedError(absl::StrCat("E10055: value '", value, "' of option '", ir_option::EXTERNAL_WEIGHT,
                                                 "' is not supported: the model in memory holds its weights"));
  }
  return absl::OkStatus();
}

// The options of a call over those of aclgrphBuildInitialize.
absl::StatusOr<Options> Effective(const Options& options) {
  RETURN_IF_ERROR(CheckKeys("aclgrphBuildModel", options));
  for (const auto& [key, value] : options) {
    if (!BuildModelKeys().contains(key)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "E10001: aclgrphBuildModel does not know option '", key, "'",
          key == ir_option::CLUSTER_CONFIG ? "; the cluster file is an option of aclgrphBuildInitialize" : ""));
    }
  }
  RETURN_IF_ERROR(CheckValues(options));
  RETURN_IF_ERROR(CheckSupported(options));
  Options all = options;
  BuildState& state = TheBuildState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (!state.options.has_value()) return absl::FailedPreconditionError("aclgrphBuildModel before aclgrphBuildInitialize");
  all.insert(state.options->begin(), state.options->end());
  return all;
}

// Where the model goes and how it is cut.
absl::StatusOr<omserve::client::BuildOptions> Distribution(const Options& options) {
  omserve::client::BuildOptions build;
  const bool distributed = IsOn(options, ir_option::DISTRIBUTED_CLUSTER_BUILD);
  const bool parallel = IsOn(options, ir_option::ENABLE_GRAPH_PARALLEL);
  const bool has_policy = !ValueOf(options, ir_option::GRAPH_PARALLEL_OPTION_PATH).empty();
  const bool has_cluster = !ValueOf(options, ir_option::CLUSTER_CONFIG).empty();
  if (has_policy && !(distributed && parallel)) {
    return absl::InvalidArgumentError(absl::StrCat("E10057: option '", ir_option::GRAPH_PARALLEL_OPTION_PATH,
                                                   "' needs '", ir_option::DISTRIBUTED_CLUSTER_BUILD, "' and '",
                                                   ir_option::ENABLE_GRAPH_PARALLEL, "' to be 1"));
  }
  if (!distributed) {
    if (parallel) Warn("W11003: ENABLE_GRAPH_PARALLEL has no effect without DISTRIBUTED_CLUSTER_BUILD");
    return build;
  }
  if (parallel && (!has_policy || !has_cluster)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "E10054: option '", has_policy ? ir_option::CLUSTER_CONFIG : ir_option::GRAPH_PARALLEL_OPTION_PATH,
        "' is required when '", ir_option::ENABLE_GRAPH_PARALLEL, "' is 1"));
  }
  if (has_cluster) {
    ASSIGN_OR_RETURN(build.cluster_config, JsonFileOf(options, ir_option::CLUSTER_CONFIG));
    const std::string path = ValueOf(options, ir_option::CLUSTER_CONFIG);
    RETURN_IF_ERROR(WithCode(omserve::Cluster::FromJson(build.cluster_config, path).status(), "EF2001"));
  }
  if (parallel) {
    ASSIGN_OR_RETURN(build.parallel_config, JsonFileOf(options, ir_option::GRAPH_PARALLEL_OPTION_PATH));
    const std::string path = ValueOf(options, ir_option::GRAPH_PARALLEL_OPTION_PATH);
    RETURN_IF_ERROR(WithCode(omserve::ParallelOptions::FromJson(build.parallel_config, path).status(), "EF1001"));
  }
  return build;
}

// The bytes of an OM: all of it when it is for distributed deployment, else those of its only slice, which are an
// ordinary OM.
absl::Status ReadModel(const omserve::client::BuildResult& result, bool distributed, ModelBufferData& model) {
  if (result.files.size() != 1) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "E19023: a submodel is larger than 2 GiB and would lie beside the OM, which a model in memory cannot express; "
        "build with atc or omctl"));
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<const omserve::MappedFile> file, omserve::MappedFile::Open(result.files[0]));
  std::string_view bytes = file->view();
  if (!distributed) {
    ASSIGN_OR_RETURN(const std::unique_ptr<omserve::OmFile> om, omserve::OmFile::Open(result.files[0]));
    const omserve::OmSubmodel& slice = om->submodels().front();
    bytes = bytes.substr(slice.offset, slice.size);
  }
  model.data = std::shared_ptr<uint8_t>(new uint8_t[bytes.size()], std::default_delete<uint8_t[]>());
  std::copy(bytes.begin(), bytes.end(), model.data.get());
  model.length = bytes.size();
  return absl::OkStatus();
}

std::string InputShapes(const Options& options) {
  const std::string shapes = ValueOf(options, ir_option::INPUT_SHAPE);
  return shapes.empty() ? ValueOf(options, "ge.inputShape") : shapes;
}

// What the service made of `source`, a model file or a folder of slices.
absl::Status BuildFrom(const std::string& source, const omserve::client::BuildOptions& build, const omserve::TemporaryFolder& folder,
                       bool distributed, ModelBufferData& model) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Service> service, GetService(""));
  ASSIGN_OR_RETURN(const omserve::client::BuildResult result, service->client->Build(source, folder.File("model.om"), build));
  return ReadModel(result, distributed, model);
}

absl::Status BuildOne(const Graph& graph, const Options& options, ModelBufferData& model) {
  if (!ValueOf(options, ir_option::MODEL_RELATION_CONFIG).empty()) {
    return absl::InvalidArgumentError(absl::StrCat("E10057: option '", ir_option::MODEL_RELATION_CONFIG,
                                                   "' goes with a vector of slice graphs"));
  }
  ASSIGN_OR_RETURN(omserve::client::BuildOptions build, Distribution(options));
  build.model_name = graph.GetName();
  build.input_shapes = InputShapes(options);
  ASSIGN_OR_RETURN(const std::string air, BuildableAir(graph, options));
  ASSIGN_OR_RETURN(const std::unique_ptr<omserve::TemporaryFolder> folder, omserve::TemporaryFolder::Create("omserve-ge-"));
  const std::string path = folder->File("model.air");
  RETURN_IF_ERROR(omserve::WriteFileAtomically(path, air));
  return BuildFrom(path, build, *folder, IsOn(options, ir_option::DISTRIBUTED_CLUSTER_BUILD), model);
}

absl::Status BuildSlices(const std::vector<Graph>& graphs, const Options& options, ModelBufferData& model) {
  if (graphs.size() < 2) {
    return absl::InvalidArgumentError(absl::StrCat("E10057: slices are at least two graphs; found ", graphs.size()));
  }
  for (const char* key : {ir_option::DISTRIBUTED_CLUSTER_BUILD, ir_option::CLUSTER_CONFIG, ir_option::MODEL_RELATION_CONFIG}) {
    const bool set = key == ir_option::DISTRIBUTED_CLUSTER_BUILD ? IsOn(options, key) : !ValueOf(options, key).empty();
    if (!set) {
      return absl::InvalidArgumentError(absl::StrCat("E10054: slices need option '", key, "'",
                                                     key == ir_option::DISTRIBUTED_CLUSTER_BUILD ? " to be 1" : ""));
    }
  }
  if (IsOn(options, ir_option::ENABLE_GRAPH_PARALLEL)) {
    return absl::InvalidArgumentError(absl::StrCat("E10056: slices are cut already: option '",
                                                   ir_option::ENABLE_GRAPH_PARALLEL, "' must not be 1"));
  }
  ASSIGN_OR_RETURN(omserve::client::BuildOptions build, Distribution(options));
  build.input_shapes = InputShapes(options);
  // A model of slices is named after the first.
  build.model_name = graphs.front().GetName();
  ASSIGN_OR_RETURN(const std::unique_ptr<omserve::TemporaryFolder> slices, omserve::TemporaryFolder::Create("omserve-ge-"));
  ASSIGN_OR_RETURN(build.relation_config, WriteSlices(graphs, options, slices->File("")));
  ASSIGN_OR_RETURN(const std::unique_ptr<omserve::TemporaryFolder> folder, omserve::TemporaryFolder::Create("omserve-ge-"));
  return BuildFrom(slices->File(""), build, *folder, /*distributed=*/true, model);
}

graphStatus BuildModel(const Options& options,
                       const std::function<absl::Status(const Options&)>& build) {
  const absl::StatusOr<Options> all = Effective(options);
  if (!all.ok()) {
    return Report(absl::IsFailedPrecondition(all.status()) ? GRAPH_FAILED : GRAPH_PARAM_INVALID, all.status());
  }
  const absl::Status status = build(*all);
  if (status.ok()) return GRAPH_SUCCESS;
  // What the call itself refuses is the caller's parameter.
  const bool parameter = absl::StartsWith(status.message(), "E10054") || absl::StartsWith(status.message(), "E10056") ||
                         absl::StartsWith(status.message(), "E10057");
  return Report(parameter ? GRAPH_PARAM_INVALID : GRAPH_FAILED, status);
}

graphStatus BuildWhole(const Graph& graph, const Options& options, ModelBufferData& model) {
  return BuildModel(options, [&](const Options& all) { return BuildOne(graph, all, model); });
}

graphStatus BuildSliced(const std::vector<Graph>& graphs, const Options& options, ModelBufferData& model) {
  return BuildModel(options, [&](const Options& all) { return BuildSlices(graphs, all, model); });
}

}  // namespace

graphStatus aclgrphBuildInitialize(std::map<std::string, std::string> global_options) { return Initialize(global_options); }

graphStatus aclgrphBuildInitialize(std::map<AscendString, AscendString>& global_options) {
  return Initialize(FromAscend(global_options));
}

void aclgrphBuildFinalize() {
  BuildState& state = TheBuildState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (!state.options.has_value()) return Warn("W11004: aclgrphBuildFinalize without aclgrphBuildInitialize");
  state.options.reset();
  ReleaseService();
}

graphStatus aclgrphBuildModel(const Graph& graph, const std::map<std::string, std::string>& build_options,
                              ModelBufferData& model) {
  return BuildWhole(graph, build_options, model);
}

graphStatus aclgrphBuildModel(const Graph& graph, const std::map<AscendString, AscendString>& build_options,
                              ModelBufferData& model) {
  return BuildWhole(graph, FromAscend(build_options), model);
}

graphStatus aclgrphBuildModel(const std::vector<Graph>& graphs, const std::map<std::string, std::string>& build_options,
                              ModelBufferData& model) {
  return BuildSliced(graphs, build_options, model);
}

graphStatus aclgrphBuildModel(const std::vector<Graph>& graphs, const std::map<AscendString, AscendString>& build_options,
                              ModelBufferData& model) {
  return BuildSliced(graphs, FromAscend(build_options), model);
}

graphStatus aclgrphSaveModel(const std::string& output_file, const ModelBufferData& model) {
  return aclgrphSaveModel(output_file.c_str(), model);
}

graphStatus aclgrphSaveModel(const char_t* output_file, const ModelBufferData& model) {
  if (output_file == nullptr || *output_file == '\0') {
    return Report(GRAPH_PARAM_INVALID, "E10004", "aclgrphSaveModel: the name of the file is empty");
  }
  if (model.data == nullptr || model.length == 0) {
    return Report(GRAPH_PARAM_INVALID, "E10001", "aclgrphSaveModel: the model is empty");
  }
  const absl::string_view bytes(reinterpret_cast<const char*>(model.data.get()), model.length);
  const absl::Status status = omserve::WriteFileAtomically(absl::StrCat(output_file, ".om"), bytes);
  return status.ok() ? GRAPH_SUCCESS : Report(GRAPH_FAILED, omserve::Annotate(status, "E19004"));
}

graphStatus aclgrphGetIRVersion(int32_t* major_version, int32_t* minor_version, int32_t* patch_version) {
  if (major_version == nullptr || minor_version == nullptr || patch_version == nullptr) return GRAPH_PARAM_INVALID;
  *major_version = IR_MAJOR_VERSION;
  *minor_version = IR_MINOR_VERSION;
  *patch_version = IR_PATCH_VERSION;
  return GRAPH_SUCCESS;
}

graphStatus aclgrphDumpGraph(const Graph& graph, const char_t* file, const size_t length) {
  if (file == nullptr || length == 0) return Report(GRAPH_PARAM_INVALID, "E10004", "aclgrphDumpGraph: no file name");
  const absl::StatusOr<std::string> text = GraphToText(graph);
  if (!text.ok()) return Report(GRAPH_PARAM_INVALID, text.status());
  const absl::Status status = omserve::WriteFileAtomically(absl::StrCat(std::string(file, length), ".txt"), *text);
  return status.ok() ? GRAPH_SUCCESS : Report(GRAPH_FAILED, omserve::Annotate(status, "E19004"));
}

graphStatus aclgrphSetOpAttr(Graph&, aclgrphAttrType, const char_t*) {
  return Report(GRAPH_FAILED, "E10055", "aclgrphSetOpAttr is not supported: operators keep their data types and weights");
}

graphStatus aclgrphConvertToWeightRefreshableGraphs(const Graph&, const std::vector<AscendString>&,
                                                    WeightRefreshableGraphs&) {
  return Report(GRAPH_FAILED, "E10055", "aclgrphConvertToWeightRefreshableGraphs is not supported: models hold no variables");
}

graphStatus aclgrphBundleBuildModel(const std::vector<GraphWithOptions>&, ModelBufferData&) {
  return Report(GRAPH_FAILED, "E10055", "aclgrphBundleBuildModel is not supported: an OM holds one model");
}

graphStatus aclgrphBundleSaveModel(const char_t*, const ModelBufferData&) {
  return Report(GRAPH_FAILED, "E10055", "aclgrphBundleSaveModel is not supported: an OM holds one model");
}

}  // namespace ge
