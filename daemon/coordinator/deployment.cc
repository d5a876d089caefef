#include "daemon/coordinator/deployment.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// How long workers go on with a run whose deadline has passed. Only a backstop where a run that ends early costs the
// epoch: the coordinator ends it before, once no older run is to blame.
constexpr absl::Duration kDeadlineBackstop = absl::Minutes(1);

bool HasCollectives(const ModelInfo& model) {
  return std::any_of(model.groups.begin(), model.groups.end(),
                     [](const HcomGroup& group) { return group.ranks.size() > 1; });
}

// Runs in flight on one replica. Without collectives, one runs while the next one travels. With them, a run that ends
// early takes along what is in flight, so there are more only where stages can work at the same time: one for each, and
// one on its way.
int RunsPerReplica(const ModelInfo& model) {
  if (!HasCollectives(model)) return 2;
  return model.stages == 1 ? 1 : model.stages + 1;
}

std::vector<int> AllOutputs(const ModelInfo& model) {
  std::vector<int> all(model.outputs.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

bool Uses(const Replica& replica, const WorkerRef& worker) {
  return std::any_of(replica.members.begin(), replica.members.end(), [&](const ReplicaMember& member) {
    return member.worker.name == worker.name && member.worker.incarnation == worker.incarnation;
  });
}

// A worker that loses its peer sees a broken connection or an aborted collective; that is not where the fault lies.
bool MayBlameAnother(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kAborted ||
         code == absl::StatusCode::kCancelled;
}

std::string Seconds(absl::Duration duration) { return absl::StrCat(absl::ToDoubleSeconds(duration)); }

}  // namespace

// A run on a replica. What is not const is guarded by the deployment's mutex.
struct Deployment::Flight {
  Flight(std::shared_ptr<Run> run, std::shared_ptr<const Replica> replica, uint64_t sequence)
      : run(std::move(run)),
        replica(std::move(replica)),
        sequence(sequence),
        remaining(this->replica->members.size()) {}

  const std::shared_ptr<Run> run;
  const std::shared_ptr<const Replica> replica;
  const uint64_t sequence;  // among the runs of the replica in this epoch, from 1
  const std::shared_ptr<Cancellation> cancellation = std::make_shared<Cancellation>();
  absl::Time sent;  // written before the first member can answer

  size_t remaining;  // members that have not answered
  std::map<int, std::vector<Tensor>> outputs;
  absl::Status error;  // the first
  bool answered = false;
  bool run_again = false;  // once it has ended, unless it ends well or is answered
  absl::Time answer_at = absl::InfiniteFuture();  // with `error`
  absl::Time abort_at = absl::InfiniteFuture();   // with `abort_cause`
  absl::Status abort_cause;
};

struct Deployment::Effects {
  std::vector<std::pair<std::shared_ptr<Run>, absl::Status>> answers;
  std::vector<std::pair<std::shared_ptr<Cancellation>, absl::Status>> cancellations;
  std::vector<ReplicaMember> releases;
  bool restart = false;
  absl::Status cause;  // of releases and restart
};

Deployment::Deployment(std::string name, std::shared_ptr<const ModelContent> content, DeploymentOptions options,
                       DeploymentHost* host, const Clock* clock, const Log* log, std::shared_ptr<Metrics> metrics)
    : name_(std::move(name)),
      content_(std::move(content)),
      options_(options),
      has_collectives_(HasCollectives(content_->info)),
      runs_per_replica_(RunsPerReplica(content_->info)),
      layout_(std::make_shared<RunLayout>(&content_->info, AllOutputs(content_->info))),
      host_(host),
      clock_(clock),
      log_(log),
      metrics_(std::move(metrics)),
      model_metrics_(metrics_, name_) {}

DeploymentState Deployment::state() const {
  absl::MutexLock lock(&mutex_);
  return state_;
}

DeploymentStatus Deployment::status() const {
  const ModelInfo& info = content_->info;
  auto plan = info.build.find("plan");
  absl::MutexLock lock(&mutex_);
  DeploymentStatus status{.name = name_,
                          .digest = content_->digest,
                          .state = state_,
                          .cause = cause_.ok() ? "" : cause_.ToString(),
                          .epoch = epoch_,
                          .inputs = info.request_inputs(),
                          .outputs = info.request_outputs(),
                          .plan = plan == info.build.end() ? "" : plan->second,
                          .runs = runs_,
                          .bytes_pushed = bytes_pushed_};
  for (const SliceStatus& slice : slices_) {
    if (slice.replica < static_cast<int>(replicas_.size()) && replicas_[slice.replica].alive) {
      status.slices.push_back(slice);
    }
  }
  if (!note_.empty()) absl::StrAppend(&status.plan, status.plan.empty() ? "" : "; ", note_);
  return status;
}

absl::Status Deployment::BeginAttempt(std::vector<WorkerRef> workers, std::shared_ptr<Cancellation> cancellation) {
  absl::MutexLock lock(&mutex_);
  if (attempting_ || (state_ != DeploymentState::kLoading && state_ != DeploymentState::kRestarting)) {
    return absl::FailedPreconditionError(absl::StrCat("model '", name_, "' is not to be brought up"));
  }
  attempting_ = true;
  attempt_workers_ = std::move(workers);
  attempt_ = std::move(cancellation);
  return absl::OkStatus();
}

absl::Status Deployment::FinishAttempt(absl::StatusOr<BroughtUp> result) {
  Effects effects;
  absl::Status status = result.status();
  {
    absl::MutexLock lock(&mutex_);
    attempting_ = false;
    // A worker may have been lost, or the model unloaded, after the last step had succeeded.
    if (status.ok() && attempt_ != nullptr) status = attempt_->status();
    if (status.ok() && state_ == DeploymentState::kUnloading) status = absl::CancelledError("the model is unloaded");
    attempt_ = nullptr;
    attempt_workers_.clear();
    if (status.ok()) {
      state_ = DeploymentState::kReady;
      cause_ = absl::OkStatus();
      epoch_ = result->epoch;
      bytes_pushed_ += result->bytes_pushed;
      slices_ = std::move(result->slices);
      note_ = std::move(result->note);
      for (Replica& replica : result->replicas) {
        replicas_.push_back({.replica = std::make_shared<const Replica>(std::move(replica))});
      }
    } else {
      // People need to hear not only that it could not be brought up again, but why it fell.
      absl::Status cause = status;
      if (state_ == DeploymentState::kRestarting && !cause_.ok()) {
        cause = absl::Status(status.code(), absl::StrCat(cause_.message(), "; it could not be brought up again: ",
                                                         status.message()));
      }
      AnswerQueue(absl::UnavailableError(absl::StrCat("model '", name_, "' has failed: ", cause.message())), effects);
      if (state_ != DeploymentState::kUnloading) {
        state_ = DeploymentState::kFailed;
        cause_ = std::move(cause);
      }
    }
  }
  Apply(std::move(effects));
  if (status.ok()) Pump();
  return status;
}

absl::Status Deployment::Submit(const std::vector<std::shared_ptr<Run>>& runs) {
  uint64_t bytes = 0;
  for (const std::shared_ptr<Run>& run : runs) bytes += run->bytes();
  {
    absl::MutexLock lock(&mutex_);
    switch (state_) {
      case DeploymentState::kReady:
      case DeploymentState::kRestarting:
        break;
      case DeploymentState::kLoading:
        return absl::UnavailableError(absl::StrCat("model '", name_, "' is being loaded"));
      case DeploymentState::kUnloading:
        return absl::UnavailableError(absl::StrCat("model '", name_, "' is being unloaded"));
      case DeploymentState::kFailed:
        return absl::UnavailableError(
            absl::StrCat("model '", name_, "' has failed: ", cause_.message(), "; load it again"));
    }
    RETURN_IF_ERROR(Admit(name_, {static_cast<int64_t>(queue_.size()), queue_bytes_}, bytes, options_.queue));
    for (const std::shared_ptr<Run>& run : runs) {
      run->set_number(++submitted_);
      queue_.push_back(run);
    }
    queue_bytes_ += bytes;
  }
  Pump();
  return absl::OkStatus();
}

std::shared_ptr<Deployment::Flight> Deployment::NextFlight() {
  if (queue_.empty() || (state_ != DeploymentState::kReady && state_ != DeploymentState::kUnloading)) return nullptr;
  std::vector<ReplicaLoad> loads;
  for (const ReplicaState& replica : replicas_) {
    loads.push_back({.available = replica.alive && !replica.retired,
                     .in_flight = replica.in_flight,
                     .in_flight_limit = replica.alone || queue_.front()->retried() ? 1 : runs_per_replica_,
                     .dispatched = replica.dispatched});
  }
  const int index = PickReplica(loads);
  if (index < 0) return nullptr;
  std::shared_ptr<Run> run = std::move(queue_.front());
  queue_.pop_front();
  queue_bytes_ -= run->bytes();
  ReplicaState& replica = replicas_[index];
  ++replica.in_flight;
  replica.alone = run->retried();
  auto flight = std::make_shared<Flight>(std::move(run), replica.replica, ++replica.dispatched);
  flights_.insert(flight);
  return flight;
}

void Deployment::Pump() {
  while (true) {
    std::shared_ptr<Flight> flight;
    {
      absl::MutexLock lock(&mutex_);
      flight = NextFlight();
    }
    if (flight == nullptr) return;
    Dispatch(flight);
  }
}

void Deployment::Dispatch(const std::shared_ptr<Flight>& flight) {
  const Run& run = *flight->run;
  const absl::Time begin = clock_->Now();
  model_metrics_.Observe(RunStage::kQueue, begin - run.arrived());
  CallContext context{run.deadline() + (has_collectives_ ? kDeadlineBackstop : absl::ZeroDuration()),
                      flight->cancellation};
  std::vector<ExecuteCall> calls;
  for (const ReplicaMember& member : flight->replica->members) {
    ExecuteCall call = run.layout().CallFor(member.ranks, run.inputs());
    call.id = member.id;
    call.request_id = run.request_id();
    if (has_collectives_) call.sequence = flight->sequence;
    calls.push_back(std::move(call));
  }
  flight->sent = clock_->Now();
  model_metrics_.Observe(RunStage::kDispatch, flight->sent - begin);
  for (size_t i = 0; i < calls.size(); ++i) {
    flight->replica->members[i].worker.link->Execute(
        std::move(calls[i]), context,
        [self = shared_from_this(), flight, i](absl::StatusOr<ExecuteReply> reply) {
          self->MemberDone(flight, i, std::move(reply));
        });
  }
}

void Deployment::MemberDone(const std::shared_ptr<Flight>& flight, size_t member,
                            absl::StatusOr<ExecuteReply> reply) {
  Effects effects;
  bool complete = false;
  {
    absl::MutexLock lock(&mutex_);
    --flight->remaining;
    ++callbacks_;
    if (reply.ok()) {
      for (SliceOutputs& slice : *reply) flight->outputs[slice.rank] = std::move(slice.outputs);
    } else if (flight->error.ok()) {
      flight->error = Annotate(reply.status(),
                               absl::StrCat("worker '", flight->replica->members[member].worker.name, "'"));
      effects.cancellations.emplace_back(flight->cancellation, flight->error);
      if (SharesFate(*flight)) flight->run_again = true;
      if (flight->run_again) {
        // Not answered yet.
      } else if (flight->replica->members.size() > 1 && MayBlameAnother(flight->error.code())) {
        flight->answer_at = clock_->Now() + options_.blame_wait;
      } else {
        AnswerFlight(flight, flight->error, effects);
      }
    }
    if (flight->remaining == 0) {
      complete = flight->error.ok();
      if (complete || flight->answered || flight->run_again) flights_.erase(flight);
      for (ReplicaState& replica : replicas_) {
        if (replica.replica != flight->replica) continue;
        --replica.in_flight;
        if (!complete && has_collectives_ && replica.alive) GiveUpEpoch(flight->error, effects);
        break;
      }
      if (!complete && flight->run_again) RunAgain(flight, effects);
    }
  }
  if (complete) Complete(flight);
  Apply(std::move(effects));
  Pump();
  absl::MutexLock lock(&mutex_);
  --callbacks_;
}

void Deployment::Complete(const std::shared_ptr<Flight>& flight) {
  const absl::Time begin = clock_->Now();
  model_metrics_.Observe(RunStage::kRun, begin - flight->sent);
  uint64_t copied = 0;
  absl::StatusOr<std::vector<Tensor>> result = flight->run->layout().Assemble(flight->outputs, &copied);
  metrics_->CountCopied(CopyReason::kAssemble, copied);
  model_metrics_.Observe(RunStage::kAssemble, clock_->Now() - begin);
  AnswerRun(flight->run, std::move(result));
}

void Deployment::AnswerRun(const std::shared_ptr<Run>& run, absl::StatusOr<std::vector<Tensor>> result) {
  if (!run->Claim()) return;
  const absl::Duration total = clock_->Now() - run->arrived();
  model_metrics_.Observe(RunStage::kTotal, total);
  model_metrics_.CountRun(result.status().code());
  if (result.ok()) {
    absl::MutexLock lock(&mutex_);
    ++runs_;
  }
  const LogLevel level = result.ok() ? LogLevel::kDebug : LogLevel::kWarning;
  if (log_->enabled(level)) {
    log_->Write(level, result.ok() ? "run answered" : "run failed",
                {{"request_id", run->request_id()},
                 {"model", name_},
                 {"seconds", Seconds(total)},
                 {"status", result.status().ToString()}});
  }
  run->Deliver(std::move(result));
}

void Deployment::Apply(Effects effects) {
  for (auto& [cancellation, cause] : effects.cancellations) {
    // Not again: this may be running below the first Cancel, as a call that it ended.
    if (!cancellation->cancelled()) cancellation->Cancel(cause);
  }
  for (auto& [run, cause] : effects.answers) AnswerRun(run, cause);
  if (effects.restart) {
    log_->Warning("epoch given up; starting a new one", {{"model", name_}, {"cause", effects.cause.ToString()}});
    host_->RestartLater(shared_from_this(), std::move(effects.releases), effects.cause);
  } else if (!effects.releases.empty()) {
    host_->ReleaseLater(std::move(effects.releases), effects.cause);
  }
}

void Deployment::AnswerFlight(const std::shared_ptr<Flight>& flight, const absl::Status& cause, Effects& effects) {
  flight->answer_at = absl::InfiniteFuture();
  if (flight->answered) return;
  flight->answered = true;
  effects.answers.emplace_back(flight->run, cause);
}

void Deployment::StopFlight(Flight& flight, const absl::Status& cause, Effects& effects) {
  if (!has_collectives_) {
    effects.cancellations.emplace_back(flight.cancellation, cause);
  } else if (flight.abort_at == absl::InfiniteFuture()) {
    flight.abort_at = clock_->Now() + options_.abort_grace;
    flight.abort_cause = cause;
  }
}

void Deployment::AnswerQueue(const absl::Status& cause, Effects& effects) {
  for (std::shared_ptr<Run>& run : queue_) effects.answers.emplace_back(std::move(run), cause);
  queue_.clear();
  queue_bytes_ = 0;
}

void Deployment::GiveUpEpoch(const absl::Status& cause, Effects& effects) {
  for (ReplicaState& replica : replicas_) {
    if (!replica.alive) continue;
    effects.releases.insert(effects.releases.end(), replica.replica->members.begin(),
                            replica.replica->members.end());
  }
  restart_workers_.clear();
  for (const ReplicaMember& member : effects.releases) restart_workers_.push_back(member.worker);
  replicas_.clear();
  effects.cause = cause;
  for (const std::shared_ptr<Flight>& flight : flights_) {
    if (flight->remaining == 0 || !flight->error.ok()) continue;
    if (!flight->run->retried()) {
      flight->run_again = true;
    } else {
      AnswerFlight(flight, absl::UnavailableError(absl::StrCat("model '", name_, "' is restarting: ", cause.message())),
                   effects);
    }
    effects.cancellations.emplace_back(flight->cancellation, cause);
  }
  if (state_ == DeploymentState::kReady) {
    state_ = DeploymentState::kRestarting;
    cause_ = cause;
    effects.restart = true;
  } else {
    AnswerQueue(absl::UnavailableError(absl::StrCat("model '", name_, "' is gone: ", cause.message())), effects);
  }
}

void Deployment::Abandon(const std::shared_ptr<Run>& run, const absl::Status& cause) {
  Effects effects;
  {
    absl::MutexLock lock(&mutex_);
    auto queued = std::find(queue_.begin(), queue_.end(), run);
    if (queued != queue_.end()) {
      queue_bytes_ -= run->bytes();
      queue_.erase(queued);
      effects.answers.emplace_back(run, cause);
    }
    auto flying = std::find_if(flights_.begin(), flights_.end(),
                               [&](const std::shared_ptr<Flight>& flight) { return flight->run == run; });
    if (flying != flights_.end()) {
      AnswerFlight(*flying, cause, effects);
      if ((*flying)->remaining == 0) {
        flights_.erase(flying);
      } else {
        StopFlight(**flying, cause, effects);
      }
    }
  }
  Apply(std::move(effects));
}

bool Deployment::SharesFate(const Flight& flight) const {
  if (!has_collectives_ || flight.answered || flight.run->retried()) return false;
  return std::any_of(flights_.begin(), flights_.end(), [&](const std::shared_ptr<Flight>& other) {
    return other.get() != &flight && other->replica == flight.replica && other->remaining > 0;
  });
}

bool Deployment::HasOlder(const Flight& flight) const {
  return std::any_of(flights_.begin(), flights_.end(), [&](const std::shared_ptr<Flight>& other) {
    return other->replica == flight.replica && other->sequence < flight.sequence && other->remaining > 0;
  });
}

void Deployment::RunAgain(const std::shared_ptr<Flight>& flight, Effects& effects) {
  if (flight->answered) return;
  if (state_ != DeploymentState::kReady && state_ != DeploymentState::kRestarting) {
    const absl::Status& cause = cause_.ok() ? flight->error : cause_;
    return AnswerFlight(flight, absl::UnavailableError(absl::StrCat("model '", name_, "' is gone: ", cause.message())),
                        effects);
  }
  const std::shared_ptr<Run>& run = flight->run;
  run->set_retried();
  model_metrics_.CountRetry();
  const auto place = std::find_if(queue_.begin(), queue_.end(), [&](const std::shared_ptr<Run>& other) {
    return other->number() > run->number();
  });
  queue_.insert(place, run);
  queue_bytes_ += run->bytes();
}

bool Deployment::AnyReplicaAvailable() const {
  return std::any_of(replicas_.begin(), replicas_.end(),
                     [](const ReplicaState& replica) { return replica.alive && !replica.retired; });
}

void Deployment::FailIfNothingIsLeft(const absl::Status& cause, Effects& effects) {
  if (AnyReplicaAvailable()) return;
  if (state_ == DeploymentState::kReady) {
    state_ = DeploymentState::kFailed;
    cause_ = cause;
  }
  AnswerQueue(cause, effects);
}

void Deployment::FailWorker(const WorkerRef& worker, const absl::Status& cause) {
  Effects effects;
  effects.cause = cause;
  {
    absl::MutexLock lock(&mutex_);
    const auto same = [&](const WorkerRef& other) {
      return other.name == worker.name && other.incarnation == worker.incarnation;
    };
    if (attempting_ && std::any_of(attempt_workers_.begin(), attempt_workers_.end(), same)) {
      effects.cancellations.emplace_back(attempt_, cause);
    }
    // The news may come after a peer's complaint has ended the epoch, and before a new one is tried.
    if (state_ == DeploymentState::kRestarting && !attempting_ &&
        std::any_of(restart_workers_.begin(), restart_workers_.end(), same)) {
      state_ = DeploymentState::kFailed;
      cause_ = cause;
      AnswerQueue(cause, effects);
    }
    bool concerned = false;
    for (ReplicaState& replica : replicas_) {
      if (!replica.alive || !Uses(*replica.replica, worker)) continue;
      concerned = true;
      replica.alive = false;
      for (const ReplicaMember& member : replica.replica->members) {
        if (!same(member.worker)) effects.releases.push_back(member);
      }
    }
    // Not only those of living replicas: a run that failed a moment ago may wait for just this news.
    for (auto it = flights_.begin(); it != flights_.end();) {
      const std::shared_ptr<Flight>& flight = *it;
      if (!Uses(*flight->replica, worker)) {
        ++it;
        continue;
      }
      AnswerFlight(flight, cause, effects);
      effects.cancellations.emplace_back(flight->cancellation, cause);
      it = flight->remaining == 0 ? flights_.erase(it) : std::next(it);
    }
    if (concerned) FailIfNothingIsLeft(cause, effects);
  }
  Apply(std::move(effects));
}

void Deployment::RetireWorker(const WorkerRef& worker, const absl::Status& cause) {
  Effects effects;
  {
    absl::MutexLock lock(&mutex_);
    const bool bringing_up = std::any_of(attempt_workers_.begin(), attempt_workers_.end(), [&](const WorkerRef& other) {
      return other.name == worker.name && other.incarnation == worker.incarnation;
    });
    if (attempting_ && bringing_up) effects.cancellations.emplace_back(attempt_, cause);
    bool concerned = false;
    for (ReplicaState& replica : replicas_) {
      if (!Uses(*replica.replica, worker)) continue;
      concerned = true;
      replica.retired = true;
    }
    if (concerned) FailIfNothingIsLeft(cause, effects);
  }
  Apply(std::move(effects));
}

void Deployment::Tick() {
  Effects effects;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_->Now();
    const absl::Status late = absl::DeadlineExceededError(absl::StrCat("deadline passed in model '", name_, "'"));
    for (auto it = queue_.begin(); it != queue_.end();) {
      if ((*it)->deadline() > now) {
        ++it;
        continue;
      }
      queue_bytes_ -= (*it)->bytes();
      effects.answers.emplace_back(std::move(*it), Annotate(late, "waiting in the queue"));
      it = queue_.erase(it);
    }
    for (auto it = flights_.begin(); it != flights_.end();) {
      const std::shared_ptr<Flight>& flight = *it;
      if (flight->answer_at <= now) AnswerFlight(flight, flight->error, effects);
      if (!flight->answered && flight->run->deadline() <= now) {
        AnswerFlight(flight, Annotate(late, "running"), effects);
        StopFlight(*flight, late, effects);
      }
      if (flight->abort_at <= now && HasOlder(*flight)) flight->abort_at = now + options_.abort_grace;
      if (flight->abort_at <= now) {
        effects.cancellations.emplace_back(flight->cancellation, flight->abort_cause);
        flight->abort_at = absl::InfiniteFuture();
      }
      it = flight->answered && flight->remaining == 0 ? flights_.erase(it) : std::next(it);
    }
  }
  Apply(std::move(effects));
}

