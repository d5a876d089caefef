#include "core/passes/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

ValueId SliceColumns(GraphBuilder& b, ValueId x, int64_t begin, int64_t end) {
  return b.Op("StridedSliceV2", {x, b.Ints({begin}), b.Ints({end}), b.Ints({-1})});
}

// The three thirds of the columns of x, read by an operator each.
void ReadThirds(GraphBuilder& b, ValueId x, bool by_split) {
  std::vector<ValueId> parts;
  if (by_split) {
    const ValueId split = b.Op("SplitV", {x, b.Ints({2, 2, 2}), b.Int(-1)}, {{"num_split", int64_t{3}}});
    for (int i = 0; i < 3; ++i) parts.push_back({split.node, i});
  } else {
    for (int64_t i = 0; i < 3; ++i) parts.push_back(SliceColumns(b, x, 2 * i, 2 * i + 2));
  }
  b.Output(b.Op("Neg", {parts[0]}), "q");
  b.Output(b.Op("Relu", {parts[1]}), "k");
  b.Output(b.Op("Tanh", {parts[2]}), "v");
}

TEST(SplitRulesTest, AttentionInputsBecomeAProductEach) {
  for (bool by_split : {false, true}) {
    for (bool transposed : {false, true}) {
      GraphBuilder b;
      const ValueId weights = b.Weights(transposed ? Shape{6, 4} : Shape{4, 6});
      ValueId x = b.Op("BatchMatMulV2", {b.Data("x", {2, 3, 4}), weights}, {{"adj_x2", transposed}});
      ReadThirds(b, b.Op("Add", {x, b.Weights({6})}), by_split);
      EXPECT_EQ(Simplified(b.graph), "BatchMatMulV2 Add Neg BatchMatMulV2 Add Relu BatchMatMulV2 Add Tanh");
    }
  }
}

TEST(SplitRulesTest, TheWeightsAreBoxesOfTheirSource) {
  GraphBuilder b;
  const ValueId weights = b.Weights({4, 6});
  const std::byte* bytes = b.graph.ConstantOf(weights)->source().data();
  ReadThirds(b, b.Op("MatMulV2", {b.Data("x", {3, 4}), weights}), true);
  EXPECT_EQ(Simplified(b.graph), "MatMulV2 Neg MatMulV2 Relu MatMulV2 Tanh");
  for (int32_t id : b.graph.NodeIds()) {
    const Node& node = *b.graph.node(id);
    if (!node.is("MatMulV2")) continue;
    EXPECT_EQ(b.graph.ConstantOf(node.input(1))->source().data(), bytes);
    EXPECT_EQ(b.graph.ConstantOf(node.input(1))->shape(), Shape({4, 2}));
  }
}

TEST(SplitRulesTest, ThroughAReshapeOfTheRows) {
  GraphBuilder b;
  const ValueId product = b.Op("MatMulV2", {b.Data("x", {6, 4}), b.Weights({4, 6})});
  const ValueId rows = b.Op("Reshape", {b.Op("Add", {product, b.Weights({6})}), b.Ints({2, 3, 6})});
  ReadThirds(b, rows, true);
  EXPECT_EQ(Simplified(b.graph),
            "MatMulV2 Add Reshape Neg MatMulV2 Add Reshape Relu MatMulV2 Add Reshape Tanh");
}

TEST(SplitRulesTest, ColumnsThatAreReadTwiceAreComputedOnce) {
  GraphBuilder b;
  const ValueId product = b.Op("MatMulV2", {b.Data("x", {3, 4}), b.Weights({4, 6})});
  b.Output(b.Op("Neg", {SliceColumns(b, product, 0, 4)}), "a");
  b.Output(b.Op("Relu", {SliceColumns(b, product, 2, 6)}), "b");
  EXPECT_EQ(Simplified(b.graph), "MatMulV2 StridedSliceV2 Neg StridedSliceV2 Relu");
  GraphBuilder whole;
  const ValueId read = whole.Op("MatMulV2", {whole.Data("x", {3, 4}), whole.Weights({4, 6})});
  whole.Output(SliceColumns(whole, read, 0, 2));
  whole.Output(read, "all");
  EXPECT_EQ(Simplified(whole.graph), "MatMulV2 StridedSliceV2");
}

TEST(SplitRulesTest, ASplitOfTheRowsStays) {
  GraphBuilder b;
  const ValueId product = b.Op("MatMulV2", {b.Data("x", {6, 4}), b.Weights({4, 6})});
  b.Output(b.Op("Neg", {b.Op("StridedSliceV2", {product, b.Ints({0}), b.Ints({2}), b.Ints({0})})}));
  EXPECT_EQ(Simplified(b.graph), "MatMulV2 StridedSliceV2 Neg");
}

TEST(SplitRulesTest, WeightsThatAreComputedStay) {
  GraphBuilder b;
  ReadThirds(b, b.Op("MatMulV2", {b.Data("x", {3, 4}), b.Data("w", {4, 6})}), false);
  EXPECT_EQ(Simplified(b.graph), "MatMulV2 StridedSliceV2 StridedSliceV2 StridedSliceV2 Neg Relu Tanh");
}

}  // namespace
}  // namespace omserve
