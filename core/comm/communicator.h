// Communicator: one rank's end of one group of devices. Collectives are called by all ranks of the group in the same
// order (the compiler emits them so); each call blocks until this rank's part is done.
//
// CommunicatorHub makes the communicators of one epoch: of all ranks that live in this process, talking to each other
// over shared memory, and to ranks of other processes over UCX.
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
// coordinator: Create, local_addresses → (exchange) → Connect → backend. Destroying it releases everything; no thread
// may still be inside a collective (abort the epoch first).
class CommunicatorHub {
 public:
  // `local_ranks`: the world ranks hosted here. `epoch`: cancelled when the epoch is aborted; every wait watches it.
  // It must outlive the hub.
  static absl::StatusOr<std::unique_ptr<CommunicatorHub>> Create(const CommWorld& world, int process,
                                                                 const Cancellation* epoch);
  virtual ~CommunicatorHub() = default;

  // Opaque address of each local rank that has peers in other processes: rank → bytes. Empty if there are none.
  virtual std::map<int, std::string> local_addresses() const = 0;
  // Addresses of the ranks in other processes that a local rank shares a group with. UNAVAILABLE or
  // DEADLINE_EXCEEDED names the rank that cannot be reached. Also brings up the connections.
  virtual absl::Status Connect(const std::map<int, std::string>& addresses, const WaitLimit& limit) = 0;
  // The end of local rank `rank`, for exactly one thread at a time. Lives as long as the hub.
  virtual CollectiveBackend* backend(int rank) = 0;

  // Bytes sent to other processes and between ranks of this process since creation.
  virtual uint64_t network_bytes() const = 0;
  virtual uint64_t local_bytes() const = 0;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_COMMUNICATOR_H_
