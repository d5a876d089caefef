// Operators whose parts exchange something along cut axes: every strategy gives what one device gives, and costs what
// is emitted.
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
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
  DataType type_of_x = DataType::kFloat;
  Shape x = {4, 6, 8};
  int devices = 4;
  int exchanging = 2;  // strategies, at least
};

std::vector<Case> Cases() {
  const AttrMap last{{"begin_norm_axis", int64_t{-1}}}, two{{"begin_norm_axis", int64_t{1}}};
  return {{"SoftmaxV2", {{"axes", std::vector<int64_t>{-1}}}},
          {"SoftmaxV2", {{"axes", std::vector<int64_t>{1, 2}}}},
          {"LogSoftmaxV2", {{"axes", std::vector<int64_t>{1}}}},
          {"LayerNorm", last, {{8}, {8}}},
          {"LayerNormV3", two, {{6, 8}, {6, 8}}},
          {"LayerNormV4", {}, {{8}, {8}}},
          {"RmsNorm", {}, {{8}}},
          {"AddRmsNorm", {}, {{4, 6, 8}, {8}}},
          {"ReduceMaxD", {{"axes", std::vector<int64_t>{2}}}},
          {"ReduceMinD", {{"axes", std::vector<int64_t>{0, 2}}, {"keep_dims", true}}},
          {"ReduceLogSumExpD", {{"axes", std::vector<int64_t>{2}}}},
          {"ReduceLogSumExpD", {{"axes", std::vector<int64_t>{0, 1, 2}}, {"keep_dims", true}}},
          {"ReduceLogSumD", {{"axes", std::vector<int64_t>{0, 1, 2}}}},
          {"LpNormV2", {{"axes", std::vector<int64_t>{1}}}},
          {"LpNormV2", {{"axes", std::vector<int64_t>{0, 2}}, {"p", 1.0f}, {"keepdim", true}}},
          {"SoftmaxV2", {{"axes", std::vector<int64_t>{-1}}}, {}, DataType::kFloat16},
          {"LogSoftmaxV2", {{"axes", std::vector<int64_t>{1}}}, {}, DataType::kBfloat16},
          {"LayerNorm", last, {{8}, {8}}, DataType::kFloat16},
          {"LayerNormV3", two, {{6, 8}, {6, 8}}, DataType::kBfloat16},
          {"RmsNorm", {}, {{8}}, DataType::kFloat16},
          {"AddRmsNorm", {}, {{4, 6, 8}, {8}}, DataType::kFloat16},
          {"ReduceLogSumExpD", {{"axes", std::vector<int64_t>{2}}}, {}, DataType::kFloat16}};
}

AttrMap Windows(std::vector<int64_t> pads, int64_t stride, int64_t dilation = 1) {
  return {{"pads", pads},
          {"strides", std::vector<int64_t>{1, 1, stride, stride}},
          {"dilations", std::vector<int64_t>{1, 1, dilation, dilation}},
          {"data_format", std::string("NCHW")}};
}

AttrMap Pool(int64_t kernel, int64_t stride, AttrMap more = {}) {
  more.insert({{"ksize", std::vector<int64_t>{1, 1, kernel, kernel}},
               {"strides", std::vector<int64_t>{1, 1, stride, stride}}});
  return more;
}

