#include "core/device/cpu/layouts.h"

#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "core/device/cpu/evaluate_graph_for_tests.h"
#include "core/device/cpu/executable.h"

namespace omserve::cpu {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Takes and gives one layout, or whatever there is.
class FakeKernel : public Kernel {
 public:
  explicit FakeKernel(std::optional<Layout> layout) : layout_(layout) {}
  absl::Status Run(const void* const*, void* const*, KernelContext&) override { return absl::OkStatus(); }
  std::optional<Layout> InputLayout(int) const override { return layout_; }
  std::optional<Layout> OutputLayout() const override { return layout_; }
  void KeepLayouts(const std::vector<bool>& inputs, bool output) override {
    kept = inputs;
    kept.push_back(output);
  }

  std::vector<bool> kept;  // inputs, then the output; empty when nothing was said

 private:
  const std::optional<Layout> layout_;
};

TEST(Layouts, StayBetweenThoseThatAgree) {
  FakeKernel first(Layout::kChannelsLast), any(std::nullopt), second(Layout::kChannelsLast), blocks(Layout::kBlocks16);
  // 0 -> first -> 1 -> any -> 2 -> second -> 3 -> blocks -> 4
  ChooseLayouts({{&first, {0}, 1}, {&any, {1}, 2}, {&second, {2}, 3}, {&blocks, {3}, 4}}, {true, false, false, false, true});
  EXPECT_THAT(first.kept, ElementsAre(false, true));
  EXPECT_THAT(any.kept, ElementsAre(true, true));
  EXPECT_THAT(second.kept, ElementsAre(true, false));  // 3 is wanted in two layouts
  EXPECT_THAT(blocks.kept, IsEmpty());
}

TEST(Layouts, EndWhereOneReaderWantsRowMajor) {
  FakeKernel maker(Layout::kChannelsLast), any(std::nullopt), reader(Layout::kChannelsLast), plain(Layout::kPlain);
  // 1 is tied to 2 by `any`, and 2 is read by `plain`.
  ChooseLayouts({{&maker, {0}, 1}, {&any, {1, -1}, 2}, {&reader, {1}, 3}, {&plain, {2}, 4}}, {true, false, false, true, true});
  EXPECT_THAT(maker.kept, IsEmpty());
  EXPECT_THAT(reader.kept, IsEmpty());
}

// Images through convolutions and what is found between them, on whole numbers.
class RandomImageGraph {
 public:
  explicit RandomImageGraph(uint32_t seed) : random_(seed), channels_(8 * (1 + random_() % 4)) {
    for (int i = 0; i < 2; ++i) {
      const TensorDesc desc{DataType::kFloat, {2, channels_, 5, 7}};
      values_.push_back(graph.AddData(absl::StrCat("x", i), desc)->out());
      inputs.push_back(Numbers(desc.shape));
    }
    for (int i = 0; i < 12; ++i) values_.push_back(Add("Relu6", {Step()}));
    for (int i = 0; i < 2; ++i) graph.AddOutput(absl::StrCat("y", i), Pick());
    graph.AddOutput("last", values_.back());
  }

  Graph graph;
  std::vector<Tensor> inputs;

 private:
  Tensor Numbers(Shape shape) {
    std::vector<float> values(static_cast<size_t>(NumElements(shape)));
    for (float& value : values) value = static_cast<float>(static_cast<int>(random_() % 5) - 2);
    return Tensor::Of<float>(std::move(shape), values);
  }
  ValueId Pick() {
    const size_t back = std::min<size_t>(values_.size(), 1 + random_() % 3);
    return values_[values_.size() - back];
  }
  ValueId Constant(Shape shape) { return graph.AddConst("c", Numbers(std::move(shape)))->out(); }
  ValueId Add(const std::string& type, std::vector<ValueId> from, const AttrMap& attrs = {}) {
    Node* node = graph.AddNode(type, type, std::move(from));
    for (const auto& [name, value] : attrs) node->SetAttr(name, value);
    EXPECT_TRUE(InferNode(graph, *node).ok()) << type;
    return node->out();
  }
  ValueId Convolve(const std::string& type, const Shape& filter, int64_t pad) {
    return Add(type, {Pick(), Constant(filter)},
               {{"strides", std::vector<int64_t>{1, 1, 1, 1}},
                {"pads", std::vector<int64_t>(4, pad)},
                {"data_format", std::string("NCHW")}});
  }

  ValueId Step() {
    switch (random_() % 10) {
      case 0: return Add("Add", {Pick(), Pick()});
      case 1: return Add("Mul", {Pick(), Constant({1, channels_, 1, 1})});
      case 2: return Add("Muls", {Pick()}, {{"value", 2.0f}});
      case 3: return Add("Abs", {Pick()});
      case 4: return Convolve("DepthwiseConv2D", {channels_, 1, 3, 3}, 1);
      case 8: return Add("Add", {Constant({}), Pick()});
      case 9: return Add("ClipByValue", {Pick(), Constant({}), Constant({1})});
      case 5: return Convolve("Conv2D", {channels_, channels_, 1, 1}, 0);
      default: {
        ValueId y = Convolve("Conv2D", {channels_, channels_, 3, 3}, 1);
        if (random_() % 2) y = Add("Add", {y, Constant({1, channels_, 1, 1})});
        if (random_() % 2) y = Add("Add", {y, Pick()});
        return y;
      }
    }
  }

  std::mt19937 random_;
  const int64_t channels_;
  std::vector<ValueId> values_;
};

TEST(Layouts, RandomImageGraphsEqualNodeByNodeEvaluation) {
  for (uint32_t seed = 0; seed < 200 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    const RandomImageGraph random(seed);
    const std::vector<Tensor> expected = Evaluate(random.graph, random.inputs);
    ASSERT_FALSE(expected.empty());
    for (bool fuse : {true, false}) {
      auto executable = CpuExecutable::Compile(random.graph, {.threads = 2, .fuse = fuse},
                                               std::make_shared<MemoryBudget>("cpu:0", SIZE_MAX));
      ASSERT_TRUE(executable.ok()) << executable.status();
      auto outputs = (*executable)->Run(random.inputs, {});
      ASSERT_TRUE(outputs.ok()) << outputs.status();
      SCOPED_TRACE(fuse ? "fused" : "not fused");
      for (size_t i = 0; i < outputs->size(); ++i) {
        EXPECT_THAT((*outputs)[i].values<float>(),
                    testing::Pointwise(testing::Eq(), expected[i].values<float>()));
      }
    }
  }
}

}  // namespace
}  // namespace omserve::cpu
