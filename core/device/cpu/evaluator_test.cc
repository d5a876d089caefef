#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/device/cpu/cpu_device.h"
#include "core/ops/op.h"

namespace omserve {
namespace {

using testing::ElementsAre;

class EvaluatorTest : public testing::Test {
 protected:
  absl::StatusOr<std::vector<Tensor>> Evaluate(const std::string& type, const std::vector<Tensor>& inputs,
                                               const AttrMap& attrs = {}) {
    std::vector<ValueId> values;
    for (const Tensor& input : inputs) values.push_back(graph_.AddConst("c", input)->out());
    Node* node = graph_.AddNode(type, "node", std::move(values));
    for (const auto& [name, value] : attrs) node->SetAttr(name, value);
    if (absl::Status status = InferNode(graph_, *node); !status.ok()) return status;
    return evaluator_.Evaluate(graph_, *node, inputs);
  }

  Graph graph_;
  CpuEvaluator evaluator_;
};

TEST_F(EvaluatorTest, FoldsAShapeChain) {
  const Tensor shape = Tensor::Int64s({2, 3, 4});
  auto picked = Evaluate("GatherV2", {shape, Tensor::Int64s({0, 1}), Tensor::Scalar<int64_t>(0)});
  ASSERT_TRUE(picked.ok()) << picked.status();
  auto joined = Evaluate("ConcatV2", {(*picked)[0], Tensor::Int64s({-1}), Tensor::Scalar<int32_t>(0)}, {{"N", int64_t{2}}});
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_THAT((*joined)[0].values<int64_t>(), ElementsAre(2, 3, -1));
}

TEST_F(EvaluatorTest, ViewsShareBytes) {
  const Tensor x = Tensor::Of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  auto y = Evaluate("Reshape", {x, Tensor::Int64s({6})});
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_EQ((*y)[0].data(), x.data());
  auto row = Evaluate("Slice", {x, Tensor::Int64s({1, 0}), Tensor::Int64s({1, 3})});
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_EQ((*row)[0].data(), x.data() + 3 * sizeof(float));
}

TEST_F(EvaluatorTest, MatMulWithoutPacking) {
  const Tensor a = Tensor::Of<float>({1, 2}, {1, 2}), b = Tensor::Of<float>({2, 2}, {1, 2, 3, 4});
  auto y = Evaluate("MatMulV2", {a, b});
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_THAT((*y)[0].values<float>(), ElementsAre(7, 10));
}

TEST_F(EvaluatorTest, NonZeroFindsItsSize) {
  const Tensor x = Tensor::Of<float>({2, 3}, {0, 1, -0.0f, 2, 0, 3});
  Node* node = graph_.AddNode("NonZero", "nonzero", {graph_.AddConst("x", x)->out()});
  node->SetAttr("transpose", true);
  node->SetOutput(0, {DataType::kInt64, {2, -1}});
  auto y = evaluator_.Evaluate(graph_, *node, {x});
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_EQ((*y)[0].shape(), (Shape{2, 3}));
  EXPECT_THAT((*y)[0].values<int64_t>(), ElementsAre(0, 1, 1, 1, 0, 2));
}

TEST_F(EvaluatorTest, NamesWhatItLacks) {
  Node* node = graph_.AddNode("Frobnicate", "frob", {graph_.AddConst("x", Tensor::Scalar(1.0f))->out()});
  node->SetOutput(0, {DataType::kFloat, {}});
  const auto status = evaluator_.Evaluate(graph_, *node, {Tensor::Scalar(1.0f)}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("operator 'Frobnicate' (node 'frob')"));
}

}  // namespace
}  // namespace omserve
