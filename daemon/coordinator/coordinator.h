// Coordinator: all models, all workers. What the gRPC services call (daemon/transport), without gRPC.
#ifndef OMSERVE_DAEMON_COORDINATOR_COORDINATOR_H_
#define OMSERVE_DAEMON_COORDINATOR_COORDINATOR_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/base/content_store.h"
#include "daemon/base/parallel.h"
#include "daemon/coordinator/bring_up.h"
#include "daemon/coordinator/deployment.h"
#include "daemon/coordinator/file_upload.h"
#include "daemon/coordinator/registry.h"
#include "daemon/telemetry/log.h"
#include "daemon/telemetry/metrics.h"

namespace omserve {

struct CoordinatorOptions {
  RegistryOptions registry;
  DeploymentOptions deployment;
  // Bounds of calls that come without a deadline of their own.
  absl::Duration run_timeout = absl::Minutes(5);
  absl::Duration load_timeout = absl::Minutes(30);
  absl::Duration restart_timeout = absl::Minutes(5);
  absl::Duration release_patience = absl::Seconds(5);
  // How often time passes: leases, deadlines. Zero: only when Tick is called (tests).
  absl::Duration tick = absl::Milliseconds(50);
};

struct LoadOutcome {
  DeploymentStatus model;
  uint64_t bytes_pushed = 0;  // by this load
};

// Names a request so that it can be cancelled.
struct RunHandle {
  std::shared_ptr<Deployment> deployment;  // null: answered already
  std::vector<std::shared_ptr<Run>> runs;  // its micro-batches; mostly one
};

// Thread-safe.
class Coordinator : private DeploymentHost {
 public:
  // `clock` counts deadlines, `lease_clock` (which should not jump) leases; they, `store` and `log` must outlive the
  // coordinator.
  Coordinator(CoordinatorOptions options, ContentStore* store, OpenModelFunction open_model, const Clock* clock,
              const Clock* lease_clock, const Log* log, std::shared_ptr<Metrics> metrics);
  // Answers everything that waits with UNAVAILABLE and releases all models. No call may be under way.
  ~Coordinator() override;

  // --- Workers: see Registry.
  absl::StatusOr<uint64_t> RegisterWorker(WorkerHello hello, std::shared_ptr<WorkerLink> link, bool leased,
                                          std::function<void(absl::Status)> on_end);
  absl::Status RenewWorker(uint64_t session, const std::vector<uint64_t>& memory_in_use);
  // The worker is about to leave: its models get no more runs.
  void RetireWorker(uint64_t session);
  void EndWorker(uint64_t session, absl::string_view why);
  std::vector<WorkerView> Workers() const { return registry_.Workers(); }
  const RegistryOptions& registry_options() const { return registry_.options(); }
  const std::string& version() const { return registry_.options().version; }

  // --- Models.
  FileUpload NewUpload() { return FileUpload(store_); }
  // Opens the uploaded OM and brings it up under `name` (default: its own). Blocks. ALREADY_EXISTS: another model has
  // the name; the same model loaded already: OK, nothing is done; a FAILED one is replaced. A load that fails leaves
  // nothing behind.
  absl::StatusOr<LoadOutcome> Load(const std::string& name, const FileUpload& upload,
                                   const ProgressFunction& progress, CallContext context);
  // Blocks until runs in flight have ended or the deadline passes, then ends those left. NOT_FOUND lists the models.
  absl::Status Unload(const std::string& name, absl::Time deadline);
  std::vector<DeploymentStatus> ListModels() const;

  // --- Runs.
  // `done` is called exactly once, perhaps before Run returns, never with a lock held.
  RunHandle StartRun(RunCall call, RunDone done);
  // Answers the run with `cause` if it has no answer yet, and ends it.
  void CancelRun(const RunHandle& handle, const absl::Status& cause);

  // --- The end.
  // From now on runs and loads are refused with UNAVAILABLE.
  void BeginDrain();
  // False when runs are left at the deadline.
  bool WaitDrained(absl::Time deadline) const;

  // Lets time pass: leases, deadlines, gauges. Called by an own thread unless options.tick is zero.
  void Tick();

 private:
  void RestartLater(std::shared_ptr<Deployment> deployment, std::vector<ReplicaMember> members,
                    absl::Status cause) override;
  void ReleaseLater(std::vector<ReplicaMember> members, absl::Status cause) override;

  void OnWorkerLost(const WorkerRef& worker, const absl::Status& cause);
  // `required`: workers without which it is not to be tried.
  absl::Status BringUpDeployment(const std::shared_ptr<Deployment>& deployment,
                                 const std::vector<WorkerRef>& required, const ProgressFunction& progress,
                                 CallContext context);
  absl::Status CheckAlive(const std::vector<WorkerRef>& workers) const;
  absl::StatusOr<BringUpPlan> PlanFor(const Deployment& deployment, const std::vector<WorkerRef>& required);
  // Bytes that models other than `deployment` take, by worker and ordinal. Counted here rather than reported by the
  // workers, because it must be right at once after an unload.
  std::map<std::pair<std::string, int>, uint64_t> UsedByOthers(const Deployment& deployment) const;
  absl::StatusOr<std::shared_ptr<const ModelContent>> OpenUpload(const FileUpload& upload) const;
  // Puts a new deployment under `name`; null when the same model is there and ready.
  absl::StatusOr<std::shared_ptr<Deployment>> Reserve(const std::string& name,
                                                      const std::shared_ptr<const ModelContent>& content);
  void Remove(const std::shared_ptr<Deployment>& deployment);
  absl::StatusOr<std::shared_ptr<Deployment>> Find(const std::string& name) const;
  std::vector<std::shared_ptr<Deployment>> Deployments() const;
  // The micro-batches of a request.
  absl::StatusOr<std::vector<std::shared_ptr<Run>>> MakeRuns(Deployment& deployment, RunCall call,
                                                             const RunDone& done) const;
  void ShowWorkers();

  const CoordinatorOptions options_;
  const OpenModelFunction open_model_;
  const Clock* const clock_;
  const Log* const log_;
  // Self-synchronised.
  ContentStore* const store_;
  const std::shared_ptr<Metrics> metrics_;
  ModelMetrics unknown_model_;
  Registry registry_;
  std::atomic<uint64_t> next_epoch_{1};
  std::atomic<bool> draining_{false};

  mutable absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Deployment>> deployments_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time shown_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();

  // Releases and restarts. Two, because a restart first releases and a release may wait for a slow worker.
  std::unique_ptr<TaskPool> release_tasks_;
  std::unique_ptr<TaskPool> restart_tasks_;
  std::thread ticker_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_COORDINATOR_H_
