#include "client/cli/probe.h"

#include "core/om/model.h"
#include "core/partition/choose.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::cli {
namespace {

int Count(const Graph& graph, const std::string& type) {
  int count = 0;
  for (const int32_t id : graph.NodeIds()) count += graph.node(id)->type() == type;
  return count;
}

const std::vector<LogicalDeviceId> kTwo{{0, 0, 0, 0}, {0, 1, 0, 0}};

TEST(ProbeTest, OperatorsAndProductsNeedNoGroup) {
  const Probe add{.type = "Add", .size = 640};
  const auto model = ProbeModel(add, kTwo, 5);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE(CheckModelInfo(model->info).ok());
  EXPECT_TRUE(model->info.groups.empty());
  EXPECT_EQ(Count(model->graphs[1], "Add"), 5);
  EXPECT_EQ(add.bytes(), 3 * 4 * 640);
  EXPECT_EQ((Probe{.type = "SoftmaxV2", .size = 640}.bytes()), 2 * 4 * 640);

  for (const char* type : {"Transpose", "ReduceMean", "Gelu", "RealDiv"}) {
    const auto moved = ProbeModel({.type = type, .size = 640}, kTwo, 3);
    ASSERT_TRUE(moved.ok()) << moved.status();
    EXPECT_EQ(Count(moved->graphs[0], type), 3);
  }
  EXPECT_EQ((Probe{.type = "ReduceMean", .size = 640}.bytes()), 4 * 650);

  const Probe product{.what = Probe::What::kProduct, .size = 3, .columns = 16, .inner = 16};
  const auto products = ProbeModel(product, {kTwo[0]}, 4);
  ASSERT_TRUE(products.ok()) << products.status();
  EXPECT_EQ(Count(products->graphs[0], "MatMulV2"), 4);
  EXPECT_EQ(product.work().flops, 2 * 3 * 16 * 16);

  const Probe attention{.what = Probe::What::kProduct, .size = 3, .columns = 5, .inner = 16, .batch = 4};
  const auto scores = ProbeModel(attention, {kTwo[0]}, 4);
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(Count(scores->graphs[0], "BatchMatMulV2"), 4);
  EXPECT_EQ(attention.work().rows, 12);
  EXPECT_EQ(attention.bytes(), 4 * 4 * (3 * 16 + 16 * 5 + 3 * 5));
}

TEST(ProbeTest, ConvolutionsKeepTheirImage) {
  const Probe probe{.what = Probe::What::kConvolution, .size = 7, .columns = 4};
  const auto model = ProbeModel(probe, {kTwo[0]}, 3);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(Count(model->graphs[0], "Conv2D"), 3);
  EXPECT_EQ(probe.work().flops, 2 * 4 * 4 * 9 * 49);
  EXPECT_EQ(probe.bytes(), 4 * (2 * 4 * 49 + 4 * 4 * 9));
}

// What a probe says of itself is what plans are priced by.
TEST(ProbeTest, ConvolutionsArePricedAsTheyAreMeasured) {
  auto cluster = Cluster::FromJson(R"({"cluster": [{"cluster_nodes": [{"node_id": 0, "item_list": [{"item_id": 0}]}]}],
                                      "item_def": [{"item_type": "cpu"}]})",
                                   "cluster");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  ASSERT_TRUE(cluster->ApplyCosts(R"({"omserve_costs": {"devices": {"cpu": {"operators": {
      "Conv2D": {"flops_per_second": 1e9, "bytes_per_second": 1e15, "start_seconds": 1e-6,
                 "half_rows": 10, "half_columns": 5, "half_inner": 7},
      "DepthwiseConv2D": {"flops_per_second": 1e8, "bytes_per_second": 1e15, "start_seconds": 2e-6,
                          "half_rows": 3, "half_inner": 4}}}}}})",
                                  "costs")
                  .ok());
  for (const bool depthwise : {false, true}) {
    const Probe probe{.what = Probe::What::kConvolution, .size = 9, .columns = 6, .window = 5, .depthwise = depthwise};
    double seconds[2];
    for (int i = 0; i < 2; ++i) {
      const auto model = ProbeModel(probe, {kTwo[0]}, 1 + i);
      ASSERT_TRUE(model.ok()) << model.status();
      const auto plan = PlanModel(model->graphs[0], *cluster, {});
      ASSERT_TRUE(plan.ok()) << plan.status();
      seconds[i] = plan->seconds;
    }
    OperatorRates rates{.flops_per_second = 1e9, .bytes_per_second = 1e15, .start_seconds = 1e-6};
    rates.half_rows = 10;
    rates.half_columns = 5;
    rates.half_inner = 7;
    if (depthwise) {
      rates = {.flops_per_second = 1e8, .bytes_per_second = 1e15, .start_seconds = 2e-6};
      rates.half_rows = 3;
      rates.half_inner = 4;
    }
    EXPECT_NEAR(seconds[1] - seconds[0], rates.Seconds(probe.work()), 1e-9) << depthwise;
  }
}

TEST(ProbeTest, CollectivesOfAllKindsOnAnyNumberOfRanks) {
  for (const auto& [kind, type] :
       {std::pair(CollectiveKind::kAllReduce, "HcomAllReduce"), std::pair(CollectiveKind::kAllGather, "HcomAllGather"),
        std::pair(CollectiveKind::kReduceScatter, "HcomReduceScatter"), std::pair(CollectiveKind::kAllToAll, "HcomAllToAll"),
        std::pair(CollectiveKind::kBroadcast, "HcomBroadcast")}) {
    for (const int ranks : {2, 3}) {
      std::vector<LogicalDeviceId> devices;
      for (int rank = 0; rank < ranks; ++rank) devices.push_back({0, 0, rank, 0});
      const auto model = ProbeModel({.what = Probe::What::kCollective, .collective = kind, .size = 4096}, devices, 6);
      ASSERT_TRUE(model.ok()) << model.status();
      EXPECT_TRUE(CheckModelInfo(model->info).ok());
      EXPECT_EQ(model->info.groups[0].ranks.size(), devices.size());
      EXPECT_EQ(Count(model->graphs[0], type), 6) << type;
    }
  }
}

TEST(ProbeTest, MessagesGoToAndFro) {
  const auto model =
      ProbeModel({.what = Probe::What::kCollective, .collective = CollectiveKind::kSendReceive, .size = 4096}, kTwo, 5);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(Count(model->graphs[0], "HcomSend"), 3);
  EXPECT_EQ(Count(model->graphs[0], "HcomReceive"), 2);
  EXPECT_EQ(Count(model->graphs[1], "HcomSend"), 2);
}

TEST(ProbeTest, AnOperatorWithoutAProbeIsNamed) {
  EXPECT_EQ(ProbeModel({.type = "Conv2D", .size = 64}, kTwo, 1).status().message(), "there is no probe of operator 'Conv2D'");
  EXPECT_EQ(ProbeModel({.type = "Nope", .size = 64}, kTwo, 1).status().message(), "there is no probe of operator 'Nope'");
}

}  // namespace
}  // namespace omserve::cli
