// LeaseClient: a worker's tie to its coordinator: registers, sends heartbeats, comes back when the tie breaks.
#ifndef OMSERVE_DAEMON_TRANSPORT_LEASE_CLIENT_H_
#define OMSERVE_DAEMON_TRANSPORT_LEASE_CLIENT_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/telemetry/log.h"
#include "daemon/worker/worker_agent.h"
#include "grpcpp/channel.h"

namespace omserve {

struct LeaseClientOptions {
  std::string coordinator;  // address
  std::string address;      // where the coordinator calls this worker
  absl::Duration first_retry = absl::Milliseconds(100);
  absl::Duration last_retry = absl::Seconds(2);
  absl::Duration answer_timeout = absl::Seconds(5);  // until the coordinator has said how long a lease is
  // How long another worker's hold on the name is waited for: longer than a lease, because that is how long the name
  // of a worker that has just died may stay taken.
  absl::Duration name_patience = absl::Seconds(10);
};

class LeaseClient {
 public:
  // `agent` and `log` must outlive the client.
  LeaseClient(LeaseClientOptions options, WorkerAgent* agent, const Log* log);

  // Keeps the worker registered; blocks until it has left (OK) or the coordinator refuses it for good
  // (FAILED_PRECONDITION: another version; INVALID_ARGUMENT; ALREADY_EXISTS: the name). Whenever the tie breaks, all
  // epochs of the agent end: the coordinator takes them for lost as well. To be called once.
  absl::Status Run();

  // Makes Run end: no more runs are taken, those in flight may finish until `deadline`. Thread-safe.
  void Leave(absl::Time deadline);

 private:
  class Session;

  // Waits; true when it is time to leave.
  bool LeavingAfter(absl::Duration duration);

  const LeaseClientOptions options_;
  WorkerAgent* const agent_;
  const Log* const log_;
  const std::shared_ptr<grpc::Channel> channel_;

  absl::Mutex mutex_;
  bool leaving_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time leave_deadline_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_LEASE_CLIENT_H_
