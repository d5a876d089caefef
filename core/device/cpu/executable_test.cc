// The executable against node-by-node evaluation: fusion, in-place results and shared memory must not change a bit.
#include "core/device/cpu/executable.h"

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "core/device/cpu/cpu_device.h"
#include "core/device/cpu/evaluate_graph_for_tests.h"
#include "core/ops/op.h"

namespace omserve::cpu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Tensor RandomTensor(std::mt19937& random, Shape shape) {
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 7) - 3);
  return Tensor::Of<float>(std::move(shape), values);
}

std::shared_ptr<MemoryBudget> Unlimited() { return std::make_shared<MemoryBudget>("cpu:0", SIZE_MAX); }

std::unique_ptr<CpuExecutable> Compile(const Graph& graph, bool fuse) {
  auto made = CpuExecutable::Compile(graph, {.threads = 1, .fuse = fuse}, Unlimited());
  EXPECT_TRUE(made.ok()) << made.status();
  return made.ok() ? std::unique_ptr<CpuExecutable>(static_cast<CpuExecutable*>(made->release())) : nullptr;
}

// The same bits, but for the sign of zero, which the order of additions may change.
void ExpectSame(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(ToString(actual[i].desc()), ToString(expected[i].desc()));
    EXPECT_THAT(actual[i].values<float>(), testing::Pointwise(testing::Eq(), expected[i].values<float>())) << "output " << i;
  }
}

// A random graph on whole numbers: a few shapes, operators that keep them whole and small.
class RandomGraph {
 public:
  explicit RandomGraph(uint32_t seed) : random_(seed) {
    for (int i = 0; i < 2; ++i) {
      Tensor input = RandomTensor(random_, kShape);
      values_.push_back(graph.AddData(absl::StrCat("x", i), input.desc())->out());
      inputs.push_back(std::move(input));
    }
    for (int i = 0; i < 30; ++i) AddNode();
    EXPECT_TRUE(InferGraph(graph).ok());
    for (int i = 0; i < 3; ++i) graph.AddOutput(absl::StrCat("y", i), Pick());
    graph.AddOutput("last", values_.back());
  }

  Graph graph;
  std::vector<Tensor> inputs;

 private:
  static inline const Shape kShape = {4, 6};

  ValueId Pick() {
    // The newest more often: long chains die and are reused.
    const size_t back = std::min<size_t>(values_.size(), 1 + random_() % (random_() % 2 == 0 ? 2 : values_.size()));
    return values_[values_.size() - back];
  }
  ValueId Constant(Shape shape) { return graph.AddConst("c", RandomTensor(random_, std::move(shape)))->out(); }
  ValueId Add(const std::string& type, std::vector<ValueId> from, const AttrMap& attrs = {}) {
    Node* node = graph.AddNode(type, type, std::move(from));
    for (const auto& [name, value] : attrs) node->SetAttr(name, value);
    EXPECT_TRUE(InferNode(graph, *node).ok());
    return node->out();
  }
  // Keeps numbers small enough to be exact.
  ValueId Clip(ValueId x) {
    return Add("ClipByValue", {x, graph.AddConst("low", Tensor::Scalar(-9.0f))->out(),
                               graph.AddConst("high", Tensor::Scalar(9.0f))->out()});
  }
  ValueId Ints(const std::vector<int64_t>& values) { return graph.AddConst("i", Tensor::Int64s(values))->out(); }

  void AddNode() {
    switch (random_() % 12) {
      case 0: values_.push_back(Clip(Add("Add", {Pick(), Pick()}))); break;
      case 1: values_.push_back(Clip(Add("Mul", {Pick(), Pick()}))); break;
      case 2: values_.push_back(Add("Neg", {Pick()})); break;
      case 3: values_.push_back(Add("Relu", {Pick()})); break;
      case 4: {  // a product with bias, activation and residual: what fusion looks for
        ValueId y = Add("MatMulV2", {Pick(), Constant({6, 6})});
        if (random_() % 2) y = Add("Add", {y, Constant({6})});
        if (random_() % 2) y = Add("Relu", {y});
        if (random_() % 2) y = Add("Add", {Pick(), y});
        if (random_() % 3 == 0) values_.push_back(y);  // read by somebody else too
        values_.push_back(Clip(Add("Relu", {y})));
        break;
      }
      case 5: values_.push_back(Add("Reshape", {Add("Reshape", {Pick(), Ints({2, 12})}), Ints({4, 6})})); break;
      case 6: values_.push_back(Add("Transpose", {Add("Transpose", {Pick(), Ints({1, 0})}), Ints({1, 0})})); break;
      case 7: {
        const ValueId top = Add("Slice", {Pick(), Ints({0, 0}), Ints({1, 6})});
        const ValueId rest = Add("Slice", {Pick(), Ints({1, 0}), Ints({3, 6})});
        values_.push_back(Add("ConcatV2", {top, rest, Ints({0})}, {{"N", int64_t{2}}}));
        break;
      }
      case 8: values_.push_back(Add("Sub", {Pick(), Add("ReduceMax", {Pick(), Ints({1})}, {{"keep_dims", true}})})); values_.back() = Clip(values_.back()); break;
      case 9: {
        const ValueId split = Add("SplitV", {Pick(), Ints({1, 3}), Ints({0})}, {{"num_split", int64_t{2}}});
        values_.push_back(Add("Maximum", {Pick(), split}));
        break;
      }
      case 10: values_.push_back(Add("Adds", {Pick()}, {{"value", 1.0f}})); values_.back() = Clip(values_.back()); break;
      case 11: values_.push_back(Add("Identity", {Pick()})); break;
    }
  }

