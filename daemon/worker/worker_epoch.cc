#include "daemon/worker/worker_epoch.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "daemon/base/parallel.h"

namespace omserve {
namespace {

// How far ahead of its turn a run may come: coordinators have only a few runs in flight.
constexpr uint64_t kMaxEarlyRuns = 1024;

}  // namespace

WorkerEpoch::WorkerEpoch(EpochId id, std::vector<SliceAssignment> slices,
                         std::vector<std::unique_ptr<DeviceMemoryLedger::Reservation>> memory,
                         const WorkerParts* parts, absl::Span<Device* const> devices)
    : id_(std::move(id)),
      slices_(std::move(slices)),
      parts_(parts),
      devices_(devices.begin(), devices.end()),
      memory_(std::move(memory)) {
  for (const SliceAssignment& slice : slices_) awaited_.insert(slice.digest);
}

WorkerEpoch::~WorkerEpoch() = default;

bool WorkerEpoch::Awaits(absl::string_view digest) const {
  absl::MutexLock lock(&mutex_);
  return state_ == State::kPrepared && awaited_.count(std::string(digest)) > 0;
}

void WorkerEpoch::Offer(const std::string& digest, const Buffer& content) {
  absl::MutexLock lock(&mutex_);
  if (state_ == State::kPrepared && awaited_.erase(digest) > 0) contents_[digest] = content;
}

absl::Status WorkerEpoch::Enter(State state) {
  absl::MutexLock lock(&mutex_);
  if (state_ == state) {
    ++active_;
    return absl::OkStatus();
  }
  if (state_ == State::kShutDown) return cancellation_.status();
  return absl::FailedPreconditionError(
      absl::StrCat(ToString(id_), " is not in the state for this step (prepare, push, compile, connect, execute)"));
}

void WorkerEpoch::Leave() {
  absl::MutexLock lock(&mutex_);
  --active_;
}

absl::Status WorkerEpoch::CompileSlice(size_t index, CollectiveBackend* backend) {
  const SliceAssignment& slice = slices_[index];
  Buffer content;
  {
    absl::MutexLock lock(&mutex_);
    content = contents_.at(slice.digest);
  }
  ASSIGN_OR_RETURN_WITH(Graph graph, parts_->read_slice(std::move(content)), absl::StrCat("slice ", slice.rank));
  ASSIGN_OR_RETURN_WITH(runners_[index], parts_->make_runner(*devices_[slice.device], graph, backend),
                        absl::StrCat("slice ", slice.rank));
  num_inputs_[index] = static_cast<int>(graph.inputs().size());
  num_outputs_[index] = static_cast<int>(graph.outputs().size());
  // Weights that are used in place count by the size of the submodel they are mapped from.
  const uint64_t weights = std::max<uint64_t>(runners_[index]->weight_bytes(), slice.size);
  return memory_[index]->Resize(weights + runners_[index]->arena_bytes());
}

absl::StatusOr<CompileReply> WorkerEpoch::Compile(const CompileCall& call, const CallContext& context) {
  RETURN_IF_ERROR(Enter(State::kPrepared));
  absl::Cleanup leave = [this] { Leave(); };
  {
    absl::MutexLock lock(&mutex_);
    if (!awaited_.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat(ToString(id_), ": submodel ", *awaited_.begin(), " has not been pushed"));
    }
  }
  for (const SliceAssignment& slice : slices_) {
    if (slice.rank >= static_cast<int>(call.world.process_of.size()) ||
        call.world.process_of[slice.rank] != call.process) {
      return absl::InvalidArgumentError(
          absl::StrCat(ToString(id_), ": rank ", slice.rank, " is prepared here but placed elsewhere"));
    }
  }
  runners_.clear();
  hub_.reset();
  if (!call.world.groups.empty()) {
    ASSIGN_OR_RETURN(hub_, parts_->make_hub(call.world, call.process, &cancellation_));
  }
  runners_.resize(slices_.size());
  num_inputs_.resize(slices_.size());
  num_outputs_.resize(slices_.size());
  // At once, because preparing weights is what a load spends its time on.
  RETURN_IF_ERROR(ParallelForEach(static_cast<int>(slices_.size()), [&](int i) -> absl::Status {
    WaitLimit limit = context.limit();
    limit.epoch = &cancellation_;
    RETURN_IF_ERROR(limit.Check("compilation"));
    return CompileSlice(i, hub_ == nullptr ? nullptr : hub_->backend(slices_[i].rank));
  }));
  CompileReply reply;
  for (size_t i = 0; i < slices_.size(); ++i) {
    reply.slices.push_back({slices_[i].rank, runners_[i]->weight_bytes(), runners_[i]->arena_bytes()});
  }
  if (hub_ != nullptr) reply.addresses = hub_->local_addresses();
  absl::MutexLock lock(&mutex_);
  contents_.clear();
  if (state_ == State::kPrepared) state_ = State::kCompiled;
  return reply;
}

