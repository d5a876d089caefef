// Deployment: one loaded model: its state, its queue, its replicas and the runs on them.
//
//   LOADING ──► READY ──► UNLOADING ──► (gone)
//      │         │ ▲
//      │         ▼ │ new epoch on the same workers
//      │      RESTARTING
//      ▼         │
//   FAILED ◄─────┴── every replica lost a worker, or a new epoch could not be brought up
//
// An epoch is one life of the devices' state. Where slices talk to each other, a run that ends early leaves them out
// of step: the epoch is then given up and a new one brought up; runs wait in the queue meanwhile. Loss of a worker
// gives up the replicas it was part of.
//
// A pipeline of n stages has up to n + 1 runs in flight, in one order on all workers. A run that fails while others are
// in flight takes them along, and the failure may be theirs: each that was neither given up by its client nor overdue is
// run once more in the next epoch, this time alone. So a bad request fails by itself, and its neighbours do not.
#ifndef OMSERVE_DAEMON_COORDINATOR_DEPLOYMENT_H_
#define OMSERVE_DAEMON_COORDINATOR_DEPLOYMENT_H_

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "core/base/deadline.h"
#include "daemon/coordinator/admission.h"
#include "daemon/coordinator/model_content.h"
#include "daemon/coordinator/registry.h"
#include "daemon/coordinator/run.h"
#include "daemon/telemetry/log.h"
#include "daemon/telemetry/metrics.h"

namespace omserve {

// The part of one replica that one worker holds.
struct ReplicaMember {
  WorkerRef worker;
  EpochId id;
  std::vector<int> ranks;
};
struct Replica {
  std::vector<ReplicaMember> members;
};

struct SliceStatus {
  std::string slice;
  std::string device;  // logical id in the OM
  std::string worker;
  int worker_device = 0;
  uint64_t weight_bytes = 0;
  uint64_t arena_bytes = 0;
  uint64_t memory_bytes = 0;  // what the worker counts for it
  int replica = 0;
};

enum class DeploymentState { kLoading, kReady, kRestarting, kUnloading, kFailed };

struct DeploymentStatus {
  std::string name;
  std::string digest;
  DeploymentState state = DeploymentState::kLoading;
  std::string cause;
  uint64_t epoch = 0;
  std::vector<NamedDesc> inputs;
  std::vector<NamedDesc> outputs;
  std::vector<SliceStatus> slices;
  std::string plan;
  uint64_t runs = 0;
  uint64_t bytes_pushed = 0;
};

// An epoch brought up: what BringUp gives.
struct BroughtUp {
  uint64_t epoch = 0;
  std::vector<Replica> replicas;
  std::vector<SliceStatus> slices;
  uint64_t bytes_pushed = 0;
  std::string note;  // about the placement
};

struct DeploymentOptions {
  QueueLimits queue;
  // How long a run whose client is gone may still finish, when stopping it would cost the epoch.
  absl::Duration abort_grace = absl::Milliseconds(500);
  // How long a failed run waits for the news that a worker was lost, which is a better answer than what the surviving
  // workers saw of it.
  absl::Duration blame_wait = absl::Seconds(1);
};

class Deployment;

// What a deployment asks of the coordinator. Never blocks; called without locks held.
class DeploymentHost {
 public:
  virtual ~DeploymentHost() = default;
  // To release `members` (their epoch has ended), then to bring up a new epoch.
  virtual void RestartLater(std::shared_ptr<Deployment> deployment, std::vector<ReplicaMember> members,
                            absl::Status cause) = 0;
  virtual void ReleaseLater(std::vector<ReplicaMember> members, absl::Status cause) = 0;
};

// Thread-safe, never blocks but where it says so. Held by shared_ptr: runs on their way keep it alive.
class Deployment : public std::enable_shared_from_this<Deployment> {
 public:
  // `host`, `clock` and `log` must live until WaitDrained has returned true after Close.
  Deployment(std::string name, std::shared_ptr<const ModelContent> content, DeploymentOptions options,
             DeploymentHost* host, const Clock* clock, const Log* log, std::shared_ptr<Metrics> metrics);

  const std::string& name() const { return name_; }
  const ModelContent& content() const { return *content_; }
  const std::shared_ptr<const ModelContent>& shared_content() const { return content_; }
  ModelMetrics* metrics() { return &model_metrics_; }
  DeploymentState state() const;
  DeploymentStatus status() const;

  // --- Bringing up. One attempt at a time, between these two calls.
  // Loss of one of `workers` cancels `cancellation`. FAILED_PRECONDITION unless loading or restarting.
  absl::Status BeginAttempt(std::vector<WorkerRef> workers, std::shared_ptr<Cancellation> cancellation);
  // READY when `result` is, else FAILED. An error (the result's, or what happened meanwhile) means that the caller has
  // to release what was brought up.
  absl::Status FinishAttempt(absl::StatusOr<BroughtUp> result);

