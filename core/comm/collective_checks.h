// What every set of communicators must fulfil; run by tests on each rank, in one process or in several.
#ifndef OMSERVE_CORE_COMM_COLLECTIVE_CHECKS_H_
#define OMSERVE_CORE_COMM_COLLECTIVE_CHECKS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/comm/communicator.h"
#include "core/device/device.h"
#include "core/tensor/data_type.h"

namespace omserve {

// Every type the collectives move.
std::vector<DataType> AllTypes();
// Those that stand for all where the arithmetic was tested already: of several sizes, reducible and not.
inline const std::vector<DataType> kProcessTypes = {DataType::kBfloat16, DataType::kInt8, DataType::kBool};

// Calls every collective of `group` with `count` elements of `type`, in place and not, and compares the
// results with what the definition says. All members call it at the same time. INTERNAL says what was wrong
// where.
absl::Status CheckCollectives(CollectiveBackend& backend, const std::string& group, size_t count,
                              DataType type, const WaitLimit& limit);

// Sums random floats, whose sum depends on the order, and compares the bits over all members.
absl::Status CheckSameBits(CollectiveBackend& backend, const std::string& group, size_t count,
                           const WaitLimit& limit);

// Both of the above for `types`, and for float at sizes around every limit between algorithms, and messages
// between all pairs.
absl::Status CheckGroup(CollectiveBackend& backend, const std::string& group,
                        const std::vector<DataType>& types, const WaitLimit& limit);

// A world written as text: "0,0,1 all:0,1,2 pair:2,0" places ranks 0 and 1 in process 0, rank 2 in process 1.
CommWorld ParseWorld(const std::string& text);
std::vector<int> RanksOf(const CommWorld& world, int process);

// Runs CheckGroup on all groups of all `ranks`, each rank in a thread, and on the first group for `types`;
// the first error.
absl::Status CheckAllGroups(CommunicatorHub& hub, const CommWorld& world, const std::vector<int>& ranks,
                            const std::vector<DataType>& types, const WaitLimit& limit);

// For groups "all" of ranks 0 and 1: rank 0 sends `count` messages of `size` floats before rank 1 takes the first.
absl::Status SendAhead(CollectiveBackend& backend, int rank, int count, size_t size, const WaitLimit& limit);

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_COLLECTIVE_CHECKS_H_
