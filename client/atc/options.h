// The options of atc, after the tables of CANN 8.0/8.1: which there are, what they may be, which of them mean something
// here and which depend on each other.
#ifndef OMSERVE_CLIENT_ATC_OPTIONS_H_
#define OMSERVE_CLIENT_ATC_OPTIONS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace omserve::atc {

enum class Mode { kBuild = 0, kToJson = 1, kShowInfo = 6 };
enum class Framework { kNone = -1, kAir = 1, kOnnx = 5 };

struct Options {
  // As given, without the dashes, and the documented defaults of those that were not.
  std::map<std::string, std::string> values;
  std::vector<std::string> without_effect;  // given, accepted, and meaningless on the devices there are
  bool help = false;

  Mode mode = Mode::kBuild;
  Framework framework = Framework::kNone;
  bool distributed = false;  // --distributed_cluster_build=1
  bool parallel = false;     // --enable_graph_parallel=1

  const std::string& operator[](const std::string& name) const;
  bool slices() const { return !(*this)["shard_model_dir"].empty(); }
};

// `arguments`: "--name=value" or "--name value". INVALID_ARGUMENT and UNIMPLEMENTED errors begin with the code of
// CANN's table: E10053 for an option that there is not, E10001/E10005/E10006/E10007/E10010 for a value, E10054, E10056 and
// E10057 for what belongs together or excludes each other, E10055 for what is not supported.
absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& arguments);

// What --help prints.
std::string HelpText();

}  // namespace omserve::atc

#endif  // OMSERVE_CLIENT_ATC_OPTIONS_H_
