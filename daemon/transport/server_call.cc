#include "daemon/transport/server_call.h"

#include <chrono>
#include <utility>
#include <vector>

namespace omserve {
namespace {

constexpr absl::Duration kWatchEvery = absl::Milliseconds(50);

}  // namespace

absl::Time DeadlineOf(const grpc::ServerContextBase& context) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  return deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture()
                                                                  : absl::FromChrono(deadline);
}

absl::Status CancelCause(const grpc::ServerContextBase& context) {
  // The client's clock ends the call; ours may be a little behind.
  if (absl::Now() + absl::Milliseconds(20) >= DeadlineOf(context)) {
    return absl::DeadlineExceededError("the client's deadline passed");
  }
  return absl::CancelledError("cancelled by the client, or its connection broke");
}

BlockingCallWatch::BlockingCallWatch(const grpc::ServerContext* context,
                                     std::function<void(const LongCallProgress&)> send)
    : context_(context), send_(std::move(send)), thread_([this] { Watch(); }) {}

void BlockingCallWatch::Report(const LongCallProgress& progress) {
  absl::MutexLock lock(&mutex_);
  if (!reported_.empty() && reported_.back().phase == progress.phase) reported_.pop_back();
  reported_.push_back(progress);
}

bool BlockingCallWatch::SendReported() {
  std::vector<LongCallProgress> reported;
  bool stopping;
  {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kWatchEvery);
    reported.swap(reported_);
    stopping = stopping_;
  }
  for (const LongCallProgress& progress : reported) send_(progress);
  return !stopping;
}

void BlockingCallWatch::Watch() {
  while (SendReported()) {
    if (context_->IsCancelled()) cancellation_->Cancel(CancelCause(*context_));
  }
}

void BlockingCallWatch::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace omserve
