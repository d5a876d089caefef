// Shapes, slices, gathers, constants.
#include <cstdint>
#include <string>
#include <vector>

#include "core/import/onnx/import_test_util.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;
using Ints = std::vector<int64_t>;

OneNode Vector(int opset = 17) {
  OneNode one(opset);
  one.Input("x").Input("s", DataType::kInt64, {kUnknownDim});
  return one;
}

TEST(ConvertShapeTest, Reshape) {
  EXPECT_THAT(NodesOf(Vector().Node("Reshape", {"x", "s"}, {{"allowzero", 0}})), HasSubstr("Reshape(%x, %s)\n"));
  EXPECT_THAT(NodesOf(Vector().Node("Reshape", {"x", "s"}, {{"allowzero", 1}})),
              HasSubstr("Reshape(%x, %s) {allowzero=1}"));
  EXPECT_THAT(NodesOf(OneNode().Input("x").Node("Flatten", {"x"}, {{"axis", 0}})), HasSubstr("Flatten(%x) {axis=0}"));
}

TEST(ConvertShapeTest, SqueezeAndUnsqueeze) {
  EXPECT_THAT(NodesOf(OneNode(12).Input("x").Node("Squeeze", {"x"}, {{"axes", Ints{0}}})),
              HasSubstr("Squeeze(%x) {axis=[0]}"));
  EXPECT_THAT(NodesOf(OneNode(12).Input("x").Node("Squeeze", {"x"})), HasSubstr("Squeeze(%x) {axis=[]}"));
  EXPECT_THAT(NodesOf(Vector(13).Node("Squeeze", {"x", "s"})), HasSubstr("SqueezeV3(%x, %s)"));
  EXPECT_THAT(NodesOf(Vector(13).Node("Squeeze", {"x"})), HasSubstr("SqueezeV3(%x)\n"));
  EXPECT_THAT(NodesOf(OneNode(12).Input("x").Node("Unsqueeze", {"x"}, {{"axes", Ints{0, 1}}})),
              HasSubstr("Unsqueeze(%x) {axes=[0,1]}"));
  EXPECT_THAT(ErrorOf(OneNode(12).Input("x").Node("Unsqueeze", {"x"})), HasSubstr("'axes' is missing"));
  EXPECT_THAT(NodesOf(Vector(13).Node("Unsqueeze", {"x", "s"})), HasSubstr("UnsqueezeV3(%x, %s)"));
}

TEST(ConvertShapeTest, Transpose) {
  EXPECT_EQ(NodesOf(OneNode().Input("x").Node("Transpose", {"x"}, {{"perm", Ints{1, 0}}})),
            "%n_perm = int64[2] [1, 0]\n%n = Transpose(%x, %n_perm)\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode().Input("x", DataType::kFloat, {1, 2, 3}).Node("Transpose", {"x"})),
            "%n_perm = int64[3] [2, 1, 0]\n%n = Transpose(%x, %n_perm)\ny <- %n\n");
  OneNode unknown = Vector();
  unknown.model.AddNode("Reshape", {"x", "s"}, {"r"}, {}, "r");
  EXPECT_THAT(NodesOf(unknown.Node("Transpose", {"r"})),
              HasSubstr("%n_Sub = Sub(%n_Size, %n_one)\n"
                        "%n_step = int64[] [-1]\n"
                        "%n_Range = Range(%n_Sub, %n_step, %n_step)\n"
                        "%n = Transpose(%r, %n_Range)\n"));
}

TEST(ConvertShapeTest, ShapeAndSize) {
  EXPECT_EQ(NodesOf(OneNode().Input("x").Node("Shape", {"x"})), "%n = Shape(%x) {dtype=9}\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode().Input("x").Node("Shape", {"x"}, {{"start", 1}, {"end", -1}})),
            "%n = Shape(%x) {dtype=9}\n"
            "%n_begin = int64[1] [1]\n%n_end = int64[1] [-1]\n%n_axes = int64[1] [0]\n%n_strides = int64[1] [1]\n"
            "%n_StridedSliceV2 = StridedSliceV2(%n, %n_begin, %n_end, %n_axes, %n_strides)\n"
            "y <- %n_StridedSliceV2\n");
  EXPECT_EQ(NodesOf(OneNode().Input("x").Node("Size", {"x"})), "%n = Size(%x) {dtype=9}\ny <- %n\n");
}

