#include "daemon/coordinator/coordinator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "daemon/coordinator/micro_batches.h"
#include "core/base/temporary_folder.h"
#include "daemon/base/names.h"
#include "daemon/coordinator/signature.h"

namespace omserve {
namespace {

constexpr absl::Duration kShowWorkersEvery = absl::Seconds(1);
constexpr int kBackgroundThreads = 4;

std::string Seconds(absl::Duration duration) { return absl::StrCat(absl::ToDoubleSeconds(duration)); }

absl::Status ShuttingDown() { return absl::UnavailableError("the server is shutting down"); }

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, ContentStore* store, OpenModelFunction open_model,
                         const Clock* clock, const Clock* lease_clock, const Log* log, std::shared_ptr<Metrics> metrics)
    : options_(std::move(options)),
      open_model_(std::move(open_model)),
      clock_(clock),
      log_(log),
      store_(store),
      metrics_(std::move(metrics)),
      unknown_model_(metrics_, "(unknown)"),
      registry_(options_.registry, lease_clock,
                [this](const WorkerRef& worker, const absl::Status& cause) { OnWorkerLost(worker, cause); }),
      release_tasks_(std::make_unique<TaskPool>(kBackgroundThreads)),
      restart_tasks_(std::make_unique<TaskPool>(kBackgroundThreads)) {
  if (options_.tick == absl::ZeroDuration()) return;
  ticker_ = std::thread([this] {
    while (true) {
      {
        absl::MutexLock lock(&mutex_);
        if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), options_.tick)) return;
      }
      Tick();
    }
  });
}

Coordinator::~Coordinator() {
  BeginDrain();
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (ticker_.joinable()) ticker_.join();
  for (const std::shared_ptr<Deployment>& deployment : Deployments()) {
    std::vector<ReplicaMember> members = deployment->Close(ShuttingDown());
    deployment->WaitDrained(absl::InfiniteFuture());  // all of it has been cancelled
    ReleaseMembers(members, ShuttingDown(), options_.release_patience);
  }
  restart_tasks_.reset();
  release_tasks_.reset();
}

// ---------------------------------------------------------------------------------------------------- workers

absl::StatusOr<uint64_t> Coordinator::RegisterWorker(WorkerHello hello, std::shared_ptr<WorkerLink> link, bool leased,
                                                     std::function<void(absl::Status)> on_end) {
  if (draining_) return ShuttingDown();
  const std::string name = hello.name;
  const std::string incarnation = hello.incarnation;
  const std::string address = hello.address;
  const size_t devices = hello.devices.size();
  absl::StatusOr<uint64_t> session =
      registry_.Register(std::move(hello), std::move(link), leased, std::move(on_end));
  if (!session.ok()) {
    log_->Warning("worker refused", {{"worker", name}, {"status", session.status().ToString()}});
    return session;
  }
  log_->Info("worker registered", {{"worker", name},
                                   {"incarnation", incarnation},
                                   {"address", address},
                                   {"devices", absl::StrCat(devices)}});
  ShowWorkers();
  return session;
}

absl::Status Coordinator::RenewWorker(uint64_t session, const std::vector<uint64_t>& memory_in_use) {
  return registry_.Renew(session, memory_in_use);
}

void Coordinator::RetireWorker(uint64_t session) {
  absl::StatusOr<WorkerRef> worker = registry_.MarkLeaving(session);
  if (!worker.ok()) return;
  log_->Info("worker is leaving", {{"worker", worker->name}, {"incarnation", worker->incarnation}});
  const absl::Status cause = absl::UnavailableError(
      absl::StrCat("worker '", worker->name, "' (incarnation ", worker->incarnation, ") is shutting down"));
  for (const std::shared_ptr<Deployment>& deployment : Deployments()) deployment->RetireWorker(*worker, cause);
}

void Coordinator::EndWorker(uint64_t session, absl::string_view why) { registry_.End(session, why); }

