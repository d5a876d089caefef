// Measured times of collectives, as comma-separated rows under a comment line that names the sizes:
//
//   # … latency at 4KiB,64KiB,1MiB (payload: …)
//   a100_sxm,all_reduce,2,10.2,13.0,40.8
//
// system, operation, ranks, then microseconds at each size; an empty field was not measured.
#ifndef OMSERVE_TESTS_PERF_PREDICTION_COLLECTIVE_TABLE_H_
#define OMSERVE_TESTS_PERF_PREDICTION_COLLECTIVE_TABLE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/cluster/collective_fit.h"

namespace omserve::prediction {

struct SystemTable {
  std::string system;
  std::vector<CollectiveSample> samples;  // by row, then size
  std::vector<size_t> column;             // of each sample: the position of its size
};

struct CollectiveTable {
  std::vector<double> sizes;  // bytes
  std::vector<SystemTable> systems;
};

// INVALID_ARGUMENT names the line.
absl::StatusOr<CollectiveTable> ParseCollectiveTable(absl::string_view text, absl::string_view source);

// What a fit to `known` says of `asked`, in seconds: through a cost file and a cluster, as any plan is priced.
absl::StatusOr<std::vector<double>> PredictCollectives(const std::vector<CollectiveSample>& known,
                                                       const std::vector<CollectiveSample>& asked,
                                                       const CollectiveShape& shape = {});

}  // namespace omserve::prediction

#endif  // OMSERVE_TESTS_PERF_PREDICTION_COLLECTIVE_TABLE_H_