TEST(ConvertShapeTest, Pad) {
  EXPECT_EQ(NodesOf(OneNode(10).Input("x").Node("Pad", {"x"}, {{"pads", Ints{0, 1, 0, 2}}, {"value", 0.5f}})),
            "%n_value = float32[] [0.5]\n"
            "%n_paddings = int64[4] [0, 1, 0, 2]\n"
            "%n = PadV3(%x, %n_paddings, %n_value) {mode=\"constant\", paddings_contiguous=false}\n"
            "y <- %n\n");
  EXPECT_THAT(NodesOf(Vector().Node("Pad", {"x", "s"}, {{"mode", std::string("edge")}})),
              HasSubstr("%n = PadV3(%x, %s) {mode=\"edge\", paddings_contiguous=false}"));
  EXPECT_THAT(ErrorOf(Vector(19).Node("Pad", {"x", "s"}, {{"mode", std::string("wrap")}})), HasSubstr("mode 'wrap'"));
}

TEST(ConvertShapeTest, NegativePadsCutOff) {
  EXPECT_EQ(NodesOf(OneNode(13).Input("x").Init("p", Tensor::Int64s({0, -1, 2, 3})).Node("Pad", {"x", "p"})),
            "%p = int64[4] [0, -1, 2, 3]\n"
            "%n_begin = int64[1] [1]\n%n_end = int64[1] [9223372036854775807]\n"
            "%n_axes = int64[1] [1]\n%n_strides = int64[1] [1]\n"
            "%n_StridedSliceV2 = StridedSliceV2(%x, %n_begin, %n_end, %n_axes, %n_strides)\n"
            "%n_paddings = int64[4] [0, 0, 2, 3]\n"
            "%n = PadV3(%n_StridedSliceV2, %n_paddings) {mode=\"constant\", paddings_contiguous=false}\n"
            "y <- %n\n");
}

TEST(ConvertShapeTest, PadAxes) {
  EXPECT_THAT(NodesOf(OneNode(18)
                          .Input("x", DataType::kFloat, {1, 2, 3})
                          .Init("p", Tensor::Int64s({1, 2, 3, 4}))
                          .Init("a", Tensor::Int64s({-1, 0}))
                          .Node("Pad", {"x", "p", "", "a"})),
              HasSubstr("%n_paddings = int64[6] [2, 0, 1, 4, 0, 3]\n%n = PadV3(%x, %n_paddings)"));
  EXPECT_THAT(NodesOf(Vector(18).Init("a", Tensor::Int64s({1})).Node("Pad", {"x", "s", "", "a"})),
              HasSubstr("%n_paddings = int64[4] [0, 0, 0, 0]\n"
                        "%n_places = int64[2,1] [1, 3]\n"
                        "%n_TensorScatterUpdate = TensorScatterUpdate(%n_paddings, %n_places, %s)\n"));
  EXPECT_THAT(ErrorOf(Vector(18).Node("Pad", {"x", "s", "", "s"})), HasSubstr("axes that are not constant"));
}

TEST(ConvertSliceTest, Concat) {
  EXPECT_EQ(NodesOf(OneNode().Input("x").Node("Concat", {"x", "x"}, {{"axis", -1}})),
            "%n = ConcatD(%x, %x) {N=2, concat_dim=-1}\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode().Input("x").Node("Concat", {"x"}, {{"axis", 0}})), "%n = Identity(%x)\ny <- %n\n");
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Concat", {"x", "x"})), HasSubstr("'axis' is missing"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Concat", {"x", "x"}, {{"axis", INT64_MIN}})),
              HasSubstr("is outside [-8, 8]"));
}

TEST(ConvertSliceTest, SplitInAllItsForms) {
  EXPECT_EQ(NodesOf(OneNode(11).Input("x").Node("Split", {"x"}, {{"axis", 1}}, {"a", "b"})),
            "%n_split_dim = int32[] [1]\n%n = Split(%n_split_dim, %x) {num_split=2}\na <- %n\nb <- %n:1\n");
  EXPECT_EQ(NodesOf(OneNode(11).Input("x").Node("Split", {"x"}, {{"split", Ints{1, 2}}}, {"a", "b"})),
            "%n_size_splits = int64[2] [1, 2]\n"
            "%n_split_dim = int32[] [0]\n"
            "%n = SplitV(%x, %n_size_splits, %n_split_dim) {num_split=2}\n"
            "a <- %n\nb <- %n:1\n");
  EXPECT_THAT(NodesOf(Vector(13).Node("Split", {"x", "s"}, {}, {"a", "b"})),
              HasSubstr("%n = SplitV(%x, %s, %n_split_dim) {num_split=2}"));
  EXPECT_THAT(NodesOf(Vector(13).Node("Split", {"x"}, {}, {"a", "b"})), HasSubstr("%n = Split("));
  EXPECT_THAT(ErrorOf(OneNode(11).Input("x").Node("Split", {"x"}, {{"split", Ints{1, 2}}})),
              HasSubstr("splits into 2 parts and has 1 outputs"));
}

