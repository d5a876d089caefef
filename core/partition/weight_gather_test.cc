#include "core/partition/weight_gather.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/device/cpu/cpu_device.h"
#include "core/ops/op.h"
#include "core/partition/choose.h"
#include "core/partition/explain.h"
#include "core/partition/lower/lower.h"
#include "core/partition/plan_file.h"
#include "core/partition/testing/emulator.h"
#include "core/partition/testing/random_graph.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

constexpr int kLayers = 6;
constexpr int64_t kWidth = 64;
constexpr int64_t kWeightBytes = kWidth * kWidth * 4;

// Rows are many and weights small: cutting the rows and gathering the weights is what pays.
Graph Layers(int64_t rows) {
  Graph graph("layers");
  ValueId x = graph.AddData("x", {DataType::kFloat, {rows, kWidth}})->out();
  for (int i = 0; i < kLayers; ++i) {
    std::vector<float> values(kWidth * kWidth, 0);
    for (int64_t k = 0; k < kWidth; ++k) values[static_cast<size_t>(k * kWidth + (k * 7 + i) % kWidth)] = 1 + i % 2;
    const ValueId w =
        graph.AddConst(absl::StrCat("w", i), Tensor::Of<float>({kWidth, kWidth}, values))->out();
    Node* product = graph.AddNode("MatMulV2", absl::StrCat("product", i), {x, w});
    EXPECT_TRUE(InferNode(graph, *product).ok());
    Node* positive = graph.AddNode("Relu", absl::StrCat("relu", i), {product->out()});
    EXPECT_TRUE(InferNode(graph, *positive).ok());
    x = positive->out();
  }
  graph.AddOutput("y", x);
  return graph;
}

ParallelOptions Policy(const std::string& sharding) {
  auto options = ParallelOptions::FromJson(
      absl::StrCat("{\"graph_parallel_option\":{\"tensor_sharding\":{", sharding, "}}}"), "policy");
  EXPECT_TRUE(options.ok()) << options.status();
  return *options;
}

std::vector<std::string> Program(const Graph& slice) {
  std::vector<std::string> types;
  const std::vector<int32_t> order = slice.TopologicalOrder().value();
  for (int32_t id : order) {
    const Node& node = *slice.node(id);
    if (node.is("HcomAllGather") || node.is("MatMulV2") || node.is("Relu")) types.push_back(node.type());
  }
  return types;
}

TEST(WeightGatherTest, ThePolicyHoldsEveryWeightInParts) {
  const Graph graph = Layers(4096);
  CpuEvaluator evaluator;
  std::mt19937 rng(1);
  const std::vector<Tensor> inputs = RandomInputs(graph, rng);
  const auto expected = RunWhole(graph, inputs, evaluator);
  ASSERT_TRUE(expected.ok());
  for (int devices : {2, 3, 4, 6}) {
    SCOPED_TRACE(devices);
    const Cluster cluster = Cluster::Local(devices);
    auto plan = PlanModel(graph, cluster, Policy("\"model_weight_sharding\":true"));
    ASSERT_TRUE(plan.ok()) << plan.status();
    auto cut = Lower(graph, cluster, *plan);
    ASSERT_TRUE(cut.ok()) << cut.status();
    const int64_t parts = devices % 3 == 0 ? devices / 3 : devices;  // 64 rows and columns
    for (const Graph& slice : cut->slices) {
      int64_t held = 0;
      for (int32_t id : slice.NodeIds()) {
        const Node& node = *slice.node(id);
        if (!node.is_const() || node.output().type != DataType::kFloat) continue;
        held += static_cast<int64_t>(ByteSize(node.output()));
      }
      EXPECT_EQ(held, kLayers * kWeightBytes / parts);
    }
    auto actual = RunSlices(graph, *cut, inputs, evaluator);
    ASSERT_TRUE(actual.ok()) << actual.status();
    const auto want = (*expected)[0].values<float>(), got = (*actual)[0].values<float>();
    EXPECT_TRUE(std::equal(want.begin(), want.end(), got.begin(), got.end()));

    // What is emitted is what is priced.
    auto report = ExplainPlan(graph, cluster, *plan);
    ASSERT_TRUE(report.ok());
    double seconds = 0, gathers = 0;
    for (const PlanReport::Operator& op : report->operators) seconds += op.seconds;
    for (const PlanReport::Reshard& reshard : report->reshards) {
      seconds += reshard.seconds;
      gathers += reshard.producer[0] == 'w';
    }
    EXPECT_NEAR(seconds, plan->seconds, 1e-9 * plan->seconds);
    const std::vector<std::string> program = Program(cut->slices[0]);
    if (parts == devices) {
      EXPECT_GE(gathers, kLayers - 1);  // the last layer may be cut by columns
      EXPECT_EQ(std::count(program.begin(), program.end(), "HcomAllGather"), gathers);
    }

    // A plan is the same when it is read again.
    const std::string text = PlanToText(graph, cluster, *plan);
    auto again = PlanFromText(text, "plan", graph, cluster);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(PlanToText(graph, cluster, *again).substr(0, 40), text.substr(0, 40));
    auto cut_again = Lower(graph, cluster, *again);
    ASSERT_TRUE(cut_again.ok());
    EXPECT_EQ(Dump(cut_again->slices[0]), Dump(cut->slices[0]));
    EXPECT_EQ(again->device_bytes, plan->device_bytes);
  }
}

