#include "core/ops/emit.h"
#include "core/ops/test_util.h"

namespace omserve {
namespace {

using absl::StatusCode;

AttrMap N(int64_t n) { return {{"N", n}}; }
AttrMap Concat(int64_t dim, int64_t n) { return {{"concat_dim", dim}, {"N", n}}; }
AttrMap Splits(int64_t n) { return {{"num_split", n}}; }
const AttrMap kOnnxOrder = {{"paddings_contiguous", false}};

TEST(SliceTest, Inference) {
  CheckInference({
      {"Concat", {Int(1), F({2, 3}), F({2, 5})}, N(2), "float32[2,8]"},
      {"ConcatV2", {F({2, -1}), F({2, 5}), Int(-1)}, N(2), "float32[2,?]"},
      {"ConcatD", {F({-1, 0, 4}), F({2, 1, 4})}, Concat(1, 2), "float32[2,1,4]"},
      {"Pack", {F({2, -1}), F({2, 3})}, {{"axis", int64_t{-1}}, {"N", int64_t{2}}}, "float32[2,3,2]"},
      {"Unpack", {F({2, 3})}, {{"axis", int64_t{0}}, {"num", int64_t{2}}}, "float32[3] float32[3]"},
      {"Split", {Int(-1), F({2, 6})}, Splits(3), "float32[2,2] float32[2,2] float32[2,2]"},
      {"Split", {Int(1), F({2, -1})}, Splits(2), "float32[2,?] float32[2,?]"},
      {"SplitV", {F({6}), Ints({1, -1}), Int(0)}, Splits(2), "float32[1] float32[5]"},
      {"SplitV", {F({-1}), Ints({1, -1}), Int(0)}, Splits(2), "float32[1] float32[?]"},
      {"SplitVD",
       {F({0, 2})},
       {{"size_splits", IntList{0, 0}}, {"split_dim", int64_t{0}}, {"num_split", int64_t{2}}},
       "float32[0,2] float32[0,2]"},
      {"Slice", {F({4, 6}), Ints({1, 0}), Ints({-1, 2})}, {}, "float32[3,2]"},
      {"Slice", {F({-1, 6}), Ints({1, 6}), Ints({-1, 0})}, {}, "float32[?,0]"},
      {"PadV3", {F({2, 3}), Ints({0, 1, 0, 2})}, kOnnxOrder, "float32[2,6]"},
      {"PadV3", {F({2, 3}), Ints({0, 1, 0, 2}), F({})}, {}, "float32[3,5]"},
      {"PadV3", {F({2, 3}), Ints({0, -1, 0, 0})}, kOnnxOrder, "float32[2,2]"},
      {"PadD", {F({-1})}, {{"paddings", std::vector<IntList>{{1, 1}}}}, "float32[?]"},
      {"MirrorPad", {F({3}), Ints({2, 0})}, {{"mode", std::string("REFLECT")}}, "float32[5]"},
  });
}

// The Slice of ONNX: ends are exclusive, clamped, and count from the end when negative.
TEST(SliceTest, StridedSlice) {
  struct Case {
    int64_t size, begin, end, stride, expected;
  };
  for (const Case& c : std::vector<Case>{
           {10, 2, 5, 1, 3},
           {10, 0, INT64_MAX, 1, 10},
           {10, -3, INT64_MAX, 1, 3},
           {10, -100, -1, 1, 9},
           {10, 8, 2, 1, 0},
           {10, 20, 30, 1, 0},
           {10, 0, 10, 3, 4},
           {10, -1, INT64_MIN, -1, 10},
           {10, 9, 0, -1, 9},
           {10, 100, -100, -4, 3},
           {10, 5, 5, -1, 0},
           {10, 0, 10, INT64_MAX, 1},
           {10, 9, INT64_MIN, INT64_MIN, 1},
           {0, 0, INT64_MAX, 1, 0},
           {0, -1, INT64_MIN, -1, 0},
           {-1, 1, 3, 1, -1},
       }) {
    const OneNode one = MakeNode(
        "StridedSliceV2", {F({7, c.size}), Ints({c.begin}), Ints({c.end}), Ints({-1}), Ints({c.stride})});
    EXPECT_EQ(Infer(one), ToString(TensorDesc{DataType::kFloat, {7, c.expected}}))
        << c.size << "[" << c.begin << ":" << c.end << ":" << c.stride << "]";
  }
}

TEST(SliceTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  CheckErrors({
      {"ConcatD",
       {F({2, 3}), F({3, 3})},
       Concat(1, 2),
       invalid,
       "x (input 1) is float32[3,3]; but in dimension 1"},
      {"ConcatD", {F({2, 3}), I64({2, 3})}, Concat(1, 2), invalid, "their types must agree"},
      {"ConcatD", {F({2, 3}), F({2})}, Concat(1, 2), invalid, "it must have 2 dimensions"},
      {"ConcatD", {F({2, 3})}, Concat(1, 2), invalid, "attribute 'N' is 2 but there are 1 tensors"},
      {"ConcatD", {F({2, 3})}, Concat(2, 1), invalid, "concat_dim: axis 2 is outside"},
      {"Concat",
       {I64({}), F({2})},
       N(1),
       StatusCode::kFailedPrecondition,
       "parameter 'concat_dim' is not constant"},
      {"Split", {Int(0), F({5})}, Splits(2), invalid, "a dimension of 5 cannot be split into 2 equal parts"},
      {"Split", {Int(0), F({-1})}, Splits(int64_t{1} << 40), invalid, "'num_split' is 1099511627776"},
      {"SplitV", {F({6}), Ints({1, 2}), Int(0)}, Splits(2), invalid, "they do not add up"},
      {"SplitV", {F({6}), Ints({-1, -1}), Int(0)}, Splits(2), invalid, "only one may be -1"},
      {"SplitV", {F({6}), Ints({6}), Int(0)}, Splits(2), invalid, "num_split is 2"},
      {"Unpack", {F({3})}, {{"num", int64_t{2}}}, invalid, "attribute 'num' is 2; dimension 0 of x has 3"},
      {"Slice", {F({4}), Ints({2}), Ints({3})}, {}, invalid, "offsets (2) and size (3) leave x"},
      {"Slice", {F({4}), Ints({5}), Ints({-1})}, {}, invalid, "leave x"},
      {"StridedSliceV2", {F({4}), Ints({0}), Ints({1, 2})}, {}, invalid, "must have the same length"},
      {"StridedSliceV2", {F({4}), Ints({0}), Ints({1}), Ints({0}), Ints({0})}, {}, invalid, "a stride is 0"},
      {"StridedSliceV2",
       {F({4}), Ints({0}), Ints({1})},
       {{"begin_mask", int64_t{1}}},
       StatusCode::kUnimplemented,
       "'begin_mask' is 1"},
      {"Pad", {F({4}), Ints({0})}, {}, invalid, "two numbers for each of 1 dimensions"},
      {"Pad", {F({4}), Ints({-3, -2})}, {}, invalid, "paddings -3 and -2 do not fit dimension 0"},
      {"MirrorPad", {F({3}), Ints({3, 0})}, {{"mode", std::string("REFLECT")}}, invalid, "can mirror"},
      {"PadV3", {F({3}), Ints({3, 0})}, {{"mode", std::string("wrap")}}, invalid, "'mode' is 'wrap'"},
  });
}

TEST(SliceTest, Rules) {
  CheckRules({
      {"ConcatD", {F({2, 3}), F({2, 5})}, Concat(1, 2), "[a2 b3!][a2 c5!] -> [a2 d8!] {0,1}"},
      {"ConcatV2", {F({2, 0}), F({2, 5}), Int(1)}, N(2), "[a2 b0!][a2 c5!][] -> [a2 d5!] {0,1}"},
      {"Concat", {Int(0), F({2, 4}), F({2, 4})}, N(2), "[][b2! a4][c2! a4] -> [d4! a4] {1,2}"},
      {"Pack",
       {F({2, 3}), F({2, 3})},
       {{"axis", int64_t{1}}, {"N", int64_t{2}}},
       "[a2 b3][a2 b3] -> [a2 c2! b3] {0,1}"},
      {"Unpack", {F({2, 3})}, {{"num", int64_t{2}}}, "[a2! b3] -> [b3][b3] {0}"},
      {"SplitD",
       {F({2, 6})},
       {{"split_dim", int64_t{1}}, {"num_split", int64_t{2}}},
       "[a2 b6!] -> [a2 c3!][a2 d3!] {0}"},
      {"Slice", {F({4, 6}), Ints({0, 1}), Ints({4, 2})}, {}, "[a4 b6!][.][.] -> [a4 c2!] {0}"},
      {"StridedSliceV2",
       {F({4, 6}), Ints({1}), Ints({3}), Ints({1})},
       {},
       "[a4 b6!][.][.][.] -> [a4 c2!] {0}"},
      // Reversing keeps the size, but no device has what it needs.
      {"StridedSliceV2",
       {F({4, 6}), Ints({-1}), Ints({-100}), Ints({1}), Ints({-1})},
       {},
       "[a4 b6!][.][.][.][.] -> [a4 c6!] {0}"},
      {"PadV3", {F({4, 6}), Ints({0, 1, 0, 1})}, kOnnxOrder, "[a4 b6!][.] -> [a4 c8!] {0}"},
      // Shifting keeps the size too. A constant would be added once for each part of a sum.
      {"PadV3", {F({4, 6}), Ints({0, 1, 0, -1}), F({})}, kOnnxOrder, "[a4 b6!][.][] -> [a4 c6!]"},
  });
}

TEST(SliceTest, SliceHasItsLocalSize) {
  OneNode one = MakeNode("Slice", {F({4, 6}), Ints({0, 1}), Ints({4, 2})});
  ASSERT_EQ(Infer(one), "float32[4,2]");
  absl::StatusOr<ShardingRule> rule = RuleOf(*one.graph, *one.node);
  ASSERT_TRUE(rule.ok());
  Graph slice("slice");
  const std::vector<ValueId> inputs = {slice.AddData("x", {DataType::kFloat, {2, 6}})->out(),
                                       slice.AddConst("offsets", Tensor::Int64s({0, 1}))->out(),
                                       slice.AddConst("size", Tensor::Int64s({4, 2}))->out()};
  std::vector<int64_t> parts(rule->factors.size(), 1);
  parts[0] = 2;
  EmitContext context(*one.graph, *one.node, *rule, &slice, inputs, parts,
                      std::vector<int64_t>(parts.size(), 0));
  absl::StatusOr<std::vector<ValueId>> outputs = OpRegistry::Get().Find("Slice")->emit(context);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(NodeView(slice, *slice.FindNode("op")).ConstantInts(2).value(), (std::vector<int64_t>{2, 2}));
}

}  // namespace
}  // namespace omserve
