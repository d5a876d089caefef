#include "core/comm/wait.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// std::atomic::wait has no time limit, so the futex is called directly.
void FutexWait(std::atomic<uint32_t>* word, uint32_t expected, absl::Duration limit) {
  static_assert(sizeof(*word) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);
  const timespec time = absl::ToTimespec(limit);
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &time, nullptr, 0);
}

void FutexWakeAll(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Between two looks at the clock lie a few microseconds, unless the thread was not running.
constexpr std::chrono::microseconds kLostCore{50};

// Cores that this process may use, which in a container can be fewer than the machine has.
int UsableCores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace

absl::Status EpochGuard::Check(const WaitLimit& limit, absl::FunctionRef<std::string()> waiting_for) {
  if (absl::Status failed = status(); !failed.ok()) return failed;
  // The description costs more than the rest, so it is made only when it is needed.
  if (!limit.cancelled() && (limit.deadline == absl::InfiniteFuture() || absl::Now() < limit.deadline)) {
    return absl::OkStatus();
  }
  absl::Status ended = limit.Check(waiting_for());
  return ended.ok() ? ended : Fail(std::move(ended));
}

absl::Status EpochGuard::Fail(absl::Status cause) {
  failure_.Cancel(std::move(cause));
  return status();
}

absl::Status EpochGuard::status() const {
  if (epoch_ && epoch_->cancelled()) return epoch_->status();
  return failure_.cancelled() ? failure_.status() : absl::OkStatus();
}

std::string CallScope::ToString() const {
  return absl::StrCat(operation, " of group \"", *group, "\" on rank ", rank);
}

absl::Status CallScope::Check(int awaited_rank) const {
  return guard->Check(*limit, [&] { return absl::StrCat("rank ", awaited_rank, " in ", ToString()); });
}

absl::Status CallScope::Fail(const absl::Status& cause) const {
  return guard->Fail(Annotate(cause, ToString()));
}

std::chrono::nanoseconds SpinBudget(int threads) {
  static const int cores = UsableCores();
  return threads <= cores ? std::chrono::microseconds(100) : std::chrono::microseconds(10);
}

bool Spinner::Next() {
  Pause();
  // The clock costs as much as several pauses, and the first moments matter most.
  if (++turns_ % 32 != 0) return true;
  const auto now = std::chrono::steady_clock::now();
  if (turns_ == 32) begin_ = last_ = now;
  const bool lost_core = now - last_ > kLostCore;
  last_ = now;
  return now - begin_ < budget_ && !lost_core;
}

void Signal::Advance() {
  // Sequentially consistent with Await: either the sleeper's check of the value sees this store, or this load
  // sees the sleeper.
  value_.fetch_add(1);
  if (sleepers_.load() != 0) FutexWakeAll(&value_);
}

absl::Status Signal::Await(uint32_t target, const CallScope& scope, int awaited_rank) {
  for (Spinner spinner(scope.spin); !reached(target);) {
    if (scope.interrupted() || !spinner.Next()) break;
  }
  while (!reached(target)) {
    if (absl::Status ended = scope.Check(awaited_rank); !ended.ok()) return ended;
    const absl::Duration left = scope.limit->deadline - absl::Now();
    sleepers_.fetch_add(1);
    const uint32_t seen = value_.load();
    if (static_cast<int32_t>(seen - target) < 0) {
      FutexWait(&value_, seen, std::clamp(left, absl::Microseconds(1), absl::FromChrono(kLongestSleep)));
    }
    sleepers_.fetch_sub(1);
  }
  return absl::OkStatus();
}

}  // namespace omserve
