#include "core/ops/test_util.h"

namespace omserve {
namespace {

using absl::StatusCode;

const AttrValue kGroup = std::string("tp_0");
const AttrValue kSum = std::string("sum");
const AttrMap kReduce = {{"group", kGroup}, {"reduction", kSum}};

AttrMap With(AttrMap attrs, const std::string& name, AttrValue value) {
  attrs[name] = std::move(value);
  return attrs;
}

AttrMap Receive(IntList shape) {
  return {{"group", kGroup},
          {"sr_tag", int64_t{7}},
          {"src_rank", int64_t{0}},
          {"shape", std::move(shape)},
          {"dtype", DataType::kFloat}};
}

TEST(CollectiveTest, Inference) {
  CheckInference({
      {"HcomAllReduce", {F({4, 6})}, kReduce, "float32[4,6]"},
      {"HcomAllGather", {F({4, 6})}, {{"group", kGroup}, {"rank_size", int64_t{3}}}, "float32[12,6]"},
      {"HcomAllGather", {F({-1, 6})}, {{"group", kGroup}, {"rank_size", int64_t{3}}}, "float32[?,6]"},
      {"HcomAllGather", {Bool({0})}, {{"group", kGroup}, {"rank_size", int64_t{3}}}, "bool[0]"},
      {"HcomReduceScatter", {F({6, 2})}, With(kReduce, "rank_size", int64_t{3}), "float32[2,2]"},
      {"HcomBroadcast",
       {F({6, 2}), I64({})},
       {{"group", kGroup}, {"root_rank", int64_t{0}}},
       "float32[6,2] int64[]"},
      {"HcomReduce", {F({6})}, With(kReduce, "root_rank", int64_t{1}), "float32[6]"},
      {"HcomSend", {F({6})}, {{"group", kGroup}, {"sr_tag", int64_t{7}}, {"dest_rank", int64_t{1}}}, ""},
      {"HcomReceive", {}, Receive({2, 0}), "float32[2,0]"},
      {"HcomAllToAll", {F({6, 2})}, {{"group", kGroup}}, "float32[6,2]"},
  });
}

TEST(CollectiveTest, Errors) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  CheckErrors({
      {"HcomAllReduce",
       {F({4})},
       {{"reduction", kSum}},
       invalid,
       "required attribute 'group' (String) is missing"},
      {"HcomAllReduce", {F({4})}, With(kReduce, "group", std::string()), invalid, "'group' has 0 characters"},
      {"HcomAllReduce", {F({4})}, With(kReduce, "group", std::string(128, 'g')), invalid, "'group' has 128"},
      {"HcomAllReduce",
       {F({4})},
       With(kReduce, "reduction", std::string("mean")),
       invalid,
       "'reduction' is 'mean'"},
      {"HcomAllReduce", {Bool({4})}, kReduce, invalid, "cannot be reduced"},
      {"HcomAllReduce",
       {F({4})},
       With(kReduce, "fusion", int64_t{3}),
       invalid,
       "'fusion' is 3; it must be 0, 1 or 2"},
      {"HcomAllReduce", {F({4})}, With(kReduce, "fusion", int64_t{2}), invalid, "'fusion_id' is -1"},
      {"HcomReduceScatter",
       {F({5})},
       With(kReduce, "rank_size", int64_t{2}),
       invalid,
       "dimension 0 must be divisible by rank_size 2"},
      {"HcomAllGather",
       {F({})},
       {{"group", kGroup}, {"rank_size", int64_t{2}}},
       invalid,
       "at least 1 dimension"},
      {"HcomAllGather",
       {F({2})},
       {{"group", kGroup}, {"rank_size", int64_t{0}}},
       invalid,
       "'rank_size' is 0"},
      {"HcomBroadcast",
       {F({2})},
       {{"group", kGroup}, {"root_rank", int64_t{-1}}},
       invalid,
       "'root_rank' is -1"},
      {"HcomReceive", {}, Receive({-1}), invalid, "attributes 'shape' and 'dtype'"},
      {"HcomReceive",
       {},
       With(Receive({1}), "sr_tag", int64_t{0xffffffff}),
       invalid,
       "'sr_tag' is 4294967295; it must be in [0, 4294967294]"},
  });
}

}  // namespace
}  // namespace omserve
