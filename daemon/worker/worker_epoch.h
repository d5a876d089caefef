// WorkerEpoch: the slices of one replica of one deployment on this worker, for one life: prepared, compiled,
// connected, run, shut down.
#ifndef OMSERVE_DAEMON_WORKER_WORKER_EPOCH_H_
#define OMSERVE_DAEMON_WORKER_WORKER_EPOCH_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "core/base/deadline.h"
#include "core/comm/communicator.h"
#include "core/device/device.h"
#include "core/exec/slice_runner.h"
#include "daemon/protocol/worker_link.h"
#include "daemon/worker/device_memory.h"

namespace omserve {

// What an epoch is put together from. main.cc passes the real ones; tests pass fakes.
struct WorkerParts {
  std::function<absl::StatusOr<Graph>(Buffer nested_om)> read_slice;
  std::function<absl::StatusOr<std::unique_ptr<CommunicatorHub>>(const CommWorld&, int process,
                                                                 const Cancellation* epoch)>
      make_hub;
  std::function<absl::StatusOr<std::unique_ptr<SliceRunner>>(Device&, const Graph&, CollectiveBackend*)> make_runner;
};

// Thread-safe. Made by WorkerAgent; must be shut down before it is destroyed, and not from a callback of Execute.
class WorkerEpoch : public std::enable_shared_from_this<WorkerEpoch> {
 public:
  // `devices` by ordinal; they and `parts` must outlive the epoch.
  WorkerEpoch(EpochId id, std::vector<SliceAssignment> slices,
              std::vector<std::unique_ptr<DeviceMemoryLedger::Reservation>> memory, const WorkerParts* parts,
              absl::Span<Device* const> devices);
  ~WorkerEpoch();

  const EpochId& id() const { return id_; }

  // True when a slice waits for this submodel.
  bool Awaits(absl::string_view digest) const;
  // Gives the content of a submodel; ignored when no slice waits for it.
  void Offer(const std::string& digest, const Buffer& content);

  absl::StatusOr<CompileReply> Compile(const CompileCall& call, const CallContext& context);
  absl::Status Connect(const ConnectCall& call, const CallContext& context);
  void Execute(ExecuteCall call, CallContext context, WorkerLink::ExecuteDone done);

  // Aborts with `cause`, waits until nothing is running, frees everything. Later calls wait for the first.
  void Shutdown(absl::Status cause);

 private:
  class Execution;
  enum class State { kPrepared, kCompiled, kReady, kShutDown };

  // Begins something that Shutdown has to wait for. FAILED_PRECONDITION unless in `state`.
  absl::Status Enter(State state);
  void Leave();
  absl::Status CompileSlice(size_t index, CollectiveBackend* backend);
  absl::Status CheckExecute(const ExecuteCall& call) const;
  void Submit(const std::shared_ptr<Execution>& execution) ABSL_EXCLUSIVE_LOCKS_REQUIRED(submit_mutex_);

  const EpochId id_;
  const std::vector<SliceAssignment> slices_;
  const WorkerParts* const parts_;
  const std::vector<Device*> devices_;

  // Self-synchronised. Every wait inside the epoch looks at it.
  Cancellation cancellation_;

  // Written by Compile and Shutdown, which exclude each other and everything else through Enter and Leave. The runners
  // end before the communicators they use.
  std::vector<std::unique_ptr<DeviceMemoryLedger::Reservation>> memory_;  // by slice
  std::unique_ptr<CommunicatorHub> hub_;
  std::vector<std::unique_ptr<SliceRunner>> runners_;  // by slice
  std::vector<int> num_inputs_;                        // by slice
  std::vector<int> num_outputs_;

  // Held while one run is given to all runners, so that all of them see runs in the same order.
  absl::Mutex submit_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  uint64_t next_sequence_ ABSL_GUARDED_BY(submit_mutex_) = 1;
  // Runs that came before their turn, by sequence.
  std::map<uint64_t, std::shared_ptr<Execution>> early_ ABSL_GUARDED_BY(submit_mutex_);
  bool closed_ ABSL_GUARDED_BY(submit_mutex_) = false;

  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kPrepared;
  int active_ ABSL_GUARDED_BY(mutex_) = 0;
  bool freed_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> awaited_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Buffer> contents_ ABSL_GUARDED_BY(mutex_);  // until compiled
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_WORKER_WORKER_EPOCH_H_
