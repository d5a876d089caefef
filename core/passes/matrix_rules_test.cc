#include "core/passes/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

const Node& OutputNode(const GraphBuilder& b) { return *b.graph.node(b.graph.outputs()[0].value.node); }

TEST(MatrixRulesTest, TwoMatricesAreMatMulV2) {
  GraphBuilder b;
  b.Output(b.Op("BatchMatMulV2", {b.Data("x", {4, 2}), b.Weights({4, 3})}, {{"adj_x1", true}}));
  EXPECT_EQ(Simplified(b.graph), "MatMulV2");
  EXPECT_TRUE(OutputNode(b).AttrOr<bool>("transpose_x1", false));
  GraphBuilder c;
  c.Output(c.Op("MatMul", {c.Data("x", {2, 4}), c.Weights({3, 4})}, {{"transpose_x2", true}}));
  EXPECT_EQ(Simplified(c.graph), "MatMulV2");
}

TEST(MatrixRulesTest, ATransposeOfTheLastTwoDimensionsIsAbsorbed) {
  GraphBuilder b;
  const ValueId k = b.Op("Transpose", {b.Data("k", {2, 5, 4}), b.Ints({0, 2, 1})});
  b.Output(b.Op("BatchMatMul", {b.Data("q", {2, 3, 4}), k}));
  EXPECT_EQ(Simplified(b.graph), "BatchMatMulV2");
  EXPECT_TRUE(OutputNode(b).AttrOr<bool>("adj_x2", false));
}

TEST(MatrixRulesTest, ATransposeThatIsAdjointTwiceCancels) {
  GraphBuilder b;
  const ValueId w = b.Op("Transpose", {b.Data("w", {5, 4}), b.Ints({1, 0})});
  b.Output(b.Op("MatMulV2", {b.Data("x", {3, 5}), w}, {{"transpose_x2", true}}));
  EXPECT_EQ(Simplified(b.graph), "MatMulV2");
  EXPECT_FALSE(OutputNode(b).AttrOr<bool>("transpose_x2", false));
}

TEST(MatrixRulesTest, HeadsAreMovedByRows) {
  // Keys as [batch, head, depth, sequence], from [batch, sequence, head, depth].
  GraphBuilder b;
  const ValueId k = b.Op("Transpose", {b.Data("k", {2, 5, 3, 4}), b.Ints({0, 2, 3, 1})});
  b.Output(b.Op("BatchMatMulV2", {b.Data("q", {2, 3, 6, 4}), k}));
  EXPECT_EQ(Simplified(b.graph), "Transpose BatchMatMulV2");
  const Node& transpose = *b.graph.node(OutputNode(b).input(1).node);
  EXPECT_EQ(ValuesToString(b.graph.ConstantOf(transpose.input(1))->Materialize()), "[0, 2, 1, 3]");
  EXPECT_TRUE(OutputNode(b).AttrOr<bool>("adj_x2", false));
}

TEST(MatrixRulesTest, AProductWithAVectorAddedKeepsItsBiasApart) {
  GraphBuilder b;
  b.Output(b.Op("Add", {b.Weights({3}), b.Op("MatMulV2", {b.Data("x", {2, 4}), b.Weights({4, 3})})}));
  EXPECT_EQ(Simplified(b.graph), "MatMulV2 Add");
}

}  // namespace
}  // namespace omserve
