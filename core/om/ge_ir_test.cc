#include "core/om/ge_ir.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/om/om_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;

constexpr DataType kTypes[] = {DataType::kFloat,   DataType::kFloat16, DataType::kInt8,   DataType::kInt32,
                               DataType::kUint8,   DataType::kInt16,   DataType::kUint16, DataType::kUint32,
                               DataType::kInt64,   DataType::kUint64,  DataType::kDouble, DataType::kBool,
                               DataType::kBfloat16};

// Through the bytes of the message, as a file has it.
absl::StatusOr<Graph> RoundTrip(const Graph& graph, bool separate_weights) {
  WeightRanges ranges;
  Buffer weights;
  const WeightPlan plan(graph, *GeOperatorOrder(graph));
  if (separate_weights) {
    ranges = plan.ranges();
    std::string bytes;
    EXPECT_TRUE(plan.Stream([&](const void* data, size_t size) {
                      bytes.append(static_cast<const char*>(data), size);
                      return absl::OkStatus();
                    })
                    .ok());
    weights = Buffer::CopyOf(bytes.data(), bytes.size());
  }
  ge::proto::GraphDef def;
  const absl::Status written = GraphToGe(graph, ranges, &def);
  if (!written.ok()) return written;
  ge::proto::GraphDef read;
  EXPECT_TRUE(read.ParseFromString(def.SerializeAsString()));
  return GraphFromGe(read, weights);
}

void ExpectRoundTrip(const Graph& graph) {
  for (bool separate : {false, true}) {
    auto read = RoundTrip(graph, separate);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(testing::Fingerprint(*read), testing::Fingerprint(graph));
  }
}

TEST(GeIrTest, EveryKindOfAttribute) {
  Graph graph("g");
  Node* x = graph.AddData("x", {DataType::kFloat, {2}});
  Node* node = graph.AddNode("Foo", "foo", {x->out()});
  node->SetOutput(0, {DataType::kFloat, {2}});
  node->SetAttr("int", std::numeric_limits<int64_t>::min());
  node->SetAttr("zero", int64_t{0});
  node->SetAttr("float", -0.0f);
  node->SetAttr("infinity", std::numeric_limits<float>::infinity());
  node->SetAttr("false", false);
  node->SetAttr("true", true);
  node->SetAttr("string", std::string("bytes \xff and \0 too", 17));
  node->SetAttr("empty", std::string());
  node->SetAttr("type", DataType::kBfloat16);
  node->SetAttr("ints", std::vector<int64_t>{1, -2, 3});
  node->SetAttr("floats", std::vector<float>{0.5f, 1e-40f});
  node->SetAttr("bools", std::vector<bool>{true, false, true});
  node->SetAttr("strings", std::vector<std::string>{"a", ""});
  node->SetAttr("types", std::vector<DataType>{DataType::kFloat, DataType::kInt64});
  node->SetAttr("lists", std::vector<std::vector<int64_t>>{{1, 2}, {}, {3}});
  node->SetAttr("no_ints", std::vector<int64_t>{});
  node->SetAttr("no_floats", std::vector<float>{});
  node->SetAttr("no_bools", std::vector<bool>{});
  node->SetAttr("no_strings", std::vector<std::string>{});
  node->SetAttr("no_types", std::vector<DataType>{});
  node->SetAttr("no_lists", std::vector<std::vector<int64_t>>{});
  graph.AddOutput("y", node->out());
  ExpectRoundTrip(graph);
  // The text above does not tell all kinds of empty lists apart.
  auto read = RoundTrip(graph, false);
  EXPECT_TRUE(read->FindNode("foo")->attrs() == node->attrs());
}

TEST(GeIrTest, EveryTypeAndOddShapes) {
  Graph graph("g");
  int i = 0;
  for (DataType type : kTypes) {
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{0, 5}, Shape{2, 1, 3}, Shape(8, 1)}) {
      std::byte* bytes = nullptr;
      Tensor value = Tensor::Allocate({type, shape}, &bytes);
      for (size_t b = 0; b < value.byte_size(); ++b) bytes[b] = static_cast<std::byte>(++i);
      Node* constant = graph.AddConst("c", value);
      Node* data = graph.AddData("d", {type, shape});
      graph.AddOutput(absl::StrCat("o", i, data->name()), data->out());
      graph.AddOutput(absl::StrCat("c", i, constant->name()), constant->out());
    }
  }
  // Constants come after the inputs in a file, so the ids differ from those of this graph: read twice.
  auto once = RoundTrip(graph, true);
  ASSERT_TRUE(once.ok()) << once.status();
  ExpectRoundTrip(*once);
  for (int32_t id : graph.NodeIds()) {
    const Node& node = *graph.node(id);
    const Node* read = once->FindNode(node.name());
    ASSERT_NE(read, nullptr) << node.name();
    EXPECT_EQ(read->output(), node.output());
    if (node.constant() != nullptr) {
      EXPECT_EQ(read->constant()->Materialize().buffer().view(),
                node.constant()->Materialize().buffer().view());
    }
  }
}