void Coordinator::OnWorkerLost(const WorkerRef& worker, const absl::Status& cause) {
  log_->Warning("worker lost",
                {{"worker", worker.name}, {"incarnation", worker.incarnation}, {"cause", cause.ToString()}});
  for (const std::shared_ptr<Deployment>& deployment : Deployments()) deployment->FailWorker(worker, cause);
  ShowWorkers();
}

void Coordinator::ShowWorkers() {
  std::vector<WorkerGauges> gauges;
  for (const WorkerView& worker : registry_.Workers()) {
    WorkerGauges& gauge = gauges.emplace_back();
    gauge.worker = worker.hello.name;
    gauge.up = worker.alive;
    if (!worker.alive) continue;
    for (const WorkerDevice& device : worker.hello.devices) {
      gauge.devices.push_back({device.ordinal, device.memory_in_use, device.memory_bytes});
    }
  }
  metrics_->SetWorkers(gauges);
}

// ----------------------------------------------------------------------------------------------------- models

absl::StatusOr<std::shared_ptr<const ModelContent>> Coordinator::OpenUpload(const FileUpload& upload) const {
  // Mapped files need no name: the folder can go as soon as the model is open.
  ASSIGN_OR_RETURN(std::unique_ptr<TemporaryFolder> folder, store_->NewFolder());
  RETURN_IF_ERROR(upload.LayOut(folder->path()));
  return open_model_(absl::StrCat(folder->path(), "/", upload.files().front().name));
}

absl::StatusOr<std::shared_ptr<Deployment>> Coordinator::Reserve(const std::string& name,
                                                                 const std::shared_ptr<const ModelContent>& content) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return ShuttingDown();
  std::shared_ptr<Deployment>& slot = deployments_[name];
  if (slot != nullptr) {
    const bool same = slot->content().digest == content->digest;
    switch (slot->state()) {
      case DeploymentState::kFailed:
        break;
      case DeploymentState::kReady:
      case DeploymentState::kRestarting:
        if (same) return nullptr;
        return absl::AlreadyExistsError(absl::StrCat("name '", name, "' is in use by another model (digest ",
                                                     slot->content().digest,
                                                     "); unload it first or choose another name"));
      case DeploymentState::kLoading:
        return absl::AlreadyExistsError(absl::StrCat("name '", name, "' is in use: ",
                                                     same ? "the same" : "another", " model is being loaded"));
      case DeploymentState::kUnloading:
        return absl::AlreadyExistsError(absl::StrCat("name '", name, "' is in use: a model is being unloaded"));
    }
  }
  slot = std::make_shared<Deployment>(name, content, options_.deployment, static_cast<DeploymentHost*>(this), clock_, log_, metrics_);
  return slot;
}

void Coordinator::Remove(const std::shared_ptr<Deployment>& deployment) {
  absl::MutexLock lock(&mutex_);
  auto it = deployments_.find(deployment->name());
  if (it != deployments_.end() && it->second == deployment) deployments_.erase(it);
}

absl::StatusOr<LoadOutcome> Coordinator::Load(const std::string& name, const FileUpload& upload,
                                              const ProgressFunction& progress, CallContext context) {
  if (draining_) return ShuttingDown();
  metrics_->CountUploaded(upload.bytes_received());
  ASSIGN_OR_RETURN(std::shared_ptr<const ModelContent> content, OpenUpload(upload));
  const std::string chosen = name.empty() ? content->info.name : name;
  RETURN_IF_ERROR(CheckServiceName("model name", chosen));
  ASSIGN_OR_RETURN(std::shared_ptr<Deployment> deployment, Reserve(chosen, content));
  if (deployment == nullptr) {
    ASSIGN_OR_RETURN(deployment, Find(chosen));
    return LoadOutcome{deployment->status(), 0};
  }
  const absl::Time begin = clock_->Now();
  context.deadline = std::min(context.deadline, begin + options_.load_timeout);
  if (context.cancellation == nullptr) context.cancellation = std::make_shared<Cancellation>();
  absl::Status status = BringUpDeployment(deployment, {}, progress, context);
  metrics_->ObserveLoad(clock_->Now() - begin);
  if (!status.ok()) {
    Remove(deployment);
    return Annotate(status, absl::StrCat("load of '", chosen, "'"));
  }
  LoadOutcome outcome{deployment->status(), 0};
  outcome.bytes_pushed = outcome.model.bytes_pushed;
  return outcome;
}

