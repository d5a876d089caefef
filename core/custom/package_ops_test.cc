// What packages may get wrong, in their schemas and in what their functions answer.
#include "core/custom/package_ops.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;

int Copy(omserve_call* call) {
  call->outputs[0] = call->inputs[0];
  return 0;
}
int Nothing(omserve_call*) { return 0; }

const omserve_input kInputs[] = {{"x", OMSERVE_REQUIRED}};
const char* const kOutputs[] = {"y"};

omserve_op Op(const char* type) {
  omserve_op op = {};
  op.type = type;
  op.inputs = kInputs;
  op.num_inputs = 1;
  op.outputs = kOutputs;
  op.num_outputs = 1;
  op.infer = Copy;
  op.compute = Nothing;
  return op;
}

absl::Status Check(const omserve_op& op) {
  return OpsOfPackage({OMSERVE_CUSTOM_ABI, "p", "1", &op, 1}).status();
}

TEST(PackageOpsTest, PlainSchemaIsFine) { EXPECT_TRUE(Check(Op("Plain")).ok()) << Check(Op("Plain")); }

TEST(PackageOpsTest, MalformedSchemasAreRefused) {
  const auto refused = [](void (*change)(omserve_op&), const char* reason) {
    omserve_op op = Op("Wrong");
    change(op);
    const absl::Status status = Check(op);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << reason;
    EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
  };
  refused([](omserve_op& op) { op.type = nullptr; }, "operator 0 has no name");
  refused([](omserve_op& op) { op.type = "Two words"; }, "is named 'Two words'");
  refused([](omserve_op& op) { op.type = "3D"; }, "a type begins with a letter");
  refused([](omserve_op& op) { op.inputs = nullptr; }, "its list of inputs is NULL");
  refused([](omserve_op& op) { op.num_inputs = -1; }, "it has -1 inputs");
  refused([](omserve_op& op) { op.num_outputs = 0; }, "it has 0 outputs");
  refused([](omserve_op& op) { op.infer = nullptr; }, "no infer function");
  refused([](omserve_op& op) { op.compute = nullptr; }, "no compute function");
  refused([](omserve_op& op) { op.onnx_type = "T"; }, "its ONNX domain has no name");
  refused(
      [](omserve_op& op) {
        op.onnx_domain = "ai.onnx";
        op.onnx_type = "Relu";
      },
      "ONNX's own");
  static const omserve_input kTwice[] = {{"x", OMSERVE_REQUIRED}, {"x", OMSERVE_REQUIRED}};
  refused(
      [](omserve_op& op) {
        op.inputs = kTwice;
        op.num_inputs = 2;
      },
      "'x' is given twice");
  static const omserve_input kTwoDynamic[] = {{"x", OMSERVE_DYNAMIC}, {"z", OMSERVE_DYNAMIC}};
  refused(
      [](omserve_op& op) {
        op.inputs = kTwoDynamic;
        op.num_inputs = 2;
      },
      "only required inputs may follow a dynamic one");
  static omserve_attr attr = {};
  attr.name = "a";
  attr.kind = OMSERVE_ATTR_INTS;
  attr.count = 3;
  refused(
      [](omserve_op& op) {
        op.attrs = &attr;
        op.num_attrs = 1;
      },
      "its default is a list of 3 elements at NULL");
}

// A graph with one node of a registered operator.
Graph GraphOf(const std::string& type) {
  Graph graph("g");
  Node* x = graph.AddData("x", {DataType::kFloat, {2, 3}});
  Node* node = graph.AddNode(type, "node", {x->out()});
  graph.AddOutput("y", node->out());
  return graph;
}

void Register(const omserve_op& op) {
  absl::StatusOr<std::vector<PackagedOp>> ops = OpsOfPackage({OMSERVE_CUSTOM_ABI, "p", "1", &op, 1});
  ASSERT_TRUE(ops.ok()) << ops.status();
  ASSERT_TRUE(RegisterPackagedOps(*std::move(ops)).ok());
}

template <int64_t dim>
int InferDim(omserve_call* call) {
  call->outputs[0] = call->inputs[0];
  call->outputs[0].dims[0] = dim;
  return 0;
}

