// Operators whose parts exchange something along cut axes: every strategy gives what one device gives, and costs what is
// emitted.
#include <cmath>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "core/device/cpu/cpu_device.h"
#include "core/ops/op.h"
#include "core/partition/lower/lower.h"
#include "core/partition/strategy.h"
#include "core/partition/testing/emulator.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

struct Case {
  const char* type;
  AttrMap attrs;
  std::vector<Shape> weights = {};  // further inputs
};

const Shape kShape = {4, 6, 8};

std::vector<Case> Cases() {
  const AttrMap last{{"begin_norm_axis", int64_t{-1}}}, two{{"begin_norm_axis", int64_t{1}}};
  return {{"SoftmaxV2", {{"axes", std::vector<int64_t>{-1}}}},
          {"SoftmaxV2", {{"axes", std::vector<int64_t>{1, 2}}}},
          {"LogSoftmaxV2", {{"axes", std::vector<int64_t>{1}}}},
          {"LayerNorm", last, {{8}, {8}}},
          {"LayerNormV3", two, {{6, 8}, {6, 8}}},
          {"LayerNormV4", {}, {{8}, {8}}},
          {"RmsNorm", {}, {{8}}},
          {"AddRmsNorm", {}, {kShape, {8}}},
          {"ReduceMaxD", {{"axes", std::vector<int64_t>{2}}}},
          {"ReduceMinD", {{"axes", std::vector<int64_t>{0, 2}}, {"keep_dims", true}}}};
}

Tensor Random(const Shape& shape, std::mt19937& rng) {
  std::normal_distribution<float> normal(1.0f, 3.0f);
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  for (float& value : values) value = normal(rng);
  return Tensor::Of<float>(shape, values);
}

void PrintTo(const Case& test, std::ostream* out) { *out << test.type; }

class ExchangeTest : public testing::TestWithParam<Case> {};

TEST_P(ExchangeTest, EveryStrategyEqualsOneDeviceAndCostsWhatIsEmitted) {
  std::mt19937 rng(7);
  Graph graph("exchange");
  std::vector<ValueId> inputs{graph.AddData("x", {DataType::kFloat, kShape})->out()};
  if (GetParam().type == std::string("LayerNormV4")) {
    inputs.push_back(graph.AddConst("normalized_shape", Tensor::Int64s({8}))->out());
  }
  for (const Shape& shape : GetParam().weights) inputs.push_back(graph.AddConst("weight", Random(shape, rng))->out());
  Node* node = graph.AddNode(GetParam().type, "node", inputs);
  for (const auto& [name, value] : GetParam().attrs) node->SetAttr(name, value);
  ASSERT_TRUE(InferNode(graph, *node).ok()) << InferNode(graph, *node);
  for (int i = 0; i < node->num_outputs(); ++i) graph.AddOutput("y" + std::to_string(i), node->out(i));
  const std::vector<Tensor> values{Random(kShape, rng)};
  CpuEvaluator evaluator;
  absl::StatusOr<std::vector<Tensor>> expected = RunWhole(graph, values, evaluator);
  ASSERT_TRUE(expected.ok()) << expected.status();

  const Cluster cluster = Cluster::Local(4);
  Plan plan;
  plan.stages = {Mesh({0, 1, 2, 3})};
  Resharder resharder(plan.stages[0], cluster);
  absl::StatusOr<std::vector<Strategy>> strategies =
      EnumerateStrategies(graph, *node, cluster, resharder, {.keep_dominated = true});
  ASSERT_TRUE(strategies.ok()) << strategies.status();
  int exchanging = 0;
  for (const Strategy& strategy : *strategies) {
    plan.strategies.clear();
    plan.strategies.emplace(node->id(), strategy);
    plan.outputs = strategy.outputs;
    absl::StatusOr<CutGraph> cut = Lower(graph, cluster, plan);
    ASSERT_TRUE(cut.ok()) << cut.status();
    absl::StatusOr<std::vector<Tensor>> actual = RunSlices(graph, *cut, values, evaluator);
    ASSERT_TRUE(actual.ok()) << actual.status() << Dump(cut->slices[0]);
    for (size_t o = 0; o < expected->size(); ++o) {
      const auto want = (*expected)[o].values<float>(), got = (*actual)[o].values<float>();
      ASSERT_EQ(want.size(), got.size());
      for (size_t k = 0; k < want.size(); ++k) {
        ASSERT_NEAR(want[k], got[k], 2e-5 * (1 + std::abs(want[k]))) << "output " << o << Dump(cut->slices[0]);
      }
    }
    // The collectives of the slice, priced one by one, are part of the strategy's seconds.
    double communication = 0;
    const Graph& slice = cut->slices[0];
    for (int32_t id : slice.NodeIds()) {
      const Node& made = *slice.node(id);
      if (made.type().rfind("Hcom", 0) != 0) continue;
      ASSERT_EQ(made.type(), "HcomAllReduce");
      const std::string group = *made.FindAttr<std::string>("group");
      for (const SliceGroup& candidate : cut->groups) {
        if (candidate.name != group) continue;
        communication += cluster.CollectiveTime(CollectiveKind::kAllReduce, candidate.ranks,
                                                static_cast<double>(ByteSize(made.output())));
      }
    }
    exchanging += communication > 0;
    EXPECT_GE(strategy.seconds, communication);
    EXPECT_EQ(*StrategySeconds(graph, *node, cluster, resharder, strategy), strategy.seconds);
  }
  EXPECT_GE(exchanging, 2) << "of " << strategies->size();
}

INSTANTIATE_TEST_SUITE_P(Operators, ExchangeTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.type + std::to_string(info.index); });

}  // namespace
}  // namespace omserve
