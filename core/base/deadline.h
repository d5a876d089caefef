// Deadline and Cancellation: the two ways out of every wait (docs/design.md, law 6).
#ifndef OMSERVE_CORE_BASE_DEADLINE_H_
#define OMSERVE_CORE_BASE_DEADLINE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace omserve {

// Tells the time. Injected wherever a decision depends on it; tests use a simulated one.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
  static const Clock* Real();
};

// A cause, set once, that ends every wait which looks at it. Thread-safe. Shared by all that take part in one
// piece of work (a run, an epoch); the first cause wins and is what every waiter returns.
class Cancellation {
 public:
  // Records `cause` (must not be OK) if none was set and runs the callbacks. Returns true if this call set it.
  bool Cancel(absl::Status cause);
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }
  // OK while not cancelled, else the first cause.
  absl::Status status() const;
  // Runs `callback` when cancelled, at once if it already is. Returns an id for Remove.
  int64_t OnCancel(std::function<void()> callback);
  // After it returns, the callback is not running and will not run. Not to be called from the callback.
  void Remove(int64_t id);

 private:
  std::atomic<bool> cancelled_{false};
  mutable absl::Mutex mutex_;
  absl::Status cause_ ABSL_GUARDED_BY(mutex_);
  int64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::vector<std::pair<int64_t, std::function<void()>>> callbacks_ ABSL_GUARDED_BY(mutex_);
};

// What a wait is bounded by: an absolute time and, if any, cancellations (of the run, of the epoch). A value.
struct WaitLimit {
  absl::Time deadline = absl::InfiniteFuture();
  const Cancellation* run = nullptr;
  const Cancellation* epoch = nullptr;

  // OK, the first cause of a cancellation, or DEADLINE_EXCEEDED saying what was waited for.
  absl::Status Check(absl::string_view waiting_for) const;
  // As Check, without looking at the clock: cheap enough for a spin loop.
  bool cancelled() const { return (run && run->cancelled()) || (epoch && epoch->cancelled()); }
};

}  // namespace omserve

#endif  // OMSERVE_CORE_BASE_DEADLINE_H_
