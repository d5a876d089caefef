#include "client/cli/partition.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/status.h"
#include "core/cluster/cluster.h"
#include "core/partition/parallel_options.h"
#include "nlohmann/json.hpp"

namespace omserve::cli {

absl::StatusOr<PartitionTexts> ReadPartition(const PartitionArguments& arguments) {
  PartitionTexts texts;
  if (!arguments.cluster_config.empty()) {
    ASSIGN_OR_RETURN(texts.cluster_config, ReadFile(arguments.cluster_config));
    ASSIGN_OR_RETURN(const Cluster cluster,
                     Cluster::FromJson(texts.cluster_config, arguments.cluster_config));
    texts.devices = cluster.num_devices();
  }
  const bool sizes =
      arguments.tensor_parallel > 0 || arguments.pipeline > 0 || arguments.data_parallel > 0 || arguments.automatic;
  if (arguments.cluster_config.empty() && sizes) {
    const int needed =
        std::max(1, arguments.tensor_parallel) * std::max(1, arguments.pipeline) * std::max(1, arguments.data_parallel);
    // Choosing needs something to choose from.
    constexpr int kLocalDevices = 4;
    const int devices = arguments.automatic && needed == 1 ? kLocalDevices : needed;
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
    absl::StatusOr<ParallelOptions> options = ParallelOptions::FromJson(texts.parallel_config, path);
    if (!options.ok()) return options.status();
  } else if (sizes) {
    nlohmann::ordered_json policy = {{"auto", arguments.automatic}};
    if (arguments.tensor_parallel > 0) {
      policy["tensor_parallel_option"] = {{"tensor_parallel_size", arguments.tensor_parallel}};
    }
    if (arguments.pipeline > 0) policy["pipeline_parallel_option"] = {{"pipe_stage_num", arguments.pipeline}};
    if (arguments.data_parallel > 0) policy["data_parallel_option"] = {{"data_parallel_size", arguments.data_parallel}};
    texts.parallel_config = nlohmann::ordered_json{{"graph_parallel_option", policy}}.dump();
  }
  return texts;
}

}  // namespace omserve::cli
