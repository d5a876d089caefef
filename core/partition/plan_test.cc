#include "core/partition/plan.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "core/ops/op.h"
#include "core/partition/explain.h"
#include "core/partition/lower/lower.h"
#include "core/partition/testing/random_graph.h"
#include "core/partition/weight_gather.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

PlanOptions On(int devices, bool cut_weights = true) {
  PlanOptions options;
  options.devices.resize(static_cast<size_t>(devices));
  std::iota(options.devices.begin(), options.devices.end(), 0);
  options.cut_weights = cut_weights;
  return options;
}

Tensor Weights(Shape shape) {
  return Tensor::Of<float>(shape, std::vector<float>(static_cast<size_t>(NumElements(shape)), 1.0f));
}

Node* Add(Graph& graph, const std::string& type, std::vector<ValueId> inputs, AttrMap attrs = {}) {
  Node* node = graph.AddNode(type, type, std::move(inputs));
  for (auto& [key, value] : attrs) node->SetAttr(key, value);
  EXPECT_TRUE(InferNode(graph, *node).ok()) << InferNode(graph, *node);
  return node;
}

Graph Mlp(int64_t hidden) {
  Graph graph("mlp");
  Node* x = graph.AddData("x", {DataType::kFloat, {16, 64}});
  Node* up = Add(graph, "MatMulV2", {x->out(), graph.AddConst("w1", Weights({64, hidden}))->out()});
  Node* act = Add(graph, "Relu", {up->out()});
  Node* down = Add(graph, "MatMulV2", {act->out(), graph.AddConst("w2", Weights({hidden, 64}))->out()});
  Node* sum = Add(graph, "Add", {down->out(), x->out()});
  graph.AddOutput("y", sum->out());
  return graph;
}

std::map<std::string, int> Collectives(const Graph& slice) {
  std::map<std::string, int> counts;
  for (int32_t id : slice.NodeIds()) {
    if (slice.node(id)->type().rfind("Hcom", 0) == 0) ++counts[slice.node(id)->type()];
  }
  return counts;
}

// What is shown is what was priced: operators and reshards make up the stages, stages the run.
TEST(PlanTest, AReportAddsUpToItsPlan) {
  for (int stages : {1, 2}) {
    for (int devices : {2, 4}) {
      const Graph graph = Mlp(256);
      const Cluster cluster = Cluster::Local(devices);
      PlanOptions options = On(devices);
      options.stages = stages;
      auto plan = MakePlan(graph, cluster, options);
      ASSERT_TRUE(plan.ok()) << plan.status();
      auto report = ExplainPlan(graph, cluster, *plan);
      ASSERT_TRUE(report.ok()) << report.status();
      double parts = 0, whole = 0;
      for (const PlanReport::Operator& op : report->operators) parts += op.seconds;
      for (const PlanReport::Reshard& reshard : report->reshards) parts += reshard.seconds;
      for (const PlanReport::Stage& stage : report->stages) whole += stage.seconds;
      EXPECT_GT(parts, 0);
      EXPECT_NEAR(parts, plan->seconds, 1e-9 * plan->seconds) << stages << " stages, " << devices << " devices";
      EXPECT_NEAR(whole, plan->seconds, 1e-9 * plan->seconds);
    }
  }
}

TEST(PlanTest, AnMlpIsCutByColumnsThenRows) {
  for (int devices : {2, 4, 8}) {
    const Graph graph = Mlp(256);
    const Cluster cluster = Cluster::Local(devices);
    auto plan = MakePlan(graph, cluster, On(devices));
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_TRUE(plan->exact);
    EXPECT_EQ(plan->lower_bound, plan->seconds);
    auto cut = Lower(graph, cluster, *plan);
    ASSERT_TRUE(cut.ok()) << cut.status();
    // One sum at the end; whether it is left cut for the coordinator is the planner's business.
    const auto counts = Collectives(cut->slices[0]);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0, [](int n, const auto& c) { return n + c.second; }), 1)
        << Dump(cut->slices[0]);
    const TensorSlice* w1 = cut->slices[1].FindNode("w1")->constant();
    EXPECT_EQ(w1->shape(), (Shape{64, 256 / devices}));
    EXPECT_EQ(w1->begin(), (std::vector<int64_t>{0, 256 / devices}));
  }
}

TEST(PlanTest, OneDeviceNeedsNoCommunication) {
  const Graph graph = Mlp(256);
  const Cluster cluster = Cluster::Local(1);
  auto plan = MakePlan(graph, cluster, On(1));
  ASSERT_TRUE(plan.ok());
  auto cut = Lower(graph, cluster, *plan);
  ASSERT_TRUE(cut.ok());
  EXPECT_TRUE(Collectives(cut->slices[0]).empty());
  EXPECT_TRUE(cut->groups.empty());
}

TEST(PlanTest, UnevenSizesAreRefusedNotPadded) {
  Graph graph("odd");
  Node* x = graph.AddData("x", {DataType::kFloat, {16, 7}});
  graph.AddOutput("y", Add(graph, "MatMulV2", {x->out(), graph.AddConst("w", Weights({7, 5}))->out()})->out());
  const absl::Status status = MakePlan(graph, Cluster::Local(2), On(2)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("tensor_parallel_size 2 divides no dimension of any weight"));
}

