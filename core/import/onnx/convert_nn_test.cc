// Convolution, pooling, normalisation, resizing.
#include <string>

#include "core/import/onnx/import_test_util.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int64_t kAny = kUnknownDim;
using Ints = std::vector<int64_t>;

Tensor Ones(const Shape& shape) {
  return Tensor::Of<float>(shape, std::vector<float>(static_cast<size_t>(NumElements(shape)), 1.0f));
}

OneNode Image(int opset = 17) {
  OneNode one(opset);
  one.Input("x", DataType::kFloat, {kAny, 4, kAny, kAny});
  return one;
}

TEST(ConvertConvTest, PadsAreReordered) {
  EXPECT_EQ(NodesOf(Image()
                        .Init("w", Ones({2, 2, 3, 5}))
                        .Init("b", Ones({2}))
                        .Node("Conv", {"x", "w", "b"},
                              {{"pads", Ints{1, 2, 3, 4}}, {"strides", Ints{2, 1}}, {"dilations", Ints{1, 2}},
                               {"group", 2}, {"kernel_shape", Ints{3, 5}}})),
            "%w = float32[2,2,3,5] [1, 1, 1, 1, 1, 1, 1, 1, ...]\n"
            "%b = float32[2] [1, 1]\n"
            "%n = Conv2D(%x, %w, %b) {data_format=\"NCHW\", dilations=[1,1,1,2], groups=2, pads=[1,3,2,4], "
            "strides=[1,1,2,1]}\n"
            "y <- %n\n");
}

TEST(ConvertConvTest, OneDimension) {
  OneNode one;
  one.Input("x", DataType::kFloat, {kAny, 2, kAny}).Init("w", Ones({2, 2, 3}));
  EXPECT_EQ(NodesOf(one.Node("Conv", {"x", "w"}, {{"pads", Ints{1, 2}}, {"strides", Ints{2}}})),
            "%w = float32[2,2,3] [1, 1, 1, 1, 1, 1, 1, 1, ...]\n"
            "%n_Unsqueeze = Unsqueeze(%x) {axes=[2]}\n"
            "%n_filter = float32[2,2,1,3] [1, 1, 1, 1, 1, 1, 1, 1, ...]\n"
            "%n = Conv2D(%n_Unsqueeze, %n_filter) {data_format=\"NCHW\", dilations=[1,1,1,1], groups=1, "
            "pads=[0,0,1,2], strides=[1,1,1,2]}\n"
            "%n_Squeeze = Squeeze(%n) {axis=[2]}\n"
            "y <- %n_Squeeze\n");
}

TEST(ConvertConvTest, SameWithoutStridesNeedsNoShape) {
  auto pads = [](const std::string& auto_pad) {
    return NodesOf(Image().Init("w", Ones({1, 4, 3, 4})).Node("Conv", {"x", "w"}, {{"auto_pad", auto_pad}}));
  };
  EXPECT_THAT(pads("SAME_UPPER"), HasSubstr("pads=[1,1,1,2]"));
  EXPECT_THAT(pads("SAME_LOWER"), HasSubstr("pads=[1,1,2,1]"));
  EXPECT_THAT(pads("VALID"), HasSubstr("pads=[0,0,0,0]"));
  EXPECT_THAT(pads("SAME"), HasSubstr("is none of NOTSET"));
}

TEST(ConvertConvTest, SameWithStridesPadsByTheShape) {
  const std::string nodes = NodesOf(Image().Init("w", Ones({1, 4, 3, 3})).Node(
      "Conv", {"x", "w"}, {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}}));
  EXPECT_THAT(nodes, HasSubstr("%n_PadV3 = PadV3(%x, %n_ConcatD, %n_pad_value)"));
  EXPECT_THAT(nodes, HasSubstr("%n = Conv2D(%n_PadV3, %w)"));
  EXPECT_THAT(nodes, HasSubstr("pads=[0,0,0,0]"));
}

