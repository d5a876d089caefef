#include "core/partition/search/prover.h"

#include <cmath>
#include <random>

#include "core/partition/search/contract.h"
#include "core/partition/search/dual.h"
#include "core/partition/search/flat.h"
#include "core/partition/search/random_network.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(ProverTest, ClosesExactlyAtTheOptimum) {
  std::mt19937 rng(1);
  int at = 0, above = 0;
  for (int i = 0; i < 400; ++i) {
    const CostNetwork network = RandomNetwork(rng, {.max_variables = 8, .density = 0.35, .forbidden = 0.1, .rows = i % 4});
    const double optimum = BruteForce(network);
    if (optimum == kInfinity) {
      const ProverResult none = Prove(network, {.upper_bound = 1e6, .integral = true, .max_nodes = 1000});
      EXPECT_TRUE(none.closed) << "case " << i;
      EXPECT_TRUE(none.choice.empty());
      continue;
    }
    // Told the optimum, it proves it; told more, it finds it.
    for (const double upper : {optimum, optimum + 1, optimum + 17}) {
      const ProverResult result = Prove(network, {.upper_bound = upper, .integral = true, .max_nodes = 1000});
      ASSERT_TRUE(result.closed) << "case " << i;
      ASSERT_EQ(result.cost, optimum) << "case " << i;
      ASSERT_EQ(result.bound, optimum) << "case " << i;
      ASSERT_EQ(result.choice.empty(), upper == optimum) << "case " << i;
      if (upper == optimum) {
        ++at;
        continue;
      }
      ++above;
      EXPECT_EQ(network.CostOf(result.choice), optimum);
      EXPECT_LT(network.ExcessOf(result.choice).row, 0);
    }
    // Told too little, it may not say that there is anything, but what it says is true.
    const ProverResult below = Prove(network, {.upper_bound = optimum - 1, .integral = true, .max_nodes = 1000});
    EXPECT_TRUE(below.choice.empty());
    EXPECT_LE(below.bound, optimum);
  }
  EXPECT_GT(at, 250);
  EXPECT_GT(above, 500);
}

TEST(ProverTest, OneNodeGivesABound) {
  std::mt19937 rng(2);
  for (int i = 0; i < 200; ++i) {
    const CostNetwork network = RandomNetwork(rng, {.max_variables = 8, .density = 0.5, .forbidden = 0.1, .rows = i % 3});
    const double optimum = BruteForce(network);
    if (optimum == kInfinity) continue;
    const ProverResult result = Prove(network, {.upper_bound = optimum + 10});
    EXPECT_LE(result.bound, optimum + (result.closed ? 0 : 1e-9));
    EXPECT_GE(result.cost, optimum);
  }
}

// Whatever messages and prices are, huge ones that cancel and fractions that no double holds included.
TEST(DualTest, BoundsHoldForAnyMessages) {
  std::mt19937 rng(3);
  int checked = 0;
  for (int i = 0; i < 2000; ++i) {
    CostNetwork network = RandomNetwork(rng, {.max_variables = 7, .density = 0.4, .forbidden = 0, .rows = 1 + i % 3});
    auto contraction = Contraction::Make(network);
    if (!contraction.ok() || contraction->core().unary.empty()) continue;
    const CostNetwork& core = contraction->core();
    const double optimum = BruteForce(core);
    const FlatNetwork flat(core);
    Dual dual(flat);
    for (int step = 0; step < 4; ++step) {
      const double size = std::pow(10.0, Uniform(rng, -3, 14));
      std::uniform_real_distribution<double> any(-size, size);
      std::vector<double> messages(flat.message_entries), prices(flat.slack.size());
      for (double& message : messages) message = any(rng);
      for (double& price : prices) price = std::abs(any(rng)) / 1e3;
      dual.Move(messages);
      dual.SetPrices(prices);
      ASSERT_LE(dual.Bound(), optimum) << "case " << i;
      for (int sweep = 0; sweep < 30; ++sweep) dual.Settle();  // near the optimum, where a bound may go wrong by a hair
      ASSERT_LE(dual.Bound(), optimum) << "case " << i;
      ++checked;
    }
    dual.SetPrices(std::vector<double>(flat.slack.size(), 0.0));
    for (int sweep = 0; sweep < 100; ++sweep) dual.Settle();
    ASSERT_LE(dual.Bound(), optimum);
  }
  EXPECT_GT(checked, 200);
}

}  // namespace
}  // namespace omserve
