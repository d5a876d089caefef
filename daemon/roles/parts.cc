#include "daemon/roles/parts.h"

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "core/base/status.h"
#include "core/build/build.h"
#include "core/cluster/cluster.h"
#include "core/comm/communicator.h"
#include "core/custom/packages.h"
#include "core/custom/requirements.h"
#include "core/device/cpu/cpu_device.h"
#include "core/exec/slice_runner.h"
#include "core/om/om_file.h"
#include "core/partition/parallel_options.h"

namespace omserve {
namespace {

constexpr int kMaxDevices = 64;

// What the machine has, less a part for everything that is not a model.
uint64_t MemoryForModels() {
  const uint64_t bytes = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE);
  return bytes / 10 * 9;
}

}  // namespace

absl::StatusOr<int> ParseDevices(const std::string& text) {
  absl::string_view count_text = text;
  int count = 0;
  if (!absl::ConsumePrefix(&count_text, "cpu:") || !absl::SimpleAtoi(count_text, &count) || count < 1 ||
      count > kMaxDevices) {
    return absl::InvalidArgumentError(
        absl::StrCat("devices '", text, "' are not known; expected cpu:N with N from 1 to ", kMaxDevices));
  }
  return count;
}

absl::StatusOr<std::vector<std::unique_ptr<Device>>> MakeDevices(const DeviceOptions& options) {
  ASSIGN_OR_RETURN(const int count, ParseDevices(options.devices));
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  const int threads = options.threads > 0 ? options.threads : std::max(1, cores / count);
  const uint64_t memory = options.memory_bytes > 0 ? options.memory_bytes : MemoryForModels() / count;
  std::vector<std::unique_ptr<Device>> devices;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    ASSIGN_OR_RETURN(devices.emplace_back(), CpuDevice::Create(ordinal, threads, memory));
  }
  return devices;
}

absl::Status LoadCustomOperators(const std::vector<std::string>& folders, const Log& log) {
  ASSIGN_OR_RETURN(const std::vector<CustomPackage> packages, LoadCustomPackages(CustomOperatorFolders(folders)));
  for (const CustomPackage& package : packages) {
    log.Info("custom operators", {{"package", package.name},
                                  {"version", package.version},
                                  {"operators", absl::StrJoin(package.operators, ",")},
                                  {"file", package.file}});
  }
  return absl::OkStatus();
}

WorkerParts RealWorkerParts() {
  const auto read_slice = [](Buffer nested_om) -> absl::StatusOr<Graph> {
    ASSIGN_OR_RETURN(Graph graph, ReadSliceOm(std::move(nested_om)));
    RETURN_IF_ERROR(CheckCustomOperators(graph));
    return graph;
  };
  return {read_slice, CommunicatorHub::Create, SliceRunner::Create};
}

absl::StatusOr<std::shared_ptr<const ModelContent>> OpenModel(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<OmFile> om, OmFile::Open(path));
  return std::make_shared<const ModelContent>(ModelContent{om->info(), om->digest(), om->submodels(), om->files()});
}

absl::Status BuildFromCall(const std::string& model_path, const std::string& om_path, const BuildCall& call,
                           const ProgressFunction& progress, const WaitLimit& limit) {
  BuildOptions options;
  options.model_name = call.model_name;
  if (!call.input_shapes.empty()) {
    ASSIGN_OR_RETURN(options.input_shapes, ParseInputShapes(call.input_shapes));
  }
  if (!call.cluster_config.empty()) {
    ASSIGN_OR_RETURN(options.cluster, Cluster::FromJson(call.cluster_config, "cluster_config"));
  }
  if (!call.cost_config.empty()) RETURN_IF_ERROR(options.cluster.ApplyCosts(call.cost_config, "cost_config"));
  if (!call.parallel_config.empty()) {
    ASSIGN_OR_RETURN(options.parallel, ParallelOptions::FromJson(call.parallel_config, "parallel_config"));
  }
  if (!call.relation_config.empty()) {
    options.slices = SliceOptions{.relation = call.relation_config, .folder = model_path};
  }
  return BuildOm(
      model_path, om_path, options,
      [&progress](const BuildProgress& step) { progress({step.phase, step.fraction, step.message}); }, limit);
}

}  // namespace omserve
