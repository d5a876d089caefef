#include "core/partition/search/solve.h"

#include <random>

#include "core/partition/search/contract.h"
#include "core/partition/search/random_network.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

void ExpectOptimal(const CostNetwork& network, const std::string& name, int* solved = nullptr) {
  bool any = false;
  const double expected = BruteForce(network, &any);
  for (SearchLevel level : {SearchLevel::kO1, SearchLevel::kO2}) {
    const std::string at = name + (level == SearchLevel::kO1 ? " O1" : " O2");
    auto solution = Solve(network, {.level = level, .time_budget = absl::Seconds(20)});
    if (!any) {
      EXPECT_EQ(solution.status().code(), absl::StatusCode::kFailedPrecondition) << at;
      continue;
    }
    ASSERT_TRUE(solution.ok()) << at << ": " << solution.status();
    if (expected == kInfinity) {
      ASSERT_FALSE(solution->feasible) << at;
      EXPECT_GT(solution->excess.amount, 0) << at;
      EXPECT_EQ(network.ExcessOf(solution->choice).amount, solution->excess.amount) << at;
      continue;
    }
    ASSERT_TRUE(solution->feasible) << at << " " << solution->engine;
    ASSERT_EQ(network.CostOf(solution->choice), solution->cost) << at;
    ASSERT_LT(network.ExcessOf(solution->choice).row, 0) << at;
    ASSERT_LE(solution->lower_bound, expected) << at << " " << solution->engine;
    ASSERT_GE(solution->cost, expected) << at;
    if (solution->exact || level == SearchLevel::kO2) {
      ASSERT_EQ(solution->cost, expected) << at << " " << solution->engine;
      ASSERT_TRUE(solution->exact) << at << " " << solution->engine;
      ASSERT_EQ(solution->lower_bound, expected) << at;
    }
    if (solved != nullptr) ++*solved;
  }
}

