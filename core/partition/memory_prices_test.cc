#include "core/partition/memory_prices.h"

#include <deque>
#include <limits>
#include <map>
#include <random>
#include <tuple>

#include "gtest/gtest.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Two kinds of layers of two variables in a row, whose tables are shared between copies; dear values take few
// bytes.
LimitedNetwork Layers(std::mt19937& rng, int layers, int groups, std::deque<std::vector<double>>& tables) {
  auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); };
  auto table = [&](size_t entries, int most, double unit) {
    tables.emplace_back();
    for (size_t i = 0; i < entries; ++i) tables.back().push_back(unit * draw(0, most));
    return &tables.back();
  };
  const double microsecond = 1e-6;
  const std::vector<double>* cost[2] = {table(2, 20, microsecond), table(3, 20, microsecond)};
  const std::vector<double>* bytes[2] = {table(2, 9, 1), table(3, 9, 1)};
  const std::vector<double>* inside = table(2 * 3, 9, microsecond);
  const std::vector<double>* between = table(3 * 2, 9, microsecond);
  LimitedNetwork problem;
  for (int layer = 0; layer < layers; ++layer) {
    for (int i = 0; i < 2; ++i) {
      const int v = static_cast<int>(problem.network.unary.size());
      problem.network.unary.push_back(cost[i]);
      problem.bytes.push_back(bytes[i]);
      problem.group.push_back(layer * groups / layers);
      if (v > 0) problem.network.edges.push_back({v - 1, v, i == 0 ? between : inside});
    }
  }
  return problem;
}

// The cheapest choice within the limits; infinity when there is none.
double BruteForce(const LimitedNetwork& problem, const std::vector<double>& limits) {
  const CostNetwork network = problem.network.Expand();
  std::vector<int> choice(network.unary.size(), 0);
  double best = kInfinity;
  while (true) {
    std::vector<double> used(limits.size(), 0);
    for (size_t v = 0; v < choice.size(); ++v)
      used[static_cast<size_t>(problem.group[v])] += (*problem.bytes[v])[static_cast<size_t>(choice[v])];
    bool fits = true;
    for (size_t g = 0; g < limits.size(); ++g) fits = fits && used[g] <= limits[g];
    if (fits) best = std::min(best, network.CostOf(choice));
    size_t v = 0;
    while (v < choice.size() && ++choice[v] == static_cast<int>(network.unary[v].size())) choice[v++] = 0;
    if (v == choice.size()) return best;
  }
}

TEST(MemoryPricesTest, TheBoundIsBelowAndTheChoiceAboveTheOptimum) {
  int optimal = 0, solved = 0;
  for (uint32_t seed = 0; seed < 600; ++seed) {
    std::mt19937 rng(seed);
    auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); };
    std::deque<std::vector<double>> tables;
    const int groups = draw(1, 2);
    const LimitedNetwork problem = Layers(rng, draw(2, 5), groups, tables);
    std::vector<double> limits;
    for (int g = 0; g < groups; ++g) limits.push_back(draw(5, 60));
    const double expected = BruteForce(problem, limits);
    double price = 0;  // the second begins where the first ended
    for (bool fold : {true, false}) {
      SegmentCache cache;
      SolveOptions options;
      MemoryPrices prices(problem, fold ? &cache : nullptr, options);
      const auto solution = prices.Within(limits, limits, kInfinity, &price, {});
      ASSERT_TRUE(solution.ok()) << solution.status();
      if (expected == kInfinity) {
        EXPECT_FALSE(solution->feasible) << seed;
        continue;
      }
      ASSERT_TRUE(solution->feasible) << seed;
      EXPECT_LE(solution->lower_bound, expected + 1e-12) << seed;
      EXPECT_GE(solution->cost, expected - 1e-12) << seed;
      EXPECT_NEAR(problem.network.Expand().CostOf(solution->choice), solution->cost, 1e-12) << seed;
      if (solution->exact) {
        EXPECT_NEAR(solution->cost, expected, 1e-12) << seed;
      }
      ++solved;
      optimal += solution->cost <= expected + 1e-12;
    }
  }
  EXPECT_GT(solved, 800);
  EXPECT_GT(optimal, solved * 3 / 4);
}

