#include "client/cli/partition.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "core/cluster/cluster.h"
#include "core/partition/parallel_options.h"
#include "nlohmann/json.hpp"

namespace omserve::cli {
namespace {

// How many devices a local cluster needs for a plan to find its own there.
absl::StatusOr<int> LocalDevicesOf(const std::string& plan, const std::string& source) {
  ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::Parse(plan, source));
  int devices = 1;
  auto count = [&](const JsonPlace& list) -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, list.Array());
    for (const JsonPlace& item : items) {
      ASSIGN_OR_RETURN(const std::string text, item.String());
      ASSIGN_OR_RETURN_WITH(const LogicalDeviceId id, LogicalDeviceId::Parse(text), item.path());
      devices = std::max(devices, id.item + 1);
    }
    return absl::OkStatus();
  };
  const JsonPlace root = document.root().Field("omserve_plan");
  ASSIGN_OR_RETURN(const std::vector<JsonPlace> stages, root.Field("stages").Array());
  for (const JsonPlace& stage : stages) RETURN_IF_ERROR(count(stage.Field("devices")));
  if (root.Field("replicas").value() == nullptr) return devices;
  ASSIGN_OR_RETURN(const std::vector<JsonPlace> replicas, root.Field("replicas").Array());
  for (const JsonPlace& replica : replicas) RETURN_IF_ERROR(count(replica));
  return devices;
}

}  // namespace

absl::StatusOr<PartitionTexts> ReadPartition(const PartitionArguments& arguments) {
  PartitionTexts texts;
  if (!arguments.cluster_config.empty()) {
    ASSIGN_OR_RETURN(texts.cluster_config, ReadFile(arguments.cluster_config));
    ASSIGN_OR_RETURN(const Cluster cluster,
                     Cluster::FromJson(texts.cluster_config, arguments.cluster_config));
    texts.devices = cluster.num_devices();
  }
  const bool sizes = arguments.tensor_parallel > 0 || arguments.pipeline > 0 || arguments.data_parallel > 0 ||
                     arguments.automatic;
  if (arguments.cluster_config.empty() && sizes) {
    constexpr int64_t kMostDevices = 1024;
    int64_t needed = 1;
    for (const int size : {arguments.tensor_parallel, arguments.pipeline, arguments.data_parallel}) needed *= std::max(1, size);
    if (needed > kMostDevices) {
      return absl::InvalidArgumentError(absl::StrCat("the sizes multiply to ", needed, " devices; without --cluster-config at most ",
                                                     kMostDevices, " are assumed"));
    }
    // Choosing needs something to choose from.
    constexpr int kLocalDevices = 4;
    const int devices = arguments.automatic && needed == 1 ? kLocalDevices : static_cast<int>(needed);
    if (devices > 1) {
      const Cluster cluster = Cluster::Local(devices);
      texts.cluster_config = cluster.source_json();
      texts.devices = devices;
    }
  }
  if (!arguments.parallel.empty() || !arguments.load_plan.empty()) {
    const std::string& path = arguments.parallel.empty() ? arguments.load_plan : arguments.parallel;
    ASSIGN_OR_RETURN(texts.parallel_config, ReadFile(path));
    // Its errors are located here, under the name of the file.
    ASSIGN_OR_RETURN(const ParallelOptions options, ParallelOptions::FromJson(texts.parallel_config, path));
    if (arguments.parallel.empty() && options.plan.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--load-plan ", path, ": expected a plan (omserve_plan), found a policy; --parallel takes it"));
    }
    if (arguments.cluster_config.empty() && !options.plan.empty()) {
      ASSIGN_OR_RETURN(texts.devices, LocalDevicesOf(options.plan, path));
      texts.cluster_config = Cluster::Local(texts.devices).source_json();
    }
  } else if (sizes || arguments.global_batch > 0) {
    nlohmann::ordered_json policy = {{"auto", arguments.automatic}};
    if (arguments.tensor_parallel > 0) {
      policy["tensor_parallel_option"] = {{"tensor_parallel_size", arguments.tensor_parallel}};
    }
    if (arguments.pipeline > 0) policy["pipeline_parallel_option"] = {{"pipe_stage_num", arguments.pipeline}};
    if (arguments.data_parallel > 0)
      policy["data_parallel_option"] = {{"data_parallel_size", arguments.data_parallel}};
    if (!arguments.objective.empty()) policy["objective"] = arguments.objective;
    if (arguments.global_batch > 0) {
      policy["global_batch_size"] = arguments.global_batch;
      // As without a policy: a copy on every device.
      if (!sizes && texts.devices > 1) policy["data_parallel_option"] = {{"data_parallel_size", texts.devices}};
    }
    texts.parallel_config = nlohmann::ordered_json{{"graph_parallel_option", policy}}.dump();
  }
  if (!arguments.cost_file.empty()) {
    constexpr size_t kMaxBytes = size_t{16} << 20;
    ASSIGN_OR_RETURN(texts.cost_config, ReadFile(arguments.cost_file, kMaxBytes));
    ASSIGN_OR_RETURN(Cluster cluster, texts.cluster_config.empty()
                                          ? absl::StatusOr<Cluster>(Cluster::Local(1))
                                          : Cluster::FromJson(texts.cluster_config, arguments.cluster_config));
    RETURN_IF_ERROR(cluster.ApplyCosts(texts.cost_config, arguments.cost_file));
  }
  return texts;
}

}  // namespace omserve::cli
