#include "core/ops/test_util.h"

namespace omserve {
namespace {

using absl::StatusCode;

TEST(ReshapeTest, Inference) {
  CheckInference({
      {"Reshape", {F({2, 12}), Ints({2, 3, 4})}, {}, "float32[2,3,4]"},
      {"Reshape", {F({2, 12}), Ints({0, -1, 4})}, {}, "float32[2,3,4]"},
      {"Reshape", {F({2}), Ints({2, 1})}, {}, "float32[2,1]"},
      {"Reshape", {F({1}), Ints({})}, {}, "float32[]"},
      {"Reshape", {F({}), Ints({1, 1})}, {}, "float32[1,1]"},
      // What is copied cancels: the rest is known though x is not.
      {"Reshape", {F({-1, 64}), Ints({0, -1, 8})}, {}, "float32[?,8,8]"},
      {"Reshape", {F({-1, -1, 64}), Ints({0, 0, 4, 16})}, {}, "float32[?,?,4,16]"},
      {"Reshape", {F({-1, 64}), Ints({-1, 8})}, {}, "float32[?,8]"},
      {"Reshape", {F({1, 0, 64}), Ints({1, 0, 8, 8})}, {}, "float32[1,0,8,8]"},
      {"Reshape", {F({1, 0, 64}), Ints({1, -1, 8, 8})}, {}, "float32[1,0,8,8]"},
      {"Reshape", {F({2, 0}), Ints({3, 0})}, {{"allowzero", int64_t{1}}}, "float32[3,0]"},
      {"Unsqueeze", {F({2, 3})}, {{"axes", IntList{-1, 0}}}, "float32[1,2,3,1]"},
      {"UnsqueezeV3", {F({}), Ints({0})}, {}, "float32[1]"},
      {"ExpandDims", {F({-1}), Int(-1)}, {}, "float32[?,1]"},
      {"Squeeze", {F({1, 2, 1})}, {}, "float32[2]"},
      {"SqueezeV2", {F({1, 2, 1})}, {{"axis", IntList{-1}}}, "float32[1,2]"},
      {"SqueezeV3", {F({-1, 2}), Ints({0})}, {}, "float32[2]"},
      {"Flatten", {F({2, 3, 4})}, {}, "float32[2,12]"},
      {"Flatten", {F({-1, 3, 4})}, {{"axis", int64_t{0}}}, "float32[1,?]"},
      {"Flatten", {F({})}, {{"axis", int64_t{0}}}, "float32[1,1]"},
      {"FlattenV2", {F({2, 3, 4, 5})}, {{"end_axis", int64_t{2}}}, "float32[2,12,5]"},
  });
}

TEST(ReshapeTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  CheckErrors({
      {"Reshape",
       {F({2, 12}), Ints({5, -1})},
       {},
       invalid,
       "cannot reshape [2,12] to (5,-1): 24 elements are not divisible by 5"},
      {"Reshape", {F({2, 12}), Ints({5, 5})}, {}, invalid, "it has 24 elements where 25 are asked for"},
      {"Reshape", {F({2, 12}), Ints({-1, -1})}, {}, invalid, "two dimensions are -1"},
      {"Reshape", {F({24}), Ints({24, 0})}, {}, invalid, "dimension 1 is to be copied, but there is none"},
      {"Reshape", {F({2, 12}), Ints({-2})}, {}, invalid, "a negative dimension"},
      {"Reshape", {F({0}), Ints({-1, 0})}, {{"allowzero", int64_t{1}}}, invalid, "is not determined"},
      {"Reshape", {F({2}), Ints({int64_t{1} << 62, int64_t{1} << 62})}, {}, invalid, "is too large"},
      {"Reshape",
       {F({2}), Ints({2})},
       {{"axis", int64_t{1}}},
       StatusCode::kUnimplemented,
       "a partial reshape"},
      {"Squeeze", {F({2, 1})}, {{"axis", IntList{0}}}, invalid, "dimension 0 cannot be removed"},
      {"Squeeze", {F({-1, 1})}, {}, StatusCode::kFailedPrecondition, "without axes its shape must be known"},
      {"Unsqueeze", {F({2})}, {{"axes", IntList{0, 0}}}, invalid, "axis 0 is named twice"},
      {"Flatten", {F({2})}, {{"axis", int64_t{2}}}, invalid, "attribute 'axis' is 2"},
      {"FlattenV2", {F({2, 3, 4})}, {{"axis", int64_t{2}}, {"end_axis", int64_t{1}}}, invalid, "is before"},
  });
}

TEST(ReshapeTest, RuleIsTheGcdWalk) {
  auto reshape = [](Shape from, IntList to, std::string rule) {
    return RuleCase{"Reshape", {F(std::move(from)), Ints(to)}, {{"allowzero", int64_t{1}}}, std::move(rule)};
  };
  CheckRules({
      reshape({4, 64}, {4, 8, 8}, "[a4 b8*c8][.] -> [a4 b8 c8] {0}"),
      reshape({4, 8, 8}, {4, 64}, "[a4 b8 c8][.] -> [a4 b8*c8] {0}"),
      reshape({2, 6}, {4, 3}, "[a2 b2*c3][.] -> [a2*b2 c3] {0}"),
      reshape({1, 6, 1}, {6}, "[. a6 .][.] -> [a6] {0}"),
      reshape({2, 3, 4}, {24}, "[a2 b3 c4][.] -> [a2*b3*c4] {0}"),
      // 2x3 against 3x2 has no common factor; what follows has.
      reshape({2, 3, 5}, {3, 2, 5}, "[a2! c3! e5][.] -> [b3! d2! e5] {0}"),
      // A common major part, then none.
      reshape({6, 2}, {4, 3}, "[a2*b3! e2!][.] -> [a2*c2! d3!] {0}"),
      reshape({4, 9}, {6, 6}, "[a2*b2! d9!][.] -> [a2*c3! e6!] {0}"),
      // Around an empty dimension the walk goes on.
      reshape({1, 0, 64}, {1, 0, 8, 8}, "[. a0! b8*c8][.] -> [. a0! b8 c8] {0}"),
      reshape({2, 0}, {3, 0}, "[a2! c0!][.] -> [b3! d0!] {0}"),
      reshape({0, 6}, {0, 3}, "[a0! b3*c2!][.] -> [a0! b3] {0}"),
      reshape({0}, {4, 0}, "[a0!][.] -> [b4! c0!] {0}"),
      reshape({}, {1, 1}, "[][.] -> [. .] {0}"),
      {"Squeeze", {F({2, 1, 4})}, {}, "[a2 . b4] -> [a2 b4] {0}"},
      {"Unsqueeze", {Bool({4})}, {{"axes", IntList{0}}}, "[a4] -> [. a4]"},
  });
}

TEST(ShapeTest, Inference) {
  CheckInference({
      {"Shape", {F({2, -1})}, {}, "int32[2]"},
      {"Shape", {F({})}, {{"dtype", int64_t{9}}}, "int64[0]"},
      {"Size", {F({2})}, {}, "int32[]"},
      {"Rank", {F({2})}, {}, "int32[]"},
      {"Transpose", {F({2, -1, 4}), Ints({2, 0, 1})}, {}, "float32[4,2,?]"},
      {"TransposeD", {F({})}, {{"perm", IntList{}}}, "float32[]"},
      {"Expand", {F({3, 1}), Ints({2, 1, 4})}, {}, "float32[2,3,4]"},
      {"Expand", {F({3, 4}), Ints({1})}, {}, "float32[3,4]"},
      {"Expand", {F({1}), Ints({0})}, {}, "float32[0]"},
      {"BroadcastTo", {F({-1, 1}), Ints({3, 4})}, {}, "float32[3,4]"},
      {"Tile", {F({2, -1}), Ints({3, 2})}, {}, "float32[6,?]"},
      {"Tile", {F({2, 3}), Ints({0, 1})}, {}, "float32[0,3]"},
      {"DepthToSpace",
       {F({1, 8, 2, 3})},
       {{"block_size", int64_t{2}}, {"data_format", std::string("NCHW")}},
       "float32[1,2,4,6]"},
      {"SpaceToDepth", {F({1, 4, 6, 2})}, {{"block_size", int64_t{2}}}, "float32[1,2,3,8]"},
      {"Fill", {Ints({2, 0}), I64({})}, {}, "int64[2,0]"},
      {"Fill", {Ints({}), F({1})}, {}, "float32[]"},
      {"Range", {Int(2), Int(9), Int(3)}, {}, "int64[3]"},
      {"Range", {Int(5), Int(0), Int(-2)}, {}, "int64[3]"},
      {"Range", {Int(5), Int(0), Int(1)}, {}, "int64[0]"},
      {"Range",
       {Value(Tensor::Scalar(0.0f)), Value(Tensor::Scalar(1.0f)), Value(Tensor::Scalar(0.3f))},
       {},
       "float32[4]"},
      {"OneHot", {I64({2, -1}), Int(5), F({}), F({1})}, {}, "float32[2,?,5]"},
      {"OneHotD", {I64({2}), F({}), F({})}, {{"depth", int64_t{5}}, {"axis", int64_t{0}}}, "float32[5,2]"},
      {"Tril", {F({-1, 4})}, {}, "float32[?,4]"},
  });
}

TEST(ShapeTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  CheckErrors({
      {"Transpose",
       {F({2, 3}), Ints({0, 0})},
       {},
       invalid,
       "perm is (0,0); it must be a permutation of the 2"},
      {"Transpose", {F({2, 3}), Ints({0})}, {}, invalid, "must be a permutation"},
      {"BroadcastTo", {F({3, 4}), Ints({4})}, {}, invalid, "must broadcast to [4]"},
      {"Expand", {F({3}), Ints({2})}, {}, invalid, "do not broadcast"},
      {"Expand", {F({3}), Ints({-1})}, {}, invalid, "must not be negative"},
      {"Tile", {F({2}), Ints({1, 2})}, {}, invalid, "a number >= 0 for each dimension"},
      {"Tile", {F({1 << 20}), Ints({int64_t{1} << 60})}, {}, invalid, "is too large"},
      {"Fill", {I64({1}), F({})}, {}, StatusCode::kFailedPrecondition, "'dims'"},
      {"Fill", {Ints({1}), F({2})}, {}, invalid, "value is float32[2]; it must hold one element"},
      {"Range", {Int(0), Int(1), Int(0)}, {}, invalid, "delta is 0"},
      {"Range", {Int(INT64_MIN), Int(INT64_MAX), Int(1)}, {}, invalid, "too long"},
      {"Range",
       {Int(0), I64({}), Int(1)},
       {},
       StatusCode::kFailedPrecondition,
       "parameter 'limit' is not constant"},
      {"OneHot", {I64({2}), Int(-1), F({}), F({})}, {}, invalid, "depth is -1"},
      {"DepthToSpace",
       {F({1, 6, 2, 3})},
       {{"block_size", int64_t{2}}, {"data_format", std::string("NCHW")}},
       invalid,
       "the number of channels 6 is not divisible by 4"},
      {"Tril", {F({4})}, {}, invalid, "at least 2 dimensions"},
  });
}

TEST(ShapeTest, Rules) {
  CheckRules({
      {"Transpose", {F({2, 3, 4}), Ints({2, 0, 1})}, {}, "[b2 c3 a4][.] -> [a4 b2 c3] {0}"},
      // A parameter is always whole; a dimension that x does not have can be cut in y.
      {"BroadcastTo", {F({3, 1}), Ints({2, 3, 4})}, {}, "[b3 .][.] -> [a2 b3 c4] {0}"},
      {"Expand", {F({3, 4}), Ints({1})}, {}, "[a3 b4][.] -> [a3 b4] {0}"},
      {"Tile", {F({2, 3}), Ints({1, 2})}, {}, "[a2 b3!][.] -> [a2 c6!] {0}"},
      {"OneHot", {I64({2, 3}), Int(5), F({}), F({})}, {{"axis", int64_t{1}}}, "[a2 b3][][][] -> [a2 c5! b3]"},
      {"Tril", {F({2, 4, 4})}, {}, "[a2 b4! c4!] -> [a2 b4! c4!] {0}"},
      {"DepthToSpace",
       {F({2, 8, 2, 3})},
       {{"block_size", int64_t{2}}, {"data_format", std::string("NCHW")}},
       "[a2 b8! c2! d3!] -> [a2 e2! f4! g6!] {0}"},
  });
}

}  // namespace
}  // namespace omserve
