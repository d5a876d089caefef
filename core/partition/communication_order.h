// One order of the operators of all slices that each of them can follow without waiting for ever.
#ifndef OMSERVE_CORE_PARTITION_COMMUNICATION_ORDER_H_
#define OMSERVE_CORE_PARTITION_COMMUNICATION_ORDER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/partition/collective_check.h"

namespace omserve {

// For each slice the ids of all its nodes, in an order that its data allows and that all slices share: operators that
// meet stand at one place of it. As every slice then blocks only for what comes next in the common order, nobody waits
// for ever. Where free, the order of the graphs is kept. INVALID_ARGUMENT ("EI0005: …", naming operators) when there is
// none: each would wait for another.
absl::StatusOr<std::vector<std::vector<int32_t>>> CommonOrder(const std::vector<CommunicatingSlice>& slices,
                                                              const std::vector<CollectiveMeeting>& meetings);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_COMMUNICATION_ORDER_H_
