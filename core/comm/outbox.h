// Outbox: long messages of one rank to other processes. They are copied, and a thread of their own moves them along while
// the rank computes: so the stages of a pipeline overlap.
#ifndef OMSERVE_CORE_COMM_OUTBOX_H_
#define OMSERVE_CORE_COMM_OUTBOX_H_

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "core/comm/network.h"
#include "core/comm/wait.h"

namespace omserve {

// Used by one thread at a time. The thread is made by the first message.
class Outbox {
 public:
  // A shorter message costs less than waking another thread.
  static constexpr size_t kShortest = 64 << 10;

  // Both must outlive the outbox.
  Outbox(NetworkWorker* worker, EpochGuard* guard) : worker_(worker), guard_(guard) {}
  // What is still on its way is left to the worker.
  ~Outbox();
  Outbox(const Outbox&) = delete;

  // An error on the way fails the epoch. Waits as `scope` allows while NetworkWorker::kBackgroundSends are on their way;
  // once a message is copied, only the epoch ends it.
  absl::Status Send(int peer, MessageTag tag, const void* data, size_t bytes, const CallScope& scope);

 private:
  void Work();
  // False when it has failed, which is then known to the epoch.
  bool MoveAll();

  NetworkWorker* const worker_;
  EpochGuard* const guard_;

  // Not absl's: see SliceRunner.
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  bool moving_ = false;  // something may be on its way
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_OUTBOX_H_
