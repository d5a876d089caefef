#include "core/graph/graph.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

Graph Small() {
  Graph graph("small");
  Node* x = graph.AddData("x", {DataType::kFloat, {2}});
  Node* c = graph.AddConst("c", Tensor::Of<float>({2}, {1, 2}));
  Node* y = graph.AddNode("Add", "y", {x->out(), c->out()});
  y->SetOutput(0, {DataType::kFloat, {2}});
  graph.AddOutput("y", y->out());
  return graph;
}

TEST(GraphTest, DumpIsReadable) {
  EXPECT_EQ(Dump(Small()),
            "graph small\n"
            "  %x: float32[2] = Data() {index=0}\n"
            "  %c: float32[2] = Const() [1, 2]\n"
            "  %y: float32[2] = Add(%x, %c)\n"
            "  return y = %y\n");
}

TEST(GraphTest, NamesAreMadeUnique) {
  Graph graph = Small();
  EXPECT_EQ(graph.AddNode("Relu", "y", {})->name(), "y_1");
  EXPECT_EQ(graph.AddNode("Relu", "y", {})->name(), "y_2");
}

TEST(GraphTest, RemoveUnusedKeepsInputsAndOutputs) {
  Graph graph = Small();
  Node* dead = graph.AddNode("Relu", "dead", {graph.FindNode("y")->out()});
  dead->SetOutput(0, {DataType::kFloat, {2}});
  EXPECT_EQ(graph.RemoveUnused(), 1);
  EXPECT_EQ(graph.FindNode("dead"), nullptr);
  EXPECT_TRUE(Verify(graph).ok());
}

TEST(GraphTest, VerifyNamesTheBrokenPlace) {
  Graph graph = Small();
  graph.FindNode("y")->SetInput(1, ValueId{1, 3});
  EXPECT_THAT(std::string(Verify(graph).message()), HasSubstr("input 1 reads output 3 of 'c', which has 1"));
  Graph cyclic = Small();
  Node* y = cyclic.FindNode("y");
  y->SetInput(1, y->out());
  EXPECT_THAT(std::string(Verify(cyclic).message()), HasSubstr("cycle through node 'y'"));
}

TEST(GraphTest, CloneIsIndependent) {
  Graph graph = Small();
  Graph copy = graph.Clone();
  copy.FindNode("y")->set_type("Sub");
  EXPECT_EQ(graph.FindNode("y")->type(), "Add");
  EXPECT_EQ(Dump(graph.Clone()), Dump(graph));
}

}  // namespace
}  // namespace omserve
