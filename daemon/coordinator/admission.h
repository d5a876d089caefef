// Admission and balancing: pure decisions about one more run.
#ifndef OMSERVE_DAEMON_COORDINATOR_ADMISSION_H_
#define OMSERVE_DAEMON_COORDINATOR_ADMISSION_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace omserve {

struct QueueLimits {
  int64_t runs = 256;
  uint64_t bytes = uint64_t{1} << 30;  // of inputs
};
struct QueueView {
  int64_t runs = 0;
  uint64_t bytes = 0;
};

// RESOURCE_EXHAUSTED when a run of `bytes` may not join the queue. A run larger than the limit may wait alone: else it
// could never be served.
absl::Status Admit(const std::string& model, const QueueView& queue, uint64_t bytes, const QueueLimits& limits);

struct ReplicaLoad {
  bool available = false;
  int in_flight = 0;
  int in_flight_limit = 1;
  uint64_t dispatched = 0;  // since it came up
};

// The available replica with fewest runs in flight below its limit, of equals the one that was given least; -1: none.
int PickReplica(absl::Span<const ReplicaLoad> replicas);

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_ADMISSION_H_
