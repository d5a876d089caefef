#include "core/passes/merge_equal.h"

#include "core/passes/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

int Merged(Graph& graph) {
  const Graph before = graph.Clone();
  const absl::StatusOr<int> removed = MergeEqualNodes(graph);
  EXPECT_TRUE(removed.ok()) << removed.status();
  ExpectSameMeaning(before, graph);
  return removed.value_or(-1);
}

TEST(MergeEqualTest, EqualNodesMergeThroughEqualConstants) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 3});
  const ValueId p = b.Op("Relu", {b.Op("Mul", {x, b.Floats({3}, {1, 2, 3})})});
  const ValueId q = b.Op("Relu", {b.Op("Mul", {x, b.Floats({3}, {1, 2, 3})})});
  b.Output(b.Op("Add", {p, q}));
  b.Output(q, "q");
  EXPECT_EQ(Merged(b.graph), 3);
  EXPECT_EQ(Types(b.graph), "Mul Relu Add");
}

TEST(MergeEqualTest, OneDifferenceIsEnough) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 3});
  b.Output(b.Op("Muls", {x}, {{"value", 1.0f}}), "a");
  b.Output(b.Op("Muls", {x}, {{"value", 1.0000001f}}), "b");
  b.Output(b.Op("Add", {x, b.Floats({1}, {1})}), "c");
  b.Output(b.Op("Add", {x, b.Floats({}, {1})}), "d");
  b.Output(b.Op("Add", {x, b.Floats({1}, {2})}), "e");
  EXPECT_EQ(Merged(b.graph), 0);
}

TEST(MergeEqualTest, LargeConstantsMergeOnlyWhenTheyAreTheSameBytes) {
  GraphBuilder b;
  const std::vector<float> ones(1000, 1);
  const Tensor tensor = Tensor::Of<float>({1000}, ones);
  const ValueId x = b.Data("x", {1000});
  ValueId sum = x;
  for (int i = 0; i < 2; ++i) sum = b.Op("Add", {sum, b.graph.AddConst("same", tensor)->out()});
  sum = b.Op("Add", {sum, b.Floats({1000}, ones)});
  b.Output(sum);
  EXPECT_EQ(Merged(b.graph), 1);
}

}  // namespace
}  // namespace omserve
