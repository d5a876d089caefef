// Graphs, operators, tensors and their AIR form, without a service.
#include "graph/operator_reg.h"
#include "hcom_ops.h"
#include "test_util.h"

namespace ge {
// A prototype of a program's own.
REG_OP(TestScale)
    .INPUT(x, TensorType({DT_FLOAT}))
    .OPTIONAL_INPUT(offset, TensorType::ALL())
    .DYNAMIC_INPUT(more, TensorType::ALL())
    .OUTPUT(y, TensorType({DT_FLOAT}))
    .DYNAMIC_OUTPUT(parts, TensorType::ALL())
    .REQUIRED_ATTR(factor, Float)
    .ATTR(mode, String, "plain")
    .ATTR(sizes, ListInt, {1, 2})
    .OP_END_FACTORY_REG(TestScale)
}  // namespace ge

namespace ge::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(AscendStringTest, ComparesByText) {
  EXPECT_EQ(AscendString("a"), AscendString("abc", 1));
  EXPECT_LT(AscendString("a"), AscendString("b"));
  EXPECT_STREQ(AscendString(nullptr).GetString(), "");
  EXPECT_EQ(AscendString("xay").Find("a"), 1u);
  EXPECT_EQ(AscendString("a").Find("b"), AscendString::npos);
}

TEST(ShapeTest, SizeHasItsSpecialCases) {
  EXPECT_EQ(Shape({2, 3}).GetShapeSize(), 6);
  EXPECT_EQ(Shape({2, -1}).GetShapeSize(), -1);
  EXPECT_EQ(Shape(std::vector<int64_t>{}).GetShapeSize(), 0);
  EXPECT_EQ(Shape({0, 5}).GetShapeSize(), 0);
  EXPECT_EQ(Shape({int64_t{1} << 40, int64_t{1} << 40}).GetShapeSize(), 0);
  const Shape unknown(std::vector<int64_t>{UNKNOWN_DIM_NUM});
  EXPECT_EQ(unknown.GetDimNum(), 0u);
  EXPECT_EQ(unknown.GetDims().size(), 1u);
  EXPECT_EQ(Shape({2}).GetDim(5), 0);
}

TEST(TypesTest, Sizes) {
  EXPECT_EQ(GetSizeByDataType(DT_FLOAT), 4);
  EXPECT_EQ(GetSizeByDataType(DT_INT4), 1004);
  EXPECT_EQ(GetSizeByDataType(DT_STRING), -1);
  EXPECT_EQ(GetSizeInBytes(3, DT_INT4), 2);
  EXPECT_EQ(GetSizeInBytes(3, DT_INT64), 24);
  EXPECT_EQ(GetSizeInBytes(-1, DT_INT64), -1);
}

TEST(TensorTest, CopiesShareAndClonesDoNot) {
  Tensor tensor = Make<float>({2}, {1, 2});
  Tensor copy = tensor;
  Tensor clone = tensor.Clone();
  EXPECT_EQ(copy.GetData(), tensor.GetData());
  EXPECT_NE(clone.GetData(), tensor.GetData());
  EXPECT_EQ(tensor.IsValid(), GRAPH_SUCCESS);
  EXPECT_EQ(tensor.SetData(std::vector<uint8_t>{1}), GRAPH_SUCCESS);
  EXPECT_EQ(tensor.IsValid(), GRAPH_FAILED);
  int freed = 0;
  {
    Tensor owner;
    EXPECT_EQ(owner.SetData(new uint8_t[4], 4, [&](uint8_t* data) { ++freed; delete[] data; }), GRAPH_SUCCESS);
  }
  EXPECT_EQ(freed, 1);
}