TEST(ConvertSliceTest, SplitWithASmallerLastPart) {
  EXPECT_EQ(NodesOf(OneNode(18).Input("x").Node("Split", {"x"}, {{"num_outputs", 2}, {"axis", -1}}, {"a", "b"})),
            "%n_Shape = Shape(%x) {dtype=9}\n"
            "%n_begin = int64[1] [-1]\n%n_end = int64[1] [8]\n%n_axes = int64[1] [0]\n%n_strides = int64[1] [1]\n"
            "%n_StridedSliceV2 = StridedSliceV2(%n_Shape, %n_begin, %n_end, %n_axes, %n_strides)\n"
            "%n_parts_less_1 = int64[1] [1]\n"
            "%n_Add = Add(%n_StridedSliceV2, %n_parts_less_1)\n"
            "%n_parts = int64[1] [2]\n"
            "%n_TruncateDiv = TruncateDiv(%n_Add, %n_parts)\n"
            "%n_Mul = Mul(%n_TruncateDiv, %n_parts_less_1)\n"
            "%n_Sub = Sub(%n_StridedSliceV2, %n_Mul)\n"
            "%n_ConcatD = ConcatD(%n_TruncateDiv, %n_Sub) {N=2, concat_dim=0}\n"
            "%n_split_dim = int32[] [-1]\n"
            "%n = SplitV(%x, %n_ConcatD, %n_split_dim) {num_split=2}\n"
            "a <- %n\nb <- %n:1\n");
}

TEST(ConvertSliceTest, Slice) {
  EXPECT_EQ(NodesOf(OneNode(9).Input("x").Node("Slice", {"x"}, {{"starts", Ints{1}}, {"ends", Ints{-1}}})),
            "%n_begin = int64[1] [1]\n%n_end = int64[1] [-1]\n%n_axes = int64[1] [0]\n%n_strides = int64[1] [1]\n"
            "%n = StridedSliceV2(%x, %n_begin, %n_end, %n_axes, %n_strides)\ny <- %n\n");
  EXPECT_THAT(ErrorOf(OneNode(9).Input("x").Node("Slice", {"x"}, {{"starts", Ints{1}}, {"ends", Ints{1, 2}}})),
              HasSubstr("have 1, 2 and 1 entries"));
  EXPECT_THAT(NodesOf(Vector().Node("Slice", {"x", "s", "s", "", "s"})),
              HasSubstr("%n = StridedSliceV2(%x, %s, %s, -, %s)"));
}

TEST(ConvertGatherTest, IndicesCountFromTheEnd) {
  EXPECT_EQ(NodesOf(Vector().Node("Gather", {"x", "s"}, {{"axis", 1}})),
            "%n_axis = int32[] [1]\n"
            "%n = GatherV2(%x, %s, %n_axis) {batch_dims=0, negative_index_support=true}\ny <- %n\n");
  EXPECT_THAT(NodesOf(Vector().Node("GatherElements", {"x", "s"}, {{"axis", 1}})),
              HasSubstr("GatherElements(%x, %s) {dim=1}"));
  EXPECT_THAT(NodesOf(Vector().Node("GatherND", {"x", "s"})), HasSubstr("GatherNd(%x, %s) {negative_index_support=true}"));
  EXPECT_THAT(ErrorOf(Vector().Node("GatherND", {"x", "s"}, {{"batch_dims", 1}})), HasSubstr("batch_dims = 1"));
}

TEST(ConvertGatherTest, Scatter) {
  const OnnxAttrs add{{"reduction", std::string("add")}};
  EXPECT_THAT(NodesOf(Vector().Node("ScatterElements", {"x", "s", "x"}, add)),
              HasSubstr("ScatterElements(%x, %s, %x) {axis=0, reduction=\"add\"}"));
  EXPECT_THAT(NodesOf(Vector().Node("ScatterND", {"x", "s", "x"})), HasSubstr("TensorScatterUpdate(%x, %s, %x)"));
  EXPECT_THAT(ErrorOf(Vector().Node("ScatterND", {"x", "s", "x"}, add)),
              HasSubstr("reduction = 'add' is not supported; only 'none' is"));
}

TEST(ConvertGatherTest, NonZero) {
  EXPECT_THAT(NodesOf(OneNode().Input("x").Node("NonZero", {"x"})), HasSubstr("NonZero(%x) {dtype=int64, transpose=true}"));
}

