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

// Of a repetition that is one operator.
OperatorWork WorkOf(const Probe& probe) {
  const auto works = probe.Work();
  EXPECT_TRUE(works.ok()) << works.status();
  if (!works.ok() || works->size() != 1) return {};
  return works->front();
}

const std::vector<LogicalDeviceId> kTwo{{0, 0, 0, 0}, {0, 1, 0, 0}};

TEST(ProbeTest, OperatorsAndProductsNeedNoGroup) {
  const Probe add{.type = "Add", .size = 640};
  const auto model = ProbeModel(add, kTwo, 5);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE(CheckModelInfo(model->info).ok());
  EXPECT_TRUE(model->info.groups.empty());
  EXPECT_EQ(Count(model->graphs[1], "Add"), 5);
  EXPECT_EQ(WorkOf(add).bytes, 3 * 4 * 640);
  EXPECT_EQ(WorkOf({.type = "SoftmaxV2", .size = 640}).bytes, 2 * 4 * 640);

  for (const char* type : {"Transpose", "ReduceMean", "Gelu", "RealDiv", "HardSwish", "RmsNorm", "LayerNormV4", "GatherV2",
                           "ConcatD", "BroadcastTo", "SelectV2", "MaxPoolV3", "GlobalAveragePool", "Resize"}) {
    const auto moved = ProbeModel({.type = type, .size = 1024}, kTwo, 3);
    ASSERT_TRUE(moved.ok()) << moved.status();
    EXPECT_EQ(Count(moved->graphs[0], type), 3);
  }
  EXPECT_EQ(WorkOf({.type = "Resize", .size = 1024}).bytes, 4 * (1024 + 4 + 4096));
  EXPECT_EQ(WorkOf({.type = "SoftmaxV2", .size = 640}).pieces, 10);
  EXPECT_EQ(WorkOf({.type = "GatherV2", .size = 640, .row = 4}).pieces, 160);

  const Probe product{.what = Probe::What::kProduct, .size = 3, .columns = 16, .inner = 16};
  const auto products = ProbeModel(product, {kTwo[0]}, 4);
  ASSERT_TRUE(products.ok()) << products.status();
  EXPECT_EQ(Count(products->graphs[0], "MatMulV2"), 4);
  EXPECT_EQ(WorkOf(product).flops, 2 * 3 * 16 * 16);

  const Probe attention{.what = Probe::What::kProduct, .size = 3, .columns = 5, .inner = 16, .batch = 4};
  const auto scores = ProbeModel(attention, {kTwo[0]}, 4);
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(Count(scores->graphs[0], "BatchMatMulV2"), 4);
  EXPECT_EQ(WorkOf(attention).rows, 12);
  EXPECT_EQ(WorkOf(attention).bytes, 4 * 4 * (3 * 16 + 16 * 5 + 3 * 5));
}

TEST(ProbeTest, ConvolutionsKeepTheirImage) {
  const Probe probe{.what = Probe::What::kConvolution, .size = 7, .columns = 4};
  const auto model = ProbeModel(probe, {kTwo[0]}, 3);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(Count(model->graphs[0], "Conv2D"), 3);
  EXPECT_EQ(WorkOf(probe).flops, 2 * 4 * 4 * 9 * 49);
  EXPECT_EQ(WorkOf(probe).bytes, 4 * (2 * 4 * 49 + 4 * 4 * 9));
  EXPECT_EQ(probe.weights(), 4 * 4 * 9);
}

TEST(ProbeTest, ConvolutionsToOtherChannelsAndBack) {
  const Probe probe{.what = Probe::What::kConvolution, .size = 7, .columns = 6, .inner = 4, .window = 1};
  const auto model = ProbeModel(probe, {kTwo[0]}, 3);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(Count(model->graphs[0], "Conv2D"), 6);
  const auto works = probe.Work();
  ASSERT_TRUE(works.ok()) << works.status();
  ASSERT_EQ(works->size(), 2u);
  EXPECT_EQ(works->at(0).variant, "Conv2D/pointwise");
  EXPECT_EQ(works->at(0).columns, 6);
  EXPECT_EQ(works->at(1).columns, 4);
  EXPECT_EQ(probe.weights(), 2 * 4 * 6);
}

TEST(ProbeTest, ConvolutionsThatChangeTheImage) {
  const OperatorWork smaller = WorkOf({.what = Probe::What::kConvolution, .size = 8, .columns = 16, .inner = 3, .stride = 2});
  EXPECT_EQ(smaller.rows, 16);
  EXPECT_EQ(smaller.inner, 27);
  for (const int64_t window : {2, 4}) {
    const OperatorWork larger =
        WorkOf({.what = Probe::What::kConvolution, .size = 8, .columns = 2, .inner = 3, .window = window, .stride = 2,
                .transposed = true});
    EXPECT_EQ(larger.variant, "Conv2DTranspose");
    EXPECT_EQ(larger.rows, 256);
    EXPECT_EQ(larger.columns, 2);
  }
}

TEST(ProbeTest, EpiloguesAreWhatFollowsAProduct) {
  const Probe probe{.what = Probe::What::kProduct, .size = 8, .columns = 16, .inner = 16, .epilogue = true};
  const auto works = probe.Work();
  ASSERT_TRUE(works.ok()) << works.status();
  ASSERT_EQ(works->size(), 3u);
  EXPECT_FALSE(works->at(0).epilogue);
  EXPECT_TRUE(works->at(1).epilogue);
  EXPECT_TRUE(works->at(2).epilogue);
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
    EXPECT_NEAR(seconds[1] - seconds[0], rates.Seconds(WorkOf(probe)), 1e-9) << depthwise;
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
