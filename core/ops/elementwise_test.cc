#include "core/ops/test_util.h"

namespace omserve {
namespace {

using absl::StatusCode;

TEST(ElementwiseTest, Inference) {
  CheckInference({
      {"Add", {F({2, 1, 4}), F({3, 1})}, {}, "float32[2,3,4]"},
      {"Add", {F({-1, 4}), F({1, 4})}, {}, "float32[?,4]"},
      {"Add", {F({-1, 4}), F({3, 1})}, {}, "float32[3,4]"},
      {"Mul", {F({2, 0, 4}), F({1, 1, 4})}, {}, "float32[2,0,4]"},
      {"Mul", {F({}), F({})}, {}, "float32[]"},
      {"Less", {I64({2, 3}), I64({})}, {}, "bool[2,3]"},
      {"LogicalNot", {Bool({3})}, {}, "bool[3]"},
      {"Cast", {F({2})}, {{"dst_type", int64_t{9}}}, "int64[2]"},
      {"SelectV2", {Bool({4, 1}), F({6}), F({})}, {}, "float32[4,6]"},
      {"ClipByValue", {F({-1, 4}), F({}), F({})}, {}, "float32[?,4]"},
      {"AccumulateNV2", {F({2, 3}), F({3}), F({1, 3})}, {{"N", int64_t{3}}}, "float32[2,3]"},
      {"BiasAdd", {F({2, -1, 5}), F({4})}, {{"data_format", std::string("NCHW")}}, "float32[2,4,5]"},
      {"PRelu", {F({2, 4, 5}), F({4})}, {}, "float32[2,4,5]"},
      {"SwiGlu", {F({2, -1, 8})}, {}, "float32[2,?,4]"},
  });
}

TEST(ElementwiseTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  CheckErrors({
      {"Add", {F({2}), F({3})}, {}, invalid, "x2: shapes [2] and [3] do not broadcast"},
      {"Add", {F({2}), I64({2})}, {}, invalid, "x1 is float32[2] but x2 is int64[2]; their types must agree"},
      {"Sqrt", {I64({2})}, {}, invalid, "x is int64[2]; it must be of a floating-point type"},
      {"LogicalAnd", {F({2}), F({2})}, {}, invalid, "it must be bool"},
      {"BitwiseAnd", {F({2}), F({2})}, {}, invalid, "it must be of an integer type"},
      {"Add", {Bool({2}), Bool({2})}, {}, invalid, "it must be a number"},
      {"AddN", {F({2}), F({2})}, {{"N", int64_t{3}}}, invalid, "attribute 'N' is 3 but there are 2 inputs"},
      {"Select", {Bool({2}), F({2, 2}), F({2})}, {}, invalid, "their shapes must agree"},
      {"ClipByValue",
       {F({2}), F({3}), F({})},
       {},
       invalid,
       "clip_value_min is float32[3]; it must broadcast to [2]"},
      {"Cast", {F({2})}, {{"dst_type", int64_t{99}}}, StatusCode::kUnimplemented, "attribute 'dst_type'"},
      {"Cast",
       {F({2})},
       {{"dst_type", int64_t{13}}},
       StatusCode::kUnimplemented,
       "cannot convert float32[2] to string[2]"},
      {"BiasAdd", {F({2, 4}), F({3})}, {}, invalid, "bias is float32[3]; it must have the 4 elements"},
      {"PRelu", {F({2, 4, 3}), F({3})}, {}, invalid, "it must have the 4 channels of x"},
      {"SwiGlu", {F({2, 3})}, {}, invalid, "must be even"},
      {"GeluV2", {F({2})}, {{"approximate", std::string("erf")}}, invalid, "it must be none or tanh"},
  });
}

TEST(ElementwiseTest, Rules) {
  CheckRules({
      {"Relu", {F({4, 1, 6})}, {}, "[a4 . b6] -> [a4 . b6]"},
      {"Add", {F({4, 6}), F({6})}, {}, "[a4 b6][b6] -> [a4 b6] {0,1}"},
      {"Add", {F({4, 6}), F({})}, {}, "[a4 b6][] -> [a4 b6] {0,1}"},
      {"Add", {F({4, 1}), F({1, 6})}, {}, "[a4 .][. b6] -> [a4 b6] {0,1}"},
      {"Add", {I64({4}), I64({4})}, {}, "[a4][a4] -> [a4] {0,1}"},
      {"Mul", {F({4}), F({4})}, {}, "[a4][a4] -> [a4] {0}{1}"},
      {"RealDiv", {F({4}), F({4})}, {}, "[a4][a4] -> [a4] {0}"},
      // Integer division rounds, so parts of a sum may not be divided one by one.
      {"RealDiv", {I64({4}), I64({4})}, {}, "[a4][a4] -> [a4]"},
      {"Maximum", {F({4}), F({4})}, {}, "[a4][a4] -> [a4]"},
      {"Muls", {F({4})}, {{"value", 2.0f}}, "[a4] -> [a4] {0}"},
      {"Adds", {F({4})}, {{"value", 2.0f}}, "[a4] -> [a4]"},
      {"Cast", {F({4})}, {{"dst_type", int64_t{1}}}, "[a4] -> [a4] {0}"},
      {"Cast", {F({4})}, {{"dst_type", int64_t{9}}}, "[a4] -> [a4]"},
      {"SelectV2", {Bool({4, 1}), F({6}), F({})}, {}, "[a4 .][b6][] -> [a4 b6]"},
      {"AddN", {F({4}), F({4}), F({4})}, {{"N", int64_t{3}}}, "[a4][a4][a4] -> [a4] {0,1,2}"},
      {"BiasAdd",
       {F({2, 4, 6}), F({4})},
       {{"data_format", std::string("NCHW")}},
       "[a2 b4 c6][b4] -> [a2 b4 c6] {0,1}"},
      {"PRelu", {F({2, 4, 6}), F({4})}, {}, "[a2 b4 c6][b4] -> [a2 b4 c6]"},
      {"SwiGlu", {F({4, 6})}, {}, "[a4 b6!] -> [a4 c3!]"},
      // An empty dimension cannot be cut.
      {"Relu", {F({4, 0})}, {}, "[a4 b0!] -> [a4 b0!]"},
  });
}

TEST(ElementwiseTest, Cost) {
  OneNode one = MakeNode("Add", {F({2, 3}), F({3})});
  ASSERT_EQ(Infer(one), "float32[2,3]");
  EXPECT_EQ(CostOf(*one.graph, *one.node).flops, 6);
  EXPECT_EQ(CostOf(*one.graph, *one.node).bytes, 4 * (6 + 3 + 6));
}

}  // namespace
}  // namespace omserve
