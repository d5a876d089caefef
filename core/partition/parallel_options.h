// The partition policy: the "graph_parallel_option" JSON file (GRAPH_PARALLEL_OPTION_PATH), or a plan in its place.
#ifndef OMSERVE_CORE_PARTITION_PARALLEL_OPTIONS_H_
#define OMSERVE_CORE_PARTITION_PARALLEL_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace omserve {

// What makes one plan better than another.
enum class PlanObjective {
  kLatency,     // the time of one run
  kThroughput,  // runs per second with many in flight
  kDecode,      // the time between tokens of each of as many sequences as there are stages
};

// Fixes operators' strategies: what people steer a plan with. `node` is a name or a pattern with '*'; every output of a
// matching operator must leave cut into that many parts per dimension.
struct PlanHint {
  std::string node;
  std::vector<int64_t> output_parts;
  std::string where;  // in the file, for messages
};

// When weights that are gathered on use are gathered.
struct WeightPrefetch {
  bool ahead = true;         // before the operators that run until they are needed; else right before their reader
  int64_t buffer_bytes = 0;  // what may be gathered and not yet read; 0: what the next few operators read
};

struct ParallelOptions {
  // "O1": dynamic programming; "O2": integer programming where that leaves something open.
  std::string opt_level = "O2";
  // True: what is not given below is chosen. False: what is not given is off.
  bool automatic = false;
  std::optional<int> tensor_parallel_size;
  std::optional<int> pipeline_stages;
  std::optional<int> data_parallel_size;
  // Every weight is held cut over all devices of its stage, as far as a dimension divides, and gathered on use where its
  // reader wants more of it. Off, that is done where memory asks for it.
  bool weight_sharding = false;
  WeightPrefetch weight_prefetch;
  // Rows of a request; the model is built for a part of them, the micro-batch. Not given: a request is one run.
  std::optional<int64_t> global_batch_size;
  // Beyond the documented file:
  PlanObjective objective = PlanObjective::kLatency;
  double search_seconds = 10;
  bool pad_uneven = true;  // vocabularies that do not divide are padded, so that they can be cut
  std::vector<PlanHint> hints;
  // What padding has made the model's vocabularies a multiple of (core/build/padding.h); 1: none was padded.
  int64_t padded_to = 1;
  // The text of a plan file ("omserve_plan" instead of "graph_parallel_option"): nothing is left to choose.
  std::string plan;

  // Located errors: unknown keys, wrong kinds, and UNIMPLEMENTED naming the key for documented options that are not
  // supported.
  static absl::StatusOr<ParallelOptions> FromJson(absl::string_view text, absl::string_view source);
  static absl::StatusOr<ParallelOptions> FromFile(const std::string& path);
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_PARALLEL_OPTIONS_H_