  std::mt19937 random_;
  std::vector<ValueId> values_;
};

TEST(Executable, RandomGraphsEqualNodeByNodeEvaluation) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    RandomGraph random(seed);
    const std::vector<Tensor> expected = Evaluate(random.graph, random.inputs);
    for (bool fuse : {true, false}) {
      const auto executable = Compile(random.graph, fuse);
      ASSERT_NE(executable, nullptr);
      // Twice: nothing of a run may leak into the next.
      for (int run = 0; run < 2; ++run) {
        auto outputs = executable->Run(random.inputs, {});
        ASSERT_TRUE(outputs.ok()) << outputs.status();
        ExpectSame(*outputs, expected);
      }
    }
    if (testing::Test::HasFailure()) break;
  }
}

TEST(Executable, FusesBiasActivationAndResidual) {
  std::mt19937 random(1);
  Graph graph;
  Node* x = graph.AddData("x", {DataType::kFloat, {3, 8}});
  Node* residual = graph.AddData("r", {DataType::kFloat, {3, 5}});
  Node* product = graph.AddNode("MatMulV2", "product", {x->out(), graph.AddConst("w", RandomTensor(random, {8, 5}))->out()});
  Node* bias = graph.AddNode("Add", "bias", {graph.AddConst("b", RandomTensor(random, {5}))->out(), product->out()});
  Node* relu = graph.AddNode("Relu", "relu", {bias->out()});
  Node* sum = graph.AddNode("Add", "sum", {residual->out(), relu->out()});
  Node* last = graph.AddNode("Relu6", "last", {sum->out()});
  ASSERT_TRUE(InferGraph(graph).ok());
  graph.AddOutput("y", last->out());
  const auto executable = Compile(graph, true);
  EXPECT_THAT(executable->StepNames(), ElementsAre("operator 'MatMulV2' (node 'last')"));
  const std::vector<Tensor> inputs = {RandomTensor(random, {3, 8}), RandomTensor(random, {3, 5})};
  auto outputs = executable->Run(inputs, {});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ExpectSame(*outputs, Evaluate(graph, inputs));
}

TEST(Executable, FusesConvolutions) {
  std::mt19937 random(2);
  Graph graph;
  Node* x = graph.AddData("x", {DataType::kFloat, {1, 16, 6, 6}});
  Node* conv = graph.AddNode("Conv2D", "conv", {x->out(), graph.AddConst("w", RandomTensor(random, {16, 16, 3, 3}))->out()});
  conv->SetAttr("strides", std::vector<int64_t>{1, 1, 1, 1});
  conv->SetAttr("pads", std::vector<int64_t>{1, 1, 1, 1});
  conv->SetAttr("data_format", std::string("NCHW"));
  Node* bias = graph.AddNode("Add", "bias", {conv->out(), graph.AddConst("b", RandomTensor(random, {1, 16, 1, 1}))->out()});
  Node* sum = graph.AddNode("Add", "sum", {bias->out(), x->out()});
  Node* relu = graph.AddNode("Relu", "relu", {sum->out()});
  ASSERT_TRUE(InferGraph(graph).ok());
  graph.AddOutput("y", relu->out());
  const auto executable = Compile(graph, true);
  EXPECT_EQ(executable->StepNames().size(), 1u);
  const std::vector<Tensor> inputs = {RandomTensor(random, {1, 16, 6, 6})};
  auto outputs = executable->Run(inputs, {});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ExpectSame(*outputs, Evaluate(graph, inputs));
}

TEST(Executable, DoesNotFuseWhatOthersRead) {
  std::mt19937 random(3);
  Graph graph;
  Node* x = graph.AddData("x", {DataType::kFloat, {3, 8}});
  Node* product = graph.AddNode("MatMulV2", "product", {x->out(), graph.AddConst("w", RandomTensor(random, {8, 5}))->out()});
  Node* relu = graph.AddNode("Relu", "relu", {product->out()});
  ASSERT_TRUE(InferGraph(graph).ok());
  graph.AddOutput("y", relu->out());
  graph.AddOutput("product", product->out());
  EXPECT_EQ(Compile(graph, true)->StepNames().size(), 2u);
}

