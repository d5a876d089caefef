#include "core/partition/search/elimination.h"

#include <random>

#include "core/partition/search/random_network.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(EliminationTest, EqualsBruteForceOnRandomNetworks) {
  std::mt19937 rng(1);
  int finite = 0;
  for (int i = 0; i < 4000; ++i) {
    const CostNetwork network = RandomNetwork(rng, {.density = i % 2 ? 0.15 : 0.4, .forbidden = 0.1});
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

TEST(EliminationTest, TablesBeyondTheirLimitAreRefused) {
  std::mt19937 rng(2);
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    const CostNetwork network = RandomNetwork(rng, {.density = 0.5, .forbidden = 0.1});
    auto solution = SolveByElimination(network, 30);
    if (solution.ok()) {
      EXPECT_EQ(solution->cost, BruteForce(network));
    } else if (solution.status().code() == absl::StatusCode::kResourceExhausted) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

// Cheapest through each entry of each bucket, by conditioning: what lies below and what lies outside.
TEST(EliminationTest, BelowAndOutsideMakeTheCheapestThroughAnEntry) {
  std::mt19937 rng(4);
  int entries = 0;
  for (int i = 0; i < 500; ++i) {
    const CostNetwork network = RandomNetwork(rng, {.max_variables = 6, .max_values = 3, .density = 0.25, .forbidden = 0.1});
    auto elimination = Elimination::Plan(network, 100'000);
    ASSERT_TRUE(elimination.ok());
    if (elimination->Minimise(network.unary) == kInfinity) continue;
    elimination->FindOutside();
    for (const auto& bucket : elimination->buckets()) {
      for (size_t entry = 0; entry < bucket.entries; ++entry) {
        CostNetwork fixed = network;
        size_t rest = entry;
        for (auto it = bucket.scope.rbegin(); it != bucket.scope.rend(); ++it) {
          const size_t size = static_cast<size_t>(elimination->domain(*it)), value = rest % size;
          rest /= size;
          for (size_t k = 0; k < size; ++k) {
            if (k != value) fixed.unary[static_cast<size_t>(*it)][k] = kInfinity;
          }
        }
        const double through = bucket.least[entry] == kInfinity ? kInfinity : bucket.least[entry] + bucket.outside[entry];
        ASSERT_EQ(through, BruteForce(fixed)) << "case " << i;
        ++entries;
      }
    }
  }
  EXPECT_GT(entries, 2000);
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
  EXPECT_FALSE(SolveByElimination(CostNetwork{{{}}, {}}).ok());
  EXPECT_FALSE(SolveByElimination(CostNetwork{{{1}, {1}}, {{0, 1, {1, 2}}}}).ok());
  EXPECT_FALSE(SolveByElimination(CostNetwork{{{1}}, {{0, 0, {1}}}}).ok());
}

}  // namespace
}  // namespace omserve
