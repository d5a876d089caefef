#include "core/ops/emit.h"
#include "core/ops/test_util.h"

namespace omserve {
namespace {

using absl::StatusCode;

const AttrMap kImage = {{"data_format", std::string("NCHW")}};
const AttrMap kInference = {{"data_format", std::string("NCHW")}, {"is_training", false}};

TEST(NormalizationTest, Inference) {
  CheckInference({
      {"SoftmaxV2", {F({2, -1})}, {}, "float32[2,?]"},
      {"SoftmaxV2", {Of(DataType::kFloat16, {2})}, {{"half_to_float", true}}, "float32[2]"},
      {"LayerNorm",
       {F({2, 4, 6}), F({6}), F({6})},
       {{"begin_norm_axis", int64_t{-1}}},
       "float32[2,4,6] float32[2,4,1] float32[2,4,1]"},
      {"LayerNormV4", {F({-1, 4, 6}), Ints({4, 6})}, {}, "float32[?,4,6] float32[?,1,1] float32[?,1,1]"},
      {"RmsNorm",
       {Of(DataType::kFloat16, {2, 6}), Of(DataType::kFloat16, {6})},
       {},
       "float16[2,6] float32[2,1]"},
      {"AddRmsNorm", {F({2, 6}), F({2, 6}), F({6})}, {}, "float32[2,6] float32[2,1] float32[2,6]"},
      {"GroupNorm",
       {F({2, 6, 5}), F({6}), F({6})},
       {{"num_groups", int64_t{3}}, {"data_format", std::string("NCHW")}},
       "float32[2,6,5] float32[2,3] float32[2,3]"},
      {"InstanceNorm",
       {F({2, 6, 5}), F({6}), F({6})},
       kImage,
       "float32[2,6,5] float32[2,6,1] float32[2,6,1]"},
      {"BNInfer",
       {F({-1, 6, 5, 5}), F({6}), F({6}), F({6}), F({6})},
       {{"epsilon", 1e-5f}},
       "float32[?,6,5,5]"},
      {"LpNormV2", {F({2, 3})}, {}, "float32[]"},
      {"LpNormV2", {F({2, 3})}, {{"axes", IntList{-1}}, {"keepdim", true}}, "float32[2,1]"},
  });
}

TEST(NormalizationTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  CheckErrors({
      {"SoftmaxV2", {F({2})}, {{"axes", IntList{1}}}, invalid, "axis 1 is outside"},
      {"SoftmaxV2", {I64({2})}, {}, invalid, "floating-point"},
      {"LayerNorm",
       {F({2, 4}), F({3}), F({3})},
       {{"begin_norm_axis", int64_t{1}}},
       invalid,
       "gamma is float32[3]; it must broadcast to [2,4]"},
      {"LayerNormV4", {F({2, 4}), Ints({3})}, {}, invalid, "normalized_shape is [3]"},
      {"LayerNormV4", {F({2, 4}), I64({1})}, {}, StatusCode::kFailedPrecondition, "'normalized_shape'"},
      {"GroupNorm",
       {F({2, 6, 5}), F({6}), F({6})},
       {{"num_groups", int64_t{4}}, {"data_format", std::string("NCHW")}},
       invalid,
       "'num_groups' is 4; it must divide the 6 channels"},
      {"InstanceNorm", {F({2, 6, 5}), F({6}), F({6})}, {}, StatusCode::kUnimplemented, "only NCHW"},
      {"BatchNorm",
       {F({2, 6}), F({6}), F({6}), F({6}), F({6})},
       kImage,
       StatusCode::kUnimplemented,
       "training mode"},
      {"BatchNorm", {F({2, 6}), F({6}), F({6})}, kInference, invalid, "mean is needed at inference"},
      {"BatchNorm", {F({2, 6}), F({5}), F({6}), F({6}), F({6})}, kInference, invalid, "scale is float32[5]"},
  });
}

TEST(NormalizationTest, Rules) {
  CheckRules({
      {"SoftmaxV2", {F({2, 4, 6})}, {}, "[a2 b4 c6] -> [a2 b4 c6]"},
      {"SoftmaxV2", {Of(DataType::kFloat16, {2, 6})}, {}, "[a2 b6] -> [a2 b6]"},
      {"SoftmaxV2", {Of(DataType::kDouble, {2, 6})}, {}, "[a2 b6!] -> [a2 b6!]"},
      {"LogSoftmaxV2", {F({2, 4, 6})}, {{"axes", IntList{1}}}, "[a2 b4 c6] -> [a2 b4 c6]"},
      {"LayerNorm",
       {F({2, 4, 6}), F({6}), F({6})},
       {{"begin_norm_axis", int64_t{2}}},
       "[a2 b4 c6][c6][c6] -> [a2 b4 c6][a2 b4 .][a2 b4 .]"},
      {"RmsNorm", {F({2, 4, 6}), F({6})}, {}, "[a2 b4 c6][c6] -> [a2 b4 c6][a2 b4 .]"},
      {"RmsNorm",
       {Of(DataType::kFloat16, {2, 6}), Of(DataType::kFloat16, {6})},
       {},
       "[a2 b6][b6] -> [a2 b6][a2 .]"},
      {"GroupNorm",
       {F({2, 6, 5}), F({6}), F({6})},
       {{"num_groups", int64_t{3}}, {"data_format", std::string("NCHW")}},
       "[a2 b3*c2! d5][b3*c2!][b3*c2!] -> [a2 b3*c2! d5][a2 b3][a2 b3]"},
      {"InstanceNorm",
       {F({2, 6, 5}), F({6}), F({6})},
       kImage,
       "[a2 b6 c5][b6][b6] -> [a2 b6 c5][a2 b6 .][a2 b6 .]"},
      {"BNInfer",
       {F({2, 6, 5}), F({6}), F({6}), F({6}), F({6})},
       {{"epsilon", 1e-5f}},
       "[a2 b6 c5][b6][b6][b6][b6] -> [a2 b6 c5]"},
  });
}

TEST(NormalizationTest, GroupNormHasLocalGroups) {
  OneNode one = MakeNode("GroupNorm", {F({1, 12, 5}), F({12}), F({12})},
                         {{"num_groups", int64_t{4}}, {"data_format", std::string("NCHW")}});
  ASSERT_TRUE(InferNode(*one.graph, *one.node).ok());
  absl::StatusOr<ShardingRule> rule = RuleOf(*one.graph, *one.node);
  ASSERT_TRUE(rule.ok());
  ASSERT_EQ(rule->factors[0].name, "groups");
  Graph slice("slice");
  std::vector<ValueId> inputs = {slice.AddData("x", {DataType::kFloat, {1, 6, 5}})->out()};
  for (int i = 0; i < 2; ++i) inputs.push_back(slice.AddData("p", {DataType::kFloat, {6}})->out());
  std::vector<int64_t> parts(rule->factors.size(), 1);
  parts[0] = 2;
  EmitContext context(*one.graph, *one.node, *rule, &slice, inputs, parts,
                      std::vector<int64_t>(rule->factors.size(), 0));
  absl::StatusOr<std::vector<ValueId>> outputs = OpRegistry::Get().Find("GroupNorm")->emit(context);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(slice.FindNode("op")->AttrOr<int64_t>("num_groups", 0), 2);
}

}  // namespace
}  // namespace omserve
