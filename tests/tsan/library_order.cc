// In builds for ThreadSanitizer only: shows it what abseil and gRPC order. Debian's are not instrumented, so that it
// would take all that an absl::Mutex guards, and all that is handed from thread to thread through gRPC, for unordered.
// The functions here stand before the libraries' own (for calls between the libraries, too), call them, and tell what
// they order. Functions that neither our code nor gRPC calls (those of readers, LockWhen) are not among them.
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

struct grpc_cq_completion;

namespace {

// The library's own function of this name.
template <typename Function>
Function* Next(const char* name) {
  void* const found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) {
    std::fprintf(stderr, "%s: no library has the function %s: they are other versions than this file was written for\n", __FILE__,
                 name);
    std::abort();
  }
  return reinterpret_cast<Function*>(found);
}

// A condition that is looked at with the mutex held, by whichever thread lets the mutex go.
struct HeldCondition {
  absl::Mutex* mutex;
  const absl::Condition* condition;

  // The waiting thread wrote the members, which only abseil's queue of waiters orders.
  __attribute__((no_sanitize("thread"))) bool Holds() const {
    __tsan_acquire(mutex);
    const bool holds = condition->Eval();
    __tsan_release(mutex);
    return holds;
  }
};

// Calls wait(), which lets the mutex go and comes back with it.
template <typename Wait>
auto WaitOn(absl::Mutex* mutex, const Wait& wait) {
  __tsan_release(mutex);
  struct AtReturn {
    absl::Mutex* mutex;
    ~AtReturn() { __tsan_acquire(mutex); }
  } const at_return{mutex};
  return wait();
}

// Calls wait(condition), which does so, too, until the condition holds.
template <typename Wait>
auto WaitFor(absl::Mutex* mutex, const absl::Condition& condition, const Wait& wait) {
  const HeldCondition held = {mutex, &condition};
  return WaitOn(mutex, [&] { return wait(absl::Condition(&held, &HeldCondition::Holds)); });
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

// ---- Mutex: what was done before it was let go is seen by who takes it next
void Mutex::Lock() {
  static const auto next = Next<void(Mutex*)>("_ZN4absl7debian35Mutex4LockEv");
  next(this);
  __tsan_acquire(this);
}

bool Mutex::TryLock() {
  static const auto next = Next<bool(Mutex*)>("_ZN4absl7debian35Mutex7TryLockEv");
  const bool locked = next(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::Unlock() {
  static const auto next = Next<void(Mutex*)>("_ZN4absl7debian35Mutex6UnlockEv");
  __tsan_release(this);
  next(this);
}

void Mutex::Await(const Condition& condition) {
  static const auto next = Next<void(Mutex*, const Condition&)>("_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE");
  WaitFor(this, condition, [&](const Condition& held) { next(this, held); });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static const auto next = Next<bool(Mutex*, const Condition&, Duration)>(
      "_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return WaitFor(this, condition, [&](const Condition& held) { return next(this, held, timeout); });
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static const auto next = Next<bool(Mutex*, const Condition&, Time)>(
      "_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return WaitFor(this, condition, [&](const Condition& held) { return next(this, held, deadline); });
}

// ---- CondVar (gRPC's)
void CondVar::Wait(Mutex* mutex) {
  static const auto next = Next<void(CondVar*, Mutex*)>("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  WaitOn(mutex, [&] { next(this, mutex); });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto next = Next<bool(CondVar*, Mutex*, Duration)>(
      "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  return WaitOn(mutex, [&] { return next(this, mutex, timeout); });
}

// ---- Notification: its flag, which HasBeenNotified reads in our own code, stands for it
void Notification::Notify() {
  static const auto next = Next<void(Notification*)>("_ZN4absl7debian312Notification6NotifyEv");
  __tsan_release(&notified_yet_);
  next(this);
}

void Notification::WaitForNotification() const {
  static const auto next = Next<void(const Notification*)>("_ZNK4absl7debian312Notification19WaitForNotificationEv");
  next(this);
  __tsan_acquire(const_cast<std::atomic<bool>*>(&notified_yet_));
}

ABSL_NAMESPACE_END
}  // namespace absl

// ---- gRPC's operations: what was done before one began is seen at its end, and what was done before its end is seen
// by who takes it from the queue. (Those with callbacks call them within their end, or hand them on under a mutex.)
bool grpc_cq_begin_op(grpc_completion_queue* queue, void* tag) {
  static const auto next = Next<bool(grpc_completion_queue*, void*)>("_Z16grpc_cq_begin_opP21grpc_completion_queuePv");
  if (tag != nullptr) __tsan_release(tag);
  return next(queue, tag);
}

void grpc_cq_end_op(grpc_completion_queue* queue, void* tag, absl::Status error, void (*done)(void*, grpc_cq_completion*),
                    void* done_argument, grpc_cq_completion* storage, bool internal) {
  static const auto next = Next<void(grpc_completion_queue*, void*, absl::Status, void (*)(void*, grpc_cq_completion*), void*,
                                     grpc_cq_completion*, bool)>(
      "_Z14grpc_cq_end_opP21grpc_completion_queuePvN4absl7debian36StatusEPFvS1_P18grpc_cq_completionES1_S6_b");
  if (tag != nullptr) {
    __tsan_acquire(tag);
    __tsan_release(tag);
  }
  next(queue, tag, std::move(error), done, done_argument, storage, internal);
}

extern "C" grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline, void* reserved) {
  static const auto next = Next<grpc_event(grpc_completion_queue*, gpr_timespec, void*)>("grpc_completion_queue_next");
  const grpc_event event = next(queue, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE && event.tag != nullptr) __tsan_acquire(event.tag);
  return event;
}

extern "C" grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag, gpr_timespec deadline, void* reserved) {
  static const auto next =
      Next<grpc_event(grpc_completion_queue*, void*, gpr_timespec, void*)>("grpc_completion_queue_pluck");
  const grpc_event event = next(queue, tag, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE && event.tag != nullptr) __tsan_acquire(event.tag);
  return event;
}