std::map<std::pair<std::string, int>, uint64_t> Coordinator::UsedByOthers(const Deployment& deployment) const {
  std::map<std::pair<std::string, int>, uint64_t> used;
  for (const std::shared_ptr<Deployment>& other : Deployments()) {
    if (other.get() == &deployment) continue;
    for (const SliceStatus& slice : other->status().slices) used[{slice.worker, slice.worker_device}] += slice.memory_bytes;
  }
  return used;
}

absl::Status Coordinator::CheckAlive(const std::vector<WorkerRef>& workers) const {
  for (const WorkerRef& worker : workers) RETURN_IF_ERROR(registry_.CheckAlive(worker));
  return absl::OkStatus();
}

absl::StatusOr<BringUpPlan> Coordinator::PlanFor(const Deployment& deployment,
                                                 const std::vector<WorkerRef>& required) {
  RETURN_IF_ERROR(CheckAlive(required));
  BringUpPlan plan;
  plan.deployment = deployment.name();
  plan.epoch = next_epoch_++;
  plan.content = deployment.shared_content();
  std::map<std::pair<std::string, int>, uint64_t> used = UsedByOthers(deployment);
  std::vector<PlacementWorker> workers;
  for (const WorkerView& worker : registry_.Workers()) {
    if (!worker.alive || worker.leaving) continue;
    plan.workers.push_back({worker.hello.name, worker.hello.incarnation, worker.link});
    PlacementWorker& entry = workers.emplace_back();
    entry.name = worker.hello.name;
    for (const WorkerDevice& device : worker.hello.devices) {
      entry.devices.push_back({device.memory_bytes, used[{worker.hello.name, device.ordinal}]});
    }
  }
  ASSIGN_OR_RETURN(plan.placement, PlaceModel(plan.content->info, workers));
  return plan;
}

absl::Status Coordinator::BringUpDeployment(const std::shared_ptr<Deployment>& deployment,
                                            const std::vector<WorkerRef>& required,
                                            const ProgressFunction& progress, CallContext context) {
  const absl::Time begin = clock_->Now();
  absl::StatusOr<BringUpPlan> plan = PlanFor(*deployment, required);
  std::vector<WorkerRef> workers;
  if (plan.ok()) {
    for (const PlacedSlice& placed : plan->placement.slices) workers.push_back(plan->workers[placed.worker]);
  }
  RETURN_IF_ERROR(deployment->BeginAttempt(workers, context.cancellation));
  if (!plan.ok()) return deployment->FinishAttempt(plan.status());

  // A worker that was lost before the attempt began was not there to cancel it.
  const absl::Status alive = CheckAlive(workers);
  absl::Status status = deployment->FinishAttempt(
      alive.ok() ? BringUp(*plan, progress, context, *metrics_) : absl::StatusOr<BroughtUp>(alive));
  if (!status.ok()) {
    std::vector<ReplicaMember> members;
    for (Replica& replica : ReplicasOf(*plan)) {
      for (ReplicaMember& member : replica.members) {
        if (registry_.CheckAlive(member.worker).ok()) members.push_back(std::move(member));
      }
    }
    ReleaseMembers(members, status, options_.release_patience);
    log_->Warning("model not brought up", {{"model", deployment->name()},
                                           {"epoch", absl::StrCat(plan->epoch)},
                                           {"seconds", Seconds(clock_->Now() - begin)},
                                           {"status", status.ToString()}});
    return status;
  }
  const DeploymentStatus now = deployment->status();
  log_->Info("model ready", {{"model", deployment->name()},
                             {"digest", now.digest},
                             {"epoch", absl::StrCat(plan->epoch)},
                             {"slices", absl::StrJoin(now.slices, " ",
                                                      [](std::string* out, const SliceStatus& slice) {
                                                        absl::StrAppend(out, slice.slice, "@", slice.worker, "/",
                                                                        slice.worker_device);
                                                      })},
                             {"bytes_pushed", absl::StrCat(now.bytes_pushed)},
                             {"seconds", Seconds(clock_->Now() - begin)}});
  if (!plan->placement.note.empty()) {
    log_->Info("placement differs from the OM", {{"model", deployment->name()}, {"note", plan->placement.note}});
  }
  return absl::OkStatus();
}

