// The texts of cluster file, partition policy and cost file for a build.
#ifndef OMSERVE_CLIENT_CLI_PARTITION_H_
#define OMSERVE_CLIENT_CLI_PARTITION_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/cli/commands.h"

namespace omserve::cli {

struct PartitionTexts {
  std::string cluster_config;
  std::string parallel_config;
  std::string cost_config;
  int devices = 1;  // of the cluster
};

// Reads the files, or writes the texts that a number of devices stands for. The files' errors are located
// here, before a model travels.
absl::StatusOr<PartitionTexts> ReadPartition(const PartitionArguments& arguments);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_PARTITION_H_
