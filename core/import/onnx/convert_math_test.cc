// Element-wise operators, activations, matrix products, reductions.
#include <string>

#include "core/import/onnx/import_test_util.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

struct Renamed {
  const char* onnx;
  const char* ascend;
  int inputs;
};

TEST(ConvertMathTest, PlainOperatorsKeepTheirNodeName) {
  for (const Renamed& op :
       {Renamed{"Abs", "Abs", 1}, {"Acos", "Acos", 1}, {"Acosh", "Acosh", 1}, {"Asin", "Asin", 1},
        {"Asinh", "Asinh", 1}, {"Atan", "Atan", 1}, {"Atanh", "Atanh", 1}, {"BitwiseNot", "Invert", 1},
        {"Ceil", "Ceil", 1}, {"Cos", "Cos", 1}, {"Cosh", "Cosh", 1}, {"Erf", "Erf", 1}, {"Exp", "Exp", 1},
        {"Floor", "Floor", 1}, {"HardSwish", "HardSwish", 1}, {"IsInf", "IsInf", 1}, {"IsNaN", "IsNan", 1},
        {"Log", "Log", 1}, {"Mish", "Mish", 1}, {"Neg", "Neg", 1}, {"Not", "LogicalNot", 1},
        {"Reciprocal", "Reciprocal", 1}, {"Relu", "Relu", 1}, {"Round", "Round", 1}, {"Selu", "Selu", 1},
        {"Sigmoid", "Sigmoid", 1}, {"Sign", "Sign", 1}, {"Sin", "Sin", 1}, {"Sinh", "Sinh", 1},
        {"Softplus", "Softplus", 1}, {"Softsign", "Softsign", 1}, {"Sqrt", "Sqrt", 1}, {"Tan", "Tan", 1},
        {"Tanh", "Tanh", 1}, {"Gelu", "Gelu", 1}, {"Identity", "Identity", 1}, {"Dropout", "Identity", 1},
        {"GlobalAveragePool", "GlobalAveragePool", 1}, {"Add", "Add", 2}, {"And", "LogicalAnd", 2},
        {"BitwiseAnd", "BitwiseAnd", 2}, {"BitwiseOr", "BitwiseOr", 2}, {"BitwiseXor", "BitwiseXor", 2},
        {"Div", "RealDiv", 2}, {"Equal", "Equal", 2}, {"Expand", "Expand", 2}, {"Greater", "Greater", 2},
        {"GreaterOrEqual", "GreaterEqual", 2}, {"Less", "Less", 2}, {"LessOrEqual", "LessEqual", 2},
        {"Max", "Maximum", 2}, {"Min", "Minimum", 2}, {"Mul", "Mul", 2}, {"Or", "LogicalOr", 2}, {"Pow", "Pow", 2},
        {"PRelu", "PRelu", 2}, {"Reshape", "Reshape", 2}, {"Sub", "Sub", 2},
        {"Sum", "Add", 2}, {"Tile", "Tile", 2}, {"Xor", "NotEqual", 2},
        {"Range", "Range", 3}, {"Where", "SelectV2", 3}}) {
    OneNode one(20);
    std::vector<std::string> names;
    std::string reads;
    for (int i = 0; i < op.inputs; ++i) {
      names.push_back(absl::StrCat("x", i));
      one.Input(names.back());
      absl::StrAppend(&reads, i > 0 ? ", " : "", "%x", i);
    }
    EXPECT_EQ(NodesOf(one.Node(op.onnx, names)), absl::StrCat("%n = ", op.ascend, "(", reads, ")\ny <- %n\n"));
  }
}

TEST(ConvertMathTest, IntegersDivideTowardsZero) {
  EXPECT_THAT(NodesOf(OneNode().Input("a", DataType::kInt64).Input("b", DataType::kInt64).Node("Div", {"a", "b"})),
              HasSubstr("%n = TruncateDiv(%a, %b)"));
  // The type is followed through shapes, casts and gathers.
  OnnxModelBuilder model;
  model.AddInput("x", DataType::kFloat, {kUnknownDim, 3});
  model.AddInit("zero", Tensor::Scalar<int64_t>(0));
  model.AddNode("Shape", {"x"}, {"shape"});
  model.AddNode("Gather", {"shape", "zero"}, {"batch"});
  model.AddNode("Div", {"batch", "batch"}, {"q"}, {}, "whole");
  model.AddNode("Cast", {"q"}, {"f"}, {{"to", 1}});
  model.AddNode("Div", {"f", "f"}, {"y"}, {}, "real");
  model.AddOutput("y");
  EXPECT_THAT(NodesOf(model), HasSubstr("%whole = TruncateDiv("));
  EXPECT_THAT(NodesOf(model), HasSubstr("%real = RealDiv("));
}