TEST(WeightGatherTest, WithoutThePolicyAndWithMemoryNothingIsGathered) {
  const Graph graph = Layers(4096);
  auto plan = PlanModel(graph, Cluster::Local(4), Policy("\"model_weight_sharding\":false"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_FALSE(plan->memory_binds);
  for (const auto& [id, strategy] : plan->strategies) EXPECT_TRUE(strategy.held.empty());
}

TEST(WeightGatherTest, PrefetchDecidesWhereGathersStand) {
  const Graph graph = Layers(4096);
  const Cluster cluster = Cluster::Local(2);
  auto positions = [&](const std::string& prefetch) {
    auto plan = PlanModel(graph, cluster, Policy("\"model_weight_sharding\":true" + prefetch));
    EXPECT_TRUE(plan.ok()) << plan.status();
    const auto schedule = ScheduleGathers(graph, *plan, *graph.TopologicalOrder());
    EXPECT_EQ(schedule.size(), 1u);
    // The program has the gathers where the schedule says.
    std::vector<std::string> expected;
    size_t next = 0;
    for (size_t op = 0; op < 2 * kLayers; ++op) {
      for (; next < schedule[0].size() && schedule[0][next].start <= op; ++next) expected.push_back("HcomAllGather");
      expected.push_back(op % 2 == 0 ? "MatMulV2" : "Relu");
    }
    EXPECT_EQ(Program(Lower(graph, cluster, *plan)->slices[0]), expected);
    return std::make_pair(schedule[0], *plan);
  };
  const auto [late, late_plan] = positions(",\"model_weight_prefetch\":false");
  ASSERT_EQ(late.size(), size_t{kLayers});
  for (const WeightGather& gather : late) EXPECT_EQ(gather.start, gather.reader);
  const auto [ahead, ahead_plan] = positions("");
  for (const WeightGather& gather : ahead) {
    EXPECT_EQ(gather.start, gather.reader - std::min(gather.reader, kPrefetchOperators));
  }
  // Two layers ahead, two more weights are gathered at the same time.
  EXPECT_EQ(ahead_plan.device_bytes[0] - late_plan.device_bytes[0], 2 * kWeightBytes);
  EXPECT_EQ(ahead_plan.seconds, late_plan.seconds);
  // A megabyte has room for all of them.
  const auto [all, all_plan] = positions(",\"model_weight_prefetch_buffer_size\":1");
  for (const WeightGather& gather : all) EXPECT_EQ(gather.start, 0u);

  for (int64_t weights : {1, 2, 3}) {
    Plan plan = ahead_plan;
    plan.weight_prefetch.buffer_bytes = weights * kWeightBytes + 5;
    const auto schedule = ScheduleGathers(graph, plan, *graph.TopologicalOrder())[0];
    for (size_t g = 0; g < schedule.size(); ++g) {
      const size_t waits_for = static_cast<size_t>(weights);
      EXPECT_EQ(schedule[g].start, g < waits_for ? 0 : schedule[g - waits_for].reader + 1);
    }
  }
}

TEST(WeightGatherTest, APlanFileThatHoldsWhatItCannotIsRefused) {
  const Graph graph = Layers(4096);
  const Cluster cluster = Cluster::Local(4);
  auto plan = PlanModel(graph, cluster, Policy("\"model_weight_sharding\":true"));
  ASSERT_TRUE(plan.ok());
  const std::string text = PlanToText(graph, cluster, *plan);
  const std::string held = "\"held\":{\"1\":\"[";
  const size_t at = text.find(held);
  ASSERT_NE(at, std::string::npos) << text;
  auto refused = [&](const std::string& instead) {
    std::string edited = text;
    edited.replace(at, text.find('}', at) + 1 - at, instead);
    return std::string(PlanFromText(edited, "p", graph, cluster).status().message());
  };
  EXPECT_THAT(refused("\"held\":{\"0\":\"[0, -]\"}"), HasSubstr("has no weight as input '0'"));
  EXPECT_THAT(refused("\"held\":{\"1\":\"[7, -]\"}"), HasSubstr("expected a sharding of rank 2"));
  EXPECT_THAT(refused("\"held\":{\"1\":\"[-, -]+sum(0)\"}"), HasSubstr("with further axes"));
}

// Weights stand for many bytes that are never touched.
Graph Heavy(int64_t rows, int64_t width, int layers) {
  Graph graph("heavy");
  std::byte* page = nullptr;
  const Buffer small = Buffer::Allocate(64, &page);
  const Buffer huge(small.owner(), small.data(), static_cast<size_t>(width * width * 4));
  ValueId x = graph.AddData("x", {DataType::kFloat, {rows, width}})->out();
  for (int i = 0; i < layers; ++i) {
    Node* w = graph.AddConst(absl::StrCat("w", i), *Tensor::Create({DataType::kFloat, {width, width}}, huge));
    Node* product = graph.AddNode("MatMulV2", absl::StrCat("product", i), {x, w->out()});
    EXPECT_TRUE(InferNode(graph, *product).ok());
    x = product->out();
  }
  graph.AddOutput("y", x);
  return graph;
}

Cluster TwoDevices(int gigabytes) {
  auto cluster = Cluster::FromJson(
      absl::StrCat(R"({"cluster":[{"cluster_nodes":[{"node_id":0,"node_type":"n",
        "item_list":[{"item_id":0},{"item_id":1}]}]}],
      "node_def":[{"node_type":"n","resource_type":"X86","support_links":"[PCIE]","item_type":"cpu"}],
      "item_def":[{"item_type":"cpu","resource_type":"Ascend","aic_type":"[X:1]","memory":"[DDR:)",
                   gigabytes, R"(GB]"}]})"),
      "c.json");
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  return *cluster;
}

