// Exact minimisation of a pairwise cost network by variable elimination (dynamic programming over the graph).
//
// Memory rows are not looked at. Forward model graphs have small treewidth, so eliminating variables in order of table size
// (R0, R1, R2 reductions, then higher ones while tables stay small) solves them exactly in linear time.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_ELIMINATION_H_
#define OMSERVE_CORE_PARTITION_SEARCH_ELIMINATION_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "core/base/deadline.h"
#include "core/partition/search/network.h"

namespace omserve {

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
