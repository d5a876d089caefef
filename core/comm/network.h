// Network: messages between ranks of different processes, over UCX (shared memory, TCP or RDMA, as UCX finds
// them).
#ifndef OMSERVE_CORE_COMM_NETWORK_H_
#define OMSERVE_CORE_COMM_NETWORK_H_

#include <ucp/api/ucp.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/comm/scratch.h"
#include "core/comm/wait.h"

namespace omserve {

// UCX as this process uses it. Shared by the workers of one hub, which it must outlive. Thread-safe.
class NetworkContext {
 public:
  // UNAVAILABLE with UCX's own words when no transport can be used. UCX_* variables of the environment are
  // obeyed.
  static absl::StatusOr<std::unique_ptr<NetworkContext>> Create();
  ~NetworkContext();
  NetworkContext(const NetworkContext&) = delete;

  ucp_context_h handle() const { return handle_; }

 private:
  explicit NetworkContext(ucp_context_h handle) : handle_(handle) {}
  const ucp_context_h handle_;
};

// What a message is matched by, besides its source and destination.
struct MessageTag {
  static constexpr size_t kMaxGroups = 1 << 15;
  static constexpr size_t kMaxRanks = 1 << 16;
  static constexpr int64_t kMaxTag = 0xffffffff;

  // Of messages that belong to no group: the hub's greetings, and farewells.
  static constexpr int kNoGroup = kMaxGroups - 1;
  static constexpr uint64_t kSourceMask = uint64_t{0xffff} << 32;

  bool point_to_point;
  int group;        // at most kNoGroup
  uint32_t number;  // the collective's number in its group, or the tag of a point-to-point message

  // `source`: world rank, below kMaxRanks.
  uint64_t Encode(int source) const {
    return static_cast<uint64_t>(point_to_point) << 63 | static_cast<uint64_t>(group) << 48 |
           static_cast<uint64_t>(source) << 32 | number;
  }
};

// One rank's end of the network, for one epoch: it is made and closed with its hub, so nothing of an older
// epoch can reach it. Used by one thread at a time, and by the one that moves what is sent in the background (Outbox):
// messages move only while a thread is inside a call.
//
// Memory handed to UCX may be touched by it until the operation is complete. Therefore no call leaves an
// operation on the caller's memory behind: it waits for all of them, or, when the wait is ended by an error, abandons the worker,
// which cancels what can be cancelled and then destroys UCX's worker; after that UCX has no thread, queue or
// registration left that could write to that memory. (With error handling on, as here, UCX moves data between
// processes of one machine through its own queues, copied out by the receiver, never by a peer's direct
// write.)
class NetworkWorker {
 public:
  static absl::StatusOr<std::unique_ptr<NetworkWorker>> Create(const NetworkContext& context, int rank,
                                                               std::atomic<uint64_t>* sent_bytes);
  // Closes what is still open: gently within a bounded time, so that peers get what was sent to them.
  ~NetworkWorker();
  NetworkWorker(const NetworkWorker&) = delete;

  int rank() const { return rank_; }
  const std::string& address() const { return address_; }

  // INVALID_ARGUMENT when `address` is not one of a NetworkWorker; UNAVAILABLE when no transport leads there.
  absl::Status AddPeer(int peer, const std::string& address);

  // Begins an operation with `peer` (a world rank that was added) and returns its index. Its error, if any,
  // is returned by the wait. Zero bytes are a message too.
  size_t StartSend(int peer, MessageTag tag, const void* data, size_t bytes);
  size_t StartReceive(int peer, MessageTag tag, void* data, size_t bytes);
  // Waits for one operation; it needs no other to be complete.
  absl::Status Wait(size_t operation, const CallScope& scope);
  // Waits for all, and starts counting anew.
  absl::Status WaitAll(const CallScope& scope);

  // Copies a message and begins to send it; the memory for that is kept for later ones. False when kBackgroundSends are
  // on their way already. Messages with the same peer and tag, sent this way or the other, arrive in the order begun.
  static constexpr int kBackgroundSends = 4;
  bool StartBackgroundSend(int peer, MessageTag tag, const void* data, size_t bytes);
  // Moves what is sent in the background; true when all of it is out. An error leaves the worker to be abandoned.
  absl::StatusOr<bool> AdvanceBackground();

  // For the owner of several workers: looks without waiting. True when all operations are complete (and
  // forgets them); an error leaves the worker abandoned.
  absl::StatusOr<bool> Poll();
  // Peer of the first operation that is not complete; the own rank when there is none.
  int awaited_peer() const;
  // Sleeps until something happens to one of the workers, at most `limit`.
  static void Sleep(absl::Span<NetworkWorker* const> workers, std::chrono::nanoseconds limit);

  // Closes at once, because of `cause`, which it tells to all peers that can still be reached: they need not
  // wait for their own deadline or for the coordinator. All later waits fail.
  void Abandon(const absl::Status& cause);

 private:
  struct Peer {
    int rank;
    std::string address;
    ucp_ep_h endpoint = nullptr;
    ucs_status_t failure = UCS_OK;  // set by UCX when the connection breaks
  };
  struct Operation {
    Peer* peer;
    bool receive;
    size_t bytes;
    void* request = nullptr;  // null once complete
    ucs_status_t status = UCS_OK;
  };

  struct BackgroundSend {
    Operation operation;
    Scratch data;
  };

  // The last message of a worker that was abandoned.
  struct Farewell {
    int32_t code;
    uint32_t length;
    char text[504];
  };

  NetworkWorker(int rank, ucp_worker_h worker, std::atomic<uint64_t>* sent_bytes)
      : rank_(rank), sent_bytes_(sent_bytes), worker_(worker) {}

  // Those without a lock of their own, for callers that hold mutex_.
  Operation Send(int peer, MessageTag tag, const void* data, size_t bytes);
  void AbandonLocked(const absl::Status& cause);
  absl::StatusOr<bool> AdvanceBackgroundLocked();

  static void OnPeerFailure(void* peer, ucp_ep_h endpoint, ucs_status_t status);
  // Updates `operation`; true when it is complete.
  bool Complete(Operation& operation);
  bool HasOpenSend() const;
  // Moves `*open` over complete operations, up to `end`. True when it got there; the error of an operation,
  // if any.
  absl::StatusOr<bool> Advance(size_t* open, size_t end);
  absl::Status WaitRange(size_t begin, size_t end, const CallScope& scope);
  absl::Status Describe(const Operation& operation) const;
  // The cause of a peer that has abandoned its worker, or OK.
  absl::Status HearFarewell();
  void CloseEndpoints(bool force, std::chrono::milliseconds limit);
  // Ends all operations, closes all connections and destroys the UCX worker.
  void Close();

  const int rank_;
  std::atomic<uint64_t>* const sent_bytes_;
  std::mutex mutex_;  // held inside every call; guards all that follows but address_
  std::string address_;
  ucp_worker_h worker_;  // null once abandoned
  int event_fd_ = -1;
  std::map<int, Peer> peers_;
  std::vector<Operation> operations_;
  std::vector<std::unique_ptr<BackgroundSend>> background_;  // on their way
  std::vector<std::unique_ptr<BackgroundSend>> spare_;
  Farewell heard_farewell_{};
};

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_NETWORK_H_