TEST(ConvertConvTest, BadWindows) {
  auto error = [](const Shape& weight, const OnnxAttrs& attrs) {
    return ErrorOf(Image().Init("w", Ones(weight)).Node("Conv", {"x", "w"}, attrs));
  };
  EXPECT_THAT(error({1, 4, 3, 3}, {{"strides", Ints{1}}}), HasSubstr("strides has 1 entries; it needs 2"));
  EXPECT_THAT(error({1, 4, 3, 3}, {{"strides", Ints{0, 1}}}), HasSubstr("strides holds 0"));
  EXPECT_THAT(error({1, 4, 3, 3}, {{"pads", Ints{0, 0, 0, -1}}}), HasSubstr("pads holds -1"));
  EXPECT_THAT(error({1, 4, 3, 3}, {{"dilations", Ints{int64_t{1} << 40, 1}}}), HasSubstr("dilations holds"));
  EXPECT_THAT(error({1, 4, 3, 3}, {{"kernel_shape", Ints{3, 5}}}), HasSubstr("is not that of its filter"));
  EXPECT_THAT(error({1, 4, 3, 3}, {{"group", 0}}), HasSubstr("group = 0"));
  EXPECT_THAT(error({1, 4, 1, 1, 1}, {}), HasSubstr("UNIMPLEMENTED"));
}

TEST(ConvertConvTest, TransposedGetsTheShapeOfItsOutput) {
  EXPECT_EQ(NodesOf(Image()
                        .Init("w", Ones({4, 3, 2, 2}))
                        .Node("ConvTranspose", {"x", "w"},
                              {{"strides", Ints{2, 3}}, {"pads", Ints{0, 0, 1, 0}}, {"output_padding", Ints{0, 1}}})),
            "%w = float32[4,3,2,2] [1, 1, 1, 1, 1, 1, 1, 1, ...]\n"
            "%n_Shape = Shape(%x) {dtype=9}\n"
            "%n_begin = int64[1] [2]\n%n_end = int64[1] [4]\n%n_axes = int64[1] [0]\n%n_strides = int64[1] [1]\n"
            "%n_StridedSliceV2 = StridedSliceV2(%n_Shape, %n_begin, %n_end, %n_axes, %n_strides)\n"
            "%n_strides_1 = int64[2] [2, 3]\n"
            "%n_Mul = Mul(%n_StridedSliceV2, %n_strides_1)\n"
            // kernel + output_padding - stride - pads
            "%n_fixed_size = int64[2] [-1, 0]\n"
            "%n_Add = Add(%n_Mul, %n_fixed_size)\n"
            "%n_channels = int64[1] [3]\n"
            "%n_begin_1 = int64[1] [0]\n%n_end_1 = int64[1] [1]\n%n_axes_1 = int64[1] [0]\n"
            "%n_strides_2 = int64[1] [1]\n"
            "%n_StridedSliceV2_1 = StridedSliceV2(%n_Shape, %n_begin_1, %n_end_1, %n_axes_1, %n_strides_2)\n"
            "%n_ConcatD = ConcatD(%n_StridedSliceV2_1, %n_channels, %n_Add) {N=3, concat_dim=0}\n"
            "%n = Conv2DTranspose(%n_ConcatD, %x, %w) {data_format=\"NCHW\", dilations=[1,1,1,1], groups=1, "
            "output_padding=[0,0,0,1], pads=[0,1,0,0], strides=[1,1,2,3]}\n"
            "y <- %n\n");
}

TEST(ConvertConvTest, TransposedWithAnOutputShapeIsCropped) {
  const std::string nodes = NodesOf(Image().Init("w", Ones({4, 3, 3, 3})).Node(
      "ConvTranspose", {"x", "w"}, {{"output_shape", Ints{8, 8}}, {"strides", Ints{2, 2}}}));
  EXPECT_THAT(nodes, HasSubstr("y <- %n_StridedSliceV2"));
  EXPECT_THAT(NodesOf(Image().Init("w", Ones({4, 3, 3, 3})).Node(
                  "ConvTranspose", {"x", "w"}, {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}})),
              HasSubstr("pads=[0,1,0,1]"));
}