  // --- Runs.
  // The layout for all outputs, made once.
  const std::shared_ptr<const RunLayout>& layout() const { return layout_; }
  // Queues or dispatches the runs of one request. An error is for the caller to answer, and none is taken then:
  // UNAVAILABLE (not ready, with the cause), RESOURCE_EXHAUSTED (the queue is full).
  absl::Status Submit(const std::vector<std::shared_ptr<Run>>& runs);
  // Answers the run with `cause`, which also ends it where it runs.
  void Abandon(const std::shared_ptr<Run>& run, const absl::Status& cause);

  // --- What happens to it.
  void FailWorker(const WorkerRef& worker, const absl::Status& cause);
  // No more runs are given to replicas on this worker; those in flight may finish.
  void RetireWorker(const WorkerRef& worker, const absl::Status& cause);
  // Ends what is overdue. To be called several times a second.
  void Tick();

  // --- The end.
  // No more runs are accepted. FAILED_PRECONDITION while loading or unloading.
  absl::Status BeginUnload();
  // Blocks until no run is queued or in flight and no attempt is under way; false when the deadline passes first.
  bool WaitDrained(absl::Time deadline) const;
  // Answers all runs that are left with `cause` and gives up the replicas: the caller has to release them.
  std::vector<ReplicaMember> Close(const absl::Status& cause);

 private:
  struct Flight;
  struct ReplicaState {
    std::shared_ptr<const Replica> replica;
    bool alive = true;
    bool retired = false;
    bool alone = false;  // what is in flight is a run that must be so
    int in_flight = 0;
    uint64_t dispatched = 0;
  };
  // What is to be done once the lock is released.
  struct Effects;

  void Pump();
  std::shared_ptr<Flight> NextFlight() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Dispatch(const std::shared_ptr<Flight>& flight);
  void MemberDone(const std::shared_ptr<Flight>& flight, size_t member, absl::StatusOr<ExecuteReply> reply);
  void Complete(const std::shared_ptr<Flight>& flight);
  // Puts an end to the current epoch after a failed run.
  void GiveUpEpoch(const absl::Status& cause, Effects& effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AnswerQueue(const absl::Status& cause, Effects& effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AnswerFlight(const std::shared_ptr<Flight>& flight, const absl::Status& cause, Effects& effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StopFlight(Flight& flight, const absl::Status& cause, Effects& effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether an error of the flight may be that of another one.
  bool SharesFate(const Flight& flight) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasOlder(const Flight& flight) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts the run of a flight that has ended back into the queue.
  void RunAgain(const std::shared_ptr<Flight>& flight, Effects& effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool AnyReplicaAvailable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FailIfNothingIsLeft(const absl::Status& cause, Effects& effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Apply(Effects effects);
  void AnswerRun(const std::shared_ptr<Run>& run, absl::StatusOr<std::vector<Tensor>> result);

  const std::string name_;
  const std::shared_ptr<const ModelContent> content_;
  const DeploymentOptions options_;
  const bool has_collectives_;
  const int runs_per_replica_;
  const std::shared_ptr<const RunLayout> layout_;
  DeploymentHost* const host_;
  const Clock* const clock_;
  const Log* const log_;
  // Self-synchronised.
  const std::shared_ptr<Metrics> metrics_;
  ModelMetrics model_metrics_;

  mutable absl::Mutex mutex_;
  DeploymentState state_ ABSL_GUARDED_BY(mutex_) = DeploymentState::kLoading;
  absl::Status cause_ ABSL_GUARDED_BY(mutex_);
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  bool attempting_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<WorkerRef> attempt_workers_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Cancellation> attempt_ ABSL_GUARDED_BY(mutex_);
  std::vector<WorkerRef> restart_workers_ ABSL_GUARDED_BY(mutex_);  // of the epoch given up, while restarting
  std::vector<ReplicaState> replicas_ ABSL_GUARDED_BY(mutex_);
  std::vector<SliceStatus> slices_ ABSL_GUARDED_BY(mutex_);
  std::string note_ ABSL_GUARDED_BY(mutex_);
  uint64_t bytes_pushed_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t runs_ ABSL_GUARDED_BY(mutex_) = 0;       // answered well
  uint64_t submitted_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<std::shared_ptr<Run>> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t queue_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<std::shared_ptr<Flight>> flights_ ABSL_GUARDED_BY(mutex_);
  int callbacks_ ABSL_GUARDED_BY(mutex_) = 0;  // answers of workers being worked on
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_DEPLOYMENT_H_