TEST(Executable, FusesOneEpilogueOnly) {
  std::mt19937 random(4);
  Graph graph;
  Node* x = graph.AddData("x", {DataType::kFloat, {3, 8}});
  Node* residual = graph.AddData("r", {DataType::kFloat, {3, 5}});
  Node* product = graph.AddNode("MatMulV2", "product", {x->out(), graph.AddConst("w", RandomTensor(random, {8, 5}))->out()});
  Node* sum = graph.AddNode("Add", "sum", {product->out(), residual->out()});
  Node* relu = graph.AddNode("Relu6", "relu", {sum->out()});
  Node* again = graph.AddNode("Add", "again", {relu->out(), residual->out()});
  Node* last = graph.AddNode("LeakyRelu", "last", {again->out()});
  ASSERT_TRUE(InferGraph(graph).ok());
  graph.AddOutput("y", last->out());
  const auto executable = Compile(graph, true);
  EXPECT_THAT(executable->StepNames(), ElementsAre("operator 'MatMulV2' (node 'relu')", "operator 'Add' (node 'again')",
                                                   "operator 'LeakyRelu' (node 'last')"));
  const std::vector<Tensor> inputs = {RandomTensor(random, {3, 8}), RandomTensor(random, {3, 5})};
  auto outputs = executable->Run(inputs, {});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ExpectSame(*outputs, Evaluate(graph, inputs));
}

TEST(Executable, ChainsWorkInPlace) {
  Graph graph;
  ValueId value = graph.AddData("x", {DataType::kFloat, {1024}})->out();
  for (int i = 0; i < 10; ++i) value = graph.AddNode("Neg", "n", {value})->out();
  ASSERT_TRUE(InferGraph(graph).ok());
  graph.AddOutput("y", value);
  // The input's copy (for the case that it is not aligned) and one buffer for all in between.
  EXPECT_LE(Compile(graph, true)->arena_bytes(), size_t{2 * 4096});
}

TEST(Executable, UsesMappedWeightsInPlace) {
  const Tensor weights = Tensor::Of<float>({1024}, std::vector<float>(1024, 2.0f));
  Graph graph;
  Node* x = graph.AddData("x", {DataType::kFloat, {1024}});
  Node* y = graph.AddNode("Mul", "y", {x->out(), graph.AddConst("w", weights)->out()});
  ASSERT_TRUE(InferGraph(graph).ok());
  graph.AddOutput("y", y->out());
  const long before = weights.buffer().owner().use_count();
  const auto executable = Compile(graph, true);
  EXPECT_GT(weights.buffer().owner().use_count(), before);
  EXPECT_EQ(executable->weight_bytes(), weights.byte_size());
}

TEST(Executable, KeepsPackedWeightsOnly) {
  std::mt19937 random(4);
  const Tensor weights = RandomTensor(random, {64, 64});
  Graph graph;
  Node* x = graph.AddData("x", {DataType::kFloat, {1, 64}});
  Node* w = graph.AddConst("w", weights);
  Node* y = graph.AddNode("MatMulV2", "y", {x->out(), w->out()});
  ASSERT_TRUE(InferGraph(graph).ok());
  graph.AddOutput("y", y->out());
  const long before = weights.buffer().owner().use_count();
  const auto executable = Compile(graph, true);
  EXPECT_EQ(weights.buffer().owner().use_count(), before);
  EXPECT_LT(executable->weight_bytes(), 2 * weights.byte_size());
}

TEST(Executable, SharesOnlyWhatIsWorthWakingThreadsFor) {
  Graph graph;
  std::mt19937 random(1);
  const ValueId small = graph.AddData("small", {DataType::kFloat, {4, 4}})->out();
  const ValueId large = graph.AddData("large", {DataType::kFloat, {512, 512}})->out();
  const ValueId small_weight = graph.AddConst("small_weight", RandomTensor(random, {4, 4}))->out();
  const ValueId large_weight = graph.AddConst("large_weight", RandomTensor(random, {512, 512}))->out();
  graph.AddOutput("y", graph.AddNode("MatMulV2", "few", {small, small_weight})->out());
  graph.AddOutput("z", graph.AddNode("MatMulV2", "many", {large, large_weight})->out());
  ASSERT_TRUE(InferGraph(graph).ok());
  const auto threads = [&](const CompileOptions& options) {
    auto made = CpuExecutable::Compile(graph, options, Unlimited());
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? static_cast<CpuExecutable&>(**made).StepThreads() : std::vector<int>();
  };
  EXPECT_THAT(threads({.threads = 3, .wake_seconds = 50e-6}), ElementsAre(1, 3));
  EXPECT_THAT(threads({.threads = 3}), ElementsAre(3, 3));
  EXPECT_THAT(threads({.threads = 1, .wake_seconds = 50e-6}), ElementsAre(1, 1));
}

TEST(CpuDevice, ChecksItsOptions) {
  EXPECT_EQ(CpuDevice::Create(0, 0, 0).status().code(), absl::StatusCode::kInvalidArgument);
  const auto device = CpuDevice::Create(2, 1, 0);
  ASSERT_TRUE(device.ok());
  EXPECT_EQ((*device)->info().ordinal, 2);
  EXPECT_GT((*device)->info().memory_bytes, 0u);
}

}  // namespace
}  // namespace omserve::cpu