absl::Status WorkerEpoch::Connect(const ConnectCall& call, const CallContext& context) {
  RETURN_IF_ERROR(Enter(State::kCompiled));
  absl::Cleanup leave = [this] { Leave(); };
  if (hub_ != nullptr) {
    WaitLimit limit = context.limit();
    limit.epoch = &cancellation_;
    RETURN_IF_ERROR(hub_->Connect(call.addresses, limit));
  }
  absl::MutexLock lock(&mutex_);
  if (state_ == State::kCompiled) state_ = State::kReady;
  return absl::OkStatus();
}

// One run on its way through the slices; lives until the last of them is done.
class WorkerEpoch::Execution {
 public:
  Execution(std::shared_ptr<WorkerEpoch> epoch, ExecuteCall call, CallContext context, WorkerLink::ExecuteDone done)
      : epoch_(std::move(epoch)),
        inputs_(call.slices.size()),
        slices_(std::move(call.slices)),
        context_(std::move(context)),
        done_(std::move(done)),
        remaining_(slices_.size()),
        reply_(slices_.size()) {
    if (context_.cancellation == nullptr) context_.cancellation = std::make_shared<Cancellation>();
    for (size_t i = 0; i < slices_.size(); ++i) {
      for (int input : slices_[i].inputs) inputs_[i].push_back(call.inputs[input]);
    }
  }

  size_t num_slices() const { return slices_.size(); }
  std::vector<Tensor> TakeInputs(size_t index) { return std::move(inputs_[index]); }

  // For a run that was never started.
  void Refuse(const absl::Status& cause) {
    inputs_.clear();
    for (size_t i = 0; i < slices_.size(); ++i) SliceDone(i, cause);
  }

  WaitLimit limit() const {
    WaitLimit limit = context_.limit();
    limit.epoch = &epoch_->cancellation_;
    return limit;
  }

  void SliceDone(size_t index, absl::StatusOr<std::vector<Tensor>> result) {
    const int expected = epoch_->num_outputs_[index];
    if (result.ok() && static_cast<int>(result->size()) != expected) {
      result = absl::InternalError(absl::StrCat("gave ", result->size(), " outputs instead of ", expected));
    }
    if (!result.ok()) {
      // What ended the epoch names its rank already.
      absl::Status error = result.status() == epoch_->cancellation_.status()
                               ? result.status()
                               : Annotate(result.status(), absl::StrCat("rank ", slices_[index].rank));
      {
        absl::MutexLock lock(&mutex_);
        first_error_.Update(error);
      }
      // This rank starts no later run: its messages would meet those of the run that its peers are still in.
      if (epoch_->hub_ != nullptr) epoch_->cancellation_.Cancel(error);
      context_.cancellation->Cancel(std::move(error));
    }
    bool last;
    {
      absl::MutexLock lock(&mutex_);
      if (result.ok()) {
        reply_[index].rank = slices_[index].rank;
        for (int output : slices_[index].outputs) reply_[index].outputs.push_back(std::move((*result)[output]));
      }
      last = --remaining_ == 0;
    }
    if (last) Finish();
  }

 private:
  void Finish() {
    absl::StatusOr<ExecuteReply> result;
    {
      absl::MutexLock lock(&mutex_);
      if (first_error_.ok()) {
        result = std::move(reply_);
      } else {
        result = first_error_;
      }
    }
    done_(std::move(result));
    epoch_->Leave();
  }