TEST(ConvertMathTest, ModFollowsTheSign) {
  EXPECT_THAT(NodesOf(OneNode().Input("a", DataType::kInt32).Node("Mod", {"a", "a"})), HasSubstr("FloorMod("));
  EXPECT_THAT(NodesOf(OneNode().Input("a").Node("Mod", {"a", "a"}, {{"fmod", 1}})), HasSubstr("= Mod("));
}

TEST(ConvertMathTest, PowTakesTheTypeOfItsBase) {
  EXPECT_EQ(NodesOf(OneNode().Input("a").Init("b", Tensor::Scalar<int64_t>(2)).Node("Pow", {"a", "b"})),
            "%b = int64[] [2]\n"
            "%n_Cast = Cast(%b) {dst_type=0}\n"
            "%n = Pow(%a, %n_Cast)\n"
            "y <- %n\n");
  EXPECT_EQ(NodesOf(OneNode().Input("a", DataType::kInt32).Init("b", Tensor::Scalar(0.5f)).Node("Pow", {"a", "b"})),
            "%b = float32[] [0.5]\n"
            "%n_Cast = Cast(%a) {dst_type=0}\n"
            "%n = Pow(%n_Cast, %b)\n"
            "%n_Cast_1 = Cast(%n) {dst_type=3}\n"
            "y <- %n_Cast_1\n");
}

TEST(ConvertMathTest, VariadicsBecomeChains) {
  EXPECT_EQ(NodesOf(OneNode().Input("a").Node("Max", {"a", "a", "a"})),
            "%n_Maximum = Maximum(%a, %a)\n%n = Maximum(%n_Maximum, %a)\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode().Input("a").Node("Sum", {"a"})), "%n = Identity(%a)\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode().Input("a").Node("Mean", {"a", "a"})),
            "%n_Add = Add(%a, %a)\n%n = Muls(%n_Add) {value=0.5}\ny <- %n\n");
}

TEST(ConvertMathTest, ClipBounds) {
  EXPECT_EQ(NodesOf(OneNode(9).Input("x").Node("Clip", {"x"}, {{"min", 0.0f}, {"max", 6.0f}})),
            "%n_min = float32[] [0]\n%n_max = float32[] [6]\n%n = ClipByValue(%x, %n_min, %n_max)\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode(9).Input("x").Node("Clip", {"x"})), "%n = Identity(%x)\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode(13).Input("x").Input("low").Node("Clip", {"x", "low"})),
            "%n = Maximum(%x, %low)\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode(13).Input("x").Input("high").Node("Clip", {"x", "", "high"})),
            "%n = Minimum(%x, %high)\ny <- %n\n");
}

TEST(ConvertMathTest, ScalarsHaveTheTypeOfTheirNode) {
  // 6 in binary16 and bfloat16; 65520 rounds to infinity, 2^-24 is the smallest denormal.
  auto bits = [](DataType type, float value) {
    OneNode one(9);
    absl::StatusOr<Graph> graph =
        ImportOnnx(one.Input("x", type).Node("Clip", {"x"}, {{"max", value}}).ToBuffer(), "");
    EXPECT_TRUE(graph.ok()) << graph.status();
    return graph->FindNode("n_max")->constant()->Materialize().values<uint16_t>()[0];
  };
  EXPECT_EQ(bits(DataType::kFloat16, 6.0f), 0x4600);
  EXPECT_EQ(bits(DataType::kFloat16, -0.1f), 0xae66);
  EXPECT_EQ(bits(DataType::kFloat16, 65519.0f), 0x7bff);
  EXPECT_EQ(bits(DataType::kFloat16, 65520.0f), 0x7c00);
  EXPECT_EQ(bits(DataType::kFloat16, 2049.0f), 0x6800);
  EXPECT_EQ(bits(DataType::kFloat16, 2047.9f), 0x6800);
  EXPECT_EQ(bits(DataType::kFloat16, 5.9604645e-8f), 0x0001);
  EXPECT_EQ(bits(DataType::kFloat16, 6.1035156e-5f), 0x0400);
  EXPECT_EQ(bits(DataType::kFloat16, 0.0f), 0x0000);
  EXPECT_EQ(bits(DataType::kBfloat16, 6.0f), 0x40c0);
  EXPECT_EQ(bits(DataType::kBfloat16, 1.00390625f), 0x3f80);
  EXPECT_THAT(ErrorOf(OneNode(9).Input("x", DataType::kInt8).Node("Clip", {"x"}, {{"max", 300.0f}})),
              HasSubstr("max: the value 300 does not fit the type int8"));
  EXPECT_THAT(ErrorOf(OneNode(9).Input("x", DataType::kInt8).Node("Clip", {"x"}, {{"max", 0.5f}})),
              HasSubstr("does not fit"));
}

