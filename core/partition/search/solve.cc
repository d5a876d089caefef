#include "core/partition/search/solve.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/partition/search/elimination.h"

namespace omserve {

absl::StatusOr<Solution> Solve(const CostNetwork& network, const SolveOptions& options, const WaitLimit& limit) {
  const absl::Time start = absl::Now();
  WaitLimit budget = limit;
  budget.deadline = std::min(limit.deadline, start + options.time_budget);
  ASSIGN_OR_RETURN(Solution solution, SolveByElimination(network, {options.max_table_entries}, budget));
  solution.excess = network.ExcessOf(solution.choice);
  solution.feasible = solution.excess.row < 0;
  solution.exact = solution.exact && solution.feasible;
  solution.engine = "elimination";
  solution.statistics.variables = static_cast<int>(network.unary.size());
  solution.statistics.seconds = absl::ToDoubleSeconds(absl::Now() - start);
  return solution;
}

}  // namespace omserve
