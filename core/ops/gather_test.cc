#include "core/ops/emit.h"
#include "core/ops/test_util.h"

namespace omserve {
namespace {

using absl::StatusCode;

const AttrMap kNegative = {{"negative_index_support", true}};

TEST(GatherTest, Inference) {
  CheckInference({
      {"Gather", {F({6, 4}), I64({2, 3})}, {}, "float32[2,3,4]"},
      {"GatherV2", {F({2, 6, 4}), I32({3}), Int(1)}, kNegative, "float32[2,3,4]"},
      {"GatherV2", {F({2, 6, 4}), I64({}), Int(-1)}, {}, "float32[2,6]"},
      {"GatherV2", {F({6, 4}), I64({-1, 0}), Int(0)}, {}, "float32[?,0,4]"},
      {"GatherElements", {F({2, 6}), I64({2, 3})}, {{"dim", int64_t{1}}}, "float32[2,3]"},
      {"GatherD", {F({6, 2}), Int(0), I64({3, 2})}, {}, "float32[3,2]"},
      {"GatherNd", {F({2, 6, 4}), I64({5, 2})}, {}, "float32[5,4]"},
      {"GatherNd", {F({2, 6}), I64({-1, 2})}, {}, "float32[?]"},
      {"ScatterElements", {F({2, -1}), I64({2, 3}), F({2, 3})}, {{"axis", int64_t{1}}}, "float32[2,?]"},
      {"TensorScatterUpdate", {F({6, 4}), I64({3, 1}), F({3, 4})}, {}, "float32[6,4]"},
      {"NonZero", {F({2, 3})}, {{"transpose", true}}, "int64[2,?]"},
  });
}

TEST(GatherTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  CheckErrors({
      {"GatherV2", {F({6}), F({2}), Int(0)}, {}, invalid, "indices is float32[2]; it must be int32 or int64"},
      {"GatherV2", {F({6}), I64({2}), Int(1)}, {}, invalid, "axis: axis 1 is outside"},
      {"GatherV2",
       {F({6}), I64({2}), Int(0)},
       {{"batch_dims", int64_t{1}}},
       StatusCode::kUnimplemented,
       "'batch_dims' is 1"},
      {"GatherV2", {F({6}), I64({2}), Int(0)}, {{"all_rows", int64_t{-1}}}, invalid, "'all_rows' -1"},
      {"GatherV2", {F({6}), I64({2}), Int(0)}, {{"first_row", int64_t{3}}}, invalid, "'first_row' is 3 and 'all_rows' 0"},
      {"Gather", {F({}), I64({2})}, {}, invalid, "axis 0 is outside"},
      {"GatherElements",
       {F({6}), I64({2, 1})},
       {},
       invalid,
       "index is int64[2,1]; it must have 1 dimensions"},
      {"GatherNd", {F({6}), I64({2, 2})}, {}, invalid, "positions of 2 numbers"},
      {"GatherNd", {F({6}), I64({2, -1})}, {}, StatusCode::kFailedPrecondition, "last dimension of indices"},
      {"ScatterElements", {F({6}), I64({2}), F({3})}, {}, invalid, "their shapes must agree"},
      {"ScatterElements", {F({6}), I64({2}), F({2})}, {{"reduction", std::string("sub")}}, invalid, "'sub'"},
      {"TensorScatterUpdate",
       {F({6, 4}), I64({3, 1}), F({3})},
       {},
       invalid,
       "for these indices it must be [3,4]"},
  });
}

TEST(GatherTest, Rules) {
  CheckRules({
      {"GatherV2", {F({6, 4}), I64({2, 3}), Int(0)}, {}, "[c6+ d4][a2 b3][] -> [a2 b3 d4] {0}"},
      {"GatherV2", {F({2, 6}), I64({3}), Int(1)}, {}, "[a2 c6+][b3][] -> [a2 b3] {0}"},
      {"GatherV2", {I64({6, 4}), I64({3}), Int(0)}, {}, "[b6! c4][a3][] -> [a3 c4] {0}"},
      {"GatherElements", {F({2, 6}), I64({2, 3})}, {{"dim", int64_t{1}}}, "[a2 c6!][a2 b3] -> [a2 b3] {0}"},
      {"GatherNd", {F({2, 6, 4}), I64({5, 2})}, {}, "[c2! d6! b4][a5 e2!] -> [a5 b4] {0}"},
      {"ScatterElements",
       {F({2, 6}), I64({2, 3}), F({2, 3})},
       {{"axis", int64_t{1}}},
       "[a2 b6!][a2 c3!][a2 d3!] -> [a2 e6!]"},
      {"TensorScatterUpdate", {F({6, 4}), I64({3, 1}), F({3, 4})}, {}, "[b6! a4][c3! .][d3! a4] -> [e6! a4]"},
  });
}

// A table of 8 rows over 4 devices; this is device 2, with rows 4 and 5.
TEST(GatherTest, GatherFromPartOfATable) {
  OneNode one = MakeNode("GatherV2", {F({8, 4}), I64({3}), Int(0)}, kNegative);
  ASSERT_EQ(Infer(one), "float32[3,4]");
  absl::StatusOr<ShardingRule> rule = RuleOf(*one.graph, *one.node);
  ASSERT_TRUE(rule.ok());
  ASSERT_EQ(rule->factors[1].name, "vocab");
  Graph slice("slice");
  const std::vector<ValueId> inputs = {slice.AddData("table", {DataType::kFloat, {2, 4}})->out(),
                                       slice.AddData("ids", {DataType::kInt64, {3}})->out(),
                                       slice.AddConst("axis", Tensor::Scalar<int64_t>(0))->out()};
  EmitContext context(*one.graph, *one.node, *rule, &slice, inputs, {1, 4, 1}, {0, 2, 0});
  absl::StatusOr<std::vector<ValueId>> outputs = OpRegistry::Get().Find("GatherV2")->emit(context);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  slice.AddOutput("y", outputs->at(0));
  EXPECT_TRUE(Verify(slice).ok());
  EXPECT_EQ(Dump(slice),
            "graph slice\n"
            "  %table: float32[2,4] = Data() {index=0}\n"
            "  %ids: int64[3] = Data() {index=1}\n"
            "  %axis: int64[] = Const() [0]\n"
            "  %op: float32[3,4] = GatherV2(%table, %ids, %axis) "
            "{all_rows=8, first_row=4, negative_index_support=true}\n"
            "  return y = %op\n");
}

}  // namespace
}  // namespace omserve
