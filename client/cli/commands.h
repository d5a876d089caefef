// The commands of omctl. Each prints its result through the session and returns the exit code, or the error
// that ended it.
#ifndef OMSERVE_CLIENT_CLI_COMMANDS_H_
#define OMSERVE_CLIENT_CLI_COMMANDS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/compare.h"
#include "client/cli/session.h"

namespace omserve::cli {

// How a model is to be cut: files, or a number of devices that stands for both.
struct PartitionArguments {
  std::string cluster_config;  // path; empty: none
  std::string parallel;        // path of the policy; empty: none
  std::string load_plan;       // path of a plan file, which stands in place of a policy; empty: none
  std::string cost_file;       // path of measured costs; empty: none
  // Stand for a policy, and for a local cluster of as many devices as they need when no file is given. 0: not given.
  int tensor_parallel = 0;
  int pipeline = 0;
  int data_parallel = 0;
  bool automatic = false;
  std::string objective;  // of choosing; empty: that of policies
  int64_t global_batch = 0;  // rows of a request; 0: a request is one run
};

struct BuildArguments {
  std::string model;         // empty: slices
  std::string relation;      // path of the relation file of slices
  std::string slice_folder;  // where they are
  std::string output;
  std::string name;
  std::string input_shape;
  std::string save_plan;  // where to write the plan; empty: nowhere
  PartitionArguments partition;
};
absl::StatusOr<int> RunBuild(Session& session, const BuildArguments& arguments);

struct PlanArguments {
  std::string model;
  std::string input_shape;
  std::string html;       // where to draw the plan; empty: nowhere
  std::string save_plan;  // where to write the plan file; empty: nowhere
  std::string generate;   // lengths of prompt and answer, of a language model; empty: one run is planned
  PartitionArguments partition;
};
// Plans in this process: nothing is built, and no coordinator is asked.
absl::StatusOr<int> RunPlan(Session& session, const PlanArguments& arguments);

struct CalibrateArguments {
  std::string output;  // the cost file to write
  bool quick = false;  // few sizes
};
absl::StatusOr<int> RunCalibrate(Session& session, const CalibrateArguments& arguments);

struct LoadArguments {
  std::string om;
  std::string name;
};
absl::StatusOr<int> RunLoad(Session& session, const LoadArguments& arguments);

absl::StatusOr<int> RunUnload(Session& session, const std::string& name);
absl::StatusOr<int> RunModels(Session& session);
absl::StatusOr<int> RunCluster(Session& session);

struct InspectArguments {
  std::string om;
  bool verify_digests = false;
};
absl::StatusOr<int> RunInspect(Session& session, const InspectArguments& arguments);

struct RunArguments {
  std::string model;
  std::vector<std::pair<std::string, std::string>> inputs;  // name, path of an .npy file
  std::string output_folder;                                // empty: outputs are only printed
  std::string request_id;
};
absl::StatusOr<int> RunRun(Session& session, const RunArguments& arguments);

struct VerifyArguments {
  std::string folder;
  PartitionArguments partition;
  Tolerances tolerances;
};
// Exit code 1 when an output is not as expected.
absl::StatusOr<int> RunVerify(Session& session, const VerifyArguments& arguments);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_COMMANDS_H_