TEST(OperatorTest, PortsAndAttributes) {
  op::TestScale scale("scale");
  scale.create_dynamic_input_more(2).create_dynamic_output_parts(3);
  EXPECT_EQ(scale.GetInputsSize(), 4u);
  EXPECT_EQ(scale.GetOutputsSize(), 4u);
  EXPECT_EQ(scale.GetDynamicInputNum("more"), 2);
  EXPECT_EQ(scale.get_attr_mode(), "plain");
  EXPECT_THAT(scale.get_attr_sizes(), ElementsAre(1, 2));
  EXPECT_EQ(scale.VerifyAllAttr(), GRAPH_FAILED);
  auto x = Input("x", 0, {2});
  scale.set_input_x(x).set_dynamic_input_more(1, x).set_attr_factor(2.0f).set_attr_mode("other");
  EXPECT_EQ(scale.VerifyAllAttr(), GRAPH_SUCCESS);
  EXPECT_EQ(scale.get_attr_factor(), 2.0f);
  AscendString mode;
  EXPECT_EQ(scale.GetAttr("mode", mode), GRAPH_SUCCESS);
  EXPECT_EQ(mode, "other");
  int64_t wrong_kind = 0;
  EXPECT_EQ(scale.GetAttr("mode", wrong_kind), GRAPH_FAILED);
  scale.SetAttr("extra", int32_t{7});
  uint32_t extra = 0;
  EXPECT_EQ(scale.GetAttr("extra", extra), GRAPH_SUCCESS);
  EXPECT_EQ(extra, 7u);
  EXPECT_EQ(scale.get_input_desc_x().GetShape().GetDims(), std::vector<int64_t>{2});
  EXPECT_TRUE(OperatorFactory::IsExistOp("TestScale"));
}

TEST(GraphTest, WrongWiringIsReported) {
  auto x = Input("x", 0, {2});
  op::Neg neg("neg");
  neg.SetInput("nothing", x);
  Graph graph("wrong");
  graph.SetInputs({x}).SetOutputs(std::vector<Operator>{neg});
  EXPECT_FALSE(graph.IsValid());
  GEGetErrorMsg();
  GraphBuffer buffer;
  EXPECT_EQ(graph.SaveToMem(buffer), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("operator 'neg' (Neg) has no input 'nothing'; it has (x)"));
}

TEST(GraphTest, CyclesAreReported) {
  op::Neg a("a");
  auto b = op::Abs("b").set_input_x(a);
  a.set_input_x(b);
  Graph graph("cycle");
  graph.SetOutputs(std::vector<Operator>{b});
  GraphBuffer buffer;
  EXPECT_EQ(graph.SaveToMem(buffer), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("operator 'a' (Neg), input 'x': reading operator 'b' (Abs) closes a cycle"));
}

