// Plan: the strategy of every operator on a mesh, with what it costs. What the planner decides and the lowering emits.
#ifndef OMSERVE_CORE_PARTITION_PLAN_H_
#define OMSERVE_CORE_PARTITION_PLAN_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/deadline.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/partition/strategy.h"

namespace omserve {

struct Plan {
  Mesh mesh{{0}};
  // Of every node but Data and Const, by node id. Model inputs arrive whole on every device; constants are cut as
  // their readers want them.
  std::map<int32_t, Strategy> strategies;
  // How each graph output is left: never partial. The coordinator assembles cut outputs.
  std::vector<Sharding> outputs;
  double seconds = 0;      // predicted time of one run
  double lower_bound = 0;  // no plan of this search space is faster
  bool exact = false;      // seconds is the optimum of the search space
};

struct PlanOptions {
  // Devices, as positions in the cluster, that share one copy of the model.
  std::vector<int> devices;
  // Weights must be cut over all devices wherever an operator allows it: what asking for tensor parallelism means.
  bool cut_weights = true;
  // Operators that no weights lie behind (masks, position tables) run whole on every device. They are small, are read
  // in every layer, and taking a part of a whole value is local; so this costs next to nothing and keeps variables
  // that touch everything out of the network.
  bool whole_before_weights = true;
  StrategySpace space;
};

// Decides. INVALID_ARGUMENT says which dimension the device count cannot divide (attention heads, weights) and which
// counts would do; RESOURCE_EXHAUSTED when the weights do not fit a device (need, have).
absl::StatusOr<Plan> MakePlan(const Graph& graph, const Cluster& cluster, const PlanOptions& options,
                              const WaitLimit& limit = {});

// The sharding in which a value leaves its producer under a plan; constants and model inputs: replicated.
Sharding ProducedSharding(const Graph& graph, const Plan& plan, ValueId value);

// A line for people: the mesh, how many weighted operators are cut, the collectives of one slice with their bytes, the
// predicted time and its bound.
std::string Summarize(const Graph& graph, const Plan& plan, const Graph& slice);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_PLAN_H_
