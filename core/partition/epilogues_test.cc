#include "core/partition/epilogues.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/ops/op.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

class EpiloguesTest : public testing::Test {
 protected:
  ValueId Constant(Shape shape) {
    return graph_.AddConst("c", Tensor::Of<float>(shape, std::vector<float>(static_cast<size_t>(NumElements(shape)), 1)))->out();
  }
  ValueId Add(const std::string& type, std::vector<ValueId> inputs) {
    Node* node = graph_.AddNode(type, absl::StrCat(type, "_", ++count_), std::move(inputs));
    EXPECT_TRUE(InferNode(graph_, *node).ok()) << type;
    return node->out();
  }
  std::vector<std::string> Found() {
    std::vector<std::string> names;
    for (const int32_t id : FindEpilogues(graph_)) names.push_back(graph_.node(id)->name());
    return names;
  }

  Graph graph_{"g"};
  const ValueId x_ = graph_.AddData("x", {DataType::kFloat, {4, 8}})->out();
  int count_ = 0;
};

TEST_F(EpiloguesTest, BiasActivationResidualActivation) {
  const ValueId product = Add("MatMulV2", {x_, Constant({8, 8})});
  const ValueId biased = Add("Add", {Constant({8}), product});
  const ValueId active = Add("Gelu", {biased});
  const ValueId sum = Add("Add", {active, x_});
  const ValueId last = Add("Relu", {sum});
  graph_.AddOutput("y", Add("Sqrt", {last}));  // not an activation
  EXPECT_THAT(Found(), testing::UnorderedElementsAre("Add_2", "Gelu_3", "Add_4", "Relu_5"));
}

TEST_F(EpiloguesTest, ValuesThatOthersReadEndTheChain) {
  const ValueId product = Add("MatMulV2", {x_, Constant({8, 8})});
  const ValueId active = Add("Relu", {product});
  graph_.AddOutput("active", active);
  graph_.AddOutput("y", Add("Tanh", {active}));
  const ValueId twice = Add("MatMulV2", {x_, Constant({8, 8})});
  graph_.AddOutput("z", Add("Add", {Add("Sigmoid", {twice}), Add("Tanh", {twice})}));
  EXPECT_THAT(Found(), testing::UnorderedElementsAre("Relu_2"));
}

TEST_F(EpiloguesTest, ASumOfAnotherShapeIsNone) {
  const ValueId product = Add("MatMulV2", {x_, Constant({8, 8})});
  graph_.AddOutput("y", Add("Add", {product, graph_.AddData("b", {DataType::kFloat, {3, 4, 8}})->out()}));
  EXPECT_THAT(Found(), testing::IsEmpty());
}

}  // namespace
}  // namespace omserve
