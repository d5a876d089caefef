#include "core/passes/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(SliceRulesTest, ASliceOfEverythingVanishes) {
  GraphBuilder b;
  const ValueId x = b.Op("Relu", {b.Data("x", {2, 4})});
  b.Output(b.Op("Neg", {b.Op("StridedSliceV2", {x, b.Ints({0}), b.Ints({99}), b.Ints({1})})}));
  EXPECT_EQ(Simplified(b.graph), "Relu Neg");
}

TEST(SliceRulesTest, ASliceOfAPartStays) {
  GraphBuilder b;
  const ValueId x = b.Op("Relu", {b.Data("x", {2, 4})});
  b.Output(b.Op("StridedSliceV2", {x, b.Ints({1}), b.Ints({99}), b.Ints({1})}));
  EXPECT_EQ(Simplified(b.graph), "Relu StridedSliceV2");
}

TEST(SliceRulesTest, AReversalStays) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {4});
  b.Output(b.Op("StridedSliceV2", {x, b.Ints({-1}), b.Ints({-9}), b.Ints({0}), b.Ints({-1})}));
  EXPECT_EQ(Simplified(b.graph), "StridedSliceV2");
}

TEST(SliceRulesTest, OnlyPadsOfZeroVanish) {
  for (int64_t pad : {0, 1}) {
    GraphBuilder b;
    const ValueId pads = b.graph.AddConst("pads", Tensor::Of<int64_t>({2, 2}, {pad, 0, 0, 0}))->out();
    b.Output(b.Op("Neg", {b.Op("Pad", {b.Data("x", {2, 4}), pads})}));
    EXPECT_EQ(Simplified(b.graph), pad == 0 ? "Neg" : "Pad Neg");
  }
}

TEST(SliceRulesTest, ConcatOfOnePartAndOfEmptyParts) {
  GraphBuilder b;
  const ValueId x = b.Op("Relu", {b.Data("x", {2, 4})});
  const ValueId past = b.Data("past", {0, 4});
  b.Output(b.Op("Neg", {b.Op("ConcatD", {past, x}, {{"concat_dim", int64_t{0}}, {"N", int64_t{2}}})}));
  EXPECT_EQ(Simplified(b.graph), "Relu Neg");
}

TEST(SliceRulesTest, ConcatIsConcatDAndNestedOnesJoin) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 4}), y = b.Data("z", {2, 1});
  const ValueId inner = b.Op("ConcatV2", {x, y, b.Int(1)}, {{"N", int64_t{2}}});
  b.Output(b.Op("ConcatD", {inner, x}, {{"concat_dim", int64_t{-1}}, {"N", int64_t{2}}}));
  EXPECT_EQ(Simplified(b.graph), "ConcatD");
  EXPECT_EQ(b.graph.node(b.graph.outputs()[0].value.node)->num_inputs(), 3);
}

TEST(SliceRulesTest, ReductionsHaveSortedConstantAxes) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 3, 4});
  b.Output(b.Op("ReduceSumD", {x}, {{"axes", std::vector<int64_t>{-1, 0}}, {"keep_dims", true}}));
  EXPECT_EQ(Simplified(b.graph), "ReduceSum");
  const Node& sum = *b.graph.node(b.graph.outputs()[0].value.node);
  EXPECT_EQ(ValuesToString(b.graph.ConstantOf(sum.input(1))->Materialize()), "[0, 2]");
}

TEST(SliceRulesTest, ReductionOfOnesIsAReshape) {
  GraphBuilder b;
  const ValueId mean = b.Op("ReduceMean", {b.Data("x", {2, 1, 3}), b.Ints({1})}, {{"keep_dims", false}});
  b.Output(b.Op("Neg", {mean}));
  EXPECT_EQ(Simplified(b.graph), "Reshape Neg");
}

TEST(SliceRulesTest, AReshapeAroundAReductionIsKeepDims) {
  for (bool keep : {false, true}) {
    GraphBuilder b;
    const ValueId mean = b.Op("ReduceMean", {b.Data("x", {2, 3, 4}), b.Ints({-1})}, {{"keep_dims", keep}});
    b.Output(keep ? b.Op("SqueezeV3", {mean, b.Ints({2})}) : b.Op("UnsqueezeV3", {mean, b.Ints({-1})}));
    EXPECT_EQ(Simplified(b.graph), "ReduceMean");
  }
}

}  // namespace
}  // namespace omserve
