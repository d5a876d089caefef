// Crossings: the values that go from one pipeline stage to another under a plan. The lowering emits a message per
// crossing and receiving rank, the simulator takes its time for them.
#ifndef OMSERVE_CORE_PARTITION_CROSSINGS_H_
#define OMSERVE_CORE_PARTITION_CROSSINGS_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/partition/plan.h"
#include "core/partition/transfer.h"

namespace omserve {

// One value that crosses from one stage to another in one cut. Its place in the list of all is its tag.
struct Crossing {
  ValueId value;
  int from = 0;
  int to = 0;
  Transfer transfer;
};

// All, in the order in which they are made. `resharders`: per stage; `order`: of the graph's nodes. INVALID_ARGUMENT
// for values that flow to an earlier stage.
absl::StatusOr<std::vector<Crossing>> FindCrossings(const Graph& graph, const Cluster& cluster, const Plan& plan,
                                                    const std::vector<std::unique_ptr<Resharder>>& resharders,
                                                    const std::vector<int32_t>& order);

// Of the crossings, the one from which `stage` reads `value` as `wanted`: several cuts may have come, and the nearest
// is taken. nullptr when the value did not cross.
const Crossing* NearestCrossing(const std::vector<Crossing>& crossings, ValueId value, int stage,
                                const Sharding& wanted, const TensorDesc& desc, Resharder& resharder);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_CROSSINGS_H_