TEST(ConvertMathTest, OneSidedInfinity) {
  EXPECT_EQ(NodesOf(OneNode().Input("x").Node("IsInf", {"x"}, {{"detect_negative", 0}})),
            "%n_zero = float32[] [0]\n"
            "%n_Greater = Greater(%x, %n_zero)\n"
            "%n_IsInf = IsInf(%x)\n"
            "%n = LogicalAnd(%n_IsInf, %n_Greater)\n"
            "y <- %n\n");
}

TEST(ConvertMathTest, CastsUseAclNumbers) {
  EXPECT_THAT(NodesOf(OneNode().Input("x").Node("Cast", {"x"}, {{"to", 16}})), HasSubstr("Cast(%x) {dst_type=27}"));
  EXPECT_THAT(NodesOf(OneNode().Input("x").Input("like", DataType::kInt64).Node("CastLike", {"x", "like"})),
              HasSubstr("Cast(%x) {dst_type=9}"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Cast", {"x"}, {{"to", 8}})), HasSubstr("a cast to string"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Cast", {"x"}, {{"to", 17}})), HasSubstr("UNIMPLEMENTED"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Cast", {"x"}, {{"to", int64_t{1} << 32 | 1}})),
              HasSubstr("is no data type"));
}

TEST(ConvertMathTest, ActivationAttributes) {
  auto nodes = [](int opset, const std::string& op, const OnnxAttrs& attrs) {
    return NodesOf(OneNode(opset).Input("x").Node(op, {"x"}, attrs));
  };
  EXPECT_THAT(nodes(17, "LeakyRelu", {}), HasSubstr("LeakyRelu(%x) {negative_slope=0.01}"));
  EXPECT_THAT(nodes(17, "Elu", {{"alpha", 2.0f}}), HasSubstr("Elu(%x) {alpha=2}"));
  EXPECT_THAT(nodes(17, "Celu", {{"alpha", 2.0f}}), HasSubstr("Celu(%x) {alpha1=2, alpha2=2, alpha3=1}"));
  EXPECT_THAT(nodes(17, "Selu", {{"gamma", 2.0f}}), HasSubstr("Elu(%x) {alpha=1.67326, scale=2}"));
  EXPECT_THAT(nodes(17, "HardSigmoid", {}), HasSubstr("HardSigmoid(%x) {alpha=0.2, beta=0.5}"));
  EXPECT_THAT(nodes(20, "Gelu", {{"approximate", std::string("tanh")}}),
              HasSubstr("GeluV2(%x) {approximate=\"tanh\"}"));
  EXPECT_THAT(nodes(20, "Gelu", {{"approximate", std::string("fast")}}), HasSubstr("neither 'none' nor 'tanh'"));
  EXPECT_THAT(nodes(17, "ThresholdedRelu", {}), HasSubstr("%n = SelectV2(%n_Greater, %x, %n_zero)"));
}