// Images cut by height and width: devices at the borders and, among three or more, devices between others.
std::vector<Case> ImageCases() {
  const auto kType = DataType::kFloat;
  const std::vector<int64_t> one{1, 1, 1, 1};
  const Shape image{2, 4, 12, 12};
  std::vector<Case> cases;
  for (int devices : {3, 4, 6, 12}) {
    cases.push_back({"Conv2D", Windows(one, 1), {{6, 4, 3, 3}, {6}}, kType, image, devices});
    cases.push_back({"Conv2D", Windows({3, 3, 3, 3}, 2), {{6, 4, 7, 7}}, kType, {2, 4, 24, 24}, devices});
    cases.push_back({"Conv2D", Windows({2, 2, 0, 2}, 1, 2), {{6, 4, 3, 2}}, kType, image, devices});
    cases.push_back({"DepthwiseConv2D", Windows({0, 2, 1, 1}, 1), {{1, 4, 3, 3}}, kType, image, devices});
    cases.push_back({"MaxPoolV3", Pool(3, 2, {{"pads", one}}), {}, kType, image, devices});
    cases.push_back({"MaxPoolV3", Pool(3, 1, {{"padding_mode", std::string("SAME")}}), {}, kType, image, devices});
    cases.push_back({"AvgPoolV2", Pool(3, 1, {{"pads", one}}), {}, kType, image, devices});
    cases.push_back({"AvgPoolV2", Pool(3, 2, {{"pads", one}, {"exclusive", false}}), {}, kType, image, devices});
  }
  const AttrMap channels_first{{"data_format", std::string("NCHW")}};
  AttrMap groups = channels_first;
  groups["num_groups"] = int64_t{2};
  for (DataType type : {kType, DataType::kFloat16}) {
    cases.push_back({"InstanceNorm", channels_first, {{4}, {4}}, type, image, 6});
    cases.push_back({"GroupNorm", groups, {{4}, {4}}, type, image, 6});
    cases.push_back({"GroupNorm", groups, {{4}, {4}}, type, image, 4});
  }
  cases.push_back({"GlobalAveragePool", {}, {}, kType, image, 6, 0});
  AttrMap volume{{"pads", std::vector<int64_t>{1, 1, 1, 1, 1, 1}},
                 {"strides", std::vector<int64_t>(5, 1)},
                 {"data_format", std::string("NCDHW")}};
  cases.push_back({"Conv3D", volume, {{2, 3, 3, 3, 3}}, kType, {1, 3, 8, 4, 6}, 4});
  return cases;
}

Tensor Random(const Shape& shape, std::mt19937& rng) {
  std::normal_distribution<float> normal(1.0f, 3.0f);
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  for (float& value : values) value = normal(rng);
  return Tensor::Of<float>(shape, values);
}

// As an operator of a graph would.
Tensor As(DataType type, const Tensor& value, Evaluator& evaluator) {
  if (value.type() == type) return value;
  Graph graph("cast");
  Node* cast = graph.AddNode("Cast", "cast", {graph.AddData("x", value.desc())->out()});
  cast->SetAttr("dst_type", int64_t{ToAclNumber(type)});
  EXPECT_TRUE(InferNode(graph, *cast).ok());
  graph.AddOutput("y", cast->out());
  auto result = RunWhole(graph, {value}, evaluator);
  EXPECT_TRUE(result.ok()) << result.status();
  return (*result)[0];
}

// Of results, relative and absolute.
double Tolerance(const Case& test) {
  if (absl::StrContains(test.type, "Conv")) return 2e-4;  // sums of hundreds of products
  const DataType type = test.type_of_x;
  return type == DataType::kFloat16 ? 3e-3 : type == DataType::kBfloat16 ? 2e-2 : 2e-5;
}

void PrintTo(const Case& test, std::ostream* out) { *out << test.type; }

class ExchangeTest : public testing::TestWithParam<Case> {};

// The operator on values of a type, all of them from the same numbers.
struct Whole {
  Graph graph{"exchange"};
  Node* node = nullptr;
  std::vector<Tensor> values;
};