absl::Status Deployment::BeginUnload() {
  Effects effects;
  {
    absl::MutexLock lock(&mutex_);
    if (state_ == DeploymentState::kLoading || state_ == DeploymentState::kUnloading) {
      return absl::FailedPreconditionError(absl::StrCat(
          "model '", name_, "' is being ", state_ == DeploymentState::kLoading ? "loaded" : "unloaded", " by another"));
    }
    const bool runs_can_end = state_ == DeploymentState::kReady;
    state_ = DeploymentState::kUnloading;
    const absl::Status cause = absl::UnavailableError(absl::StrCat("model '", name_, "' is being unloaded"));
    if (attempting_) effects.cancellations.emplace_back(attempt_, cause);
    if (!runs_can_end) AnswerQueue(cause, effects);
  }
  Apply(std::move(effects));
  return absl::OkStatus();
}

bool Deployment::WaitDrained(absl::Time deadline) const {
  const auto drained = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return queue_.empty() && flights_.empty() && callbacks_ == 0 && !attempting_;
  };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithDeadline(absl::Condition(&drained), deadline);
}

std::vector<ReplicaMember> Deployment::Close(const absl::Status& cause) {
  Effects effects;
  std::vector<ReplicaMember> members;
  {
    absl::MutexLock lock(&mutex_);
    state_ = DeploymentState::kUnloading;
    AnswerQueue(cause, effects);
    for (const std::shared_ptr<Flight>& flight : flights_) {
      AnswerFlight(flight, cause, effects);
      effects.cancellations.emplace_back(flight->cancellation, cause);
    }
    if (attempting_) effects.cancellations.emplace_back(attempt_, cause);
    for (const ReplicaState& replica : replicas_) {
      if (!replica.alive) continue;
      members.insert(members.end(), replica.replica->members.begin(), replica.replica->members.end());
    }
    replicas_.clear();
  }
  Apply(std::move(effects));
  return members;
}

}  // namespace omserve
