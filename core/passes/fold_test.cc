#include "core/passes/fold.h"

#include "core/passes/testing/graph_builder.h"
#include "core/passes/testing/reference.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

TEST(FoldConstantsTest, FoldsUnderTheNodesName) {
  GraphBuilder b;
  const ValueId sum = b.Op("Add", {b.Weights({3}), b.Weights({3})});
  b.Output(b.Op("Mul", {b.Data("x", {3}), sum}));
  const Graph before = b.graph.Clone();
  ASSERT_TRUE(FoldConstants(b.graph, EvaluateReference).ok());
  EXPECT_EQ(Types(b.graph), "Mul");
  EXPECT_TRUE(b.graph.FindNode("Add3")->is_const());
  ExpectSameMeaning(before, b.graph);
}

TEST(FoldConstantsTest, GrowthIsLimitedAndShrinkingIsNot) {
  GraphBuilder b;
  const ValueId wide = b.Op("Expand", {b.Scalar(1), b.Ints({1000})});
  const ValueId sum = b.Op("ReduceSum", {b.Weights({2000}), b.Ints({0})});
  b.Output(wide);
  b.Output(sum, "sum");
  ASSERT_TRUE(FoldConstants(b.graph, EvaluateReference, /*max_bytes=*/100).ok());
  EXPECT_EQ(Types(b.graph), "Expand");
}

TEST(FoldConstantsTest, ViewsShareTheBytesOfTheirConstant) {
  GraphBuilder b;
  const ValueId weights = b.Weights({64, 64});
  const ValueId view = b.Op("Reshape", {weights, b.Ints({4096})});
  b.Output(view);
  const std::byte* bytes = b.graph.ConstantOf(weights)->source().data();
  ASSERT_TRUE(FoldConstants(b.graph, {}, /*max_bytes=*/0).ok());
  ASSERT_NE(b.graph.ConstantOf(view), nullptr);
  EXPECT_EQ(b.graph.ConstantOf(view)->source().data(), bytes);
}

TEST(FoldConstantsTest, WithoutAKernelANodeIsLeft) {
  GraphBuilder b;
  b.Output(b.Op("Sinh", {b.Weights({3})}));
  ASSERT_TRUE(FoldConstants(b.graph, EvaluateReference).ok());
  EXPECT_EQ(Types(b.graph), "Sinh");
}

TEST(FoldConstantsTest, AFailingKernelNamesTheNode) {
  GraphBuilder b;
  b.Output(b.Op("Neg", {b.Weights({3})}));
  const EvaluateFunction failing = [](const Graph&, const Node&,
                                      absl::Span<const Tensor>) -> absl::StatusOr<std::vector<Tensor>> {
    return absl::InternalError("bad luck");
  };
  EXPECT_THAT(std::string(FoldConstants(b.graph, failing).message()),
              HasSubstr("node 'Neg2' (Neg): bad luck"));
  const EvaluateFunction wrong = [](const Graph&, const Node&,
                                    absl::Span<const Tensor>) -> absl::StatusOr<std::vector<Tensor>> {
    return std::vector<Tensor>{Tensor::Int64s({1})};
  };
  EXPECT_THAT(std::string(FoldConstants(b.graph, wrong).message()), HasSubstr("gives int64[1] for output 0"));
}

TEST(FoldConstantsTest, CollectivesAreNeverComputed) {
  Graph graph;
  const Node* node = graph.AddNode("HcomAllReduce", "", {});
  EXPECT_FALSE(IsPure(*node));
}

}  // namespace
}  // namespace omserve