void Coordinator::ReleaseLater(std::vector<ReplicaMember> members, absl::Status cause) {
  release_tasks_->Post([this, members = std::move(members), cause = std::move(cause)] {
    ReleaseMembers(members, cause, options_.release_patience);
  });
}

void Coordinator::RestartLater(std::shared_ptr<Deployment> deployment, std::vector<ReplicaMember> members,
                               absl::Status cause) {
  restart_tasks_->Post([this, deployment = std::move(deployment), members = std::move(members),
                        cause = std::move(cause)] {
    ReleaseMembers(members, cause, options_.release_patience);
    std::vector<WorkerRef> workers;
    for (const ReplicaMember& member : members) workers.push_back(member.worker);
    CallContext context{clock_->Now() + options_.restart_timeout, std::make_shared<Cancellation>()};
    // Its failure is the state of the deployment and has been logged.
    BringUpDeployment(deployment, workers, nullptr, context).IgnoreError();
  });
}

absl::Status Coordinator::Unload(const std::string& name, absl::Time deadline) {
  ASSIGN_OR_RETURN(std::shared_ptr<Deployment> deployment, Find(name));
  RETURN_IF_ERROR(deployment->BeginUnload());
  const bool drained = deployment->WaitDrained(deadline);
  const absl::Status cause = absl::UnavailableError(absl::StrCat("model '", name, "' was unloaded"));
  const std::vector<ReplicaMember> members = deployment->Close(cause);
  deployment->WaitDrained(absl::InfiniteFuture());  // all that was left has been cancelled
  ReleaseMembers(members, cause, options_.release_patience);
  Remove(deployment);
  log_->Info("model unloaded", {{"model", name}, {"drained", drained ? "yes" : "no"}});
  return absl::OkStatus();
}

std::vector<std::shared_ptr<Deployment>> Coordinator::Deployments() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<Deployment>> deployments;
  for (const auto& [name, deployment] : deployments_) deployments.push_back(deployment);
  return deployments;
}

std::vector<DeploymentStatus> Coordinator::ListModels() const {
  std::vector<DeploymentStatus> models;
  for (const std::shared_ptr<Deployment>& deployment : Deployments()) models.push_back(deployment->status());
  return models;
}

absl::StatusOr<std::shared_ptr<Deployment>> Coordinator::Find(const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  auto it = deployments_.find(name);
  if (it != deployments_.end()) return it->second;
  std::vector<std::string> known;
  for (const auto& [other, deployment] : deployments_) known.push_back(absl::StrCat("'", other, "'"));
  return absl::NotFoundError(absl::StrCat("there is no model '", absl::Utf8SafeCEscape(name.substr(0, 128)), "'; ",
                                          known.empty() ? "none is loaded"
                                                        : absl::StrCat("loaded are ", absl::StrJoin(known, ", "))));
}

// ------------------------------------------------------------------------------------------------------- runs

