#include "core/partition/search/solve.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/partition/search/anytime.h"
#include "core/partition/search/branch.h"
#include "core/partition/search/contract.h"
#include "core/partition/search/elimination.h"
#include "core/partition/search/flat.h"
#include "core/partition/search/greedy.h"
#include "core/partition/search/row_elimination.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kEasyVariables = 100;  // where branch and bound has a chance in passing

bool AllIntegral(const CostNetwork& network) {
  const auto integral = [](const std::vector<double>& costs) {
    return std::all_of(costs.begin(), costs.end(), [](double cost) { return cost == kInfinity || cost == std::floor(cost); });
  };
  return std::all_of(network.unary.begin(), network.unary.end(), integral) &&
         std::all_of(network.edges.begin(), network.edges.end(), [&](const auto& edge) { return integral(edge.cost); });
}

// Every variable and every edge at its own minimum.
double TrivialBound(const CostNetwork& network) {
  double bound = 0;
  for (const auto& unary : network.unary) bound += *std::min_element(unary.begin(), unary.end());
  for (const auto& edge : network.edges) bound += *std::min_element(edge.cost.begin(), edge.cost.end());
  return bound;
}

// Without a choice that fits: one that is near, in bounded work and whatever the time is. The start is the cheapest without
// memory where that is easy, else greedy; moves then give up forbidden pairs and lower the fullest row.
// FAILED_PRECONDITION when it is proven that every choice has a forbidden pair.
absl::Status OfferNearest(const CostNetwork& network, const Contraction& contraction, const WaitLimit& limit, Incumbent& best) {
  if (contraction.core().unary.empty()) {
    best.Offer(network, contraction.Expand({}));
    return absl::OkStatus();
  }
  const FlatNetwork flat(contraction.core());
  CostNetwork unlimited = contraction.core();
  unlimited.usages.clear();
  unlimited.row_limit.clear();
  const BranchResult cheapest = BranchAndBound(FlatNetwork(unlimited), kInfinity, 200'000, limit);
  if (cheapest.proven && cheapest.choice.empty()) {
    if (!contraction.forbids_by_memory()) return absl::FailedPreconditionError("no choice has a finite cost");
    ASSIGN_OR_RETURN(const Contraction all, Contraction::Make(network, {absl::InfiniteFuture(), limit.run, limit.epoch}, false));
    return OfferNearest(network, all, limit, best);
  }
  const PricedChoice start =
      cheapest.choice.empty() ? GreedyChoice(flat) : PricedChoice{cheapest.choice, std::vector<double>(flat.slack.size(), 0)};
  best.Offer(network, contraction.Expand(start.choice));
  const int64_t work = std::max<int64_t>(100'000, 10 * static_cast<int64_t>(flat.tables.size()));
  best.Offer(network, contraction.Expand(Mend(flat, start, work, [&] { return limit.cancelled(); })));
  return absl::OkStatus();
}

// Every variable and edge of the core at its own minimum: contraction has moved much into the offset and the variables.
double CoreBound(const Contraction& contraction) { return contraction.offset() + TrivialBound(contraction.core()); }

// Runs the engines in order until one proves its answer. Returns their name.
absl::StatusOr<std::string> RunEngines(const CostNetwork& network, const Contraction& contraction, const SolveOptions& options,
                                       const WaitLimit& limit, Incumbent& best, SearchStatistics& statistics) {
  const CostNetwork& core = contraction.core();
  if (core.unary.empty()) {
    best.Offer(network, contraction.Expand({}));
    best.proven = true;
    if (best.feasible) best.RaiseBound(best.cost);
    return "contraction";
  }
  best.RaiseBound(CoreBound(contraction));
  if (std::any_of(core.row_limit.begin(), core.row_limit.end(), [](double slack) { return slack < 0; })) {
    RETURN_IF_ERROR(OfferNearest(network, contraction, limit, best));
    best.proven = best.has_choice;
    return "contraction";
  }
  if (!contraction.complete()) return "contraction";
  if (core.usages.empty()) {
    // Rows without usages hold whatever is chosen; what is left is a plain network.
    auto solved = SolveByElimination(core, options.max_table_entries, limit);
    if (solved.ok()) {
      statistics.width = solved->statistics.width;
      best.Offer(network, contraction.Expand(solved->choice));
      best.RaiseBound(best.cost);
      best.proven = true;
      return "contraction+elimination";
    }
    if (solved.status().code() == absl::StatusCode::kFailedPrecondition) return solved.status();
  }
  if (static_cast<int>(core.unary.size()) <= kEasyVariables) {
    const BranchResult branch = BranchAndBound(FlatNetwork(core), kInfinity, std::min<int64_t>(options.max_branch_nodes, 20'000), limit);
    if (!branch.choice.empty()) best.Offer(network, contraction.Expand(branch.choice));
    if (branch.proven) {
      if (best.feasible) {
        best.RaiseBound(best.cost);
      } else {
        RETURN_IF_ERROR(OfferNearest(network, contraction, limit, best));
      }
      best.proven = true;
      return "contraction+branch and bound";
    }
  }
  if (!core.usages.empty()) {
    RowEliminationOptions rows;
    rows.max_table_entries = std::min(rows.max_table_entries, options.max_table_entries);
    rows.integral = best.integral;
    rows.upper_bound = [&] { return best.feasible ? best.cost - contraction.offset() : kInfinity; };
    rows.offer = [&](const std::vector<int>& choice) { best.Offer(network, contraction.Expand(choice)); };
    WaitLimit half = limit;  // the other engines may have better luck
    if (limit.deadline < absl::InfiniteFuture()) half.deadline -= (limit.deadline - absl::Now()) / 2;
    const RowEliminationResult result = EliminateWithRows(core, rows, half);
    statistics.width = result.width;
    if (result.closed) {
      if (best.feasible) {
        best.RaiseBound(best.cost);
      } else {
        RETURN_IF_ERROR(OfferNearest(network, contraction, limit, best));
      }
      best.proven = true;
      return "contraction+elimination with rows";
    }
    best.RaiseBound(result.bound + contraction.offset());
    if (best.proven) return "contraction+elimination with rows";
  }
  return SearchAnytime(network, contraction, options, limit, best, statistics);
}

}  // namespace

absl::StatusOr<Solution> Solve(const CostNetwork& network, const SolveOptions& options, const WaitLimit& limit) {
  const absl::Time start = absl::Now();
  WaitLimit budget = limit;
  budget.deadline = std::min(limit.deadline, start + options.time_budget);
  RETURN_IF_ERROR(network.Validate());
  SearchStatistics statistics;
  statistics.variables = static_cast<int>(network.unary.size());
  for (const auto& edge : network.edges) statistics.edge_entries += static_cast<int64_t>(edge.cost.size());
  Incumbent best;
  best.integral = AllIntegral(network);
  best.lower_bound = TrivialBound(network);
  if (!options.warm_start.empty() && options.warm_start.size() != network.unary.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the warm start has ", options.warm_start.size(), " values for ",
                                                   network.unary.size(), " variables"));
  }
  for (size_t v = 0; v < options.warm_start.size(); ++v) {
    if (options.warm_start[v] < 0 || options.warm_start[v] >= static_cast<int>(network.unary[v].size())) {
      return absl::InvalidArgumentError(absl::StrCat("the warm start gives variable ", v, " the value ", options.warm_start[v],
                                                     " of ", network.unary[v].size()));
    }
  }
  if (!options.warm_start.empty()) best.Offer(network, options.warm_start);
  absl::StatusOr<Contraction> made = Contraction::Make(network, budget);
  const bool nothing_fits = made.status().code() == absl::StatusCode::kFailedPrecondition && !network.usages.empty();
  if (nothing_fits) made = Contraction::Make(network, budget, false);
  ASSIGN_OR_RETURN(const Contraction contraction, std::move(made));
  statistics.core_variables = static_cast<int>(contraction.core().unary.size());
  statistics.core_edges = static_cast<int>(contraction.core().edges.size());
  for (const auto& edge : contraction.core().edges) statistics.core_edge_entries += static_cast<int64_t>(edge.cost.size());
  statistics.core_rows = static_cast<int>(contraction.core().row_limit.size());
  std::string engine = "contraction";
  if (nothing_fits) {
    RETURN_IF_ERROR(OfferNearest(network, contraction, budget, best));
    best.proven = best.has_choice;
  } else {
    ASSIGN_OR_RETURN(engine, RunEngines(network, contraction, options, budget, best, statistics));
  }
  if (!best.feasible && !best.proven) {
    RETURN_IF_ERROR(OfferNearest(network, contraction, budget, best));
    engine += "+greedy";
  }
  if (limit.cancelled()) return limit.Check("the search");
  if (!best.has_choice) {
    return absl::DeadlineExceededError("no choice without a forbidden value or pair was found within the time budget");
  }
  Solution solution;
  solution.choice = best.choice;
  solution.cost = best.cost;
  solution.lower_bound = best.lower_bound;
  solution.exact = best.proven;
  solution.feasible = best.feasible;
  solution.excess = best.excess;
  solution.engine = engine;
  statistics.seconds = absl::ToDoubleSeconds(absl::Now() - start);
  solution.statistics = statistics;
  return solution;
}

}  // namespace omserve
