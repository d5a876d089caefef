// Sequence parallelism is nobody's special case: where it pays, the plan leaves sums as reduce-scatters along the tokens, runs
// norms and residuals on a part of the tokens each, and gathers before the next product.
#include <map>
#include <numeric>
#include <string>

#include "core/partition/lower/lower.h"
#include "core/partition/plan.h"
#include "core/partition/testing/gpt_graph.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(SequenceParallelTest, FallsOutOfATransformerBlock) {
  const GptSize size{.layers = 1, .hidden = 1024, .heads = 8, .vocabulary = 1024, .batch = 1, .tokens = 2048};
  const Graph graph = GptGraph(size);
  const Cluster cluster = Cluster::Local(4);
  PlanOptions options;
  options.devices = {0, 1, 2, 3};
  absl::StatusOr<Plan> plan = MakePlan(graph, cluster, options);
  ASSERT_TRUE(plan.ok()) << plan.status();
  absl::StatusOr<CutGraph> cut = Lower(graph, cluster, *plan);
  ASSERT_TRUE(cut.ok()) << cut.status();
  const Graph& slice = cut->slices[0];
  std::map<std::string, int> counts;
  for (int32_t id : slice.NodeIds()) ++counts[slice.node(id)->type()];
  // The norms behind cut products; the first one reads a table that is looked up anyway.
  for (const char* norm : {"layer.0.ln2", "ln_f"}) {
    const Node* node = slice.FindNode(norm);
    ASSERT_NE(node, nullptr) << norm;
    EXPECT_EQ(node->output().shape, (Shape{1, size.tokens / 4, size.hidden})) << Dump(slice);
  }
  EXPECT_GT(counts["HcomReduceScatter"], 0);
  EXPECT_GT(counts["HcomAllGather"], 0);
}

}  // namespace
}  // namespace omserve
