#include "client/cli/partition.h"

#include "core/base/file.h"
#include "core/base/status.h"
#include "core/cluster/cluster.h"
#include "nlohmann/json.hpp"

namespace omserve::cli {

absl::StatusOr<PartitionTexts> ReadPartition(const PartitionArguments& arguments) {
  PartitionTexts texts;
  if (!arguments.cluster_config.empty()) {
    ASSIGN_OR_RETURN(texts.cluster_config, ReadFile(arguments.cluster_config));
    ASSIGN_OR_RETURN(const Cluster cluster,
                     Cluster::FromJson(texts.cluster_config, arguments.cluster_config));
    texts.devices = cluster.num_devices();
  } else if (arguments.tensor_parallel > 1) {
    const Cluster cluster = Cluster::Local(arguments.tensor_parallel);
    texts.cluster_config = cluster.source_json();
    texts.devices = cluster.num_devices();
  }
  if (!arguments.parallel.empty()) {
    ASSIGN_OR_RETURN(texts.parallel_config, ReadFile(arguments.parallel));
  } else if (arguments.tensor_parallel > 0) {
    texts.parallel_config =
        nlohmann::ordered_json{
            {"graph_parallel_option",
             {{"auto", false},
              {"tensor_parallel_option", {{"tensor_parallel_size", arguments.tensor_parallel}}}}}}
            .dump();
  }
  return texts;
}

}  // namespace omserve::cli
