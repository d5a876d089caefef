// SliceRunner: one slice, compiled on one device, with its communicators: what a worker runs.
#ifndef OMSERVE_CORE_EXEC_SLICE_RUNNER_H_
#define OMSERVE_CORE_EXEC_SLICE_RUNNER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/base/deadline.h"
#include "core/device/device.h"
#include "core/graph/graph.h"
#include "core/tensor/tensor.h"

namespace omserve {

// Owns a thread that is the only one to run the executable (collectives and device libraries want one thread
// per rank). Thread-safe: runs are queued in order of Submit. Never blocks the caller.
//
// Destroying it answers the runs that wait in the queue with CANCELLED and waits for the one under way, which
// ends by itself, or when its limit does: whoever wants it to end now cancels the run or the epoch first. It
// must not be destroyed by a Done.
class SliceRunner {
 public:
  using Done = std::function<void(absl::StatusOr<std::vector<Tensor>>)>;

  // Compiles `slice`. `backend` may be null for a slice without collectives (INVALID_ARGUMENT names the node
  // that needs one); it must outlive the runner.
  static absl::StatusOr<std::unique_ptr<SliceRunner>> Create(Device& device, const Graph& slice,
                                                             CollectiveBackend* backend);
  virtual ~SliceRunner() = default;

  // Queues a run. `limit` (with what it points to) must live until `done` is called, from the runner's
  // thread. A run whose limit has passed before it starts is not started.
  //
  // With collectives, a run that was not started, or failed, on one rank leaves its peers waiting for that
  // rank: the owner then cancels the epoch (see CommunicatorHub).
  virtual void Submit(std::vector<Tensor> inputs, WaitLimit limit, Done done) = 0;

  virtual size_t weight_bytes() const = 0;
  virtual size_t arena_bytes() const = 0;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_EXEC_SLICE_RUNNER_H_