TEST(ConvertMathTest, SlopesBroadcastFromTheLastDimension) {
  OneNode one;
  one.Input("x", DataType::kFloat, {2, 3, 4}).Input("slope", DataType::kFloat, {4});
  EXPECT_EQ(NodesOf(one.Node("PRelu", {"x", "slope"})),
            "%n_Unsqueeze = Unsqueeze(%slope) {axes=[0]}\n%n = PRelu(%x, %n_Unsqueeze)\ny <- %n\n");
  OneNode channels;
  channels.Input("x", DataType::kFloat, {2, 3, 4}).Input("slope", DataType::kFloat, {3, 1});
  EXPECT_EQ(NodesOf(channels.Node("PRelu", {"x", "slope"})), "%n = PRelu(%x, %slope)\ny <- %n\n");
}

TEST(ConvertMathTest, MatMulOfVectors) {
  EXPECT_EQ(NodesOf(OneNode().Input("a").Input("b").Node("MatMul", {"a", "b"})),
            "%n = BatchMatMulV2(%a, %b) {adj_x1=false, adj_x2=false}\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode()
                        .Input("a", DataType::kFloat, {4})
                        .Input("b", DataType::kFloat, {4})
                        .Node("MatMul", {"a", "b"})),
            "%n_Unsqueeze = Unsqueeze(%a) {axes=[0]}\n"
            "%n_Unsqueeze_1 = Unsqueeze(%b) {axes=[1]}\n"
            "%n = BatchMatMulV2(%n_Unsqueeze, %n_Unsqueeze_1) {adj_x1=false, adj_x2=false}\n"
            "%n_Squeeze = Squeeze(%n) {axis=[-2,-1]}\n"
            "y <- %n_Squeeze\n");
}

TEST(ConvertMathTest, Gemm) {
  EXPECT_EQ(NodesOf(OneNode().Input("a").Input("b").Node("Gemm", {"a", "b"}, {{"transB", 1}})),
            "%n = MatMulV2(%a, %b) {transpose_x1=false, transpose_x2=true}\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode().Input("a").Input("c").Node("Gemm", {"a", "a", "c"},
                                                         {{"transA", 1}, {"alpha", 0.5f}, {"beta", 2.0f}})),
            "%n = MatMulV2(%a, %a) {transpose_x1=true, transpose_x2=false}\n"
            "%n_Muls = Muls(%n) {value=0.5}\n"
            "%n_Muls_1 = Muls(%c) {value=2}\n"
            "%n_Add = Add(%n_Muls, %n_Muls_1)\n"
            "y <- %n_Add\n");
}

TEST(ConvertMathTest, Einsum) {
  EXPECT_EQ(NodesOf(OneNode().Input("a").Node("Einsum", {"a", "a"}, {{"equation", std::string("ij,ij->i")}})),
            "%n = Einsum(%a, %a) {N=2, equation=\"ij,ij->i\"}\ny <- %n\n");
}

TEST(ConvertMathTest, ReductionAxes) {
  EXPECT_EQ(NodesOf(OneNode(17).Input("x").Node(
                "ReduceMean", {"x"}, {{"axes", std::vector<int64_t>{-1}}, {"keepdims", 0}})),
            "%n_axes = int64[1] [-1]\n%n = ReduceMean(%x, %n_axes) {keep_dims=false}\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode(18).Input("x").Input("a", DataType::kInt64, {1}).Node("ReduceMax", {"x", "a"})),
            "%n = ReduceMax(%x, %a) {keep_dims=true, noop_with_empty_axes=false}\ny <- %n\n");
  // All axes, of a known and of an unknown rank.
  EXPECT_EQ(NodesOf(OneNode(17).Input("x").Node("ReduceProd", {"x"})),
            "%n_axes = int64[2] [0, 1]\n%n = ReduceProd(%x, %n_axes) {keep_dims=true}\ny <- %n\n");
  OneNode unknown(17);
  unknown.Input("x").Input("s", DataType::kInt64, {kUnknownDim});
  unknown.model.AddNode("Reshape", {"x", "s"}, {"r"}, {}, "r");
  EXPECT_EQ(NodesOf(unknown.Node("ReduceSum", {"r"})),
            "%r = Reshape(%x, %s)\n"
            "%n_first = int64[] [0]\n"
            "%n_Shape = Shape(%r) {dtype=9}\n"
            "%n_Size = Size(%n_Shape) {dtype=9}\n"
            "%n_step = int64[] [1]\n"
            "%n_Range = Range(%n_first, %n_Size, %n_step)\n"
            "%n = ReduceSum(%r, %n_Range) {keep_dims=true}\n"
            "y <- %n\n");
}