// The problem with a second form of each value of every other variable, dearer and smaller.
LimitedNetwork WithSecondForms(const LimitedNetwork& base, const std::vector<int>& of_base,
                               std::deque<std::vector<double>>& tables) {
  LimitedNetwork problem;
  problem.group = base.group;
  problem.base = &base.network;
  std::map<std::pair<const std::vector<double>*, double>, const std::vector<double>*> known;
  auto doubled = [&](const std::vector<double>* values, double factor, double term) {
    const std::vector<double>*& made = known[{values, factor}];
    if (made == nullptr) {
      tables.push_back(*values);
      for (double value : *values) tables.back().push_back(value * factor + term);
      made = &tables.back();
    }
    return made;
  };
  auto has = [](int v) { return v % 2 == 1; };
  for (int v = 0; v < static_cast<int>(base.network.unary.size()); ++v) {
    const size_t at = static_cast<size_t>(v);
    problem.network.unary.push_back(has(v) ? doubled(base.network.unary[at], 1, 3e-6) : base.network.unary[at]);
    problem.bytes.push_back(has(v) ? doubled(base.bytes[at], 0.5, 0) : base.bytes[at]);
    problem.of_base.push_back(has(v) ? &of_base : nullptr);
  }
  std::map<std::tuple<const std::vector<double>*, bool, bool>, const std::vector<double>*> edges;
  for (const SharedNetwork::Edge& edge : base.network.edges) {
    const std::vector<double>*& made = edges[{edge.cost, has(edge.a), has(edge.b)}];
    if (made == nullptr) {
      const size_t rows = base.network.unary[static_cast<size_t>(edge.a)]->size(),
                   columns = base.network.unary[static_cast<size_t>(edge.b)]->size();
      tables.emplace_back();
      for (size_t i = 0; i < rows * (has(edge.a) ? 2 : 1); ++i) {
        for (size_t j = 0; j < columns * (has(edge.b) ? 2 : 1); ++j)
          tables.back().push_back((*edge.cost)[i % rows * columns + j % columns]);
      }
      made = &tables.back();
    }
    problem.network.edges.push_back({edge.a, edge.b, made});
  }
  return problem;
}

TEST(MemoryPricesTest, ValuesWithSecondFormsAreSearchedAsOne) {
  const std::vector<int> of_base{0, 1, 2, 0, 1, 2};
  const SolveOptions options;
  int second_forms = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 rng(seed);
    auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); };
    std::deque<std::vector<double>> tables;
    const int groups = draw(1, 2);
    const LimitedNetwork base = Layers(rng, draw(2, 4), groups, tables);
    const LimitedNetwork problem = WithSecondForms(base, of_base, tables);
    LimitedNetwork flat = problem;
    flat.base = nullptr;
    std::vector<double> limits;
    for (int g = 0; g < groups; ++g) limits.push_back(draw(5, 40));
    for (bool fold : {true, false}) {
      SegmentCache cache, other;
      MemoryPrices prices(problem, fold ? &cache : nullptr, options), expected(flat, fold ? &other : nullptr, options);
      double price = 0, other_price = 0;
      const auto solution = prices.Within(limits, limits, kInfinity, &price, {});
      const auto wanted = expected.Within(limits, limits, kInfinity, &other_price, {});
      ASSERT_TRUE(solution.ok() && wanted.ok()) << seed;
      ASSERT_EQ(solution->feasible, wanted->feasible) << seed;
      if (!solution->feasible) continue;
      EXPECT_NEAR(solution->lower_bound, wanted->lower_bound, 1e-9) << seed;
      EXPECT_NEAR(problem.network.Expand().CostOf(solution->choice), solution->cost, 1e-12) << seed;
      EXPECT_LE(solution->lower_bound, BruteForce(problem, limits) + 1e-12) << seed;
      EXPECT_GE(solution->cost, BruteForce(problem, limits) - 1e-12) << seed;
      for (size_t v = 1; v < solution->choice.size(); v += 2) second_forms += solution->choice[v] >= 3;
    }
  }
  EXPECT_GT(second_forms, 100);
}

TEST(MemoryPricesTest, NothingIsFoundThatCannotBeBelowTheCutoff) {
  std::mt19937 rng(1);
  std::deque<std::vector<double>> tables;
  const LimitedNetwork problem = Layers(rng, 4, 1, tables);
  const SolveOptions options;
  SegmentCache cache;
  MemoryPrices prices(problem, &cache, options);
  double price = 0;
  const auto all = prices.Within({kInfinity}, {kInfinity}, kInfinity, &price, {});
  ASSERT_TRUE(all.ok() && all->exact);
  double used = 0;
  for (size_t v = 0; v < all->choice.size(); ++v)
    used += (*problem.bytes[v])[static_cast<size_t>(all->choice[v])];
  const auto cut = prices.Within({used - 1}, {used - 1}, all->cost, &price, {});
  ASSERT_TRUE(cut.ok());
  EXPECT_GE(cut->lower_bound, all->cost);
}

}  // namespace
}  // namespace omserve
