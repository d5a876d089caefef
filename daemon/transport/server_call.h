// What every service method needs of its ServerContext: the deadline, and to hear when the client has left.
#ifndef OMSERVE_DAEMON_TRANSPORT_SERVER_CALL_H_
#define OMSERVE_DAEMON_TRANSPORT_SERVER_CALL_H_

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "core/base/deadline.h"
#include "daemon/coordinator/bring_up.h"
#include "grpcpp/server_context.h"

namespace omserve {

// InfiniteFuture when the client set none.
absl::Time DeadlineOf(const grpc::ServerContextBase& context);
// Why a call was cancelled: its deadline, or the client.
absl::Status CancelCause(const grpc::ServerContextBase& context);

// For a method that blocks: a thread beside it that cancels `cancellation()` when the client leaves, and sends the
// newest progress, so that a client that does not read stops nobody but itself.
class BlockingCallWatch {
 public:
  // `send` is called from the watch's thread, and not after Stop. `context` must outlive the watch.
  BlockingCallWatch(const grpc::ServerContext* context, std::function<void(const LongCallProgress&)> send);
  ~BlockingCallWatch() { Stop(); }

  const std::shared_ptr<Cancellation>& cancellation() const { return cancellation_; }
  // Thread-safe, never blocks. A newer report replaces one of the same phase that was not sent yet.
  void Report(const LongCallProgress& progress);
  // Sends what was reported, then ends the thread.
  void Stop();

 private:
  void Watch();
  bool SendReported();

  const grpc::ServerContext* const context_;
  const std::function<void(const LongCallProgress&)> send_;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
  absl::Mutex mutex_;
  std::vector<LongCallProgress> reported_ ABSL_GUARDED_BY(mutex_);  // one per phase
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_SERVER_CALL_H_
