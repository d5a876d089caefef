// What is documented of aclgrphBuildInitialize, aclgrphBuildModel and aclgrphSaveModel.
#include "parser/onnx_parser.h"
#include "test_util.h"

namespace ge::testing {
namespace {

using ::testing::HasSubstr;

class BuildTest : public ::testing::Test {
 protected:
  void SetUp() override {
    GEGetErrorMsg();
    GEGetWarningMsg();
  }
  void TearDown() override { aclgrphBuildFinalize(); }

  static Graph Halved() {
    auto x = Input("x", 0, {4});
    auto y = op::Muls("y").set_input_x(x).set_attr_value(0.5f);
    auto z = op::Neg("z").set_input_x(y);
    Graph graph("halved");
    graph.SetInputs({x}).SetOutputs(std::vector<Operator>{z});
    return graph;
  }

  graphStatus Build(const Strings& options) { return aclgrphBuildModel(Halved(), options, model_); }

  const Folder folder_;
  ModelBufferData model_;
};

TEST_F(BuildTest, NeedsInitialize) {
  EXPECT_EQ(Build({}), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("before aclgrphBuildInitialize"));
  aclgrphBuildFinalize();
  EXPECT_THAT(GEGetWarningMsg(), HasSubstr("aclgrphBuildFinalize without"));
}

TEST_F(BuildTest, UnknownKeysAreWarnedOfByInitializeAndRefusedByBuild) {
  std::map<AscendString, AscendString> global = {{"no.such.key", "1"}};
  EXPECT_EQ(aclgrphBuildInitialize(global), GRAPH_SUCCESS);
  EXPECT_THAT(GEGetWarningMsg(), HasSubstr("no.such.key"));
  EXPECT_EQ(Build({{"no.such.key", "1"}}), GRAPH_PARAM_INVALID);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("no.such.key"));
  // The topology belongs to Initialize.
  EXPECT_EQ(Build({{ir_option::CLUSTER_CONFIG, "c.json"}}), GRAPH_PARAM_INVALID);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("aclgrphBuildInitialize"));
}

