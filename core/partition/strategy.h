// Strategies: the ways one operator can be cut over a mesh, enumerated from its sharding rule.
#ifndef OMSERVE_CORE_PARTITION_STRATEGY_H_
#define OMSERVE_CORE_PARTITION_STRATEGY_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/ops/sharding_rule.h"
#include "core/partition/epilogues.h"
#include "core/partition/reshard.h"

namespace omserve {

// One way. A mesh axis cuts one factor of the rule, or runs through one linear set (summands in, summands out), or is
// idle (every device along it does the same).
struct Strategy {
  std::vector<AxisList> factor_axes;     // per factor of the rule
  std::vector<AxisMask> linear_axes;     // per linear set of the rule
  std::vector<Sharding> inputs;          // wanted, per input (absent inputs: empty)
  // Weights that are gathered on use: how each device holds them between runs, cut further than wanted.
  std::vector<std::pair<int, Sharding>> held;
  std::vector<Sharding> raw_outputs;     // what the cut operator yields
  std::vector<Sharding> outputs;         // after summands are resolved, if this strategy does so
  double seconds = 0;                    // of the operator on its local shapes, and of resolving its outputs
};

// How constant input `input` is held between runs.
const Sharding& HeldAs(const Strategy& strategy, int input);

struct StrategySpace {
  // At most this many assignments of axes are tried; beyond it, axes are assigned in contiguous runs only (axes of a
  // mesh of equal links are interchangeable, so that loses little).
  int max_assignments = 256;
  // For random plans: also strategies that are dominated (same shardings, dearer).
  bool keep_dominated = false;
  const Epilogues* epilogues = nullptr;  // of the graph; null: none
};

// All strategies of a node with static shapes. Never empty: every operator can run replicated. `resharder` prices the
// resolution of summands. Deterministic order; the first strategy is the replicated one.
absl::StatusOr<std::vector<Strategy>> EnumerateStrategies(const Graph& graph, const Node& node, const Cluster& cluster,
                                                          Resharder& resharder, const StrategySpace& space = {});

// The shardings that an assignment of axes implies, or false when it is not legal (uneven pieces, an inner factor of
// a dimension cut while an outer one is not fully cut, a whole factor cut).
bool ApplyAssignment(const Graph& graph, const Node& node, const ShardingRule& rule, const Mesh& mesh,
                     Strategy* strategy);

// Seconds of an operator under a strategy with everything but `seconds` filled in: on its local shapes, with resolving its
// outputs.
absl::StatusOr<double> StrategySeconds(const Graph& graph, const Node& node, const Cluster& cluster,
                                       Resharder& resharder, const Strategy& strategy,
                                       const Epilogues* epilogues = nullptr);

// Of those, the seconds of the collectives inside the operator (ops/exchange.h).
absl::StatusOr<double> ExchangeSeconds(const Graph& graph, const Node& node, const Resharder& resharder,
                                       const Strategy& strategy);

// Into how many parts the constant operands of rank >= 2 are cut where they are held; 1 when there are none.
int64_t WeightParts(const Graph& graph, const Node& node, const Mesh& mesh, const Strategy& strategy);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_STRATEGY_H_
