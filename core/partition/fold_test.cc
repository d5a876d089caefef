#include "core/partition/fold.h"

#include <deque>
#include <limits>
#include <numeric>
#include <random>

#include "core/partition/device_bytes.h"
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
    folded += CutVariables(network).size() > 4;
    SegmentCache cache;
    const auto short_way = FoldedNetwork(network).Solve(network.unary, cache);
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
    for (int stages : {1, 2}) {
      const Cluster cluster = Cluster::Local(devices);
      PlanOptions options;
      options.devices.resize(static_cast<size_t>(devices));
      std::iota(options.devices.begin(), options.devices.end(), 0);
      options.stages = stages;
      options.cut_weights = false;
      options.axes = std::vector<int>{devices / stages};
      const auto folded = MakePlan(graph, cluster, options);
      options.fold = false;
      const auto unfolded = MakePlan(graph, cluster, options);
      ASSERT_TRUE(folded.ok() && unfolded.ok()) << folded.status() << unfolded.status();
      EXPECT_THAT(folded->engine, testing::StartsWith("folding+"));
      EXPECT_TRUE(folded->exact && unfolded->exact);
      EXPECT_NEAR(folded->seconds, unfolded->seconds, 1e-9 * unfolded->seconds);
      EXPECT_EQ(folded->device_bytes, DeviceBytes(graph, *folded));
    }
  }
}

// Devices too small for the fastest plan: what is found fits, and neither way's bound is above the other's plan.
TEST(FoldTest, AGptThatBarelyFitsIsPlannedWithinItsBoundsBothWays) {
  const Graph graph =
      GptGraph({.layers = 6, .hidden = 256, .heads = 8, .vocabulary = 4096, .batch = 1, .tokens = 16});
  PlanOptions options;
  options.devices = {0, 1, 2, 3};
  options.cut_weights = false;
  options.axes = std::vector<int>{4};
  const auto cluster = Cluster::FromJson(R"({"cluster":[{"cluster_nodes":[{"node_id":0,"node_type":"n","item_list":[
      {"item_id":0},{"item_id":1},{"item_id":2},{"item_id":3}]}]}],"node_def":[{"node_type":"n",
      "resource_type":"X86","support_links":"[PCIE]","item_type":"cpu"}],"item_def":[{"item_type":"cpu",
      "resource_type":"Ascend","memory":"[DDR:1GB]","aic_type":"[X:1]"}]})", "c.json");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const auto free = MakePlan(graph, *cluster, options);
  ASSERT_TRUE(free.ok()) << free.status();
  const double whole = static_cast<double>(cluster->devices()[0].memory_bytes);
  bool bound_by_memory = false;
  for (double share : {0.9, 0.7, 0.5}) {
    const Cluster small = cluster->Scaled(1, share * static_cast<double>(free->device_bytes[0]) / whole);
    std::vector<Plan> plans;
    for (bool fold : {true, false}) {
      options.fold = fold;
      const auto plan = MakePlan(graph, small, options);
      if (!plan.ok()) {
        EXPECT_TRUE(absl::IsResourceExhausted(plan.status())) << plan.status();
        continue;
      }
      EXPECT_LE(plan->device_bytes[0], small.devices()[0].memory_bytes);
      EXPECT_LE(plan->lower_bound, plan->seconds);
      EXPECT_EQ(plan->device_bytes, DeviceBytes(graph, *plan));
      plans.push_back(*plan);
    }
    ASSERT_NE(plans.size(), 1u) << share;
    if (plans.empty()) continue;
    EXPECT_LE(plans[0].lower_bound, plans[1].seconds * (1 + 1e-9));
    EXPECT_LE(plans[1].lower_bound, plans[0].seconds * (1 + 1e-9));
    bound_by_memory = bound_by_memory || plans[0].seconds > free->seconds;
  }
  EXPECT_TRUE(bound_by_memory);
}

}  // namespace
}  // namespace omserve