TEST(ConvertPoolTest, MaxPool) {
  EXPECT_EQ(NodesOf(Image().Node("MaxPool", {"x"}, {{"kernel_shape", Ints{2, 3}}, {"pads", Ints{0, 1, 1, 1}}})),
            "%n = MaxPoolV3(%x) {ceil_mode=false, data_format=\"NCHW\", global_pooling=false, ksize=[1,1,2,3], "
            "padding_mode=\"CALCULATED\", pads=[0,1,1,1], strides=[1,1,1,1]}\ny <- %n\n");
  EXPECT_THAT(NodesOf(Image().Node("MaxPool", {"x"},
                                   {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}, {"ceil_mode", 1},
                                    {"auto_pad", std::string("SAME_UPPER")}})),
              HasSubstr("ceil_mode=true, data_format=\"NCHW\", global_pooling=false, ksize=[1,1,2,2], "
                        "padding_mode=\"SAME\""));
  EXPECT_THAT(NodesOf(Image().Node("MaxPool", {"x"},
                                   {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}},
                                    {"auto_pad", std::string("SAME_LOWER")}})),
              HasSubstr("%n_pad_value = float32[] [-inf]"));
  EXPECT_THAT(ErrorOf(Image().Node("MaxPool", {"x"}, {{"kernel_shape", Ints{2, 2}}}, {"y", "indices"})),
              HasSubstr("its second output, the indices"));
  EXPECT_THAT(ErrorOf(Image().Node("MaxPool", {"x"}, {{"kernel_shape", Ints{2, 2}}, {"dilations", Ints{2, 2}}})),
              HasSubstr("dilations [2,2] of a pooling"));
  EXPECT_THAT(ErrorOf(Image().Node("MaxPool", {"x"})), HasSubstr("'kernel_shape' is missing"));
}

TEST(ConvertPoolTest, AveragePool) {
  EXPECT_THAT(NodesOf(Image().Node("AveragePool", {"x"}, {{"kernel_shape", Ints{2, 2}}})),
              HasSubstr("AvgPoolV2(%x) {ceil_mode=false, data_format=\"NCHW\", exclusive=true"));
  EXPECT_THAT(NodesOf(Image().Node("AveragePool", {"x"}, {{"kernel_shape", Ints{2, 2}}, {"count_include_pad", 1}})),
              HasSubstr("exclusive=false"));
  OneNode one;
  one.Input("x", DataType::kFloat, {kAny, 2, kAny});
  EXPECT_THAT(NodesOf(one.Node("AveragePool", {"x"}, {{"kernel_shape", Ints{3}}, {"strides", Ints{2}}})),
              HasSubstr("ksize=[1,1,1,3], padding_mode=\"CALCULATED\", pads=[0,0,0,0], strides=[1,1,1,2]"));
}

TEST(ConvertPoolTest, GlobalMaxPool) {
  EXPECT_EQ(NodesOf(Image().Node("GlobalMaxPool", {"x"})),
            "%n_axes = int64[2] [2, 3]\n%n = ReduceMax(%x, %n_axes) {keep_dims=true}\ny <- %n\n");
}

TEST(ConvertNormTest, SoftmaxFromOpset13) {
  EXPECT_EQ(NodesOf(OneNode(13).Input("x").Node("Softmax", {"x"})), "%n = SoftmaxV2(%x) {axes=[-1]}\ny <- %n\n");
  EXPECT_EQ(NodesOf(Image(13).Node("LogSoftmax", {"x"}, {{"axis", 1}})),
            "%n = LogSoftmaxV2(%x) {axes=[1]}\ny <- %n\n");
}

