#include "core/passes/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using Axes = std::vector<int64_t>;

const Node& OutputNode(const GraphBuilder& b) { return *b.graph.node(b.graph.outputs()[0].value.node); }

TEST(ReshapeRulesTest, TheReshapeFamilyBecomesOneReshape) {
  GraphBuilder b;
  ValueId x = b.Op("Relu", {b.Data("x", {2, 3, 4})});
  x = b.Op("UnsqueezeV3", {x, b.Ints({1})});
  x = b.Op("Reshape", {x, b.Ints({0, 0, -1, 2})});
  x = b.Op("SqueezeV3", {x, b.Ints({1})});
  b.Output(b.Op("Relu", {b.Op("FlattenV2", {x})}));
  EXPECT_EQ(Simplified(b.graph), "Relu Reshape Relu");
  const Node& reshape = *b.graph.node(OutputNode(b).input(0).node);
  EXPECT_EQ(ValuesToString(b.graph.ConstantOf(reshape.input(1))->Materialize()), "[2, 12]");
}

TEST(ReshapeRulesTest, AReshapeThereAndBackVanishes) {
  GraphBuilder b;
  const ValueId x = b.Op("Relu", {b.Data("x", {2, 3})});
  b.Output(b.Op("Neg", {b.Op("Reshape", {b.Op("Reshape", {x, b.Ints({6})}), b.Ints({2, 3})})}));
  EXPECT_EQ(Simplified(b.graph), "Relu Neg");
}

TEST(ReshapeRulesTest, AnEmptyTensorKeepsItsZero) {
  GraphBuilder b;
  b.Output(b.Op("Neg", {b.Op("UnsqueezeV3", {b.Data("x", {2, 0, 4}), b.Ints({0})})}));
  EXPECT_EQ(Simplified(b.graph), "Reshape Neg");
  EXPECT_EQ(ToString(OutputNode(b).output()), "float32[1,2,0,4]");
}

TEST(ReshapeRulesTest, TransposesMergeAndVanish) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 3, 4});
  const ValueId once = b.Op("Transpose", {x, b.Ints({2, 0, 1})});
  b.Output(b.Op("Neg", {b.Op("Transpose", {once, b.Ints({1, 2, 0})})}));
  b.Output(b.Op("Neg", {b.Op("Transpose", {once, b.Ints({0, 2, 1})})}), "z");
  EXPECT_EQ(Simplified(b.graph), "Neg Transpose Neg");
}

TEST(ReshapeRulesTest, ATransposeOfOnesIsAReshape) {
  GraphBuilder b;
  b.Output(b.Op("Neg", {b.Op("TransposeD", {b.Data("x", {2, 1, 3})}, {{"perm", Axes{1, 0, 2}}})}));
  EXPECT_EQ(Simplified(b.graph), "Reshape Neg");
}

TEST(ReshapeRulesTest, ABroadcastVanishesWhereTheReaderBroadcasts) {
  GraphBuilder b;
  const ValueId row = b.Op("Relu", {b.Data("row", {1, 4})});
  const ValueId wide = b.Op("Expand", {row, b.Ints({3, 4})});
  b.Output(b.Op("Add", {b.Data("x", {3, 4}), wide}));
  EXPECT_EQ(Simplified(b.graph), "Relu Add");
}

TEST(ReshapeRulesTest, OneOfTwoBroadcastsStays) {
  GraphBuilder b;
  const ValueId shape = b.Ints({3, 4});
  const ValueId p = b.Op("Expand", {b.Data("p", {1, 4}), shape}),
                q = b.Op("Expand", {b.Data("q", {4}), shape});
  b.Output(b.Op("Add", {p, q}));
  EXPECT_EQ(Simplified(b.graph), "BroadcastTo Add");
}

TEST(ReshapeRulesTest, AProductBroadcastsItsBatch) {
  GraphBuilder b;
  const ValueId weights = b.Op("Neg", {b.Data("w", {1, 4, 5})});
  const ValueId wide = b.Op("Expand", {weights, b.Ints({3, 4, 5})});
  b.Output(b.Op("BatchMatMulV2", {b.Data("x", {3, 2, 4}), wide}));
  EXPECT_EQ(Simplified(b.graph), "Neg BatchMatMulV2");
}

TEST(ReshapeRulesTest, TileOfOnesAndNestedBroadcasts) {
  GraphBuilder b;
  const ValueId tiled = b.Op("Tile", {b.Data("x", {1, 1, 4}), b.Ints({1, 3, 1})});
  b.Output(b.Op("Neg", {b.Op("Expand", {tiled, b.Ints({2, 1, 1})})}));
  EXPECT_EQ(Simplified(b.graph), "BroadcastTo Neg");
  GraphBuilder real;
  real.Output(real.Op("Tile", {real.Data("x", {2, 4}), real.Ints({1, 3})}));
  EXPECT_EQ(Simplified(real.graph), "Tile");
}

TEST(ReshapeRulesTest, ABroadcastToTheSameNumberOfElementsIsAReshape) {
  GraphBuilder b;
  b.Output(b.Op("Neg", {b.Op("Expand", {b.Data("x", {4}), b.Ints({1, 4})})}));
  EXPECT_EQ(Simplified(b.graph), "Reshape Neg");
}

}  // namespace
}  // namespace omserve
