#include "core/partition/fold.h"

#include <deque>
#include <limits>
#include <numeric>
#include <random>

#include "core/partition/plan.h"
#include "core/partition/testing/gpt_graph.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

// A chain of equal random blocks between a random begin and end.
SharedNetwork Periodic(std::mt19937& rng, std::deque<std::vector<double>>& tables) {
  auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); };
  auto table = [&](size_t entries) {
    tables.emplace_back();
    for (size_t i = 0; i < entries; ++i) {
      tables.back().push_back(draw(0, 9) == 0 && i > 0 ? std::numeric_limits<double>::infinity()
                                                       : draw(0, 30));
    }
    return &tables.back();
  };
  SharedNetwork network;
  const int period = draw(2, 4), blocks = draw(3, 7);
  std::vector<size_t> sizes;
  for (int i = 0; i < period; ++i) sizes.push_back(static_cast<size_t>(draw(1, 3)));
  sizes.back() = 3;  // what connects the blocks
  std::vector<const std::vector<double>*> unary;
  for (size_t size : sizes) unary.push_back(table(size));
  struct Inner {
    int a, b;  // a == -1: the block before
    const std::vector<double>* cost;
  };
  std::vector<Inner> inner;
  for (int b = 0; b < period; ++b) {
    for (int a = -1; a < b; ++a) {
      if (b - a > 1 && draw(0, 1) == 0) continue;
      inner.push_back(
          {a, b,
           table((a < 0 ? sizes.back() : sizes[static_cast<size_t>(a)]) * sizes[static_cast<size_t>(b)])});
    }
  }
  network.unary.push_back(table(3));
  for (int k = 0; k < blocks; ++k) {
    const int begin = static_cast<int>(network.unary.size());
    network.unary.insert(network.unary.end(), unary.begin(), unary.end());
    for (const Inner& edge : inner) network.edges.push_back({begin + edge.a, begin + edge.b, edge.cost});
  }
  network.unary.push_back(table(2));
  const int last = static_cast<int>(network.unary.size()) - 1;
  network.edges.push_back({last - 1, last, table(3 * 2)});
  return network;
}

TEST(FoldTest, FoldedEqualsUnfolded) {
  int folded = 0;
  for (uint32_t seed = 0; seed < 1000; ++seed) {
    std::mt19937 rng(seed);
    std::deque<std::vector<double>> tables;
    const SharedNetwork network = Periodic(rng, tables);
    const std::vector<RepeatedRun> runs = FindRepeatedRuns(network);
    folded += !runs.empty();
    const auto short_way = SolveFolded(network, runs);
    const CostNetwork whole = network.Expand();
    const auto long_way = Solve(whole);
    ASSERT_EQ(short_way.ok(), long_way.ok()) << seed << short_way.status() << long_way.status();
    if (!long_way.ok()) continue;
    EXPECT_EQ(short_way->cost, long_way->cost) << seed;
    EXPECT_EQ(whole.CostOf(short_way->choice), short_way->cost) << seed;
    EXPECT_LE(short_way->lower_bound, short_way->cost);
  }
  EXPECT_GT(folded, 900);
}

TEST(FoldTest, AGptIsPlannedTheSameWithAndWithoutFolding) {
  const Graph graph =
      GptGraph({.layers = 8, .hidden = 512, .heads = 8, .vocabulary = 1024, .batch = 2, .tokens = 64});
  for (int devices : {2, 4, 6, 8}) {
    const Cluster cluster = Cluster::Local(devices);
    PlanOptions options;
    options.devices.resize(static_cast<size_t>(devices));
    std::iota(options.devices.begin(), options.devices.end(), 0);
    options.cut_weights = false;
    options.axes = std::vector<int>{devices};
    const auto folded = MakePlan(graph, cluster, options);
    options.fold = false;
    const auto unfolded = MakePlan(graph, cluster, options);
    ASSERT_TRUE(folded.ok() && unfolded.ok()) << folded.status() << unfolded.status();
    EXPECT_THAT(folded->engine, testing::StartsWith("folding+"));
    EXPECT_TRUE(folded->exact && unfolded->exact);
    EXPECT_NEAR(folded->seconds, unfolded->seconds, 1e-9 * unfolded->seconds);
  }
}

}  // namespace
}  // namespace omserve
