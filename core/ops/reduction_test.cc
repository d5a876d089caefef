#include "core/ops/emit.h"
#include "core/ops/test_util.h"

namespace omserve {
namespace {

using absl::StatusCode;

const AttrMap kKeep = {{"keep_dims", true}};

TEST(ReductionTest, Inference) {
  CheckInference({
      {"ReduceSum", {F({2, 3, 4}), Ints({-1, 0})}, {}, "float32[3]"},
      {"ReduceSum", {F({2, -1, 4}), Int(1)}, kKeep, "float32[2,1,4]"},
      {"ReduceMax", {F({2, -1, 0}), Ints({2})}, {}, "float32[2,?]"},
      // Without axes: nothing by default, everything when noop_with_empty_axes is off.
      {"ReduceMean", {F({2, 3}), Ints({})}, {}, "float32[2,3]"},
      {"ReduceMean", {F({2, 3}), Ints({})}, {{"noop_with_empty_axes", false}}, "float32[]"},
      {"ReduceMeanD", {F({2, 3})}, {{"axes", IntList{}}}, "float32[]"},
      {"SquareSumV1", {F({2, 3})}, {{"axis", IntList{1}}, {"keep_dims", true}}, "float32[2,1]"},
      {"Cumsum", {F({2, -1}), Int(-1)}, {}, "float32[2,?]"},
      {"Cumsum", {F({2, 3}), I64({})}, {}, "float32[2,3]"},
      {"TopK", {F({2, -1}), Int(3)}, {}, "float32[2,3] int32[2,3]"},
      {"TopK", {F({5, 2}), Ints({5})}, {{"dim", int64_t{0}}}, "float32[5,2] int32[5,2]"},
      {"ArgMaxV2", {F({2, 3, 4}), Int(1)}, {}, "int64[2,4]"},
      {"ArgMin", {F({2, 3}), Int(-1)}, {{"dtype", DataType::kInt32}}, "int32[2]"},
  });
}

TEST(ReductionTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  CheckErrors({
      {"ReduceSum",
       {F({2}), I64({1})},
       {},
       StatusCode::kFailedPrecondition,
       "parameter 'axes' is not constant"},
      {"ReduceSum", {F({2}), Ints({1})}, {}, invalid, "axis 1 is outside [-1, 1)"},
      {"ReduceSum", {F({2, 3}), Ints({1, -1})}, {}, invalid, "axis 1 is named twice"},
      {"ReduceSum", {Bool({2}), Ints({0})}, {}, invalid, "it must be a number"},
      {"ReduceLogSumExp", {I64({2}), Ints({0})}, {}, invalid, "floating-point"},
      {"TopK", {F({2, 3}), Int(4)}, {}, invalid, "k is 4; dimension 1 of x has 3 elements"},
      {"TopK", {F({2, 3}), Ints({1, 2})}, {}, invalid, "it must hold one element"},
      {"ArgMaxV2", {F({2, 0}), Int(1)}, {}, invalid, "has no extreme"},
      {"Cumsum", {F({2}), Int(3)}, {}, invalid, "axis: axis 3 is outside"},
  });
}

TEST(ReductionTest, Rules) {
  CheckRules({
      {"ReduceSum", {F({2, 4, 6}), Ints({1})}, {}, "[a2 b4+ c6][.] -> [a2 c6] {0}"},
      {"ReduceSum", {F({2, 4, 6}), Ints({1, 2})}, kKeep, "[a2 b4+ c6+][.] -> [a2 . .] {0}"},
      {"ReduceSum", {I64({2, 4}), Ints({1})}, {}, "[a2 b4+][.] -> [a2] {0}"},
      {"ReduceMean", {F({2, 4}), Ints({1})}, {}, "[a2 b4+][.] -> [a2] {0}"},
      {"ReduceMean", {I64({2, 4}), Ints({1})}, {}, "[a2 b4!][.] -> [a2]"},
      {"ReduceMax", {F({2, 4}), Ints({1})}, {}, "[a2 b4][.] -> [a2]"},
      {"SquareSumV1", {F({2, 4})}, {{"axis", IntList{1}}}, "[a2 b4+] -> [a2]"},
      {"Cumsum", {F({2, 4}), Int(1)}, {}, "[a2 b4!][] -> [a2 b4!] {0}"},
      {"TopK", {F({2, 4}), Int(3)}, {}, "[a2 b4][] -> [a2 c3!][a2 d3!]"},
      {"ArgMaxV2", {F({2, 4}), Int(0)}, {}, "[a2 b4][] -> [b4]"},
  });
}

TEST(ReductionTest, PartOfAMeanIsItsShareOfTheWhole) {
  OneNode one = MakeNode("ReduceMean", {F({2, 8}), Ints({1})});
  ASSERT_EQ(Infer(one), "float32[2]");
  absl::StatusOr<ShardingRule> rule = RuleOf(*one.graph, *one.node);
  ASSERT_TRUE(rule.ok());
  Graph slice("slice");
  const ValueId x = slice.AddData("x", {DataType::kFloat, {2, 2}})->out();
  const ValueId axes = slice.AddConst("axes", Tensor::Int64s({1}))->out();
  EmitContext context(*one.graph, *one.node, *rule, &slice, {x, axes}, {1, 4}, {0, 3});
  absl::StatusOr<std::vector<ValueId>> outputs = OpRegistry::Get().Find("ReduceMean")->emit(context);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  slice.AddOutput("y", outputs->at(0));
  EXPECT_EQ(Dump(slice),
            "graph slice\n"
            "  %x: float32[2,2] = Data() {index=0}\n"
            "  %axes: int64[1] = Const() [1]\n"
            "  %op: float32[2] = ReduceMean(%x, %axes)\n"
            "  %op/share: float32[2] = Muls(%op) {value=0.25}\n"
            "  return y = %op/share\n");
}

}  // namespace
}  // namespace omserve
