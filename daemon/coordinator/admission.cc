#include "daemon/coordinator/admission.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace omserve {

absl::Status Admit(const std::string& model, const QueueView& queue, uint64_t bytes, const QueueLimits& limits) {
  if (queue.runs >= limits.runs) {
    return absl::ResourceExhaustedError(absl::StrCat("the queue of model '", model, "' is full: ", queue.runs,
                                                     " runs wait, the limit is ", limits.runs, "; retry later"));
  }
  if (queue.runs > 0 && (bytes > limits.bytes || queue.bytes > limits.bytes - bytes)) {
    return absl::ResourceExhaustedError(absl::StrCat("the queue of model '", model, "' is full: ", queue.bytes,
                                                     " bytes of inputs wait, another ", bytes,
                                                     " would pass the limit of ", limits.bytes, "; retry later"));
  }
  return absl::OkStatus();
}

int PickReplica(absl::Span<const ReplicaLoad> replicas) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(replicas.size()); ++i) {
    const ReplicaLoad& load = replicas[i];
    if (!load.available || load.in_flight >= load.in_flight_limit) continue;
    if (best < 0 || std::pair(load.in_flight, load.dispatched) <
                        std::pair(replicas[best].in_flight, replicas[best].dispatched)) {
      best = i;
    }
  }
  return best;
}

}  // namespace omserve