TEST(GeIrTest, AbsentInputsSharedConstantsAndShards) {
  Graph graph("g");
  Node* x = graph.AddData("x", {DataType::kFloat, {2, -1}});
  const TensorSlice source(testing::Counting({4, 6, 5}));
  const std::vector<int64_t> begin = {1, 2, 0};
  Node* shard = graph.AddConst("shard", *source.Slice(begin, {2, 3, 5}));
  Node* whole = graph.AddConst("whole", source);
  Node* twice = graph.AddConst("twice", source);
  Node* node =
      graph.AddNode("Many", "name:with:colons",
                    {ValueId{}, x->out(), ValueId{}, shard->out(), whole->out(), twice->out(), ValueId{}});
  node->SetOutput(2, {DataType::kInt8, {-1, 3}});
  Node* sink = graph.AddNode("HcomSend", "send", {node->out(2)});
  ASSERT_EQ(sink->num_outputs(), 0);
  graph.AddOutput("a", node->out(2));
  graph.AddOutput("b", node->out(2));
  graph.AddOutput("c", x->out());
  ExpectRoundTrip(graph);
}

TEST(GeIrTest, OrderOfOperatorsStays) {
  // Collectives must keep their order even when names and creation say otherwise.
  Graph graph("g");
  std::vector<Node*> nodes;
  Node* c = graph.AddConst("c", testing::Counting({1}));
  for (const char* name : {"z", "m", "a"}) {
    nodes.push_back(graph.AddNode("HcomAllReduce", name, {c->out()}));
    nodes.back()->SetOutput(0, c->output());
    graph.AddOutput(name, nodes.back()->out());
  }
  Node* late = graph.AddData("late", {DataType::kFloat, {1}});
  nodes[1]->SetInputs({late->out()});
  auto order_of = [](const Graph& g) {
    std::string order;
    const std::vector<int32_t> ids = *g.TopologicalOrder();
    for (int32_t id : ids) {
      if (g.node(id)->is("HcomAllReduce")) order += g.node(id)->name();
    }
    return order;
  };
  auto once = RoundTrip(graph, true);
  ASSERT_TRUE(once.ok());
  EXPECT_EQ(order_of(*once), order_of(graph));
  EXPECT_EQ(order_of(*RoundTrip(*once, true)), order_of(graph));
}

TEST(GeIrTest, ANodeMayHaveTheNameOfTheOutputs) {
  Graph graph("g");
  Node* x = graph.AddData("Node_Output", {DataType::kFloat, {2}});
  graph.AddOutput("y", x->out());
  ExpectRoundTrip(graph);
}

TEST(GeIrTest, WhatAFileCannotHold) {
  auto code = [](Graph graph) {
    ge::proto::GraphDef def;
    return GraphToGe(graph, {}, &def).code();
  };
  Graph bad_name("g");
  bad_name.AddData("\xff", {DataType::kFloat, {}});
  EXPECT_EQ(code(std::move(bad_name)), absl::StatusCode::kInvalidArgument);
  Graph net_output("g");
  net_output.AddNode("NetOutput", "n", {});
  EXPECT_EQ(code(std::move(net_output)), absl::StatusCode::kInvalidArgument);
  Graph value("g");
  value.AddConst("c", Tensor::Scalar(1.0f))->SetAttr("value", int64_t{1});
  EXPECT_EQ(code(std::move(value)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Graph("")), absl::StatusCode::kInvalidArgument);
}

// A graph x → Foo → y with a constant, as the message.
ge::proto::GraphDef SampleDef() {
  Graph graph("g");
  Node* x = graph.AddData("x", {DataType::kFloat, {2}});
  Node* c = graph.AddConst("c", testing::Counting({2}));
  Node* foo = graph.AddNode("Foo", "foo", {x->out(), c->out()});
  foo->SetOutput(0, {DataType::kFloat, {2}});
  foo->SetAttr("a", std::vector<int64_t>{1});
  graph.AddOutput("y", foo->out());
  ge::proto::GraphDef def;
  EXPECT_TRUE(GraphToGe(graph, {}, &def).ok());
  return def;
}

