// The waiting of comm/: what ends a wait, and how a thread waits for another one of its process.
#ifndef OMSERVE_CORE_COMM_WAIT_H_
#define OMSERVE_CORE_COMM_WAIT_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/deadline.h"

namespace omserve {

// The fate of one epoch as this process sees it. A collective that was left half-way leaves its group out of
// step, so the first failed wait of any rank ends all waits of all local ranks, now and later, with its
// cause. Only a new epoch (a new hub) starts afresh. Thread-safe.
class EpochGuard {
 public:
  // `epoch` may be null; it must outlive the guard.
  explicit EpochGuard(const Cancellation* epoch) : epoch_(epoch) {}

  // Cheap, for spin loops: true when Check would fail, deadlines aside.
  bool interrupted(const WaitLimit& limit) const {
    return (epoch_ && epoch_->cancelled()) || failure_.cancelled() || limit.cancelled();
  }
  // OK to go on waiting; else the cause: the epoch's, the first failure in this process, the run's, or the
  // deadline. An error is recorded for all ranks.
  absl::Status Check(const WaitLimit& limit, absl::FunctionRef<std::string()> waiting_for);
  // Records a failure; returns what came first.
  absl::Status Fail(absl::Status cause);
  // OK while nothing has failed.
  absl::Status status() const;

 private:
  const Cancellation* const epoch_;
  Cancellation failure_;
};

// One call of one rank: whom it is for, for messages, and what bounds it.
struct CallScope {
  EpochGuard* guard;
  const WaitLimit* limit;
  const char* operation;     // "all-reduce"
  const std::string* group;  // name
  int rank;                  // world rank of the caller
  std::chrono::nanoseconds spin;

  bool interrupted() const { return guard->interrupted(*limit); }
  // As EpochGuard::Check, naming the world rank that is awaited.
  absl::Status Check(int awaited_rank) const;
  // Fails the epoch with `cause`, saying which call it was.
  absl::Status Fail(const absl::Status& cause) const;
  std::string ToString() const;
};

// Longest sleep between two looks at the limit: how late a cancellation may be noticed.
inline constexpr std::chrono::milliseconds kLongestSleep{20};

// How long to spin before sleeping when `threads` of this process may wait at the same time. A sleep and its
// wake-up cost some 50 to 100 us on a virtual machine; spinning longer than that cannot pay. When there are
// more threads than cores, the awaited one may need the core of the one that spins.
std::chrono::nanoseconds SpinBudget(int threads);

// Spinning for a limited time: `for (Spinner s(budget); !ready();) if (!s.Next()) break;`
class Spinner {
 public:
  explicit Spinner(std::chrono::nanoseconds budget) : budget_(budget) {}
  // Pauses for a moment. False once the budget is used up, or when the thread lost its core meanwhile: then
  // others need it, and a sleeper gets a core sooner than one who spins. (So does one who yields: on a busy
  // machine that gives up the core for a whole round of everybody else.)
  bool Next();
  void Restart() { turns_ = 0; }

 private:
  const std::chrono::nanoseconds budget_;
  uint32_t turns_ = 0;
  std::chrono::steady_clock::time_point begin_, last_;
};

// A counter that one thread advances and others await. It lives in memory that outlasts all of them.
class alignas(64) Signal {
 public:
  uint32_t value() const { return value_.load(std::memory_order_acquire); }
  // Publishes all writes before it to those who see the new value.
  void Advance();
  // Waits until the counter has reached `target` (in modular order).
  absl::Status Await(uint32_t target, const CallScope& scope, int awaited_rank);

 private:
  bool reached(uint32_t target) const { return static_cast<int32_t>(value() - target) >= 0; }

  std::atomic<uint32_t> value_{0};
  std::atomic<uint32_t> sleepers_{0};
};

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_WAIT_H_