TEST_F(BuildTest, ASecondInitializeChangesNothing) {
  EXPECT_EQ(aclgrphBuildInitialize(Strings{}), GRAPH_SUCCESS);
  EXPECT_EQ(aclgrphBuildInitialize(Strings{{ir_option::CLUSTER_CONFIG, "missing.json"}}), GRAPH_SUCCESS);
  EXPECT_EQ(Build({{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"}}), GRAPH_SUCCESS) << GEGetErrorMsg();
}

TEST_F(BuildTest, TheValueOfTheBuildWins) {
  // Both calls know the key; the bad one of Initialize would be refused where it counts.
  EXPECT_EQ(aclgrphBuildInitialize(Strings{{ir_option::PRECISION_MODE_V2, "fp16"}}), GRAPH_SUCCESS);
  EXPECT_EQ(Build({{ir_option::PRECISION_MODE_V2, "origin"}}), GRAPH_SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(Build({{ir_option::PRECISION_MODE_V2, "fp3"}}), GRAPH_PARAM_INVALID);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10001"));
}

TEST_F(BuildTest, DistributedOptionsDependOnEachOther) {
  EXPECT_EQ(aclgrphBuildInitialize(Strings{{ir_option::CLUSTER_CONFIG, ClusterFile(folder_, 2)}}), GRAPH_SUCCESS);
  const std::string policy = PolicyFile(folder_, 2);
  EXPECT_EQ(Build({{ir_option::GRAPH_PARALLEL_OPTION_PATH, policy}}), GRAPH_PARAM_INVALID);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10057"));
  EXPECT_EQ(Build({{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"}, {ir_option::ENABLE_GRAPH_PARALLEL, "1"}}), GRAPH_PARAM_INVALID);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10054"));
  // Without the first the second has no effect.
  EXPECT_EQ(Build({{ir_option::ENABLE_GRAPH_PARALLEL, "1"}}), GRAPH_SUCCESS) << GEGetErrorMsg();
  // Only the whole model: a replica on every device.
  EXPECT_EQ(Build({{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"}}), GRAPH_SUCCESS) << GEGetErrorMsg();
  ModelDistibuteDesc desc;
  EXPECT_EQ(GetModelDistributeDesc(model_.data.get(), model_.length, desc), SUCCESS);
  EXPECT_EQ(desc.logic_device_number, 2u);
}

TEST_F(BuildTest, BadFilesAreNamedByCode) {
  const Strings parallel = {{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"},
                            {ir_option::ENABLE_GRAPH_PARALLEL, "1"},
                            {ir_option::GRAPH_PARALLEL_OPTION_PATH, folder_.Write("bad_policy.json", "{")}};
  EXPECT_EQ(aclgrphBuildInitialize(Strings{{ir_option::CLUSTER_CONFIG, ClusterFile(folder_, 2)}}), GRAPH_SUCCESS);
  EXPECT_EQ(Build(parallel), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10032"));
  Strings wrong_size = parallel;
  wrong_size[ir_option::GRAPH_PARALLEL_OPTION_PATH] = PolicyFile(folder_, 3);
  EXPECT_EQ(Build(wrong_size), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("tensor_parallel_size 3"));
  folder_.Write("cluster.json", "{\"cluster\":[]}");
  EXPECT_EQ(Build({{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"}}), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("EF2001"));
}

TEST_F(BuildTest, WhatTheServiceCannotDoIsRefusedByName) {
  EXPECT_EQ(aclgrphBuildInitialize(Strings{}), GRAPH_SUCCESS);
  for (const char* key : {ir_option::DYNAMIC_BATCH_SIZE, ir_option::DYNAMIC_IMAGE_SIZE, ir_option::DYNAMIC_DIMS,
                          ir_option::INPUT_SHAPE_RANGE, ir_option::INSERT_OP_FILE, ir_option::INPUT_FP16_NODES}) {
    EXPECT_EQ(Build({{key, "1,2"}}), GRAPH_PARAM_INVALID) << key;
    EXPECT_THAT(GEGetErrorMsg(), HasSubstr(std::string("E10055: option '") + key));
  }
  Graph halved = Halved();
  EXPECT_EQ(aclgrphSetOpAttr(halved, ATTR_TYPE_KEEP_DTYPE, "c.cfg"), GRAPH_FAILED);
  EXPECT_EQ(aclgrphBundleBuildModel({{halved, {}}}, model_), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10055: aclgrphBundleBuildModel"));
  auto x = Input("x", 0, {2});
  Operator variable("v", "Variable");
  auto y = op::Neg("y").set_input_x(x);
  Graph graph("variables");
  graph.SetInputs({x}).SetOutputs(std::vector<Operator>{y});
  graph.AddOp(variable);
  EXPECT_EQ(aclgrphBuildModel(graph, Strings{}, model_), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("Variable"));
}

TEST_F(BuildTest, OutputsAreChosenAndConverted) {
  EXPECT_EQ(aclgrphBuildInitialize(Strings{}), GRAPH_SUCCESS);
  ASSERT_EQ(Build({{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"}, {ir_option::OUT_NODES, "y:0;z:0"}, {ir_option::OUTPUT_TYPE, "INT32"}}),
            GRAPH_SUCCESS)
      << GEGetErrorMsg();
  EXPECT_EQ(Build({{ir_option::OUT_NODES, "nobody:0"}}), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10016"));
  EXPECT_EQ(Build({{ir_option::OUTPUT_TYPE, "FP31"}}), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("FP31"));
  ASSERT_EQ(aclgrphSaveModel((folder_ / "chosen").c_str(), model_), GRAPH_SUCCESS);
  ASSERT_EQ(GEInitialize(Strings{}), SUCCESS);
  {
    Session session{Strings{}};
    ASSERT_EQ(session.LoadGraph(0, {}, folder_ / "chosen.om"), SUCCESS) << GEGetErrorMsg();
    std::vector<Tensor> outputs;
    ASSERT_EQ(session.RunGraph(0, {Make<float>({4}, {2, 4, 6, 8})}, outputs), SUCCESS) << GEGetErrorMsg();
    ASSERT_EQ(outputs.size(), 2u);
    EXPECT_EQ(Values<int32_t>(outputs[0]), (std::vector<int32_t>{1, 2, 3, 4}));
    EXPECT_EQ(Values<int32_t>(outputs[1]), (std::vector<int32_t>{-1, -2, -3, -4}));
  }
  EXPECT_EQ(GEFinalize(), SUCCESS);
}

TEST_F(BuildTest, SaveAlwaysAppendsOm) {
  EXPECT_EQ(aclgrphSaveModel((folder_ / "x").c_str(), model_), GRAPH_PARAM_INVALID);
  model_.data = std::shared_ptr<uint8_t>(new uint8_t[3]{1, 2, 3}, std::default_delete<uint8_t[]>());
  model_.length = 3;
  EXPECT_EQ(aclgrphSaveModel(static_cast<const char*>(nullptr), model_), GRAPH_PARAM_INVALID);
  EXPECT_EQ(aclgrphSaveModel(folder_ / "x.om", model_), GRAPH_SUCCESS);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "x.om.om"));
  EXPECT_EQ(aclgrphSaveModel(folder_ / "no/such/folder", model_), GRAPH_FAILED);
}

TEST_F(BuildTest, VersionAndDump) {
  int32_t major = -1;
  int32_t minor = -1;
  int32_t patch = -1;
  EXPECT_EQ(aclgrphGetIRVersion(&major, &minor, &patch), GRAPH_SUCCESS);
  EXPECT_EQ(std::vector<int32_t>({major, minor, patch}), std::vector<int32_t>({1, 0, 0}));
  EXPECT_EQ(aclgrphGetIRVersion(nullptr, &minor, &patch), GRAPH_PARAM_INVALID);
  const std::string file = folder_ / "dump";
  EXPECT_EQ(aclgrphDumpGraph(Halved(), file.c_str(), file.size()), GRAPH_SUCCESS);
  std::ifstream stream(file + ".txt");
  const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  EXPECT_THAT(text, HasSubstr("Muls"));
}

// A field of a protobuf message: bytes, or a small number.
std::string Field(int number, const std::string& bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
}
std::string Field(int number, int value) { return std::string(1, static_cast<char>(number << 3)) + static_cast<char>(value); }

// y = relu(-x) over two floats, as ONNX.
std::string OnnxModel() {
  const auto value = [](const std::string& name) {
    return Field(1, name) + Field(2, Field(1, Field(1, 1) + Field(2, Field(1, Field(1, 2)))));
  };
  const std::string neg = Field(1, "x") + Field(2, "n") + Field(3, "negated") + Field(4, "Neg");
  const std::string relu = Field(1, "n") + Field(2, "y") + Field(3, "positive") + Field(4, "Relu");
  const std::string graph = Field(1, neg) + Field(1, relu) + Field(2, "g") + Field(11, value("x")) + Field(12, value("y"));
  return Field(1, 8) + Field(7, graph) + Field(8, Field(2, 13));
}

TEST_F(BuildTest, OnnxModelsBecomeGraphs) {
  const std::string onnx = OnnxModel();
  Graph from_memory;
  ASSERT_EQ(aclgrphParseONNXFromMem(onnx.data(), onnx.size(), {{ir_option::OUTPUT, "folder/named"}, {"no.such.key", "1"}}, from_memory),
            GRAPH_SUCCESS)
      << GEGetErrorMsg();
  EXPECT_EQ(from_memory.GetName(), "named");
  EXPECT_THAT(GEGetWarningMsg(), HasSubstr("no.such.key"));
  Graph graph;
  ASSERT_EQ(aclgrphParseONNX(folder_.Write("model.onnx", onnx).c_str(), {}, graph), GRAPH_SUCCESS) << GEGetErrorMsg();
  std::vector<Operator> found;
  EXPECT_EQ(graph.FindOpByType("Relu", found), GRAPH_SUCCESS);
  EXPECT_EQ(found.size(), 1u);
  ASSERT_EQ(GEInitialize(Strings{}), SUCCESS);
  {
    Session session{Strings{}};
    ASSERT_EQ(session.AddGraph(0, graph), SUCCESS) << GEGetErrorMsg();
    std::vector<Tensor> outputs;
    ASSERT_EQ(session.RunGraph(0, {Make<float>({2}, {-1, 2})}, outputs), SUCCESS) << GEGetErrorMsg();
    EXPECT_EQ(Values<float>(outputs[0]), (std::vector<float>{1, 0}));
  }
  EXPECT_EQ(GEFinalize(), SUCCESS);
}

TEST_F(BuildTest, DamagedOnnxIsAnError) {
  Graph graph;
  EXPECT_EQ(aclgrphParseONNX("missing.onnx", {}, graph), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("missing.onnx"));
  EXPECT_EQ(aclgrphParseONNXFromMem("abc", 3, {}, graph), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("ONNX"));
}

}  // namespace
}  // namespace ge::testing
