#include "core/partition/search/elimination.h"

#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

CostNetwork RandomNetwork(std::mt19937& rng, int max_variables, int max_values, double density) {
  auto uniform = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); };
  CostNetwork network;
  const int n = uniform(1, max_variables);
  for (int v = 0; v < n; ++v) {
    std::vector<double> unary(static_cast<size_t>(uniform(1, max_values)));
    for (double& cost : unary) cost = uniform(0, 20);
    network.unary.push_back(unary);
  }
  for (int a = 0; a < n; ++a) {
    for (int b = 0; b < n; ++b) {
      if (a == b || uniform(0, 999) >= density * 1000) continue;
      CostNetwork::Edge edge{a, b, {}};
      edge.cost.resize(network.unary[a].size() * network.unary[b].size());
      for (double& cost : edge.cost) cost = uniform(0, 9) == 0 ? kInfinity : uniform(0, 20);
      network.edges.push_back(edge);
    }
  }
  return network;
}

double BruteForce(const CostNetwork& network) {
  std::vector<int> choice(network.unary.size(), 0);
  double best = kInfinity;
  while (true) {
    best = std::min(best, network.CostOf(choice));
    size_t i = 0;
    while (i < choice.size() && ++choice[i] == static_cast<int>(network.unary[i].size())) choice[i++] = 0;
    if (i == choice.size()) return best;
  }
}

TEST(EliminationTest, EqualsBruteForceOnRandomNetworks) {
  std::mt19937 rng(1);
  int finite = 0;
  for (int i = 0; i < 4000; ++i) {
    const CostNetwork network = RandomNetwork(rng, 7, 4, i % 2 ? 0.15 : 0.4);
    const double expected = BruteForce(network);
    auto solution = SolveByElimination(network);
    if (expected == kInfinity) {
      EXPECT_EQ(solution.status().code(), absl::StatusCode::kFailedPrecondition);
      continue;
    }
    ASSERT_TRUE(solution.ok()) << solution.status();
    ASSERT_EQ(solution->cost, expected) << "case " << i;
    ASSERT_EQ(network.CostOf(solution->choice), expected);
    ASSERT_TRUE(solution->exact);
    ++finite;
  }
  EXPECT_GT(finite, 2000);
}

TEST(EliminationTest, SmallTablesStillGiveAChoiceAndABound) {
  std::mt19937 rng(2);
  for (int i = 0; i < 500; ++i) {
    const CostNetwork network = RandomNetwork(rng, 7, 4, 0.5);
    auto solution = SolveByElimination(network, {.max_table_entries = 8});
    if (!solution.ok()) continue;  // fixing a variable may lead into a corner
    const double expected = BruteForce(network);
    EXPECT_GE(solution->cost, expected);
    EXPECT_LE(solution->lower_bound, expected);
    if (solution->exact) {
      EXPECT_EQ(solution->cost, expected);
    }
  }
}

TEST(EliminationTest, LongChainsAreLinear) {
  CostNetwork network;
  constexpr int kLength = 3000, kValues = 12;
  std::mt19937 rng(3);
  for (int v = 0; v < kLength; ++v) {
    std::vector<double> unary;
    for (int k = 0; k < kValues; ++k) unary.push_back(static_cast<double>(rng() % 100));
    network.unary.push_back(unary);
    if (v == 0) continue;
    CostNetwork::Edge edge{v - 1, v, {}};
    for (int k = 0; k < kValues * kValues; ++k) edge.cost.push_back(static_cast<double>(rng() % 100));
    network.edges.push_back(edge);
  }
  auto solution = SolveByElimination(network);
  ASSERT_TRUE(solution.ok());
  EXPECT_TRUE(solution->exact);
}

TEST(EliminationTest, MalformedNetworksAreRefused) {
  EXPECT_FALSE(SolveByElimination({{{}}, {}}).ok());
  EXPECT_FALSE(SolveByElimination({{{1}, {1}}, {{0, 1, {1, 2}}}}).ok());
  EXPECT_FALSE(SolveByElimination({{{1}}, {{0, 0, {1}}}}).ok());
}

}  // namespace
}  // namespace omserve
