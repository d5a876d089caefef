#include "core/passes/rewriter.h"

#include "core/passes/testing/graph_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

absl::StatusOr<bool> NegToRelu(Rewriter& rewriter, Node& node) {
  const absl::Status status = rewriter.Become(node, "Relu", {node.input(0)});
  if (!status.ok()) return status;
  return true;
}

TEST(RewriterTest, CountsUsesWhileTheyChange) {
  GraphBuilder b;
  const ValueId x = b.Op("Relu", {b.Data("x", {3})});
  const ValueId y = b.Op("Add", {x, x});
  b.Output(y);
  Rewriter rewriter(b.graph);
  EXPECT_FALSE(rewriter.HasOneUse(x));
  EXPECT_EQ(rewriter.UsesOf(x).size(), 2u);
  EXPECT_EQ(rewriter.OnlyReader(y), nullptr);  // a graph output
  ASSERT_TRUE(rewriter.Become(*b.graph.node(y.node), "Neg", {x}).ok());
  EXPECT_TRUE(rewriter.HasOneUse(x));
  EXPECT_EQ(rewriter.OnlyReader(x), b.graph.node(y.node));
}

TEST(RewriterTest, ReadOnlyWithinSeesOutsideReaders) {
  GraphBuilder b;
  const ValueId x = b.Op("Relu", {b.Data("x", {3})});
  const ValueId y = b.Op("Neg", {x});
  b.Output(b.Op("Add", {x, y}));
  Node *relu = b.graph.node(x.node), *neg = b.graph.node(y.node);
  const Node& root = *b.graph.node(b.graph.outputs()[0].value.node);
  EXPECT_TRUE(Rewriter(b.graph).ReadOnlyWithin({relu, neg}, root));
  EXPECT_TRUE(Rewriter(b.graph).ReadOnlyWithin({neg}, root));
  b.Output(y, "also");
  EXPECT_FALSE(Rewriter(b.graph).ReadOnlyWithin({relu, neg}, root));
}

TEST(RewriterTest, RemovesWhatARuleLeavesDead) {
  GraphBuilder b;
  const ValueId x = b.Op("Neg", {b.Op("Exp", {b.Data("x", {3})})});
  b.Output(b.Op("Neg", {x}));
  Rewriter rewriter(b.graph);
  const Rule rule{"skip", {"Neg"}, [](Rewriter& rewriter, Node& node) -> absl::StatusOr<bool> {
                    const Node* inner = rewriter.Producer(node.input(0), "Neg");
                    if (inner == nullptr) return false;
                    const absl::Status status = rewriter.Replace(node.out(), inner->input(0));
                    if (!status.ok()) return status;
                    return true;
                  }};
  ASSERT_TRUE(rewriter.Run({rule}).ok());
  EXPECT_EQ(Types(b.graph), "Exp");
}

TEST(RewriterTest, ARuleThatChangesAnOutputIsStopped) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {3});
  const ValueId y = b.Op("Neg", {x});
  b.Output(y);
  Rewriter rewriter(b.graph);
  const absl::Status become = rewriter.Become(*b.graph.node(y.node), "IsNan", {x});
  EXPECT_EQ(become.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(become.message()), HasSubstr("changes output 0 from float32[3] to bool[3]"));
  const absl::Status replace = rewriter.Replace(x, rewriter.AddConstant("c", Tensor::Int64s({1})));
  EXPECT_EQ(replace.code(), absl::StatusCode::kInternal);
}

TEST(RewriterTest, RulesThatChaseEachOtherAreNamed) {
  GraphBuilder b;
  b.Output(b.Op("Neg", {b.Data("x", {3})}));
  const Rule there{"there", {"Neg"}, NegToRelu};
  const Rule back{"back", {"Relu"}, [](Rewriter& rewriter, Node& node) -> absl::StatusOr<bool> {
                    const absl::Status status = rewriter.Become(node, "Neg", {node.input(0)});
                    if (!status.ok()) return status;
                    return true;
                  }};
  const absl::Status status = Rewriter(b.graph).Run({there, back});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not come to an end"));
}

}  // namespace
}  // namespace omserve