// x → q, k heads → scores: the batch dimensions of the product are batch and heads.
Graph Attention(int64_t heads) {
  Graph graph("attention");
  const int64_t width = heads * 4;
  Node* x = graph.AddData("x", {DataType::kFloat, {1, 10, width}});
  auto project = [&](const char* name) {
    Node* y = Add(graph, "BatchMatMulV2", {x->out(), graph.AddConst(name, Weights({width, width}))->out()});
    Node* split = Add(graph, "Reshape", {y->out(), graph.AddConst("s", Tensor::Int64s({1, 10, heads, 4}))->out()});
    return Add(graph, "Transpose", {split->out(), graph.AddConst("p", Tensor::Int64s({0, 2, 1, 3}))->out()});
  };
  Node* q = project("wq");
  Node* k = project("wk");
  graph.AddOutput("scores", Add(graph, "BatchMatMulV2", {q->out(), k->out()}, {{"adj_x2", true}})->out());
  return graph;
}

TEST(PlanTest, HeadsThatDoNotDivideAreNamed) {
  const Cluster cluster = Cluster::Local(4);
  const Graph six = Attention(6);
  const absl::Status status = MakePlan(six, cluster, On(4)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("tensor_parallel_size 4 does not divide the 6 attention heads (times batch) of node"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("sizes that do: 1, 2, 3, 6"));
  const Graph eight = Attention(8);
  auto plan = MakePlan(eight, cluster, On(4));
  ASSERT_TRUE(plan.ok()) << plan.status();
  auto cut = Lower(eight, cluster, *plan);
  ASSERT_TRUE(cut.ok());
  EXPECT_TRUE(Collectives(cut->slices[0]).empty()) << Dump(cut->slices[0]);
}

TEST(PlanTest, WeightsThatDoNotFitSayNeedAndHave) {
  auto cluster = Cluster::FromJson(R"({"cluster":[{"cluster_nodes":[{"node_id":0,"node_type":"n","item_list":[
      {"item_id":0},{"item_id":1}]}]}],"node_def":[{"node_type":"n","resource_type":"X86","support_links":"[PCIE]",
      "item_type":"cpu"}],"item_def":[{"item_type":"cpu","resource_type":"Ascend","memory":"[DDR:1GB]",
      "aic_type":"[X:1]"}]})", "c.json");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  Graph graph("big");
  Node* x = graph.AddData("x", {DataType::kFloat, {1, 32768}});
  // The bytes are never touched: one page stands for them all.
  std::byte* page = nullptr;
  const Buffer small = Buffer::Allocate(64, &page);
  const Buffer huge(small.owner(), small.data(), size_t{32768} * 32768 * 4);
  Node* w = graph.AddConst("w", *Tensor::Create({DataType::kFloat, {32768, 32768}}, huge));
  graph.AddOutput("y", Add(graph, "MatMulV2", {x->out(), w->out()})->out());
  const absl::Status status = MakePlan(graph, *cluster, On(2)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("bytes are missing"));
}

// The price of a plan, added up independently of the planner.
double PriceOf(const Graph& graph, const Plan& plan, Resharder& resharder) {
  double seconds = 0;
  for (const auto& [id, strategy] : plan.strategies) {
    const Node& node = *graph.node(id);
    seconds += strategy.seconds + GatherSeconds(graph, node, resharder, strategy);
    for (int i = 0; i < node.num_inputs(); ++i) {
      if (!node.input(i).valid() || graph.node(node.input(i).node)->is_const()) continue;
      seconds += resharder.Seconds(ProducedSharding(graph, plan, node.input(i)), strategy.inputs[i],
                                   graph.desc(node.input(i)));
    }
  }
  for (size_t o = 0; o < plan.outputs.size(); ++o) {
    const ValueId value = graph.outputs()[o].value;
    seconds += resharder.Seconds(ProducedSharding(graph, plan, value), plan.outputs[o], graph.desc(value));
  }
  return seconds;
}

TEST(PlanTest, NoRandomPlanIsCheaper) {
  int compared = 0;
  for (uint32_t seed = 0; seed < 150; ++seed) {
    std::mt19937 rng(seed);
    const Graph graph = RandomGraph(rng, 5);
    const int devices = seed % 2 ? 2 : 4;
    const Cluster cluster = Cluster::Local(devices);
    PlanOptions options = On(devices, /*cut_weights=*/false);
    options.whole_before_weights = false;
    auto best = MakePlan(graph, cluster, options);
    ASSERT_TRUE(best.ok()) << best.status();
    Resharder resharder(best->stages[0], cluster);
    EXPECT_NEAR(PriceOf(graph, *best, resharder), best->seconds, 1e-9) << Dump(graph);
    for (int i = 0; i < 20; ++i) {
      auto other = RandomPlan(graph, cluster, devices, rng);
      ASSERT_TRUE(other.ok());
      Resharder others(other->stages[0], cluster);
      EXPECT_GE(PriceOf(graph, *other, others), best->lower_bound - 1e-9);
      ++compared;
    }
  }
  EXPECT_GT(compared, 1000);
}

}  // namespace
}  // namespace omserve