TEST(ConvertGatherTest, OneHotWrapsNegativeIndices) {
  EXPECT_EQ(NodesOf(Vector().Init("d", Tensor::Scalar<int64_t>(5)).Init("v", Tensor::Of<float>({2}, {0, 1})).Node(
                "OneHot", {"s", "d", "v"}, {{"axis", 0}})),
            "%d = int64[] [5]\n"
            "%v = float32[2] [0, 1]\n"
            "%n_zero = int64[] [0]\n"
            "%n_Less = Less(%s, %n_zero)\n"
            "%n_Add = Add(%s, %d)\n"
            "%n_SelectV2 = SelectV2(%n_Less, %n_Add, %s)\n"
            "%n_index = int32[] [0]\n%n_values_axis = int32[] [0]\n"
            "%n_GatherV2 = GatherV2(%v, %n_index, %n_values_axis) {batch_dims=0}\n"
            "%n_index_1 = int32[] [1]\n%n_values_axis_1 = int32[] [0]\n"
            "%n_GatherV2_1 = GatherV2(%v, %n_index_1, %n_values_axis_1) {batch_dims=0}\n"
            "%n = OneHot(%n_SelectV2, %d, %n_GatherV2_1, %n_GatherV2) {axis=0}\n"
            "y <- %n\n");
}

TEST(ConvertCreationTest, Constants) {
  auto value = [](const OnnxAttrs& attrs) { return NodesOf(OneNode().Node("Constant", {}, attrs)); };
  EXPECT_EQ(value({{"value", Tensor::Of<int64_t>({2}, {3, 4})}}), "%n = int64[2] [3, 4]\ny <- %n\n");
  EXPECT_EQ(value({{"value_float", 0.5f}}), "%n = float32[] [0.5]\ny <- %n\n");
  EXPECT_EQ(value({{"value_floats", std::vector<float>{1, 2}}}), "%n = float32[2] [1, 2]\ny <- %n\n");
  EXPECT_EQ(value({{"value_int", 7}}), "%n = int64[] [7]\ny <- %n\n");
  EXPECT_EQ(value({{"value_ints", Ints{7, 8}}}), "%n = int64[2] [7, 8]\ny <- %n\n");
  EXPECT_THAT(value({{"value_string", std::string("a")}}), HasSubstr("UNIMPLEMENTED"));
}

TEST(ConvertCreationTest, ConstantOfShape) {
  EXPECT_EQ(NodesOf(OneNode().Input("s", DataType::kInt64, {2}).Node("ConstantOfShape", {"s"})),
            "%n_value = float32[] [0]\n%n = Fill(%s, %n_value)\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode().Input("s", DataType::kInt64, {2}).Node("ConstantOfShape", {"s"},
                                                                    {{"value", Tensor::Int64s({7})}})),
            "%n_value = int64[] [7]\n%n = Fill(%s, %n_value)\ny <- %n\n");
  EXPECT_THAT(ErrorOf(OneNode().Input("s", DataType::kInt64, {2}).Node("ConstantOfShape", {"s"},
                                                                      {{"value", Tensor::Int64s({7, 8})}})),
              HasSubstr("has 2 elements"));
}

TEST(ConvertCreationTest, Trilu) {
  EXPECT_THAT(NodesOf(OneNode().Input("x").Init("k", Tensor::Scalar<int64_t>(-1)).Node("Trilu", {"x", "k"})),
              HasSubstr("Triu(%x) {diagonal=-1}"));
  EXPECT_THAT(NodesOf(OneNode().Input("x").Node("Trilu", {"x"}, {{"upper", 0}})), HasSubstr("Tril(%x) {diagonal=0}"));
}

TEST(ConvertCreationTest, EyeLikeComparesTwoRanges) {
  EXPECT_THAT(NodesOf(OneNode().Input("x").Node("EyeLike", {"x"}, {{"k", 1}})),
              HasSubstr("%n_Equal = Equal(%n_Unsqueeze, %n_Range_1)\n%n = Cast(%n_Equal) {dst_type=0}\n"));
}

TEST(ConvertCreationTest, DepthAndSpace) {
  EXPECT_THAT(NodesOf(OneNode().Input("x").Node("DepthToSpace", {"x"}, {{"blocksize", 2}})),
              HasSubstr("DepthToSpace(%x) {block_size=2, data_format=\"NCHW\", mode=\"DCR\"}"));
  EXPECT_THAT(NodesOf(OneNode().Input("x").Node("SpaceToDepth", {"x"}, {{"blocksize", 2}})),
              HasSubstr("SpaceToDepth(%x) {block_size=2, data_format=\"NCHW\"}"));
}

}  // namespace
}  // namespace omserve