  const std::shared_ptr<WorkerEpoch> epoch_;
  std::vector<std::vector<Tensor>> inputs_;  // by slice, until submitted
  const std::vector<SliceInputs> slices_;
  CallContext context_;
  const WorkerLink::ExecuteDone done_;
  absl::Mutex mutex_;
  size_t remaining_ ABSL_GUARDED_BY(mutex_);
  ExecuteReply reply_ ABSL_GUARDED_BY(mutex_);
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
};

absl::Status WorkerEpoch::CheckExecute(const ExecuteCall& call) const {
  const auto invalid = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(ToString(id_), ": ", what...));
  };
  if (call.slices.size() != slices_.size()) {
    return invalid("a run of ", call.slices.size(), " slices; this worker holds ", slices_.size());
  }
  for (size_t i = 0; i < slices_.size(); ++i) {
    const SliceInputs& slice = call.slices[i];
    if (slice.rank != slices_[i].rank) {
      return invalid("slice ", i, " of the run has rank ", slice.rank, "; prepared was ", slices_[i].rank);
    }
    if (static_cast<int>(slice.inputs.size()) != num_inputs_[i]) {
      return invalid("rank ", slice.rank, " takes ", num_inputs_[i], " inputs, given are ", slice.inputs.size());
    }
    for (int input : slice.inputs) {
      if (input < 0 || input >= static_cast<int>(call.inputs.size())) return invalid("there is no input ", input);
    }
    std::vector<bool> wanted(num_outputs_[i]);
    for (int output : slice.outputs) {
      if (output < 0 || output >= num_outputs_[i] || wanted[output]) {
        return invalid("rank ", slice.rank, " has no output ", output, ", or it is asked for twice");
      }
      wanted[output] = true;
    }
  }
  return absl::OkStatus();
}

void WorkerEpoch::Execute(ExecuteCall call, CallContext context, WorkerLink::ExecuteDone done) {
  if (absl::Status status = Enter(State::kReady); !status.ok()) return done(std::move(status));
  if (absl::Status status = CheckExecute(call); !status.ok()) {
    done(std::move(status));
    return Leave();
  }
  const uint64_t sequence = call.sequence;
  auto execution =
      std::make_shared<Execution>(shared_from_this(), std::move(call), std::move(context), std::move(done));
  absl::Status refusal;
  {
    absl::MutexLock lock(&submit_mutex_);
    if (closed_) {
      refusal = cancellation_.status();
    } else if (sequence == 0) {
      Submit(execution);
    } else if (sequence < next_sequence_ || sequence - next_sequence_ >= kMaxEarlyRuns ||
               !early_.emplace(sequence, execution).second) {
      refusal = absl::InvalidArgumentError(
          absl::StrCat(ToString(id_), ": run number ", sequence, " where ", next_sequence_, " is next"));
    }
    for (auto next = early_.find(next_sequence_); next != early_.end(); next = early_.find(next_sequence_)) {
      Submit(next->second);
      early_.erase(next);
      ++next_sequence_;
    }
  }
  if (!refusal.ok()) execution->Refuse(refusal);
}

void WorkerEpoch::Submit(const std::shared_ptr<Execution>& execution) {
  for (size_t i = 0; i < execution->num_slices(); ++i) {
    runners_[i]->Submit(execution->TakeInputs(i), execution->limit(),
                        [execution, i](absl::StatusOr<std::vector<Tensor>> result) {
                          execution->SliceDone(i, std::move(result));
                        });
  }
}

void WorkerEpoch::Shutdown(absl::Status cause) {
  // First, so that whoever finds the epoch shut down finds the cause as well.
  cancellation_.Cancel(cause.ok() ? absl::CancelledError("released") : std::move(cause));
  std::map<uint64_t, std::shared_ptr<Execution>> early;
  {
    absl::MutexLock lock(&submit_mutex_);
    closed_ = true;
    early.swap(early_);
  }
  for (const auto& [sequence, execution] : early) execution->Refuse(cancellation_.status());
  {
    absl::MutexLock lock(&mutex_);
    if (state_ == State::kShutDown) {
      mutex_.Await(absl::Condition(&freed_));
      return;
    }
    state_ = State::kShutDown;
    const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return active_ == 0; };
    mutex_.Await(absl::Condition(&idle));
    contents_.clear();
  }
  runners_.clear();
  hub_.reset();
  memory_.clear();
  absl::MutexLock lock(&mutex_);
  freed_ = true;
}

}  // namespace omserve