TEST(ConvertNormTest, SoftmaxOfRowsBelowOpset13) {
  EXPECT_EQ(NodesOf(OneNode(12).Input("x").Node("Softmax", {"x"})), "%n = SoftmaxV2(%x) {axes=[-1]}\ny <- %n\n");
  EXPECT_EQ(NodesOf(Image(12).Node("LogSoftmax", {"x"})),
            "%n_Flatten = Flatten(%x) {axis=1}\n"
            "%n = LogSoftmaxV2(%n_Flatten) {axes=[-1]}\n"
            "%n_Shape = Shape(%x) {dtype=9}\n"
            "%n_Reshape = Reshape(%n, %n_Shape)\n"
            "y <- %n_Reshape\n");
}

TEST(ConvertNormTest, LayerNormalization) {
  EXPECT_EQ(NodesOf(OneNode().Input("x").Init("g", Ones({3})).Init("b", Ones({3})).Node(
                "LayerNormalization", {"x", "g", "b"}, {{"epsilon", 0.5f}})),
            "%g = float32[3] [1, 1, 1]\n"
            "%b = float32[3] [1, 1, 1]\n"
            "%n_normalized_shape = int64[1] [3]\n"
            "%n = LayerNormV4(%x, %n_normalized_shape, %g, %b) {epsilon=0.5}\n"
            "y <- %n\n");
  // A scale that broadcasts, and one that is not constant, are spread over the normalised part of x's shape.
  for (const bool constant : {true, false}) {
    OneNode one;
    one.Input("x");
    if (constant) {
      one.Init("g", Ones({1}));
    } else {
      one.Input("g", DataType::kFloat, {3});
    }
    EXPECT_THAT(NodesOf(one.Node("LayerNormalization", {"x", "g"}, {}, {"y", "mean", "rstd"})),
                HasSubstr("%n_Expand = Expand(%g, %n_StridedSliceV2)\n"
                          "%n = LayerNormV4(%x, %n_StridedSliceV2, %n_Expand) {epsilon=1e-05}\n"
                          "y <- %n\nmean <- %n:1\nrstd <- %n:2\n"));
  }
}

TEST(ConvertNormTest, RmsNormalization) {
  EXPECT_THAT(NodesOf(OneNode(23).Input("x").Init("g", Ones({3})).Node("RMSNormalization", {"x", "g"})),
              HasSubstr("%n = RmsNorm(%x, %g) {epsilon=1e-05}"));
  EXPECT_THAT(ErrorOf(OneNode(23).Input("x").Init("g", Ones({3})).Node("RMSNormalization", {"x", "g"}, {{"axis", 0}})),
              HasSubstr("its scale has rank 1; it must have one dimension for each of the 2"));
}

TEST(ConvertNormTest, BatchNormalization) {
  OneNode one(9);
  one.Input("x");
  for (const char* name : {"s", "b", "m", "v"}) one.Init(name, Ones({3}));
  EXPECT_THAT(NodesOf(one.Node("BatchNormalization", {"x", "s", "b", "m", "v"}, {{"momentum", 0.5f}})),
              HasSubstr("%n = BatchNorm(%x, %s, %b, %m, %v) {data_format=\"NCHW\", epsilon=1e-05, "
                        "is_training=false}"));
  one.model.proto().mutable_graph()->mutable_node(0)->mutable_attribute(0)->set_name("training_mode");
  one.model.proto().mutable_graph()->mutable_node(0)->mutable_attribute(0)->set_type(onnx::AttributeProto::INT);
  one.model.proto().mutable_graph()->mutable_node(0)->mutable_attribute(0)->set_i(1);
  EXPECT_THAT(ErrorOf(one.model), HasSubstr("training_mode = 1 is not supported"));
}

TEST(ConvertNormTest, InstanceAndGroupNormalization) {
  EXPECT_THAT(NodesOf(Image().Init("s", Ones({4})).Node("InstanceNormalization", {"x", "s", "s"})),
              HasSubstr("%n = InstanceNorm(%x, %s, %s) {data_format=\"NCHW\", epsilon=1e-05}"));
  EXPECT_THAT(NodesOf(Image(21).Init("s", Ones({4})).Node("GroupNormalization", {"x", "s", "s"}, {{"num_groups", 2}})),
              HasSubstr("%n = GroupNorm(%x, %s, %s) {data_format=\"NCHW\", eps=1e-05, num_groups=2}"));
  // Opset 18 gives one scale per group.
  EXPECT_THAT(NodesOf(Image(18).Init("s", Ones({2})).Node("GroupNormalization", {"x", "s", "s"}, {{"num_groups", 2}})),
              HasSubstr("%n = GroupNorm(%x, %n_Reshape, %n_Reshape_1)"));
  EXPECT_THAT(ErrorOf(Image(18).Init("s", Ones({2})).Node("GroupNormalization", {"x", "s", "s"})),
              HasSubstr("num_groups = 0"));
}

