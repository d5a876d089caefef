// A worker that does what a test says, and a clock likewise.
#ifndef OMSERVE_DAEMON_TESTING_FAKE_LINK_H_
#define OMSERVE_DAEMON_TESTING_FAKE_LINK_H_

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "core/base/deadline.h"
#include "daemon/protocol/worker_link.h"

namespace omserve {

// Thread-safe.
class SimulatedClock : public Clock {
 public:
  absl::Time Now() const override {
    absl::MutexLock lock(&mutex_);
    return now_;
  }
  void Advance(absl::Duration duration) {
    absl::MutexLock lock(&mutex_);
    now_ += duration;
  }

 private:
  mutable absl::Mutex mutex_;
  // Not far from the real time, because calls carry deadlines that others compare with that.
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::Now();
};

// Thread-safe. Steps of a load succeed at once, unless told otherwise; warm-up runs too. Other runs wait for the test.
class FakeLink : public WorkerLink {
 public:
  struct PendingRun {
    ExecuteCall call;
    CallContext context;
    ExecuteDone done;

    void Answer(absl::StatusOr<ExecuteReply> reply) const { done(std::move(reply)); }
    // Each slice gives its first input for each output asked.
    void AnswerOk() const {
      ExecuteReply reply;
      for (const SliceInputs& slice : call.slices) {
        reply.push_back({slice.rank, std::vector<Tensor>(slice.outputs.size(), call.inputs.at(slice.inputs.at(0)))});
      }
      Answer(std::move(reply));
    }
  };

  absl::StatusOr<std::vector<std::string>> Prepare(const PrepareCall& call, const CallContext&) override {
    absl::MutexLock lock(&mutex_);
    Note("prepare", call.id);
    if (!prepare_.ok()) return prepare_;
    std::vector<std::string> missing;
    for (const SliceAssignment& slice : call.slices) {
      slices_[{call.id.epoch, call.id.replica}].push_back(slice.rank);
      if (stored_.count(slice.digest) == 0) missing.push_back(slice.digest);
    }
    return missing;
  }
  absl::StatusOr<uint64_t> Push(const std::string& digest, const Buffer& content, const BytesSent& sent,
                                const CallContext&) override {
    {
      absl::MutexLock lock(&mutex_);
      stored_.insert(digest);
    }
    if (sent) sent(content.size());
    return content.size();
  }
  absl::StatusOr<CompileReply> Compile(const CompileCall& call, const CallContext&) override {
    absl::MutexLock lock(&mutex_);
    Note("compile", call.id);
    worlds.push_back(call);
    CompileReply reply;
    for (int rank : slices_[{call.id.epoch, call.id.replica}]) {
      reply.slices.push_back({rank, 10, 1});
      reply.addresses[rank] = absl::StrCat("address ", rank);
    }
    return reply;
  }
  absl::Status Connect(const ConnectCall& call, const CallContext& context) override {
    absl::MutexLock lock(&mutex_);
    Note("connect", call.id);
    connects.push_back(call);
    if (block_connect_) {
      // As a worker whose peer does not come.
      while (context.limit().Check("a peer").ok()) {
        mutex_.Unlock();
        std::this_thread::yield();
        mutex_.Lock();
      }
      return context.limit().Check("a peer");
    }
    return absl::OkStatus();
  }
  void Execute(ExecuteCall call, CallContext context, ExecuteDone done) override {
    PendingRun run{std::move(call), std::move(context), std::move(done)};
    if (run.call.request_id == "warmup") return run.AnswerOk();
    absl::MutexLock lock(&mutex_);
    runs_.push_back(std::move(run));
  }
  absl::Status Release(const ReleaseCall& call, const CallContext&) override {
    absl::MutexLock lock(&mutex_);
    Note("release", call.id);
    return absl::OkStatus();
  }

  void set_prepare(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    prepare_ = std::move(status);
  }
  void set_block_connect(bool block) {
    absl::MutexLock lock(&mutex_);
    block_connect_ = block;
  }
  // The next run given to this worker; waits for it.
  PendingRun TakeRun() {
    absl::MutexLock lock(&mutex_);
    const auto any = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !runs_.empty(); };
    mutex_.Await(absl::Condition(&any));
    PendingRun run = std::move(runs_.front());
    runs_.pop_front();
    return run;
  }
  void DropRuns() {
    std::deque<PendingRun> dropped;
    absl::MutexLock lock(&mutex_);
    runs_.swap(dropped);
  }
  size_t num_waiting() const {
    absl::MutexLock lock(&mutex_);
    return runs_.size();
  }
  std::vector<std::string> steps() const {
    absl::MutexLock lock(&mutex_);
    return steps_;
  }
  // Waits until this step was called.
  void AwaitStep(const std::string& step) {
    absl::MutexLock lock(&mutex_);
    const auto seen = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return std::find(steps_.begin(), steps_.end(), step) != steps_.end();
    };
    mutex_.Await(absl::Condition(&seen));
  }

  // Read when nothing is under way.
  std::vector<CompileCall> worlds;
  std::vector<ConnectCall> connects;

 private:
  void Note(absl::string_view step, const EpochId& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    steps_.push_back(absl::StrCat(step, " ", id.deployment, " ", id.epoch, "/", id.replica));
  }

  mutable absl::Mutex mutex_;
  absl::Status prepare_ ABSL_GUARDED_BY(mutex_);
  bool block_connect_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> stored_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<uint64_t, int>, std::vector<int>> slices_ ABSL_GUARDED_BY(mutex_);
  std::deque<PendingRun> runs_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> steps_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TESTING_FAKE_LINK_H_
