// What one device has to do of an operator that is cut by a strategy, in the terms in which it is priced.
#ifndef OMSERVE_CORE_PARTITION_LOCAL_WORK_H_
#define OMSERVE_CORE_PARTITION_LOCAL_WORK_H_

#include "core/cluster/operator_cost.h"
#include "core/graph/graph.h"
#include "core/partition/strategy.h"

namespace omserve {

// `strategy` with factors and shardings filled in. The names in the result live as long as the node.
OperatorWork LocalWork(const Graph& graph, const Node& node, const Mesh& mesh, const Strategy& strategy);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_LOCAL_WORK_H_
