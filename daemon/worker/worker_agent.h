// WorkerAgent: a worker without its network: devices, submodels on disk, epochs. Called by the coordinator through
// WorkerLink, directly in standalone and through gRPC (daemon/transport) otherwise.
#ifndef OMSERVE_DAEMON_WORKER_WORKER_AGENT_H_
#define OMSERVE_DAEMON_WORKER_WORKER_AGENT_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/device/device.h"
#include "daemon/base/content_store.h"
#include "daemon/protocol/worker_link.h"
#include "daemon/telemetry/log.h"
#include "daemon/worker/device_memory.h"
#include "daemon/worker/worker_epoch.h"

namespace omserve {

struct WorkerOptions {
  std::string name;
  std::string version;
  std::string process;  // random, new at every start: see WorkerHello::incarnation
};

// Thread-safe.
class WorkerAgent : public WorkerLink {
 public:
  // `devices` in order of their ordinals. `store` may be null: then submodels are only taken from this process (Push).
  // `log` must outlive the agent.
  WorkerAgent(WorkerOptions options, std::vector<std::unique_ptr<Device>> devices, WorkerParts parts,
              std::unique_ptr<ContentStore> store, const Log* log);
  // Shuts all epochs down.
  ~WorkerAgent() override;

  // As it introduces itself; `address` is where it can be called.
  WorkerHello Hello(std::string address) const;
  std::vector<uint64_t> memory_in_use() const { return memory_.used(); }

  absl::StatusOr<std::vector<std::string>> Prepare(const PrepareCall& call, const CallContext& context) override;
  // Takes the submodel as it lies in this process, without copying it.
  absl::StatusOr<uint64_t> Push(const std::string& digest, const Buffer& content, const BytesSent& sent,
                                const CallContext& context) override;
  absl::StatusOr<CompileReply> Compile(const CompileCall& call, const CallContext& context) override;
  absl::Status Connect(const ConnectCall& call, const CallContext& context) override;
  void Execute(ExecuteCall call, CallContext context, ExecuteDone done) override;
  absl::Status Release(const ReleaseCall& call, const CallContext& context) override;

  // A submodel arriving in chunks, into the store. FAILED_PRECONDITION when no prepared slice waits for it.
  absl::StatusOr<std::unique_ptr<ContentStore::Writer>> BeginPush(const std::string& digest, uint64_t size);
  // Commits it: DATA_LOSS names both digests.
  absl::Status FinishPush(ContentStore::Writer& writer);

  // The lease has ended: everything asked for under it ends, and what a coordinator still sends on account of it is
  // refused, because this becomes a new incarnation.
  void ReleaseAll(absl::Status cause);

  // Runs that have not been answered.
  int runs_in_flight() const;
  // False when the deadline passes while runs are in flight.
  bool WaitIdle(absl::Time deadline) const;

 private:
  using Key = std::pair<std::string, int>;  // deployment, replica
  // What is known of a key's epochs: a call for one that is not newer came late.
  struct Fence {
    uint64_t prepared = 0;
    uint64_t released = 0;
  };

  std::string Incarnation() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckIncarnation(const EpochId& id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckSlices(const std::vector<SliceAssignment>& slices) const;
  absl::StatusOr<std::shared_ptr<WorkerEpoch>> FindEpoch(const EpochId& id) const;
  bool Awaited(absl::string_view digest) const;
  void Offer(const std::string& digest, const Buffer& content);
  void Remove(const std::shared_ptr<WorkerEpoch>& epoch, absl::Status cause);

  const WorkerOptions options_;
  const std::vector<std::unique_ptr<Device>> devices_;
  const std::vector<Device*> device_pointers_;
  const WorkerParts parts_;
  const Log* const log_;
  // Self-synchronised.
  const std::unique_ptr<ContentStore> store_;
  DeviceMemoryLedger memory_;

  mutable absl::Mutex mutex_;
  std::map<Key, std::shared_ptr<WorkerEpoch>> epochs_ ABSL_GUARDED_BY(mutex_);
  std::map<Key, Fence> fences_ ABSL_GUARDED_BY(mutex_);  // of this lease
  uint64_t lease_ ABSL_GUARDED_BY(mutex_) = 0;           // counts leases of this process
  int runs_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_WORKER_WORKER_AGENT_H_