TEST(GraphTest, EqualNamesAndMissingInputsAreReported) {
  auto x = Input("x", 0, {2});
  auto a = op::Neg("same").set_input_x(x);
  auto b = op::Abs("same").set_input_x(a);
  Graph graph("names");
  graph.SetInputs({x}).SetOutputs(std::vector<Operator>{b});
  GraphBuffer buffer;
  EXPECT_EQ(graph.SaveToMem(buffer), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E19009"));
  auto z = Input("z", 0, {2});
  op::Add add("add");
  add.set_input_x1(z);
  Graph missing("missing");
  missing.SetInputs({z}).SetOutputs(std::vector<Operator>{add});
  EXPECT_EQ(missing.SaveToMem(buffer), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("input 'x2' is missing"));
}

// Every kind of attribute, an absent optional input, dynamic ports, several outputs, a control edge, a sink.
Graph Rich() {
  auto x = Input("x", 0, {2, 3});
  auto w = Constant<float>("w", {3}, {1, 2, 3});
  op::TestScale scale("scale");
  scale.create_dynamic_input_more(2).create_dynamic_output_parts(2);
  scale.set_input_x(x).set_dynamic_input_more(0, w).set_dynamic_input_more(1, x).set_attr_factor(0.5f);
  scale.SetAttr("text", "value").SetAttr("yes", true).SetAttr("type", DT_INT64);
  scale.SetAttr("floats", std::vector<float>{1, 2}).SetAttr("texts", std::vector<std::string>{"a", "b"});
  scale.SetAttr("bools", std::vector<bool>{true, false}).SetAttr("types", std::vector<DataType>{DT_INT8, DT_BOOL});
  scale.SetAttr("lists", std::vector<std::vector<int64_t>>{{1}, {2, 3}}).SetAttr("none", std::vector<int64_t>{});
  scale.SetAttr("bytes", std::vector<uint8_t>{0, 255});
  auto neg = op::Neg("neg").set_input_x_by_name(scale, "parts1");
  auto send = op::HcomSend("send").set_input_x(neg).set_attr_group("g").set_attr_sr_tag(1).set_attr_dest_rank(0);
  send.AddControlInput(w);
  Graph graph("rich");
  graph.SetInputs({x}).SetOutputs(Chosen{{scale, {0, 2}}, {neg, {}}});
  return graph;
}

std::string Bytes(const Graph& graph) {
  GraphBuffer buffer;
  EXPECT_EQ(graph.SaveToMem(buffer), GRAPH_SUCCESS) << GEGetErrorMsg();
  return std::string(reinterpret_cast<const char*>(buffer.GetData()), buffer.GetSize());
}

TEST(GraphTest, AirKeepsEverything) {
  const Graph graph = Rich();
  const std::string bytes = Bytes(graph);
  Graph again("other");
  ASSERT_EQ(again.LoadFromMem(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), GRAPH_SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(again.GetName(), "rich");
  EXPECT_EQ(Bytes(again), bytes);
  std::vector<std::string> names;
  EXPECT_EQ(again.GetAllOpName(names), GRAPH_SUCCESS);
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("x", "w", "scale", "neg", "send"));
  const Folder folder;
  ASSERT_EQ(graph.SaveToFile(folder / "rich.air"), GRAPH_SUCCESS);
  Graph from_file;
  ASSERT_EQ(from_file.LoadFromFile((folder / "rich.air").c_str()), GRAPH_SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(Bytes(from_file), bytes);
  EXPECT_EQ(from_file.LoadFromFile("missing.air"), GRAPH_FAILED);
}

TEST(GraphTest, DamagedAirIsAnErrorAtEveryLength) {
  const std::string bytes = Bytes(Rich());
  for (size_t size = 0; size < bytes.size(); ++size) {
    Graph graph;
    const graphStatus status = graph.LoadFromMem(reinterpret_cast<const uint8_t*>(bytes.data()), size);
    EXPECT_NE(status, GRAPH_SUCCESS) << size;
  }
  GEGetErrorMsg();
}

TEST(GraphTest, NodesCanBeWalkedAndRewired) {
  Graph graph("copy");
  ASSERT_EQ(graph.CopyFrom(Rich()), GRAPH_SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(graph.GetName(), "copy");
  std::map<std::string, GNode> nodes;
  for (GNode& node : graph.GetAllNodes()) {
    AscendString name;
    ASSERT_EQ(node.GetName(name), GRAPH_SUCCESS);
    nodes.emplace(name.GetString(), node);
  }
  const auto [source, port] = nodes.at("neg").GetInDataNodesAndPortIndexs(0);
  ASSERT_NE(source, nullptr);
  AscendString name;
  EXPECT_EQ(source->GetName(name), GRAPH_SUCCESS);
  EXPECT_EQ(name, "scale");
  EXPECT_EQ(port, 2);
  EXPECT_EQ(nodes.at("x").GetOutDataNodesAndPortIndexs(0).size(), 2u);
  EXPECT_EQ(nodes.at("send").GetInControlNodes().size(), 1u);
  Tensor value;
  EXPECT_EQ(nodes.at("scale").GetInputConstData(2, value), GRAPH_SUCCESS);
  EXPECT_EQ(Values<float>(value), (std::vector<float>{1, 2, 3}));

  GNode abs = graph.AddNodeByOp(op::Abs("abs"));
  EXPECT_EQ(graph.RemoveEdge(nodes.at("scale"), 2, nodes.at("neg"), 0), GRAPH_SUCCESS);
  EXPECT_EQ(graph.RemoveEdge(nodes.at("scale"), 2, nodes.at("neg"), 0), GRAPH_FAILED);
  EXPECT_EQ(graph.AddDataEdge(nodes.at("x"), 0, abs, 0), GRAPH_SUCCESS);
  EXPECT_EQ(graph.AddDataEdge(abs, 0, nodes.at("neg"), 0), GRAPH_SUCCESS);
  EXPECT_TRUE(graph.IsValid());
  EXPECT_EQ(graph.AddDataEdge(nodes.at("neg"), 0, abs, 0), GRAPH_FAILED) << "a cycle";
  EXPECT_EQ(graph.AddControlEdge(nodes.at("send"), nodes.at("x")), GRAPH_FAILED) << "a cycle";
  EXPECT_TRUE(graph.IsValid());
}

}  // namespace
}  // namespace ge::testing