TEST(WeightGatherTest, WhereMemoryBindsWeightsAreGatheredAsFarAsNeeded) {
  // Eight weights of 1 GiB; values of 2 GiB on each device, of which two are alive at once.
  const Graph graph = Heavy(1 << 16, 16384, 8);
  const ParallelOptions free = Policy("\"model_weight_prefetch\":false");
  auto gathers = [](const Plan& plan) {
    size_t count = 0;
    for (const auto& [id, strategy] : plan.strategies) count += strategy.held.size();
    return count;
  };
  double seconds = 0;
  size_t most = 0;
  for (int gigabytes : {64, 12, 11, 10, 9}) {
    const Cluster cluster = TwoDevices(gigabytes);
    auto plan = PlanModel(graph, cluster, free);
    ASSERT_TRUE(plan.ok()) << gigabytes << ": " << plan.status();
    EXPECT_LE(plan->device_bytes[0], int64_t{gigabytes} << 30);
    EXPECT_GE(plan->seconds, seconds) << "less memory is no faster";
    EXPECT_GE(gathers(*plan), most) << plan->engine;
    EXPECT_LE(plan->lower_bound, plan->seconds);
    seconds = plan->seconds;
    most = gathers(*plan);
    if (gigabytes >= 12) {
      EXPECT_EQ(most, 0u);
    }
    if (gigabytes == 11) {
      EXPECT_LT(most, 8u);
    }
  }
  EXPECT_EQ(most, 8u);
}

}  // namespace
}  // namespace omserve
