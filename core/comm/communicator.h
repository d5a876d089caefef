// CommunicatorHub: the communication of one epoch. It makes the ends of all ranks that live in this process,
// which talk to each other over shared memory and to ranks of other processes over UCX.
//
// Collectives are called by all ranks of a group in the same order (the compiler emits them so). A call
// blocks until this rank's part is done. In all-reduce, broadcast and all-to-all the output may be the input;
// in all-gather the input may be the own block of the output, in reduce-scatter the output may be the own
// block of the input.
//
// Failure. A wait ends by the epoch's cancellation, by that of the run, by the deadline, or because a peer
// cannot be reached (UNAVAILABLE names its rank). Whichever it is, a collective that one rank has left leaves
// its group out of step, so the first failed wait fails the hub: every call of every local rank, under way or
// later, returns that first cause. Peers in other processes are told the cause as far as they can be reached,
// and fail with it. The owner then cancels the epoch everywhere and makes new hubs. It must also cancel the
// epoch when a rank cannot finish a run for another reason while its peers may wait for it. Errors in the
// arguments are found before anything is exchanged and fail nothing else.
//
// Results. A reduction gives the same bits on all ranks of the group, and in every run of the same
// deployment.
//
// Send copies the message and does not wait for its receiver, unless several long ones (over 64 KiB) of this rank are
// still on their way. Messages with the same source and tag arrive in order.
#ifndef OMSERVE_CORE_COMM_COMMUNICATOR_H_
#define OMSERVE_CORE_COMM_COMMUNICATOR_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/deadline.h"
#include "core/device/device.h"
#include "core/tensor/data_type.h"

namespace omserve {

// A group of world ranks, in group-rank order. World ranks number the slices of one deployment replica.
struct CommGroup {
  std::string name;
  std::vector<int> ranks;
};

// Where every world rank lives.
struct CommWorld {
  // process_of[r]: index of the process that hosts rank r.
  std::vector<int> process_of;
  std::vector<CommGroup> groups;
};

// The communication of one epoch in one process. Made in two steps, because addresses must travel through the
// coordinator: Create, local_addresses → (exchange) → Connect → backend. Destroying it releases everything;
// no thread may still be inside a collective (abort the epoch first).
class CommunicatorHub {
 public:
  // For the ranks that `world` places in `process`. `epoch`: cancelled when the epoch is aborted; every wait
  // watches it; may be null, and must outlive the hub. INVALID_ARGUMENT says what is wrong with the world;
  // UNAVAILABLE when ranks are spread over processes and UCX finds no transport.
  static absl::StatusOr<std::unique_ptr<CommunicatorHub>> Create(const CommWorld& world, int process,
                                                                 const Cancellation* epoch);
  virtual ~CommunicatorHub() = default;

  // Opaque address of each local rank that has peers in other processes: rank → bytes. Empty if there are
  // none.
  virtual std::map<int, std::string> local_addresses() const = 0;
  // Addresses of the ranks in other processes that a local rank shares a group with; others are ignored.
  // Brings up the connections: waits until the other processes connect, too. UNAVAILABLE or DEADLINE_EXCEEDED
  // names the rank that cannot be reached, INVALID_ARGUMENT an address that is missing or damaged, or a peer
  // that was given another world.
  virtual absl::Status Connect(const std::map<int, std::string>& addresses, const WaitLimit& limit) = 0;
  // The end of local rank `rank`, for exactly one thread at a time; null for a rank that is not local. Lives
  // as long as the hub.
  virtual CollectiveBackend* backend(int rank) = 0;

  // Bytes sent to other processes and between ranks of this process since creation.
  virtual uint64_t network_bytes() const = 0;
  virtual uint64_t local_bytes() const = 0;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_COMMUNICATOR_H_