Whole MakeWhole(const Case& test, DataType type, Evaluator& evaluator) {
  std::mt19937 rng(7);
  Whole whole;
  auto value = [&](const Shape& shape) {
    return As(type, As(DataType::kFloat, As(test.type_of_x, Random(shape, rng), evaluator), evaluator), evaluator);
  };
  whole.values.push_back(value(test.x));
  std::vector<ValueId> inputs{whole.graph.AddData("x", {type, test.x})->out()};
  if (test.type == std::string("LayerNormV4")) {
    inputs.push_back(whole.graph.AddConst("normalized_shape", Tensor::Int64s({8}))->out());
  }
  for (const Shape& shape : test.weights) inputs.push_back(whole.graph.AddConst("weight", value(shape))->out());
  whole.node = whole.graph.AddNode(test.type, "node", inputs);
  for (const auto& [name, attr] : test.attrs) whole.node->SetAttr(name, attr);
  EXPECT_TRUE(InferNode(whole.graph, *whole.node).ok()) << InferNode(whole.graph, *whole.node);
  for (int i = 0; i < whole.node->num_outputs(); ++i) {
    whole.graph.AddOutput("y" + std::to_string(i), whole.node->out(i));
  }
  return whole;
}

TEST_P(ExchangeTest, EveryStrategyEqualsOneDeviceAndCostsWhatIsEmitted) {
  const DataType type = GetParam().type_of_x;
  CpuEvaluator evaluator;
  // The CPU has no normalisations of shorter types, so these are compared with float32, where their parts exchange
  // something.
  const Whole reference = MakeWhole(GetParam(), DataType::kFloat, evaluator);
  absl::StatusOr<std::vector<Tensor>> expected = RunWhole(reference.graph, reference.values, evaluator);
  ASSERT_TRUE(expected.ok()) << expected.status();
  const Whole whole = MakeWhole(GetParam(), type, evaluator);
  const Graph& graph = whole.graph;
  const Node* node = whole.node;
  const std::vector<Tensor>& values = whole.values;

  const Cluster cluster = Cluster::Local(GetParam().devices);
  Plan plan;
  std::vector<int> devices(static_cast<size_t>(GetParam().devices));
  std::iota(devices.begin(), devices.end(), 0);
  plan.stages = {Mesh(devices)};
  Resharder resharder(plan.stages[0], cluster);
  absl::StatusOr<std::vector<Strategy>> strategies =
      EnumerateStrategies(graph, *node, cluster, resharder, {.keep_dominated = true});
  ASSERT_TRUE(strategies.ok()) << strategies.status();
  int exchanging = 0;
  for (const Strategy& strategy : *strategies) {
    const absl::StatusOr<double> exchanged = ExchangeSeconds(graph, *node, resharder, strategy);
    ASSERT_TRUE(exchanged.ok()) << exchanged.status();
    if (type != DataType::kFloat && *exchanged == 0) continue;
    plan.strategies.clear();
    plan.strategies.emplace(node->id(), strategy);
    plan.outputs = strategy.outputs;
    for (Sharding& output : plan.outputs) output.partial = 0;
    absl::StatusOr<CutGraph> cut = Lower(graph, cluster, plan);
    ASSERT_TRUE(cut.ok()) << cut.status();
    absl::StatusOr<std::vector<Tensor>> actual = RunSlices(graph, *cut, values, evaluator);
    ASSERT_TRUE(actual.ok()) << actual.status() << Dump(cut->slices[0]);
    for (size_t o = 0; o < expected->size(); ++o) {
      const Tensor joined = As(DataType::kFloat, (*actual)[o], evaluator);
      const auto want = (*expected)[o].values<float>(), got = joined.values<float>();
      ASSERT_EQ(want.size(), got.size());
      for (size_t k = 0; k < want.size(); ++k) {
        const double tolerance = Tolerance(GetParam()) * (1 + std::abs(want[k]));
        ASSERT_NEAR(want[k], got[k], tolerance) << "output " << o << Dump(cut->slices[0]);
      }
    }
    if (strategy.raw_outputs[0].partial != 0) continue;  // sums at the end have collectives of their own
    // The collectives of the slice, priced one by one, are part of the strategy's seconds.
    double communication = 0;
    const Graph& slice = cut->slices[0];
    for (int32_t id : slice.NodeIds()) {
      const Node& made = *slice.node(id);
      if (made.type().rfind("Hcom", 0) != 0) continue;
      const CollectiveKind kind =
          made.is("HcomAllGather") ? CollectiveKind::kAllGather : CollectiveKind::kAllReduce;
      ASSERT_TRUE(made.is("HcomAllGather") || made.is("HcomAllReduce")) << made.type();
      const std::string group = *made.FindAttr<std::string>("group");
      for (const SliceGroup& candidate : cut->groups) {
        if (candidate.name != group) continue;
        communication += cluster.CollectiveTime(kind, candidate.ranks,
                                                static_cast<double>(ByteSize(made.output())));
      }
    }
    exchanging += communication > 0;
    EXPECT_GE(strategy.seconds, communication);
    EXPECT_EQ(*exchanged > 0, communication > 0);
    EXPECT_EQ(*StrategySeconds(graph, *node, cluster, resharder, strategy), strategy.seconds);
  }
  EXPECT_GE(exchanging, GetParam().exchanging) << "of " << strategies->size();
}

