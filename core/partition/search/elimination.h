// Exact minimisation of a pairwise cost network by variable elimination (dynamic programming over the graph).
//
// A network has variables with finite domains, a cost per value and a cost per pair of values on edges; infinity marks
// a pair that cannot be. Forward model graphs have small treewidth, so eliminating variables in order of table size
// (R0, R1, R2 reductions, then higher ones while tables stay small) solves them exactly in linear time.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_ELIMINATION_H_
#define OMSERVE_CORE_PARTITION_SEARCH_ELIMINATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/deadline.h"

namespace omserve {

struct CostNetwork {
  struct Edge {
    int a = 0;
    int b = 0;
    std::vector<double> cost;  // [value of a][value of b], row-major
  };
  std::vector<std::vector<double>> unary;  // per variable, per value; a domain has at least one value
  std::vector<Edge> edges;                 // parallel edges add up

  double CostOf(const std::vector<int>& choice) const;
};

struct Solution {
  std::vector<int> choice;
  double cost = 0;
  double lower_bound = 0;  // no choice is cheaper than this
  bool exact = false;      // cost is the optimum
};

struct EliminationOptions {
  // The largest table that may be made. When no variable can be eliminated within it, the variable with the most
  // neighbours is fixed to its locally cheapest value: the result is then not exact.
  int64_t max_table_entries = 20'000'000;
};

// INVALID_ARGUMENT for a malformed network; FAILED_PRECONDITION when every choice costs infinity. Deterministic.
absl::StatusOr<Solution> SolveByElimination(const CostNetwork& network, const EliminationOptions& options = {},
                                            const WaitLimit& limit = {});

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_ELIMINATION_H_