ge::proto::TensorDef* Value(ge::proto::GraphDef* def) {
  return (*def->mutable_op(1)->mutable_attr())["value"].mutable_t();
}

TEST(GeIrTest, HostileGraphsAreRefused) {
  struct Case {
    void (*apply)(ge::proto::GraphDef*);
    absl::StatusCode code;
    const char* message;
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
  using Def = ge::proto::GraphDef;
  for (const Case& c : {
           Case{[](Def* d) { d->set_name(""); }, kInvalid, "the name of a graph is empty"},
           Case{[](Def* d) { d->mutable_op(2)->set_name(""); }, kInvalid, "the name of an operator is empty"},
           Case{[](Def* d) { d->mutable_op(2)->set_type(""); }, kInvalid,
                "operator 'foo' (): it has no type"},
           Case{[](Def* d) { d->mutable_op(2)->set_name("x"); }, kInvalid,
                "operator 'x' (Foo): another operator"},
           Case{[](Def* d) { d->mutable_op(2)->add_subgraph_name("s"); }, kUnimplemented, "subgraph 's'"},
           Case{[](Def* d) { d->mutable_op(2)->set_input(0, "x"); }, kInvalid, "'x' is no edge"},
           Case{[](Def* d) { d->mutable_op(2)->set_input(0, "x:"); }, kInvalid, "'x:' is no edge"},
           Case{[](Def* d) { d->mutable_op(2)->set_input(0, "x:-2"); }, kInvalid, "'x:-2' is no edge"},
           Case{[](Def* d) { d->mutable_op(2)->set_input(0, "x:99999999999"); }, kInvalid, "is no edge"},
           Case{[](Def* d) { d->mutable_op(2)->set_input(0, "x:1"); }, kInvalid,
                "'x:1' names an output that is not there"},
           Case{[](Def* d) { d->mutable_op(2)->set_input(0, "q:0"); }, kInvalid, "'q:0' names no operator"},
           Case{[](Def* d) { d->mutable_op(2)->set_input(0, "foo:0"); }, kInvalid,
                "cycle through node 'foo'"},
           Case{[](Def* d) { d->mutable_op(2)->set_input(0, "x:-1"); }, kInvalid, "after a control edge"},
           Case{[](Def* d) { d->mutable_op(0)->add_input("c:0"); }, kInvalid,
                "operator 'x' (Data): it has inputs"},
           Case{[](Def* d) { d->mutable_op(0)->mutable_attr()->erase("index"); }, kInvalid,
                "it has no integer 'index'"},
           Case{[](Def* d) { (*d->mutable_op(0)->mutable_attr())["index"].set_i(1); }, kInvalid,
                "its index is 1; expected 0"},
           Case{[](Def* d) { d->mutable_op(0)->clear_output_desc(); }, kInvalid,
                "a Data has exactly one output"},
           Case{[](Def* d) { d->mutable_op(1)->mutable_attr()->erase("value"); }, kInvalid,
                "it has no tensor 'value'"},
           Case{[](Def* d) { Value(d)->set_data("1234"); }, kInvalid,
                "float32[2] needs 8 bytes, 4 are stored"},
           Case{[](Def* d) { Value(d)->mutable_desc()->set_data_offset(512); }, kInvalid,
                "bytes both with the value"},
           Case{[](Def* d) {
                  Value(d)->clear_data();
                  Value(d)->mutable_desc()->set_data_offset(8);
                },
                kInvalid, "bytes [8, +8) leave the 8 bytes of WEIGHTS_DATA"},
           Case{[](Def* d) {
                  Value(d)->clear_data();
                  Value(d)->mutable_desc()->set_data_offset(-1);
                },
                kInvalid, "bytes [-1, +8) leave"},
           Case{[](Def* d) {
                  Value(d)->clear_data();
                  Value(d)->mutable_desc()->set_data_offset(1);
                  Value(d)->mutable_desc()->set_weight_size(7);
                },
                kInvalid, "weight_size is 7"},
           Case{[](Def* d) { Value(d)->mutable_desc()->mutable_shape()->set_dim(0, -1); }, kInvalid,
                "is not static"},
           Case{[](Def* d) { Value(d)->mutable_desc()->mutable_shape()->set_dim(0, INT64_MAX); }, kInvalid,
                "operator 'c' (Const)"},
           Case{[](Def* d) { d->mutable_op(1)->mutable_output_desc(0)->set_dtype(ge::proto::DT_INT32); },
                kInvalid, "its output is int32[2], its value float32[2]"},
           Case{[](Def* d) { d->mutable_op(2)->mutable_output_desc(0)->set_dtype(ge::proto::DT_INT4); },
                kUnimplemented, "operator 'foo' (Foo), output 0: data type number 28"},
           Case{[](Def* d) { d->mutable_op(2)->mutable_output_desc(0)->mutable_shape()->set_dim(0, -3); },
                kInvalid, "dimension -3"},
           Case{[](Def* d) { d->mutable_op(2)->mutable_output_desc(0)->mutable_shape()->set_dim(0, -2); },
                kUnimplemented, "unknown rank"},
           Case{[](Def* d) {
                  for (int i = 0; i < 8; ++i)
                    d->mutable_op(2)->mutable_output_desc(0)->mutable_shape()->add_dim(1);
                },
                kInvalid, "a tensor of rank 9; at most 8"},
           Case{[](Def* d) { (*d->mutable_op(2)->mutable_attr())["t"].mutable_t(); }, kUnimplemented,
                "operator 'foo' (Foo), attribute 't': values of kind 12"},
           Case{[](Def* d) { (*d->mutable_op(2)->mutable_attr())["t"].set_dt(99); }, kUnimplemented,
                "data type number 99"},
           Case{[](Def* d) {
                  (*d->mutable_op(2)->mutable_attr())["t"].mutable_list()->set_val_type(
                      ge::proto::AttrDef::ListValue::VT_LIST_GRAPH);
                },
                kUnimplemented, "lists of kind 8"},
           Case{[](Def* d) { *d->add_op() = d->op(3), d->mutable_op(4)->set_name("n"); }, kInvalid,
                "a second NetOutput"},
           Case{[](Def* d) { d->mutable_op(3)->set_input(0, ""); }, kInvalid,
                "output 0 of graph 'g' has no producer"},
           Case{[](Def* d) { d->mutable_op(3)->add_input("x:0"); }, kInvalid, "has 2 outputs and 1 names"},
       }) {
    ge::proto::GraphDef def = SampleDef();
    c.apply(&def);
    const absl::Status status = GraphFromGe(def, Buffer::CopyOf("12345678", 8)).status();
    EXPECT_EQ(status.code(), c.code) << c.message << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(GeIrTest, WhatOtherWritersLeaveOut) {
  // No NetOutput and no names (AIR of a parser), control edges, prototype lists without kind, the older
  // spelling of Const.
  ge::proto::GraphDef def = SampleDef();
  def.mutable_op()->RemoveLast();
  def.clear_attr();
  def.mutable_op(1)->set_type("Constant");
  def.mutable_op(2)->add_input("c:-1");
  (*def.mutable_op(2)->mutable_attr())["_input_name_key"].mutable_list()->add_s("x1");
  (*def.mutable_op(2)->mutable_attr())["unset"];
  auto graph = GraphFromGe(def, Buffer());
  ASSERT_TRUE(graph.ok()) << graph.status();
  ASSERT_EQ(graph->outputs().size(), 1u);
  EXPECT_EQ(graph->outputs()[0].name, "foo:0");
  EXPECT_TRUE(graph->FindNode("c")->is_const());
  EXPECT_EQ(graph->FindNode("foo")->num_inputs(), 2);
  EXPECT_EQ(graph->FindNode("foo")->attrs().size(), 1u);
}

TEST(GeIrTest, ConstantsAtOddAddressesAreCopied) {
  ge::proto::GraphDef def = SampleDef();
  Value(&def)->clear_data();
  Value(&def)->mutable_desc()->set_data_offset(3);
  const std::vector<float> values = {1.5f, 2.5f};
  std::string bytes(3, 'x');
  bytes.append(reinterpret_cast<const char*>(values.data()), 8);
  auto graph = GraphFromGe(def, Buffer::CopyOf(bytes.data(), bytes.size()));
  ASSERT_TRUE(graph.ok()) << graph.status();
  const Tensor value = graph->FindNode("c")->constant()->Materialize();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(value.data()) % 4, 0u);
  EXPECT_EQ(value.values<float>()[1], 2.5f);
}

}  // namespace
}  // namespace omserve
