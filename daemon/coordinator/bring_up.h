// Bringing up one epoch of a deployment: prepare, push, compile, connect, warm up.
#ifndef OMSERVE_DAEMON_COORDINATOR_BRING_UP_H_
#define OMSERVE_DAEMON_COORDINATOR_BRING_UP_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/coordinator/deployment.h"
#include "daemon/coordinator/model_content.h"
#include "daemon/coordinator/placement.h"
#include "daemon/protocol/worker_link.h"

namespace omserve {

// How far a load or build is.
struct LongCallProgress {
  std::string phase;
  double fraction = 0;  // of the phase, 0 to 1
  std::string message;
};
using ProgressFunction = std::function<void(const LongCallProgress&)>;

struct BringUpPlan {
  std::string deployment;
  uint64_t epoch = 0;
  std::shared_ptr<const ModelContent> content;
  Placement placement;
  std::vector<WorkerRef> workers;  // what the placement counts
};

// The replicas of a plan, whether they are up or not: what is to be released when bringing them up fails.
std::vector<Replica> ReplicasOf(const BringUpPlan& plan);

// Blocks; works on all workers at once. The first failure cancels `context.cancellation`, so that workers do not wait
// for one that failed; errors name the worker. `progress` is called from several threads, one at a time.
absl::StatusOr<BroughtUp> BringUp(const BringUpPlan& plan, const ProgressFunction& progress,
                                  const CallContext& context, Metrics& metrics);

// Releases members at once on all their workers and waits. Failures are left to the workers' own leases.
void ReleaseMembers(const std::vector<ReplicaMember>& members, const absl::Status& cause, absl::Duration patience);

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_BRING_UP_H_
