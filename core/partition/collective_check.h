// Which communication operators of several slices meet: collectives of a group in the order in which each member has
// them, sends and receives by pair and tag.
#ifndef OMSERVE_CORE_PARTITION_COLLECTIVE_CHECK_H_
#define OMSERVE_CORE_PARTITION_COLLECTIVE_CHECK_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/graph/graph.h"
#include "core/partition/relation.h"

namespace omserve {

// A slice as far as it communicates; its rank is its position among the slices.
struct CommunicatingSlice {
  std::string name;  // for messages
  const Graph* graph = nullptr;
  std::vector<int32_t> communication;  // ids of all its Hcom* operators, in program order
};

// Operators that run together: a collective on all ranks of its group, or a send with its receive.
struct CollectiveMeeting {
  // Meetings of one channel happen in the order in which they are listed.
  std::string channel;
  std::vector<std::pair<int, int32_t>> members;  // rank, node
};

// Checks each operator against its group, then all of them against their peers. INVALID_ARGUMENT begins with EF1001
// (a group that is not declared or that the rank is not in), E14001 (an attribute that does not fit the group) or EI0005
// (ranks that differ, a send without its receive).
absl::StatusOr<std::vector<CollectiveMeeting>> MatchCollectives(const std::vector<CommunicatingSlice>& slices,
                                                                const std::vector<RelationGroup>& groups);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_COLLECTIVE_CHECK_H_