TEST(ConvertMathTest, ReductionsWithoutAxesCanDoNothing) {
  const OnnxAttrs noop{{"noop_with_empty_axes", 1}};
  EXPECT_EQ(NodesOf(OneNode(18).Input("x").Node("ReduceSum", {"x"}, noop)), "%n = Identity(%x)\ny <- %n\n");
  EXPECT_EQ(NodesOf(OneNode(18).Input("x").Init("a", Tensor::Int64s({})).Node("ReduceSumSquare", {"x", "a"}, noop)),
            "%a = int64[0] []\n%n_Square = Square(%x)\n%n = Identity(%n_Square)\ny <- %n\n");
}

TEST(ConvertMathTest, ComposedReductions) {
  auto nodes = [](const std::string& op) {
    return NodesOf(OneNode(13).Input("x").Node(op, {"x"}, {{"axes", std::vector<int64_t>{1}}}));
  };
  const std::string reduce_sum = " {keep_dims=true}\n";
  EXPECT_EQ(nodes("ReduceL1"),
            "%n_axes = int64[1] [1]\n%n_Abs = Abs(%x)\n%n = ReduceSum(%n_Abs, %n_axes)" + reduce_sum + "y <- %n\n");
  EXPECT_EQ(nodes("ReduceL2"), "%n_axes = int64[1] [1]\n%n_Square = Square(%x)\n%n = ReduceSum(%n_Square, %n_axes)" +
                                   reduce_sum + "%n_Sqrt = Sqrt(%n)\ny <- %n_Sqrt\n");
  EXPECT_EQ(nodes("ReduceLogSum"), "%n_axes = int64[1] [1]\n%n = ReduceSum(%x, %n_axes)" + reduce_sum +
                                       "%n_Log = Log(%n)\ny <- %n_Log\n");
  EXPECT_EQ(nodes("ReduceLogSumExp"),
            "%n_axes = int64[1] [1]\n%n = ReduceLogSumExp(%x, %n_axes)" + reduce_sum + "y <- %n\n");
}

TEST(ConvertMathTest, ArgMaxKeepsItsAxis) {
  EXPECT_EQ(NodesOf(OneNode().Input("x").Node("ArgMax", {"x"}, {{"axis", -1}})),
            "%n_dimension = int64[] [-1]\n"
            "%n = ArgMaxV2(%x, %n_dimension) {dtype=int64}\n"
            "%n_ExpandDims = ExpandDims(%n, %n_dimension)\n"
            "y <- %n_ExpandDims\n");
  EXPECT_EQ(NodesOf(OneNode().Input("x").Node("ArgMin", {"x"}, {{"keepdims", 0}})),
            "%n_dimension = int64[] [0]\n%n = ArgMin(%x, %n_dimension) {dtype=int64}\ny <- %n\n");
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("ArgMax", {"x"}, {{"select_last_index", 1}})),
              HasSubstr("select_last_index = 1 is not supported"));
}

TEST(ConvertMathTest, TopKGivesInt64Indices) {
  EXPECT_EQ(NodesOf(OneNode(9).Input("x").Node("TopK", {"x"}, {{"k", 2}}, {"v", "i"})),
            "%n_k = int64[1] [2]\n"
            "%n = TopK(%x, %n_k) {dim=-1, largest=true, sorted=true}\n"
            "%n_Cast = Cast(%n:1) {dst_type=9}\n"
            "v <- %n\n"
            "i <- %n_Cast\n");
  EXPECT_THAT(NodesOf(OneNode(11).Input("x").Input("k", DataType::kInt64, {1}).Node(
                  "TopK", {"x", "k"}, {{"largest", 0}, {"axis", 0}}, {"v", ""})),
              HasSubstr("%n = TopK(%x, %k) {dim=0, largest=false, sorted=true}\nv <- %n\n"));
}

TEST(ConvertMathTest, CumSum) {
  EXPECT_THAT(NodesOf(OneNode().Input("x").Init("a", Tensor::Scalar<int64_t>(1)).Node("CumSum", {"x", "a"},
                                                                                     {{"reverse", 1}})),
              HasSubstr("%n = Cumsum(%x, %a) {exclusive=false, reverse=true}"));
}

}  // namespace
}  // namespace omserve
