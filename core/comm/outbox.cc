#include "core/comm/outbox.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "absl/status/statusor.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// Between two looks at what is on its way. UCX wakes nobody when there is room in its queues again.
constexpr std::chrono::microseconds kShortestNap{20};
constexpr std::chrono::microseconds kLongestNap{500};

}  // namespace

Outbox::~Outbox() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

absl::Status Outbox::Send(int peer, MessageTag tag, const void* data, size_t bytes, const CallScope& scope) {
  if (!thread_.joinable()) {
    thread_ = std::thread(&Outbox::Work, this);
    pthread_setname_np(thread_.native_handle(), "outbox");
  }
  for (auto nap = kShortestNap; !worker_->StartBackgroundSend(peer, tag, data, bytes); nap = std::min(2 * nap, kLongestNap)) {
    RETURN_IF_ERROR(scope.Check(peer));
    std::this_thread::sleep_for(nap);  // the outbox' thread moves what is in the way
  }
  {
    std::lock_guard lock(mutex_);
    moving_ = true;
  }
  changed_.notify_all();
  return absl::OkStatus();
}

void Outbox::Work() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || moving_; });
      if (stopping_) return;
      moving_ = false;
    }
    if (!MoveAll()) return;
  }
}

bool Outbox::MoveAll() {
  std::chrono::microseconds nap = kShortestNap;
  for (;;) {
    const absl::StatusOr<bool> moved = worker_->AdvanceBackground();
    if (!moved.ok()) {
      worker_->Abandon(guard_->Fail(moved.status()));
      return false;
    }
    // Whoever meets the failed epoch in a call, or the hub at its end, abandons the worker.
    if (*moved || !guard_->status().ok()) return true;
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, nap, [&] { return stopping_; })) return true;
    nap = moving_ ? kShortestNap : std::min(2 * nap, kLongestNap);
    moving_ = false;
  }
}

}  // namespace omserve
