#include "core/ops/emit.h"
#include "core/ops/test_util.h"

namespace omserve {
namespace {

using absl::StatusCode;

AttrMap Equation(const std::string& equation, int64_t n) { return {{"equation", equation}, {"N", n}}; }

TEST(MatrixTest, Inference) {
  CheckInference({
      {"MatMul", {F({2, 3}), F({3, 4})}, {}, "float32[2,4]"},
      {"MatMulV2",
       {F({3, 2}), F({4, 3}), F({4})},
       {{"transpose_x1", true}, {"transpose_x2", true}},
       "float32[2,4]"},
      {"MatMulV2", {F({-1, 3}), F({-1, 4})}, {}, "float32[?,4]"},
      {"MatMul", {F({2, 0}), F({0, 4})}, {}, "float32[2,4]"},
      {"MatMul", {Of(DataType::kInt8, {2, 3}), Of(DataType::kInt8, {3, 4})}, {}, "int32[2,4]"},
      {"BatchMatMulV2", {F({5, 1, 2, 3}), F({7, 3, 4})}, {}, "float32[5,7,2,4]"},
      {"BatchMatMulV2", {F({2, 3}), F({7, 3, 4}), F({4})}, {}, "float32[7,2,4]"},
      {"BatchMatMul", {F({-1, 8, 1, 16}), F({-1, 8, -1, 16})}, {{"adj_x2", true}}, "float32[?,8,1,?]"},
      {"Einsum", {F({2, 3, 4}), F({2, 4, 5})}, Equation("bij, bjk -> bik", 2), "float32[2,3,5]"},
      {"Einsum", {F({3, 4}), F({4, 5})}, Equation("ij,jk", 2), "float32[3,5]"},
      {"Einsum", {F({-1, 4})}, Equation("ij->ji", 1), "float32[4,?]"},
  });
}

TEST(MatrixTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  CheckErrors({
      {"MatMulV2", {F({2, 3}), F({4, 5})}, {}, invalid, "the inner dimensions 3 and 4 differ"},
      {"MatMulV2", {F({1, 2, 3}), F({3, 5})}, {}, invalid, "x1 is float32[1,2,3]; it must have 2 dimensions"},
      {"BatchMatMulV2", {F({3}), F({3, 5})}, {}, invalid, "at least 2 dimensions"},
      {"BatchMatMulV2", {F({2, 1, 3}), F({4, 3, 5})}, {}, invalid, "batch dimensions: shapes [2] and [4]"},
      {"MatMulV2", {F({2, 3}), F({3, 5}), F({4})}, {}, invalid, "bias is float32[4]; it must be float32[5]"},
      {"MatMulV2",
       {F({2, 3}), F({3, 5}), None(), F({5})},
       {},
       StatusCode::kUnimplemented,
       "input 'offset_w'"},
      {"Einsum",
       {F({2, 3}), F({4, 5})},
       Equation("ij,jk->ik", 2),
       invalid,
       "label 'j' is 3 and, in x (input 1), 4"},
      {"Einsum", {F({2, 2})}, Equation("ii->i", 1), StatusCode::kUnimplemented, "a diagonal"},
      {"Einsum", {F({2, 2})}, Equation("...i->i", 1), StatusCode::kUnimplemented, "an ellipsis"},
      {"Einsum", {F({2, 2})}, Equation("ij->ik", 1), invalid, "output label 'k' is in no operand"},
      {"Einsum", {F({2, 2})}, Equation("ij,jk->ik", 1), invalid, "the equation has 2 operands, the node 1"},
  });
}

TEST(MatrixTest, Rules) {
  CheckRules({
      {"MatMul", {F({4, 8}), F({8, 6})}, {}, "[a4 c8+][c8+ b6] -> [a4 b6] {0}{1}"},
      {"MatMul",
       {F({8, 4}), F({6, 8})},
       {{"transpose_x1", true}, {"transpose_x2", true}},
       "[c8+ a4][b6 c8+] -> [a4 b6] {0}{1}"},
      // A partial product plus a whole bias is not a partial sum.
      {"MatMulV2", {F({4, 8}), F({8, 6}), F({6})}, {}, "[a4 c8+][c8+ b6][b6] -> [a4 b6]"},
      {"BatchMatMulV2",
       {F({2, 3, 4, 8}), F({3, 8, 6})},
       {},
       "[a2 b3 c4 e8+][b3 e8+ d6] -> [a2 b3 c4 d6] {0}{1}"},
      {"BatchMatMulV2",
       {F({2, 1, 4, 8}), F({3, 8, 6})},
       {},
       "[a2 . c4 e8+][b3 e8+ d6] -> [a2 b3 c4 d6] {0}{1}"},
      {"BatchMatMulV2", {F({2, 1, 8}), F({2, 8, 6})}, {}, "[a2 . c8+][a2 c8+ b6] -> [a2 . b6] {0}{1}"},
      {"Einsum", {F({2, 4}), F({4, 6})}, Equation("ij,jk->ki", 2), "[a2 b4+][b4+ c6] -> [c6 a2] {0}{1}"},
  });
}

TEST(MatrixTest, CostCountsMultipliesAndAdds) {
  OneNode one = MakeNode("BatchMatMulV2", {F({5, 2, 3}), F({5, 3, 4})});
  ASSERT_EQ(Infer(one), "float32[5,2,4]");
  EXPECT_EQ(CostOf(*one.graph, *one.node).flops, 2 * 5 * 2 * 3 * 4);
}

TEST(MatrixTest, OneDeviceAddsTheBias) {
  OneNode one = MakeNode("MatMulV2", {F({4, 8}), F({8, 6}), F({6})});
  ASSERT_EQ(Infer(one), "float32[4,6]");
  absl::StatusOr<ShardingRule> rule = RuleOf(*one.graph, *one.node);
  ASSERT_TRUE(rule.ok());
  for (int64_t part = 0; part < 2; ++part) {
    Graph slice("slice");
    const ValueId x = slice.AddData("x", {DataType::kFloat, {4, 4}})->out();
    const ValueId w = slice.AddData("w", {DataType::kFloat, {4, 6}})->out();
    const ValueId bias = slice.AddData("bias", {DataType::kFloat, {6}})->out();
    EmitContext context(*one.graph, *one.node, *rule, &slice, {x, w, bias}, {1, 1, 2}, {0, 0, part});
    absl::StatusOr<std::vector<ValueId>> outputs = OpRegistry::Get().Find("MatMulV2")->emit(context);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    EXPECT_EQ(slice.node(outputs->at(0).node)->num_inputs(), part == 0 ? 3 : 2);
  }
}

}  // namespace
}  // namespace omserve
