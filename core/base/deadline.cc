#include "core/base/deadline.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace omserve {
namespace {

class RealClock : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

}  // namespace

const Clock* Clock::Real() {
  static const RealClock clock;
  return &clock;
}

bool Cancellation::Cancel(absl::Status cause) {
  absl::MutexLock lock(&mutex_);
  if (cancelled_.load(std::memory_order_relaxed)) return false;
  cause_ = std::move(cause);
  cancelled_.store(true, std::memory_order_release);
  // Under the lock, so that Remove can promise that the callback is not running.
  for (auto& [id, callback] : callbacks_) callback();
  callbacks_.clear();
  return true;
}

absl::Status Cancellation::status() const {
  absl::MutexLock lock(&mutex_);
  return cause_;
}

int64_t Cancellation::OnCancel(std::function<void()> callback) {
  absl::MutexLock lock(&mutex_);
  if (cancelled_.load(std::memory_order_relaxed)) {
    callback();
    return 0;
  }
  callbacks_.emplace_back(next_id_, std::move(callback));
  return next_id_++;
}

void Cancellation::Remove(int64_t id) {
  absl::MutexLock lock(&mutex_);
  callbacks_.erase(
      std::remove_if(callbacks_.begin(), callbacks_.end(), [id](const auto& entry) { return entry.first == id; }),
      callbacks_.end());
}

absl::Status WaitLimit::Check(absl::string_view waiting_for) const {
  if (epoch && epoch->cancelled()) return epoch->status();
  if (run && run->cancelled()) return run->status();
  if (deadline != absl::InfiniteFuture() && absl::Now() >= deadline) {
    return absl::DeadlineExceededError(absl::StrCat("deadline passed while waiting for ", waiting_for));
  }
  return absl::OkStatus();
}

}  // namespace omserve
