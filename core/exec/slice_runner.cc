#include "core/exec/slice_runner.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

struct QueuedRun {
  std::vector<Tensor> inputs;
  WaitLimit limit;
  SliceRunner::Done done;
};

class ThreadedSliceRunner : public SliceRunner {
 public:
  ThreadedSliceRunner(std::unique_ptr<Executable> executable, CollectiveBackend* backend)
      : executable_(std::move(executable)),
        backend_(backend),
        weight_bytes_(executable_->weight_bytes()),
        arena_bytes_(executable_->arena_bytes()),
        thread_(&ThreadedSliceRunner::Work, this) {
    pthread_setname_np(thread_.native_handle(), "slice-runner");
  }

  ~ThreadedSliceRunner() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void Submit(std::vector<Tensor> inputs, WaitLimit limit, Done done) override {
    {
      std::lock_guard lock(mutex_);
      queue_.push_back({std::move(inputs), limit, std::move(done)});
    }
    changed_.notify_one();
  }

  size_t weight_bytes() const override { return weight_bytes_; }
  size_t arena_bytes() const override { return arena_bytes_; }

 private:
  void Work() {
    for (;;) {
      QueuedRun run;
      bool stopping;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        run = std::move(queue_.front());
        queue_.pop_front();
        stopping = stopping_;
      }
      absl::StatusOr<std::vector<Tensor>> outputs =
          stopping ? absl::CancelledError("the slice was unloaded before the run could start") : RunOne(run);
      // Inputs may be slices of a received message: they go before the answer is on its way.
      run.inputs.clear();
      run.done(std::move(outputs));
    }
  }

  absl::StatusOr<std::vector<Tensor>> RunOne(const QueuedRun& run) {
    RETURN_IF_ERROR(run.limit.Check("the slice to be free"));
    return executable_->Run(run.inputs, RunContext{run.limit, backend_});
  }

  const std::unique_ptr<Executable> executable_;  // used by thread_ alone
  CollectiveBackend* const backend_;
  const size_t weight_bytes_;
  const size_t arena_bytes_;

  // Not absl's: packaged builds of it are not instrumented, so ThreadSanitizer would not know that it
  // protects.
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::deque<QueuedRun> queue_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SliceRunner>> SliceRunner::Create(Device& device, const Graph& slice,
                                                                 CollectiveBackend* backend) {
  if (backend == nullptr) {
    for (const int32_t id : slice.NodeIds()) {
      const Node& node = *slice.node(id);
      if (!absl::StartsWith(node.type(), "Hcom")) continue;
      return absl::InvalidArgumentError(absl::StrCat("node \"", node.name(), "\" (", node.type(),
                                                     ") of slice \"", slice.name(),
                                                     "\" needs a communicator, but none was given"));
    }
  }
  ASSIGN_OR_RETURN_WITH(std::unique_ptr<Executable> executable, device.Compile(slice),
                        absl::StrCat("compiling slice \"", slice.name(), "\" for ", device.info().kind, ":",
                                     device.info().ordinal));
  return std::make_unique<ThreadedSliceRunner>(std::move(executable), backend);
}

}  // namespace omserve