TEST(SolveTest, EqualsBruteForceWithoutMemory) {
  std::mt19937 rng(1);
  int solved = 0;
  for (int i = 0; i < 6000; ++i) {
    ExpectOptimal(RandomNetwork(rng, {.density = i % 2 ? 0.15 : 0.4}), absl::StrCat("case ", i), &solved);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(solved, 6000);
}

TEST(SolveTest, EqualsBruteForceWithMemory) {
  std::mt19937 rng(2);
  int solved = 0;
  for (int i = 0; i < 6000; ++i) {
    ExpectOptimal(RandomNetwork(rng, {.density = i % 2 ? 0.1 : 0.3, .rows = 1 + i % 5}), absl::StrCat("case ", i), &solved);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(solved, 4000);
}

// The engines behind contraction and enumeration: more variables than branch and bound takes in passing.
TEST(SolveTest, LargerNetworksAreProvenOrBounded) {
  std::mt19937 rng(3);
  for (int i = 0; i < 4; ++i) {
    CostNetwork network;
    for (int v = 0; v < 24; ++v) {
      std::vector<double> unary;
      for (int k = 0; k < 5; ++k) unary.push_back(Uniform(rng, 0, 20));
      network.unary.push_back(unary);
    }
    for (int v = 0; v < 24; ++v) {
      for (int w : {v + 1, v + 2, v + 6}) {
        if (w < 24) AddRandomEdge(rng, network, v, w, 0, false);
      }
    }
    auto without = Solve(network, {.time_budget = absl::Milliseconds(500)});
    ASSERT_TRUE(without.ok()) << without.status();
    network.row_limit = {150, 150};
    for (int v = 0; v < 24; ++v) network.usages.push_back({v, v % 2, 2, {12, 9, 6, 3, 0}});
    auto with = Solve(network, {.time_budget = absl::Milliseconds(500)});
    ASSERT_TRUE(with.ok()) << with.status();
    EXPECT_TRUE(without->exact);
    EXPECT_LE(without->lower_bound, without->cost);
    EXPECT_LE(with->lower_bound, with->cost);
    if (with->feasible) {
      EXPECT_GE(with->cost, without->lower_bound);
      network.row_limit = {300, 300};
      auto more = Solve(network, {.time_budget = absl::Milliseconds(500)});
      ASSERT_TRUE(more.ok());
      EXPECT_LE(more->lower_bound, with->cost) << "more memory cannot make the optimum dearer";
      if (more->exact) {
        EXPECT_LE(more->cost, with->cost);
      }
    }
  }
}

// Chains, trees and ladders with rows that bind: elimination with rows alone, at level O1, against trying everything.
TEST(SolveTest, LowWidthWithRowsIsProvenByElimination) {
  std::mt19937 rng(10);
  int proven = 0, feasible = 0, infeasible = 0;
  for (int i = 0; i < 6000; ++i) {
    CostNetwork network;
    const int n = Uniform(rng, 2, 8), kind = i % 3, row_count = 1 + i % 4;
    for (int v = 0; v < n; ++v) {
      network.unary.emplace_back();
      for (int k = Uniform(rng, 2, 4); k > 0; --k) network.unary.back().push_back(Uniform(rng, 0, 30));
      if (v == 0) continue;
      const int to = kind == 1 ? Uniform(rng, 0, v - 1) : v - 1;
      AddRandomEdge(rng, network, to, v, 0.1, false);
      if (kind == 2 && v > 1) AddRandomEdge(rng, network, v - 2, v, 0.05, false);
    }
    for (int row = 0; row < row_count; ++row) network.row_limit.push_back(Uniform(rng, 3 * n, 9 * n));
    for (int v = 0; v < n; ++v) {
      const int first = row_count == 1 ? 0 : Uniform(rng, 0, row_count - 1);
      CostNetwork::Usage usage{v, first, Uniform(rng, first + 1, row_count), {}};
      for (size_t k = 0; k < network.unary[v].size(); ++k) usage.amount.push_back(Uniform(rng, 0, 20));
      network.usages.push_back(usage);
    }
    bool any = false;
    const double expected = BruteForce(network, &any);
    if (!any) continue;
    auto solution = Solve(network, {.level = SearchLevel::kO1, .max_branch_nodes = 0});
    ASSERT_TRUE(solution.ok()) << "case " << i << " " << solution.status();
    ASSERT_TRUE(solution->exact) << "case " << i << " " << solution->engine;
    ++proven;
    ASSERT_EQ(solution->feasible, expected < kInfinity) << "case " << i << " " << solution->engine;
    ++(solution->feasible ? feasible : infeasible);
    if (!solution->feasible) continue;
    ASSERT_EQ(solution->cost, expected) << "case " << i << " " << solution->engine;
    ASSERT_EQ(network.CostOf(solution->choice), expected);
    ASSERT_EQ(solution->lower_bound, expected);
  }
  EXPECT_GT(feasible, 3500);
  EXPECT_GT(infeasible, 300);
}

// Cost of values x[v - window] … x[v] that the last of them adds: edges go back at most two.
double Added(const CostNetwork& network, const std::vector<std::vector<const CostNetwork::Edge*>>& edges_of, const int* x, int v) {
  double cost = network.unary[static_cast<size_t>(v)][static_cast<size_t>(x[v])];
  for (const CostNetwork::Edge* edge : edges_of[static_cast<size_t>(v)]) {
    cost += edge->cost[static_cast<size_t>(x[edge->a]) * network.unary[static_cast<size_t>(edge->b)].size() + static_cast<size_t>(x[edge->b])];
  }
  return cost;
}
std::vector<std::vector<const CostNetwork::Edge*>> EdgesBack(const CostNetwork& network) {
  std::vector<std::vector<const CostNetwork::Edge*>> edges_of(network.unary.size());
  for (const auto& edge : network.edges) edges_of[static_cast<size_t>(edge.b)].push_back(&edge);
  return edges_of;
}

// Optimum of a chain whose only row lasts over all of it: states are the last two values and the memory taken.
double ChainWithOneRow(const CostNetwork& network) {
  const int n = static_cast<int>(network.unary.size()), d = static_cast<int>(network.unary[0].size());
  const int limit = static_cast<int>(network.row_limit[0]);
  const auto edges_of = EdgesBack(network);
  std::vector<std::vector<double>> state(static_cast<size_t>(d * d), std::vector<double>(static_cast<size_t>(limit) + 1, kInfinity));
  state[0][0] = 0;
  std::vector<int> x(static_cast<size_t>(n), 0);
  for (int v = 0; v < n; ++v) {
    std::vector<std::vector<double>> next(state.size(), std::vector<double>(static_cast<size_t>(limit) + 1, kInfinity));
    for (int s = 0; s < d * d; ++s) {
      if (v > 1) x[static_cast<size_t>(v - 2)] = s / d;
      if (v > 0) x[static_cast<size_t>(v - 1)] = s % d;
      for (int k = 0; k < d; ++k) {
        x[static_cast<size_t>(v)] = k;
        const double added = Added(network, edges_of, x.data(), v);
        const int amount = static_cast<int>(network.usages[static_cast<size_t>(v)].amount[static_cast<size_t>(k)]);
        std::vector<double>& to = next[static_cast<size_t>(s % d * d + k)];
        for (int m = 0; added < kInfinity && m + amount <= limit; ++m) {
          to[static_cast<size_t>(m + amount)] = std::min(to[static_cast<size_t>(m + amount)], state[static_cast<size_t>(s)][static_cast<size_t>(m)] + added);
        }
      }
    }
    state = next;
  }
  double best = kInfinity;
  for (const auto& costs : state) best = std::min(best, *std::min_element(costs.begin(), costs.end()));
  return best;
}

// Optimum of a chain where variable v takes memory in rows v … v + window - 1: states are the last `window` - 1 values.
double ChainWithWindows(const CostNetwork& network, int window) {
  const int n = static_cast<int>(network.unary.size()), d = static_cast<int>(network.unary[0].size());
  const auto edges_of = EdgesBack(network);
  int states = 1;
  for (int i = 1; i < window; ++i) states *= d;
  std::vector<double> state(static_cast<size_t>(states), kInfinity);
  state[0] = 0;
  std::vector<int> x(static_cast<size_t>(n), 0);
  for (int v = 0; v < n; ++v) {
    std::vector<double> next(state.size(), kInfinity);
    for (int s = 0; s < states; ++s) {
      for (int i = 1, rest = s; i < window; ++i, rest /= d) {
        if (v >= i) x[static_cast<size_t>(v - i)] = rest % d;
      }
      for (int k = 0; k < d; ++k) {
        x[static_cast<size_t>(v)] = k;
        double use = 0;
        for (int i = 0; i < window && i <= v; ++i) use += network.usages[static_cast<size_t>(v - i)].amount[static_cast<size_t>(x[static_cast<size_t>(v - i)])];
        if (use > network.row_limit[static_cast<size_t>(v)]) continue;
        double& to = next[static_cast<size_t>((s * d + k) % states)];
        to = std::min(to, state[static_cast<size_t>(s)] + Added(network, edges_of, x.data(), v));
      }
    }
    state = next;
  }
  return *std::min_element(state.begin(), state.end());
}

// Far beyond branch and bound: long chains and ladders of layers, one row over all of it, as weights are, or rows of short
// lives, as activations are. Both levels prove what dynamic programming over values and memory finds.
TEST(SolveTest, LongChainsWithRowsAreProvenAtBothLevels) {
  std::mt19937 rng(11);
  for (int i = 0; i < 12; ++i) {
    CostNetwork network;
    const int n = 150, kind = i % 2;
    const bool same_layers = i % 4 >= 2;
    const int values = 5;
    for (int v = 0; v < n; ++v) {
      if (same_layers && v > 0) {
        network.unary.push_back(network.unary[0]);
      } else {
        network.unary.emplace_back();
        for (int k = 0; k < values; ++k) network.unary.back().push_back(1000 * k + Uniform(rng, 0, 500));
      }
      for (int back = 1; back <= 1 + kind && back <= v; ++back) {
        if (same_layers && v > back) {
          network.edges.push_back(network.edges[network.edges.size() - static_cast<size_t>(1 + (v > 2 ? kind : 0))]);
          network.edges.back().a = v - back;
          network.edges.back().b = v;
        } else {
          AddRandomEdge(rng, network, v - back, v, 0.05, false);
        }
      }
    }
    const bool weights = i < 6;
    const int rows = weights ? 1 : n;
    for (int row = 0; row < rows; ++row) network.row_limit.push_back(weights ? n * 50 : 230);
    for (int v = 0; v < n; ++v) {
      CostNetwork::Usage usage{v, weights ? 0 : v, weights ? 1 : std::min(n, v + 4), {}};
      for (int k = 0; k < values; ++k) usage.amount.push_back(weights ? 100 / (k + 1) : 120 / (k + 1) + Uniform(rng, 0, 5));
      network.usages.push_back(usage);
    }
    const double expected = weights ? ChainWithOneRow(network) : ChainWithWindows(network, 4);
    for (const SearchLevel level : {SearchLevel::kO1, SearchLevel::kO2}) {
      auto solution = Solve(network, {.level = level, .time_budget = absl::Minutes(10)});
      ASSERT_TRUE(solution.ok()) << solution.status();
      EXPECT_TRUE(solution->feasible) << i;
      EXPECT_TRUE(solution->exact) << i << " " << solution->engine << " " << solution->cost << " > " << solution->lower_bound;
      EXPECT_EQ(solution->cost, expected) << i;
    }
    CostNetwork free = network;
    free.row_limit.assign(free.row_limit.size(), 1e9);
    auto without = Solve(free);
    ASSERT_TRUE(without.ok());
    EXPECT_LT(without->cost, expected) << i << ": the rows were meant to bind";
  }
}

// Without branch and bound the message passing, its pruning and the integer program have to find and prove the optimum.
TEST(SolveTest, LaterEnginesEqualBruteForce) {
  std::mt19937 rng(7);
  int proven = 0, feasible = 0;
  for (int i = 0; i < 150; ++i) {
    const CostNetwork network = RandomNetwork(rng, {.max_variables = 9, .density = 0.25, .forbidden = 0.05, .rows = 1 + i % 4});
    bool any = false;
    const double expected = BruteForce(network, &any);
    if (expected == kInfinity) continue;
    auto solution = Solve(network, {.time_budget = absl::Seconds(1), .max_table_entries = 0, .max_branch_nodes = 0});
    ASSERT_TRUE(solution.ok()) << solution.status();
    ASSERT_LE(solution->lower_bound, expected) << "case " << i << " " << solution->engine;
    ++feasible;
    if (solution->exact) {
      ++proven;
      ASSERT_EQ(solution->cost, expected) << "case " << i << " " << solution->engine;
    }
  }
  EXPECT_GT(proven, feasible * 4 / 5);
}

TEST(SolveTest, AdversarialShapes) {
  std::mt19937 rng(4);
  for (int i = 0; i < 200; ++i) {
    const auto variables = [&](int n) {
      CostNetwork network;
      for (int v = 0; v < n; ++v) {
        network.unary.emplace_back();
        for (int k = 0; k < 3; ++k) network.unary.back().push_back(Uniform(rng, 0, 20));
      }
      return network;
    };
    CostNetwork complete = variables(4);
    for (int a = 0; a < 4; ++a) {
      for (int b = a + 1; b < 4; ++b) AddRandomEdge(rng, complete, a, b, 0.1);
    }
    ExpectOptimal(complete, "K4");
    CostNetwork parallel = variables(3);
    for (int k = 0; k < 4; ++k) AddRandomEdge(rng, parallel, k % 2 ? 2 : 0, k % 2 ? 0 : 1 + k / 2, 0.1);
    ExpectOptimal(parallel, "parallel edges");
    CostNetwork star = variables(8);
    for (int v = 1; v < 8; ++v) AddRandomEdge(rng, star, 0, v, 0.1);
    ExpectOptimal(star, "star");
    CostNetwork alias = variables(5);  // a cycle of equalities
    for (int v = 0; v < 5; ++v) {
      alias.edges.push_back({v, (v + 1) % 5, {0, kInfinity, kInfinity, kInfinity, 0, kInfinity, kInfinity, kInfinity, 0}});
    }
    ExpectOptimal(alias, "alias cycle");
  }
}

TEST(SolveTest, ScalingCostsScalesTheAnswer) {
  std::mt19937 rng(5);
  for (int i = 0; i < 200; ++i) {
    CostNetwork network = RandomNetwork(rng, {.density = 0.2, .forbidden = 0, .rows = 2});
    auto one = Solve(network);
    for (auto& unary : network.unary) {
      for (double& cost : unary) cost *= 1000;
    }
    for (auto& edge : network.edges) {
      for (double& cost : edge.cost) cost *= 1000;
    }
    auto thousand = Solve(network);
    ASSERT_EQ(one.ok(), thousand.ok());
    if (one.ok() && one->feasible) {
      EXPECT_EQ(one->cost * 1000, thousand->cost);
    }
  }
}

TEST(SolveTest, MemoryThatCannotBeKeptNamesTheRowAndWhatIsMissing) {
  CostNetwork network{{{1, 2}, {1, 2}}, {}, {{0, 1, 2, {10, 8}}, {1, 0, 2, {10, 7}}}, {100, 12}};
  auto solution = Solve(network);
  ASSERT_TRUE(solution.ok());
  EXPECT_FALSE(solution->feasible);
  EXPECT_EQ(solution->excess.row, 1);
  EXPECT_EQ(solution->excess.amount, 3);
}

TEST(SolveTest, WarmStartsAreCheckedAndNeverMadeWorse) {
  std::mt19937 rng(6);
  for (int i = 0; i < 200; ++i) {
    const CostNetwork network = RandomNetwork(rng, {.density = 0.2, .forbidden = 0, .rows = 2});
    const std::vector<int> first(network.unary.size(), 0);
    auto solution = Solve(network, {.warm_start = first});
    if (solution.ok() && network.ExcessOf(first).row < 0) {
      EXPECT_LE(solution->cost, network.CostOf(first));
    }
  }
  const CostNetwork one{{{1, 2}}, {}};
  EXPECT_EQ(Solve(one, {.warm_start = {2}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Solve(one, {.warm_start = {0, 0}}).status().code(), absl::StatusCode::kInvalidArgument);
}

// A grid of `rows` x `columns` variables with memory that binds.
CostNetwork Grid(std::mt19937& rng, int rows, int columns, double forbidden) {
  CostNetwork network;
  const int n = rows * columns;
  for (int v = 0; v < n; ++v) {
    network.unary.emplace_back();
    for (int k = 0; k < 12; ++k) network.unary.back().push_back(Uniform(rng, 0, 1000));
  }
  for (int v = 0; v < n; ++v) {
    if (v % columns + 1 < columns) AddRandomEdge(rng, network, v, v + 1, forbidden, false);
    if (v + columns < n) AddRandomEdge(rng, network, v, v + columns, forbidden, false);
  }
  network.row_limit.assign(static_cast<size_t>(n), 300);
  for (int v = 0; v < n; ++v) {
    CostNetwork::Usage usage{v, v, std::min(n, v + 20), {}};
    for (int k = 0; k < 12; ++k) usage.amount.push_back(3 * (12 - k));
    network.usages.push_back(usage);
  }
  return network;
}

TEST(SolveTest, AnyBudgetGivesAChoiceABoundAndTheTruth) {
  std::mt19937 rng(8);
  for (const int side : {10, 60}) {
    for (const double forbidden : {0.0, 0.1, 0.4}) {
      const CostNetwork network = Grid(rng, side, side, forbidden);
      for (const SearchLevel level : {SearchLevel::kO1, SearchLevel::kO2}) {
        double before = kInfinity;
        for (const absl::Duration budget : {absl::ZeroDuration(), absl::Milliseconds(1), absl::Milliseconds(10)}) {
          auto solution = Solve(network, {.level = level, .time_budget = budget});
          ASSERT_TRUE(solution.ok()) << solution.status() << " " << side << " " << forbidden << " " << budget;
          EXPECT_EQ(network.CostOf(solution->choice), solution->cost);
          EXPECT_LT(solution->cost, kInfinity);
          EXPECT_EQ(solution->feasible, network.ExcessOf(solution->choice).row < 0);
          EXPECT_TRUE(solution->feasible) << side << " " << forbidden << " " << budget << ": memory is not hard to keep here";
          EXPECT_GT(solution->lower_bound, 0);
          if (solution->feasible) before = std::min(before, solution->cost);
          EXPECT_LE(solution->lower_bound, before) << "a bound holds for every choice that fits";
        }
        // What is given is never made worse, and a deadline of the caller counts like a budget.
        auto first = Solve(network, {.level = level, .time_budget = absl::Milliseconds(50)});
        ASSERT_TRUE(first.ok());
        auto again = Solve(network, {.level = level, .warm_start = first->choice}, {.deadline = absl::InfinitePast()});
        ASSERT_TRUE(again.ok()) << again.status();
        EXPECT_GE(again->feasible, first->feasible);
        if (first->feasible) {
          EXPECT_LE(again->cost, first->cost);
        }
      }
    }
  }
}

// What contraction leaves must go on to its end before a greedy choice has a chance: a long chain of equalities whose ends
// want different things, with a forbidden pair in between.
TEST(SolveTest, NoTimeAndChainsOfEqualities) {
  CostNetwork network;
  constexpr int kLength = 20000, kValues = 5;
  for (int v = 0; v < kLength; ++v) {
    network.unary.emplace_back();
    for (int k = 0; k < kValues; ++k) network.unary.back().push_back((v * 7 + k * 3) % 11);
    if (v == 0) continue;
    CostNetwork::Edge edge{v - 1, v, std::vector<double>(kValues * kValues, kInfinity)};
    for (int k = 0; k < kValues; ++k) edge.cost[static_cast<size_t>(k * kValues + (v == kLength / 2 ? (k + 1) % kValues : k))] = 0;
    network.edges.push_back(edge);
  }
  auto none = Solve(network, {.time_budget = absl::ZeroDuration()});
  auto much = Solve(network);
  ASSERT_TRUE(none.ok() && much.ok()) << none.status() << much.status();
  EXPECT_EQ(none->cost, network.CostOf(none->choice));
  EXPECT_TRUE(much->exact);
  EXPECT_LE(none->lower_bound, much->cost);
  EXPECT_LE(much->cost, none->cost);
}

TEST(SolveTest, CancellingIsNoBudget) {
  std::mt19937 rng(9);
  const CostNetwork network = Grid(rng, 20, 20, 0.1);
  Cancellation cancellation;
  cancellation.Cancel(absl::AbortedError("the caller has gone"));
  for (const SearchLevel level : {SearchLevel::kO1, SearchLevel::kO2}) {
    EXPECT_EQ(Solve(network, {.level = level}, {.run = &cancellation}).status().code(), absl::StatusCode::kAborted);
  }
}

TEST(ContractionTest, EqualitiesLeaveNothing) {
  const std::vector<double> equal = {0, kInfinity, kInfinity, 0};
  const CostNetwork network{{{1, 2}, {5, 0}, {0, 3}}, {{0, 1, equal}, {1, 2, equal}}};
  auto contraction = Contraction::Make(network);
  ASSERT_TRUE(contraction.ok());
  EXPECT_TRUE(contraction->core().unary.empty());
  EXPECT_EQ(contraction->offset(), 5);
  EXPECT_EQ(contraction->Expand({}), (std::vector<int>{1, 1, 1}));
}

}  // namespace
}  // namespace omserve
