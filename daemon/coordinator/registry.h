// Registry: which workers there are and which of them live. A worker lives while its session does: until the session
// is ended or, for leased ones, nothing was heard of it for a lease.
#ifndef OMSERVE_DAEMON_COORDINATOR_REGISTRY_H_
#define OMSERVE_DAEMON_COORDINATOR_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/base/deadline.h"
#include "daemon/protocol/worker_link.h"

namespace omserve {

// Pure: which sessions have been silent for longer than `lease`.
struct LeaseView {
  uint64_t session = 0;
  absl::Time last_heard;
};
std::vector<uint64_t> FindExpired(absl::Span<const LeaseView> leases, absl::Time now, absl::Duration lease);

struct RegistryOptions {
  std::string version;
  absl::Duration lease = absl::Seconds(3);
  absl::Duration heartbeat = absl::Milliseconds(500);
};

// How to call a worker, for as long as it is this incarnation.
struct WorkerRef {
  std::string name;
  std::string incarnation;
  std::shared_ptr<WorkerLink> link;
};

// A worker as others see it.
struct WorkerView {
  WorkerHello hello;  // with the memory use it last reported
  bool alive = false;
  bool leaving = false;  // it asked for no more work
  absl::Duration lease_age;
  absl::Status lost_cause;  // when not alive
  std::shared_ptr<WorkerLink> link;
};

// Thread-safe. Callbacks are called without its lock held.
class Registry {
 public:
  // Called when a worker is lost, once per session, with a cause that names it.
  using OnLost = std::function<void(const WorkerRef& worker, const absl::Status& cause)>;

  Registry(RegistryOptions options, const Clock* clock, OnLost on_lost);

  // Starts a session and returns its number. FAILED_PRECONDITION: another version (names both); ALREADY_EXISTS: a live
  // worker of another process has the name; INVALID_ARGUMENT: the name, or no devices. A live session of the same
  // process is ended first. `on_end` (may be null) hears when the registry ends the session by itself.
  absl::StatusOr<uint64_t> Register(WorkerHello hello, std::shared_ptr<WorkerLink> link, bool leased,
                                    std::function<void(absl::Status)> on_end);
  // A sign of life. NOT_FOUND when the session has ended.
  absl::Status Renew(uint64_t session, const std::vector<uint64_t>& memory_in_use);
  // The worker wants no more work; it lives until its session ends. Returns whom it concerns.
  absl::StatusOr<WorkerRef> MarkLeaving(uint64_t session);
  // The session is over, `why` being for people. Nothing happens when it has ended already.
  void End(uint64_t session, absl::string_view why);
  // Ends all sessions whose lease has passed. To be called several times per lease. When it was not called for long
  // (this process itself was stopped), leases are extended by the gap: silence says nothing then.
  void ExpireLeases();

  // All workers, lost ones included until another takes their name, in natural order of their names.
  std::vector<WorkerView> Workers() const;
  // OK while this incarnation of the worker lives, else why it does not.
  absl::Status CheckAlive(const WorkerRef& worker) const;
  const RegistryOptions& options() const { return options_; }

 private:
  struct Entry {
    WorkerHello hello;
    std::shared_ptr<WorkerLink> link;
    uint64_t session = 0;  // 0: lost
    bool leased = false;
    bool leaving = false;
    absl::Time last_heard;
    absl::Status lost_cause;
    std::function<void(absl::Status)> on_end;
  };
  struct NaturalOrder {
    bool operator()(const std::string& a, const std::string& b) const;
  };
  using Entries = std::map<std::string, Entry, NaturalOrder>;
  struct Loss {
    WorkerRef worker;
    absl::Status cause;
    std::function<void(absl::Status)> on_end;
  };

  Entries::iterator FindSession(uint64_t session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Loss Lose(Entry& entry, absl::string_view why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetOldLosses() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RegistryOptions options_;
  const Clock* const clock_;
  const OnLost on_lost_;

  mutable absl::Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_session_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::Time last_expiry_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_REGISTRY_H_
