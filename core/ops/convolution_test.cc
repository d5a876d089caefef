#include "core/ops/emit.h"
#include "core/ops/test_util.h"

namespace omserve {
namespace {

using absl::StatusCode;

// Attributes of an NCHW convolution: one stride, pads top, bottom, left, right.
AttrMap Conv(int64_t stride, IntList pads, int64_t groups = 1) {
  AttrMap attrs = {{"strides", IntList{1, 1, stride, stride}},
                   {"pads", std::move(pads)},
                   {"data_format", std::string("NCHW")}};
  if (groups != 1) attrs["groups"] = groups;
  return attrs;
}

AttrMap With(AttrMap attrs, const std::string& name, AttrValue value) {
  attrs[name] = std::move(value);
  return attrs;
}

AttrMap Pool(int64_t kernel, int64_t stride, IntList pads = {0, 0, 0, 0}) {
  return {{"ksize", IntList{1, 1, kernel, kernel}},
          {"strides", IntList{1, 1, stride, stride}},
          {"pads", std::move(pads)}};
}

TEST(ConvolutionTest, Inference) {
  CheckInference({
      {"Conv2D", {F({2, 3, 8, 9}), F({4, 3, 3, 3}), F({4})}, Conv(1, {1, 1, 1, 1}), "float32[2,4,8,9]"},
      // Pads are top, bottom, left, right.
      {"Conv2D", {F({2, 3, 8, 8}), F({4, 3, 3, 3})}, Conv(2, {0, 1, 2, 2}), "float32[2,4,4,5]"},
      {"Conv2D", {F({-1, 3, -1, 8}), F({4, 3, 3, 3})}, Conv(1, {0, 0, 0, 0}), "float32[?,4,?,6]"},
      {"Conv2D", {F({0, 3, 8, 8}), F({4, 3, 3, 3})}, Conv(1, {0, 0, 0, 0}), "float32[0,4,6,6]"},
      {"Conv2D", {F({1, 6, 8, 8}), F({4, 3, 3, 3})}, Conv(1, {1, 1, 1, 1}, 2), "float32[1,4,8,8]"},
      {"Conv2D",
       {F({1, 3, 8, 8}), F({4, 3, 3, 3})},
       With(Conv(1, {0, 0, 0, 0}), "dilations", IntList{1, 1, 2, 3}),
       "float32[1,4,4,2]"},
      {"Conv3D",
       {F({1, 3, 4, 5, 6}), F({4, 3, 3, 3, 3})},
       {{"strides", IntList(5, 1)}, {"pads", IntList(6, 1)}, {"data_format", std::string("NCDHW")}},
       "float32[1,4,4,5,6]"},
      {"DepthwiseConv2D", {F({1, 3, 8, 8}), F({1, 3, 3, 3})}, Conv(1, {1, 1, 1, 1}), "float32[1,3,8,8]"},
      {"Conv2DTranspose",
       {Ints({0, 0, 0, 0}), F({2, 3, 4, 5}), F({3, 6, 2, 2})},
       Conv(2, {0, 0, 0, 0}),
       "float32[2,6,8,10]"},
      {"Conv2DTranspose",
       {Ints({2, 6, 8, 9}), F({2, 3, 4, 5}), F({3, 6, 3, 3}), F({6})},
       Conv(2, {1, 1, 1, 1}),
       "float32[2,6,8,9]"},
      {"Conv2DTransposeD",
       {F({2, 3, 4, 4}), F({3, 6, 3, 3})},
       With(With(Conv(2, {1, 1, 1, 1}), "input_size", IntList{0, 0, 0, 0}), "output_padding",
            IntList{0, 0, 1, 0}),
       "float32[2,6,8,7]"},
  });
}

TEST(ConvolutionTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  const AttrMap plain = Conv(1, {0, 0, 0, 0});
  CheckErrors({
      {"Conv2D", {F({1, 4, 8, 8}), F({4, 3, 3, 3})}, plain, invalid, "it is for 3 channels"},
      {"Conv2D",
       {F({1, 3, 2, 8}), F({4, 3, 3, 3})},
       plain,
       invalid,
       "a window of 3 does not fit a dimension of 2"},
      {"Conv2D", {F({1, 3, 8, 8}), F({4, 3, 3, 3}), F({3})}, plain, invalid, "bias is float32[3]"},
      {"Conv2D", {F({3, 8, 8}), F({4, 3, 3, 3})}, plain, invalid, "it must have 4 dimensions"},
      {"Conv2D",
       {F({1, 6, 8, 8}), F({5, 3, 3, 3})},
       Conv(1, {0, 0, 0, 0}, 2),
       invalid,
       "divisible by the groups"},
      {"Conv2D",
       {F({1, 3, 8, 8}), F({4, 3, 3, 3})},
       With(plain, "strides", IntList{1, 1}),
       invalid,
       "attribute 'strides' is (1,1); it must have 4 numbers"},
      {"Conv2D",
       {F({1, 3, 8, 8}), F({4, 3, 3, 3})},
       With(plain, "strides", IntList{1, 1, 0, 1}),
       invalid,
       "'strides'"},
      {"Conv2D",
       {F({1, 3, 8, 8}), F({4, 3, 3, 3})},
       With(plain, "pads", IntList{0, 0, 0, -1}),
       invalid,
       "'pads'"},
      {"Conv2D",
       {F({1, 3, 8, 8}), F({4, 3, 3, 3})},
       With(plain, "data_format", std::string("NHWC")),
       StatusCode::kUnimplemented,
       "only NCHW is supported"},
      {"DepthwiseConv2D",
       {F({1, 3, 8, 8}), F({2, 3, 3, 3})},
       plain,
       StatusCode::kUnimplemented,
       "one map for each"},
      {"Conv2DTranspose",
       {Ints({0, 0, 20, 8}), F({2, 3, 4, 4}), F({3, 6, 2, 2})},
       Conv(2, {0, 0, 0, 0}),
       invalid,
       "input_size asks for 20 in dimension 2; strides and pads give 8"},
      {"Conv2DTranspose",
       {I64({4}), F({2, 3, 4, 4}), F({3, 6, 2, 2})},
       plain,
       StatusCode::kFailedPrecondition,
       "'input_size'"},
  });
}

TEST(ConvolutionTest, Rules) {
  CheckRules({
      {"Conv2D",
       {F({2, 4, 5, 5}), F({6, 4, 3, 3})},
       Conv(1, {1, 1, 1, 1}),
       "[a2 c4+ d5 e5][b6 c4+ f3! g3!] -> [a2 b6 d5 e5] {0}{1}"},
      {"Conv2D",
       {F({2, 4, 5, 5}), F({6, 4, 1, 1}), F({6})},
       Conv(1, {0, 0, 0, 0}),
       "[a2 c4+ d5 e5][b6 c4+ . .][b6] -> [a2 b6 d5 e5]"},
      {"Conv2D",
       {F({1, 8, 5, 5}), F({12, 2, 1, 1})},
       Conv(1, {0, 0, 0, 0}, 4),
       "[. a4*c2! d5 e5][a4*b3! c2! . .] -> [. a4*b3! d5 e5] {0}{1}"},
      {"DepthwiseConv2D",
       {F({1, 4, 5, 5}), F({1, 4, 1, 1}), F({4})},
       Conv(1, {0, 0, 0, 0}),
       "[. a4 b5 c5][. a4 . .][a4] -> [. a4 b5 c5]"},
      {"Conv2DTranspose",
       {Ints({0, 0, 0, 0}), F({2, 4, 5, 5}), F({4, 6, 1, 1})},
       Conv(1, {0, 0, 0, 0}),
       "[.][a2 c4+ d5! e5!][c4+ b6 . .] -> [a2 b6 f5! g5!] {1}{2}"},
      // Without padding the image is higher than its output: a part would have to be larger than the others.
      {"Conv2D",
       {F({2, 4, 5, 5}), F({6, 4, 3, 3})},
       Conv(1, {0, 0, 0, 0}),
       "[a2 c4+ d5! e5!][b6 c4+ f3! g3!] -> [a2 b6 h3! i3!] {0}{1}"},
      // Windows that reach three rows far: parts of at least three rows.
      {"Conv2D",
       {F({2, 4, 12, 12}), F({6, 4, 7, 1})},
       Conv(1, {3, 3, 0, 0}),
       "[a2 c4+ d4*e3! g12][b6 c4+ h7! .] -> [a2 b6 d4*f3! g12] {0}{1}"},
      {"MaxPoolV3", {F({2, 4, 6, 6})}, Pool(2, 2), "[a2 b4 c3*d2! e3*f2!] -> [a2 b4 c3 e3]"},
      {"GlobalAveragePool", {F({2, 4, 6, 6})}, {}, "[a2 b4 c6+ d6+] -> [a2 b4 . .] {0}"},
  });
}

TEST(ConvolutionTest, CostCountsMultipliesAndAdds) {
  auto flops = [](const std::string& type, const std::vector<In>& inputs, const AttrMap& attrs) {
    OneNode one = MakeNode(type, inputs, attrs);
    EXPECT_TRUE(InferNode(*one.graph, *one.node).ok());
    return CostOf(*one.graph, *one.node).flops;
  };
  EXPECT_EQ(flops("Conv2D", {F({2, 4, 5, 5}), F({6, 4, 3, 3})}, Conv(1, {1, 1, 1, 1})),
            2. * 2 * 6 * 25 * 4 * 9);
  EXPECT_EQ(flops("Conv2D", {F({2, 4, 5, 5}), F({4, 1, 3, 3})}, Conv(1, {1, 1, 1, 1}, 4)),
            2. * 2 * 4 * 25 * 9);
  EXPECT_EQ(
      flops("Conv2DTranspose", {Ints({0, 0, 0, 0}), F({2, 4, 5, 5}), F({4, 6, 2, 2})}, Conv(2, {0, 0, 0, 0})),
      2. * 2 * 4 * 25 * 6 * 4);
}

TEST(ConvolutionTest, GroupsAreLocal) {
  OneNode one = MakeNode("Conv2D", {F({1, 8, 5, 5}), F({8, 1, 3, 3})}, Conv(1, {1, 1, 1, 1}, 8));
  ASSERT_TRUE(InferNode(*one.graph, *one.node).ok());
  absl::StatusOr<ShardingRule> rule = RuleOf(*one.graph, *one.node);
  ASSERT_TRUE(rule.ok());
  ASSERT_EQ(rule->factors[0].name, "groups");
  Graph slice("slice");
  const std::vector<ValueId> inputs = {slice.AddData("x", {DataType::kFloat, {1, 2, 5, 5}})->out(),
                                       slice.AddData("w", {DataType::kFloat, {2, 1, 3, 3}})->out()};
  std::vector<int64_t> parts(rule->factors.size(), 1);
  parts[0] = 4;
  EmitContext context(*one.graph, *one.node, *rule, &slice, inputs, parts,
                      std::vector<int64_t>(parts.size(), 0));
  absl::StatusOr<std::vector<ValueId>> outputs = OpRegistry::Get().Find("Conv2D")->emit(context);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(slice.FindNode("op")->AttrOr<int64_t>("groups", 0), 2);
}

TEST(PoolingTest, Inference) {
  const In scales = Value(Tensor::Of<float>({4}, {1, 1, 2, 1.5}));
  const In no_scales = Value(Tensor::Of<float>({0}, {}));
  CheckInference({
      {"MaxPoolV3", {F({2, 4, 6, 7})}, Pool(2, 2), "float32[2,4,3,3]"},
      {"MaxPoolV3", {F({2, 4, 6, 7})}, With(Pool(2, 2), "ceil_mode", true), "float32[2,4,3,4]"},
      // The last position would begin in the padding after the image, so it does not count.
      {"AvgPoolV2", {F({2, 4, 6, 6})}, With(Pool(2, 3, {0, 1, 0, 1}), "ceil_mode", true), "float32[2,4,2,2]"},
      {"AvgPoolV2", {F({-1, 4, -1, 6})}, Pool(3, 1, {1, 1, 1, 1}), "float32[?,4,?,6]"},
      {"AvgPoolV2",
       {F({2, 4, 7, 7})},
       With(Pool(3, 2), "padding_mode", std::string("SAME")),
       "float32[2,4,4,4]"},
      {"AvgPoolV2",
       {F({2, 4, 7, 7})},
       With(Pool(3, 2), "padding_mode", std::string("VALID")),
       "float32[2,4,3,3]"},
      {"AvgPoolV2", {F({2, 4, 7, 7})}, With(Pool(3, 2), "global_pooling", true), "float32[2,4,1,1]"},
      {"GlobalAveragePool", {F({-1, 4, 7})}, {}, "float32[?,4,1]"},
      {"AdaptiveAvgPool2d", {F({2, 4, 7, -1})}, {{"output_size", IntList{3, 2}}}, "float32[2,4,3,2]"},
      {"Resize", {F({2, 4, 5, 5}), None(), scales}, {}, "float32[2,4,10,7]"},
      {"Resize", {F({-1, 4, 5, 5}), None(), no_scales, Ints({2, 4, 10, 3})}, {}, "float32[2,4,10,3]"},
  });
}

TEST(PoolingTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  const In scales = Value(Tensor::Of<float>({4}, {1, 2, 2, 2}));
  CheckErrors({
      {"MaxPoolV3",
       {F({2, 4, 6, 6})},
       Pool(2, 2, {2, 0, 0, 0}),
       invalid,
       "must be smaller than the window 2"},
      {"MaxPoolV3", {F({2, 4, 1, 6})}, Pool(2, 2), invalid, "does not fit"},
      {"MaxPoolV3",
       {F({2, 4, 6, 6})},
       With(Pool(2, 2), "padding_mode", std::string("FULL")),
       invalid,
       "'FULL'"},
      {"MaxPoolV3",
       {F({2, 4, 6, 6})},
       With(Pool(2, 2), "ksize", IntList{1, 2, 2, 2}),
       StatusCode::kUnimplemented,
       "for batch and channels"},
      {"Resize", {F({2, 4, 5, 5}), None(), scales}, {}, StatusCode::kUnimplemented, "resizing dimension 1"},
      {"Resize", {F({2, 4, 5, 5})}, {}, invalid, "neither scales nor sizes"},
      {"Resize", {F({2, 4, 5, 5}), None(), F({4})}, {}, StatusCode::kFailedPrecondition, "'scales'"},
  });
}

}  // namespace
}  // namespace omserve
