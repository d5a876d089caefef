#include "core/build/build.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/build/cut.h"
#include "core/build/describe.h"
#include "core/build/import_model.h"
#include "core/build/slices.h"
#include "core/custom/requirements.h"
#include "core/device/cpu/cpu_device.h"
#include "core/om/om_file.h"

namespace omserve {
namespace {

using ProgressFunction = std::function<void(const BuildProgress&)>;

void Report(const ProgressFunction& progress, const char* phase, double fraction, std::string message = "") {
  if (progress) progress({phase, fraction, std::move(message)});
}

ModelInfo DescribeModel(const Graph& graph, const std::string& name, const std::string& source) {
  ModelInfo info = DescribeInputsAndOutputs(graph);
  info.name = name;
  info.build = {{"omserve_version", OMSERVE_VERSION}, {"source", std::filesystem::path(source).filename().string()}};
  return info;
}

// No partitioning asked: one slice, the whole model, on every device of the cluster.
SlicedModel Replicate(Graph graph, ModelInfo info, const Cluster& cluster) {
  std::vector<LogicalDeviceId> devices;
  for (const ClusterDevice& device : cluster.devices()) devices.push_back(device.id);
  graph.set_name(absl::StrCat(info.name, "_rank0"));
  SliceInfo slice = DescribeSlice(graph, std::move(devices));
  for (size_t i = 0; i < info.outputs.size(); ++i) {
    const Shape& shape = info.outputs[i].desc.shape;
    slice.outputs.push_back({static_cast<int>(i), std::vector<int64_t>(shape.size(), 0), shape});
  }
  info.build["plan"] = cluster.num_devices() == 1 ? "one device"
                                                  : absl::StrCat(cluster.num_devices(), " replicas of the whole model");
  info.slices.push_back(std::move(slice));
  SlicedModel model;
  model.info = std::move(info);
  model.graphs.push_back(std::move(graph));
  return model;
}

}  // namespace

absl::StatusOr<Graph> PrepareModel(const std::string& model_path, const InputShapes& input_shapes,
                                   const ProgressFunction& progress, const WaitLimit& limit) {
  Report(progress, "import", 0);
  RETURN_IF_ERROR(limit.Check("the build"));
  ASSIGN_OR_RETURN_WITH(Graph graph, ImportModel(model_path), "import");
  Report(progress, "import", 1, absl::StrCat(graph.num_nodes(), " nodes"));

  Report(progress, "optimize", 0);
  RETURN_IF_ERROR(limit.Check("the build"));
  CpuEvaluator evaluator;
  RETURN_IF_ERROR_WITH(Optimize(graph, input_shapes,
                                [&](const Graph& g, const Node& node, absl::Span<const Tensor> inputs) {
                                  return evaluator.Evaluate(g, node, inputs);
                                }),
                       "optimize");
  Report(progress, "optimize", 1, absl::StrCat(graph.num_nodes(), " nodes left"));
  RETURN_IF_ERROR(limit.Check("the build"));
  return graph;
}

namespace {

absl::StatusOr<SlicedModel> MakeModel(const std::string& model_path, const BuildOptions& options,
                                      const ProgressFunction& progress, const WaitLimit& limit) {
  if (options.slices) return BuildSlices(options, progress, limit);
  if (options.parallel) RETURN_IF_ERROR(CheckSizes(*options.parallel, options.cluster));
  ASSIGN_OR_RETURN(Graph graph, PrepareModel(model_path, options.input_shapes, progress, limit));
  std::string name = options.model_name;
  if (name.empty()) name = std::filesystem::path(model_path).stem().string();
  ModelInfo info = DescribeModel(graph, name, model_path);
  if (options.parallel && options.parallel->global_batch_size) {
    ASSIGN_OR_RETURN(info.micro_batches, CountMicroBatches(info, *options.parallel->global_batch_size));
  }
  if (!options.parallel) return Replicate(std::move(graph), std::move(info), options.cluster);
  return CutModel(std::move(graph), std::move(info), options.cluster, *options.parallel, progress, limit);
}

}  // namespace

absl::StatusOr<SlicedModel> BuildModel(const std::string& model_path, const BuildOptions& options,
                                       const ProgressFunction& progress, const WaitLimit& limit) {
  ASSIGN_OR_RETURN(SlicedModel model, MakeModel(model_path, options, progress, limit));
  std::set<std::string> needed;
  for (Graph& graph : model.graphs) MarkCustomOperators(graph, needed);
  if (!needed.empty()) model.info.build["custom_operators"] = absl::StrJoin(needed, ", ");
  return model;
}

absl::Status BuildOm(const std::string& model_path, const std::string& om_path, const BuildOptions& options,
                     const ProgressFunction& progress, const WaitLimit& limit) {
  ASSIGN_OR_RETURN(const SlicedModel model, BuildModel(model_path, options, progress, limit));
  RETURN_IF_ERROR(limit.Check("the build"));
  OmWriteOptions write;
  write.progress = [&](uint64_t done, uint64_t all) {
    Report(progress, "write", all == 0 ? 1 : static_cast<double>(done) / static_cast<double>(all));
  };
  RETURN_IF_ERROR_WITH(WriteOm(model, om_path, write), "write");
  Report(progress, "write", 1);
  return absl::OkStatus();
}

}  // namespace omserve
