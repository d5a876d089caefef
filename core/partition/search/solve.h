// Solve: the one entry of the search engine.
//
//   ASSIGN_OR_RETURN(Solution solution, Solve(network, {.level = SearchLevel::kO2, .time_budget = absl::Seconds(10)}));
//
// kO1: contraction, then exact variable elimination; memory rows by Lagrangian multipliers, and what gap these leave by
//      labels of cost and memory. Fast; proves optimality when tables stay small.
// kO2: as kO1, and what that leaves open goes to branch and bound, to an integer program (choices by COIN-OR CBC, proofs
//      by our own prover) on cores that are small enough, and to message passing with block moves on bigger ones, until proven or the time is over.
// Both return a choice however short the time is (a greedy one at worst), a certified lower bound and the truth about
// exactness. The time that preparing, contracting and a greedy choice take, some passes over the tables, is not cut off.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_SOLVE_H_
#define OMSERVE_CORE_PARTITION_SEARCH_SOLVE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/deadline.h"
#include "core/partition/search/network.h"

namespace omserve {

enum class SearchLevel { kO1, kO2 };

struct SolveOptions {
  SearchLevel level = SearchLevel::kO2;
  absl::Duration time_budget = absl::Seconds(10);
  int threads = 2;
  uint64_t seed = 1;
  std::vector<int> warm_start = {};  // a choice to begin from; empty for none
  // Entries of all tables that elimination may make.
  int64_t max_table_entries = 20'000'000;
  // Partial choices that branch and bound may look at before other engines take over; 0 leaves it out.
  int64_t max_branch_nodes = 200'000;
};

// INVALID_ARGUMENT for a malformed network; FAILED_PRECONDITION when it is proven that forbidden pairs leave no choice
// at all (memory that cannot be kept is told by Solution::feasible); DEADLINE_EXCEEDED when the budget ended before the
// search found a way around the forbidden pairs; the cause, when `limit` is cancelled. `limit` may shorten the budget.
absl::StatusOr<Solution> Solve(const CostNetwork& network, const SolveOptions& options = {}, const WaitLimit& limit = {});

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_SOLVE_H_
