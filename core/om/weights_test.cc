#include "core/om/weights.h"

#include "core/om/om_testing.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

std::string Streamed(const WeightPlan& plan) {
  std::string bytes;
  EXPECT_TRUE(plan.Stream([&](const void* data, size_t size) {
                    bytes.append(static_cast<const char*>(data), size);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(bytes.size(), plan.size());
  return bytes;
}

TEST(WeightPlanTest, AlignsAndSharesEqualConstants) {
  Graph graph("g");
  const TensorSlice large(testing::Counting({64, 64}));
  Node* a = graph.AddConst("a", Tensor::Int64s({1, 2, 3}));
  Node* same_bytes = graph.AddConst("same_bytes", Tensor::Int64s({1, 2, 3}));
  Node* other = graph.AddConst("other", Tensor::Int64s({1, 2, 4}));
  Node* whole = graph.AddConst("whole", large);
  Node* again = graph.AddConst("again", large);
  const std::vector<int64_t> begin = {0, 16};
  Node* shard = graph.AddConst("shard", *large.Slice(begin, {64, 32}));
  Node* empty = graph.AddConst("empty", Tensor::Of<float>({0, 4}, {}));
  const WeightPlan plan(graph, graph.NodeIds());

  EXPECT_EQ(plan.ranges().at(a->id()).offset, 512u);
  EXPECT_EQ(plan.ranges().at(same_bytes->id()).offset, 512u);
  EXPECT_EQ(plan.ranges().at(other->id()).offset, 1024u);
  EXPECT_EQ(plan.ranges().at(whole->id()).offset, 1536u);
  EXPECT_EQ(plan.ranges().at(whole->id()).size, 64u * 64 * 4);
  EXPECT_EQ(plan.ranges().at(again->id()).offset, 1536u);
  EXPECT_EQ(plan.ranges().at(shard->id()).offset, 1536u + 64 * 64 * 4);
  EXPECT_FALSE(plan.ranges().contains(empty->id()));
  EXPECT_EQ(plan.size(), 1536u + 64 * 64 * 4 + 64 * 32 * 4);

  const std::string bytes = Streamed(plan);
  for (const Node* node : {a, same_bytes, other, whole, again, shard}) {
    const Tensor value = node->constant()->Materialize();
    const WeightRange range = plan.ranges().at(node->id());
    EXPECT_EQ(bytes.substr(range.offset, range.size), std::string(value.buffer().view())) << node->name();
  }
}

TEST(WeightPlanTest, NothingToStore) {
  Graph graph("g");
  graph.AddConst("empty", Tensor::Of<float>({0}, {}));
  const WeightPlan plan(graph, graph.NodeIds());
  EXPECT_EQ(Streamed(plan), "");
}

TEST(WeightPlanTest, StopsAtTheFirstError) {
  Graph graph("g");
  graph.AddConst("a", testing::Counting({8}));
  int calls = 0;
  EXPECT_EQ(WeightPlan(graph, graph.NodeIds())
                .Stream([&](const void*, size_t) {
                  return ++calls == 2 ? absl::DataLossError("full") : absl::OkStatus();
                })
                .code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace omserve