absl::StatusOr<std::vector<std::shared_ptr<Run>>> Coordinator::MakeRuns(Deployment& deployment, RunCall call,
                                                                        const RunDone& done) const {
  RETURN_IF_ERROR(CheckRequestId(call.request_id));
  const ModelInfo& info = deployment.content().info;
  ASSIGN_OR_RETURN(std::vector<Tensor> inputs, BindInputs(info, std::move(call.inputs)));
  std::shared_ptr<const RunLayout> layout = deployment.layout();
  if (!call.outputs.empty()) {
    ASSIGN_OR_RETURN(std::vector<int> wanted, BindOutputs(info, call.outputs));
    layout = std::make_shared<RunLayout>(&info, std::move(wanted));
  }
  const absl::Time now = clock_->Now();
  auto deliver = [done, layout, content = deployment.shared_content()](absl::StatusOr<std::vector<Tensor>> result) {
    if (!result.ok()) return done(result.status());
    std::vector<NamedTensor> outputs;
    for (size_t i = 0; i < result->size(); ++i) {
      outputs.push_back({content->info.outputs[layout->wanted()[i]].name, std::move((*result)[i])});
    }
    done(std::move(outputs));
  };
  const absl::Time deadline = std::min(call.deadline, now + options_.run_timeout);
  std::vector<std::shared_ptr<Run>> runs;
  if (info.micro_batches == 1) {
    runs.push_back(std::make_shared<Run>(std::move(call.request_id), std::move(inputs), layout, now, deadline,
                                         std::move(deliver)));
    return runs;
  }
  auto answers = std::make_shared<MicroBatchAnswers>(
      info.micro_batches,
      [deliver, metrics = metrics_](absl::StatusOr<std::vector<Tensor>> result, uint64_t copied_bytes) {
        metrics->CountCopied(CopyReason::kAssemble, copied_bytes);
        deliver(std::move(result));
      });
  for (std::vector<Tensor>& part : SplitRequest(info, inputs)) {
    const int number = static_cast<int>(runs.size());
    runs.push_back(std::make_shared<Run>(
        call.request_id, std::move(part), layout, now, deadline,
        [answers, number](absl::StatusOr<std::vector<Tensor>> result) { answers->Answer(number, std::move(result)); }));
  }
  return runs;
}

RunHandle Coordinator::StartRun(RunCall call, RunDone done) {
  const auto refuse = [&](const absl::Status& status, const std::string& request_id, const std::string& model,
                          ModelMetrics* metrics) {
    if (metrics != nullptr) metrics->CountRun(status.code());
    log_->Info("run refused", {{"request_id", request_id}, {"model", model}, {"status", status.ToString()}});
    done(status);
    return RunHandle{};
  };
  const std::string request_id = call.request_id;
  const std::string model = call.model;
  if (draining_) return refuse(ShuttingDown(), request_id, model, nullptr);
  absl::StatusOr<std::shared_ptr<Deployment>> deployment = Find(model);
  if (!deployment.ok()) return refuse(deployment.status(), request_id, model, &unknown_model_);
  absl::StatusOr<std::vector<std::shared_ptr<Run>>> runs = MakeRuns(**deployment, std::move(call), done);
  absl::Status status = runs.ok() ? (*deployment)->Submit(*runs) : runs.status();
  if (!status.ok()) return refuse(status, request_id, model, (*deployment)->metrics());
  return RunHandle{*std::move(deployment), *std::move(runs)};
}

void Coordinator::CancelRun(const RunHandle& handle, const absl::Status& cause) {
  for (const std::shared_ptr<Run>& run : handle.runs) handle.deployment->Abandon(run, cause);
}

// --------------------------------------------------------------------------------------------------- lifetime

void Coordinator::BeginDrain() { draining_ = true; }

bool Coordinator::WaitDrained(absl::Time deadline) const {
  bool drained = true;
  for (const std::shared_ptr<Deployment>& deployment : Deployments()) {
    drained = deployment->WaitDrained(deadline) && drained;
  }
  return drained;
}

void Coordinator::Tick() {
  registry_.ExpireLeases();
  for (const std::shared_ptr<Deployment>& deployment : Deployments()) deployment->Tick();
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_->Now();
    if (now - shown_at_ < kShowWorkersEvery) return;
    shown_at_ = now;
  }
  ShowWorkers();
}

}  // namespace omserve