TEST(PackageOpsTest, HostileShapesAreRefused) {
  static omserve_op ops[6] = {Op("Negative"), Op("Huge"), Op("Overflow"), Op("RankOnly"),
                              Op("Untyped"), Op("Unterminated")};
  ops[0].infer = InferDim<-2>;
  ops[1].infer = InferDim<std::numeric_limits<int64_t>::max()>;
  ops[2].infer = [](omserve_call* call) {
    call->outputs[0] = call->inputs[0];
    for (int d = 0; d < OMSERVE_MAX_RANK; ++d) call->outputs[0].dims[d] = int64_t{1} << 39;
    call->outputs[0].rank = OMSERVE_MAX_RANK;
    return 0;
  };
  ops[3].infer = [](omserve_call* call) {
    call->outputs[0].type = OMSERVE_FLOAT;
    call->outputs[0].rank = 1 << 30;
    return 0;
  };
  ops[4].infer = Nothing;
  ops[5].infer = [](omserve_call* call) {
    for (size_t i = 0; i < call->error_size; ++i) call->error[i] = 'e';
    return -7;
  };
  const char* const reasons[6] = {"a dimension of -2",      "a dimension of 9223372036854775807", "too many elements",
                                  "1073741824 dimensions", "no type that has elements",          "eeee"};
  for (int i = 0; i < 6; ++i) {
    Register(ops[i]);
    Graph graph = GraphOf(ops[i].type);
    const absl::Status status = InferGraph(graph);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(reasons[i]));
    EXPECT_THAT(std::string(status.message()), HasSubstr("(node 'node')"));
  }
}

TEST(PackageOpsTest, HostileRulesAreRefused) {
  using Rule = int (*)(omserve_call*, omserve_rule*);
  struct Case {
    const char* type;
    Rule rule;
    const char* reason;
  };
  static const Case cases[] = {
      {"RuleInput", [](omserve_call*, omserve_rule* rule) {
         rule->input(rule, 4, 0, rule->factor(rule, 2, OMSERVE_PARALLEL, "a"));
         return 0;
       }, "input 4: there is no such thing"},
      {"RuleFactor", [](omserve_call*, omserve_rule* rule) {
         rule->output(rule, 0, 0, 5);
         return 0;
       }, "factor 5 in dimension 0"},
      {"RuleSize", [](omserve_call*, omserve_rule* rule) {
         rule->factor(rule, -2, OMSERVE_PARALLEL, "a");
         return 0;
       }, "a factor of size -2"},
      {"RuleProduct", [](omserve_call*, omserve_rule* rule) {
         const int64_t large = int64_t{1} << 62;
         rule->input(rule, 0, 0, rule->factor(rule, large, OMSERVE_PARALLEL, "a"));
         rule->input(rule, 0, 0, rule->factor(rule, large, OMSERVE_PARALLEL, "b"));
         return 0;
       }, "overflow"},
      {"RuleTwice", [](omserve_call*, omserve_rule* rule) {
         const int32_t factor = rule->factor(rule, 2, OMSERVE_PARALLEL, nullptr);
         rule->input(rule, 0, 0, factor);
         rule->input(rule, 0, 1, factor);
         return 0;
       }, "factor 0 is twice in input 0"},
      {"RuleLinear", [](omserve_call*, omserve_rule* rule) {
         const int32_t inputs[] = {9};
         rule->linear(rule, inputs, 1);
         return 0;
       }, "linear in input 9"},
      {"RuleFit", [](omserve_call*, omserve_rule* rule) {
         rule->input(rule, 0, 0, rule->factor(rule, 5, OMSERVE_PARALLEL, "a"));
         return 0;
       }, "multiply to 5, not 2"},
  };
  static omserve_op ops[std::size(cases)];
  for (size_t i = 0; i < std::size(cases); ++i) {
    ops[i] = Op(cases[i].type);
    ops[i].rule = cases[i].rule;
    Register(ops[i]);
    Graph graph = GraphOf(ops[i].type);
    ASSERT_TRUE(InferGraph(graph).ok());
    const absl::Status status = RuleOf(graph, *graph.FindNode("node")).status();
    EXPECT_FALSE(status.ok()) << ops[i].type;
    EXPECT_THAT(std::string(status.message()), HasSubstr(cases[i].reason));
  }
}

}  // namespace
}  // namespace omserve