TEST(ConvertResizeTest, OldForms) {
  const std::string attrs = " {coordinate_transformation_mode=\"asymmetric\", mode=\"linear\", nearest_mode=\"floor\"}\n";
  const OnnxAttrs linear{{"mode", std::string("linear")}};
  EXPECT_EQ(NodesOf(Image(8).Node("Upsample", {"x"},
                                  {{"mode", std::string("linear")}, {"scales", std::vector<float>{1, 1, 2, 2}}})),
            "%n_scales = float32[4] [1, 1, 2, 2]\n%n = Resize(%x, -, %n_scales)" + attrs + "y <- %n\n");
  EXPECT_THAT(NodesOf(Image(9).Init("s", Ones({4})).Node("Upsample", {"x", "s"}, linear)),
              HasSubstr("%n = Resize(%x, -, %s)" + attrs));
  EXPECT_THAT(NodesOf(Image(10).Init("s", Ones({4})).Node("Resize", {"x", "s"}, linear)),
              HasSubstr("%n = Resize(%x, -, %s)" + attrs));
}

TEST(ConvertResizeTest, ScalesOrSizes) {
  const Tensor none = Tensor::Of<float>({0}, {});
  EXPECT_THAT(NodesOf(Image(11).Init("e", none).Init("s", Ones({4})).Node("Resize", {"x", "e", "s"})),
              HasSubstr("%n = Resize(%x, -, %s) {coordinate_transformation_mode=\"half_pixel\", "
                        "cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0, mode=\"nearest\", "
                        "nearest_mode=\"round_prefer_floor\"}"));
  EXPECT_THAT(NodesOf(Image(11).Init("e", none).Init("s", Tensor::Int64s({1, 4, 8, 8})).Node(
                  "Resize", {"x", "e", "e", "s"})),
              HasSubstr("%n = Resize(%x, -, -, %s)"));
  EXPECT_THAT(ErrorOf(Image(11).Init("e", none).Node("Resize", {"x", "e", "e"})), HasSubstr("has neither"));
  EXPECT_THAT(ErrorOf(Image(18).Init("s", Ones({4})).Node("Resize", {"x", "", "s"}, {{"antialias", 1}})),
              HasSubstr("antialias = 1 is not supported"));
}

TEST(ConvertResizeTest, AxesAreSpread) {
  EXPECT_THAT(NodesOf(Image(18).Init("s", Ones({2})).Node("Resize", {"x", "", "s"}, {{"axes", Ints{2, -1}}})),
              HasSubstr("%n_scales = float32[4] [1, 1, 1, 1]\n"
                        "%n_places = int64[2,1] [2, 3]\n"
                        "%n_TensorScatterUpdate = TensorScatterUpdate(%n_scales, %n_places, %s)\n"
                        "%n = Resize(%x, -, %n_TensorScatterUpdate)"));
  EXPECT_THAT(NodesOf(Image(18).Init("s", Tensor::Int64s({8, 8})).Node("Resize", {"x", "", "", "s"},
                                                                     {{"axes", Ints{2, 3}}})),
              HasSubstr("TensorScatterUpdate(%n_Shape, %n_places, %s)"));
  EXPECT_THAT(ErrorOf(Image(18).Init("s", Ones({1})).Node("Resize", {"x", "", "s"}, {{"axes", Ints{4}}})),
              HasSubstr("axis 4"));
}

}  // namespace
}  // namespace omserve