// Of equal elements the first wins, and a number that is none counts as most extreme, whichever part it lies in.
TEST(SearchTest, TiesAndNaNsAcrossParts) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::vector<float>> rows = {{1, 3, 3, 1, 3, 2, 1, 3, 1, 3, 3, 1},
                                                {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5},
                                                {1, 2, 3, 4, nan, 6, 7, nan, 9, 8, nan, 0},
                                                {-1, -2, -2, -3, -3, -3, -1, -3, -3, -2, -1, -1}};
  std::vector<float> values;
  for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  const std::vector<Tensor> inputs{Tensor::Of<float>({4, 12}, values)};
  CpuEvaluator evaluator;
  for (const char* type : {"TopK", "ArgMaxV2", "ArgMin"}) {
    for (bool largest : {true, false}) {
      Graph graph("search");
      const ValueId x = graph.AddData("x", {DataType::kFloat, {4, 12}})->out();
      const bool top = type == std::string("TopK");
      Node* node = graph.AddNode(type, "node", {x, graph.AddConst("p", Tensor::Int64s({top ? 5 : 1}))->out()});
      if (top) node->SetAttr("largest", largest);
      ASSERT_TRUE(InferNode(graph, *node).ok());
      for (int i = 0; i < node->num_outputs(); ++i) graph.AddOutput("y" + std::to_string(i), node->out(i));
      const auto expected = RunWhole(graph, inputs, evaluator);
      ASSERT_TRUE(expected.ok()) << expected.status();
      for (int devices : {2, 3, 4, 6, 12}) {
        SCOPED_TRACE(std::string(type) + " on " + std::to_string(devices));
        const Cluster cluster = Cluster::Local(devices);
        std::vector<int> all(static_cast<size_t>(devices));
        std::iota(all.begin(), all.end(), 0);
        Plan plan;
        plan.stages = {Mesh(all)};
        Resharder resharder(plan.stages[0], cluster);
        const auto strategies = EnumerateStrategies(graph, *node, cluster, resharder, {.keep_dominated = true});
        ASSERT_TRUE(strategies.ok()) << strategies.status();
        for (const Strategy& strategy : *strategies) {
          plan.strategies.clear();
          plan.strategies.emplace(node->id(), strategy);
          plan.outputs = strategy.outputs;
          const auto cut = Lower(graph, cluster, plan);
          ASSERT_TRUE(cut.ok()) << cut.status();
          const auto actual = RunSlices(graph, *cut, inputs, evaluator);
          ASSERT_TRUE(actual.ok()) << actual.status();
          for (size_t o = 0; o < expected->size(); ++o) {
            EXPECT_EQ(std::memcmp((*expected)[o].data(), (*actual)[o].data(), (*expected)[o].byte_size()), 0);
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operators, ExchangeTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.type + std::to_string(info.index); });

INSTANTIATE_TEST_SUITE_P(Images, ExchangeTest, testing::ValuesIn(ImageCases()), [](const auto& info) {
  return info.param.type + std::to_string(info.index) + "on" + std::to_string(info.param.devices);
});

}  // namespace
}  // namespace omserve
