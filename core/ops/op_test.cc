#include "core/ops/op.h"

#include "core/ops/emit.h"
#include "core/ops/test_util.h"

namespace omserve {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

TEST(OpTest, UnknownOperatorNamesOperatorAndNode) {
  OneNode one = MakeNode("Frobnicate", {F({2})});
  EXPECT_EQ(Infer(one), "UNIMPLEMENTED: operator 'Frobnicate' (node 'op') is not supported");
  EXPECT_EQ(OpRegistry::Get().Find("Frobnicate"), nullptr);
}

TEST(OpTest, SchemaIsChecked) {
  CheckErrors({
      {"Add", {F({2})}, {}, StatusCode::kInvalidArgument, "has 1 inputs; it needs 2 (x1, x2)"},
      {"Add", {F({2}), F({2}), F({2})}, {}, StatusCode::kInvalidArgument, "has 3 inputs; it takes at most 2"},
      {"Add", {F({2}), None()}, {}, StatusCode::kInvalidArgument, "input 1 ('x2') is missing"},
      {"Muls", {F({2})}, {}, StatusCode::kInvalidArgument, "required attribute 'value' (Float) is missing"},
      {"Muls",
       {F({2})},
       {{"value", int64_t{2}}},
       StatusCode::kInvalidArgument,
       "attribute 'value' is Int 2; it must be Float"},
      {"Relu",
       {F({2})},
       {{"slope", 1.0f}},
       StatusCode::kInvalidArgument,
       "unknown attribute 'slope'; it has none"},
      {"Relu", {F(Shape(9, 1))}, {}, StatusCode::kInvalidArgument, "has 9 dimensions; at most 8"},
      {"Relu", {F({int64_t{1} << 41})}, {}, StatusCode::kInvalidArgument, "has a dimension of 2199023255552"},
      {"Relu", {F({-2})}, {}, StatusCode::kInvalidArgument, "has a dimension of -2"},
      {"Relu", {F({1 << 30, 1 << 30, 1 << 30})}, {}, StatusCode::kInvalidArgument, "too many elements"},
  });
  // Private attributes and trailing absent inputs are fine.
  CheckInference({{"Relu", {F({2})}, {{"_fused", true}}, "float32[2]"},
                  {"MatMulV2", {F({2, 3}), F({3, 4}), None(), None()}, {}, "float32[2,4]"}});
}

TEST(OpTest, InputMustBeInferredFirst) {
  Graph graph;
  Node* x = graph.AddNode("Relu", "x", {});
  Node* y = graph.AddNode("Relu", "y", {x->out()});
  EXPECT_THAT(std::string(InferNode(graph, *y).message()), HasSubstr("input 0 ('x') reads a value"));
}

TEST(OpTest, DynamicInputsTakeTheSlack) {
  const OpDef& concat = *OpRegistry::Get().Find("ConcatV2");
  EXPECT_EQ(FindInputDef(concat, 4, 0)->name, "x");
  EXPECT_EQ(FindInputDef(concat, 4, 2)->name, "x");
  EXPECT_EQ(FindInputDef(concat, 4, 3)->name, "concat_dim");
  EXPECT_EQ(FindInputDef(*OpRegistry::Get().Find("Relu"), 2, 1), nullptr);
}

TEST(OpTest, InferGraphInTopologicalOrder) {
  Graph graph;
  Node* x = graph.AddData("x", {DataType::kFloat, {2, 3}});
  Node* y =
      graph.AddNode("Transpose", "y", {x->out(), graph.AddConst("perm", Tensor::Int64s({1, 0}))->out()});
  graph.AddOutput("z", graph.AddNode("Shape", "z", {y->out()})->out());
  ASSERT_TRUE(InferGraph(graph).ok());
  EXPECT_EQ(ToString(graph.FindNode("y")->output()), "float32[3,2]");
  EXPECT_EQ(ToString(graph.FindNode("z")->output()), "int32[2]");
}

TEST(OpTest, ConstantIntsSaysWhatIsMissing) {
  CheckErrors({{"Reshape",
                {F({4}), I64({2})},
                {},
                StatusCode::kFailedPrecondition,
                "parameter 'shape' is not constant"},
               {"Reshape",
                {F({4}), Value(Tensor::Of<float>({1}, {4}))},
                {},
                StatusCode::kInvalidArgument,
                "parameter 'shape': expected an int32 or int64 tensor"}});
  CheckInference({{"Reshape", {F({4}), Value(Tensor::Of<int32_t>({2}, {2, 2}))}, {}, "float32[2,2]"}});
}

TEST(OpTest, RuleNeedsStaticShapes) {
  OneNode one = MakeNode("Relu", {F({-1})});
  ASSERT_EQ(Infer(one), "float32[?]");
  const absl::Status status = RuleOf(*one.graph, *one.node).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("operator 'Relu' (node 'op'): input 0 is float32[?]"));
}

TEST(OpTest, WithoutARuleEverythingIsWhole) {
  CheckRules({{"Range", {Int(0), Int(4), Int(1)}, {}, "[][][] -> [a4!]"},
              {"HcomAllReduce",
               {F({4, 1})},
               {{"group", std::string("g")}, {"reduction", std::string("sum")}},
               "[a4! .] -> [b4! .]"}});
}

TEST(EmitTest, CloneThatDoesNotFitTheRuleIsAnError) {
  OneNode one = MakeNode("Relu", {F({4})});
  ASSERT_EQ(Infer(one), "float32[4]");
  absl::StatusOr<ShardingRule> rule = RuleOf(*one.graph, *one.node);
  ASSERT_TRUE(rule.ok());
  Graph slice;
  const ValueId whole = slice.AddData("x", {DataType::kFloat, {4}})->out();
  EmitContext context(*one.graph, *one.node, *rule, &slice, {whole}, {2}, {1});
  EXPECT_EQ(context.LocalOutputShape(0), Shape{2});
  EXPECT_EQ(context.local_begin(0), 2);
  const absl::Status status = EmitClone(context).status();
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is float32[4]; the sharding rule says float32[2]"));
}

}  // namespace
}  // namespace omserve
