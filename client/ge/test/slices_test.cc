// Slices of a model as a vector of graphs, with their own communication.
#include "hcom_ops.h"
#include "test_util.h"

namespace ge::testing {
namespace {

using ::testing::HasSubstr;

// relu(x · w1) · w2 on rank `rank` of two: columns of w1, rows of w2, and the sum over both.
Graph TensorParallelSlice(const std::string& name, int rank) {
  std::vector<float> up;
  std::vector<float> down;
  for (int k = 0; k < 4; ++k) {
    for (int h = 0; h < 4; ++h) up.push_back(Whole(32)[k * 8 + rank * 4 + h]);
  }
  for (int h = 0; h < 4; ++h) {
    for (int n = 0; n < 4; ++n) down.push_back(Whole(32, 2)[(rank * 4 + h) * 4 + n]);
  }
  auto x = Input("x", 0, {2, 4});
  auto first = op::MatMulV2("up").set_input_x1(x).set_input_x2(Constant("w1", {4, 4}, up));
  auto relu = op::Relu("relu").set_input_x(first);
  auto second = op::MatMulV2("down").set_input_x1(relu).set_input_x2(Constant("w2", {4, 4}, down));
  auto sum = op::HcomAllReduce("sum").set_input_x(second).set_attr_reduction("sum").set_attr_group("tp");
  Graph graph(name);
  graph.SetInputs({x}).SetOutputs(std::vector<Operator>{sum});
  return graph;
}

std::vector<float> Expected(const std::vector<float>& input) {
  std::vector<float> expected(8, 0);
  for (int m = 0; m < 2; ++m) {
    for (int h = 0; h < 8; ++h) {
      float hidden = 0;
      for (int k = 0; k < 4; ++k) hidden += input[m * 4 + k] * Whole(32)[k * 8 + h];
      for (int n = 0; n < 4; ++n) expected[m * 4 + n] += std::max(hidden, 0.0f) * Whole(32, 2)[h * 4 + n];
    }
  }
  return expected;
}

class SlicesTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    ASSERT_EQ(aclgrphBuildInitialize(Strings{{ir_option::CLUSTER_CONFIG, ClusterFile(folder_, 2)}}), GRAPH_SUCCESS);
  }
  void TearDown() override {
    aclgrphBuildFinalize();
    RuntimeTest::TearDown();
  }

  Strings Options(const std::string& first, const std::string& second, const std::string& more = "") {
    const std::string text = R"({"deploy_config":[{"submodel_name":")" + first + R"(","deploy_device_id_list":"0:0:0"},
      {"submodel_name":")" + second + R"(","deploy_device_id_list":"0:0:1"}],
      "model_name_to_instance_id":[{"submodel_name":")" + first + R"(","model_instance_id":0},
      {"submodel_name":")" + second + R"(","model_instance_id":1}])" + more + "}";
    return {{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"},
            {ir_option::MODEL_RELATION_CONFIG, folder_.Write("relation.json", text)}};
  }

  std::vector<float> Run(const std::vector<float>& input) {
    EXPECT_EQ(aclgrphSaveModel(folder_ / "slices", model_), GRAPH_SUCCESS) << GEGetErrorMsg();
    Session session{Strings{}};
    EXPECT_EQ(session.LoadGraph(0, {}, folder_ / "slices.om"), SUCCESS) << GEGetErrorMsg();
    std::vector<Tensor> outputs;
    EXPECT_EQ(session.RunGraph(0, {Make({2, 4}, input)}, outputs), SUCCESS) << GEGetErrorMsg();
    return outputs.empty() ? std::vector<float>() : Values<float>(outputs[0]);
  }

  static constexpr char kGroup[] = R"(,"comm_group":[{"group_name":"tp","group_rank_list":"[0, 1]"}],
      "rank_table":[{"rank_id":0,"model_instance_id":0},{"rank_id":1,"model_instance_id":1}])";

  const Folder folder_;
  ModelBufferData model_;
};

TEST_F(SlicesTest, TensorParallelByFileNamesAndByGraphNames) {
  const std::vector<float> input = Whole(8, 3);
  // With an extension in the relation file, and without.
  for (const char* extension : {".air", ""}) {
    const std::string suffix = extension;
    ASSERT_EQ(aclgrphBuildModel(std::vector<Graph>{TensorParallelSlice("part1", 1), TensorParallelSlice("part0", 0)},
                                Options("part0" + suffix, "part1" + suffix, kGroup), model_),
              GRAPH_SUCCESS)
        << GEGetErrorMsg();
    EXPECT_EQ(Run(input), Expected(input)) << suffix;
  }
}

TEST_F(SlicesTest, PipelineOfTwoStages) {
  auto x = Input("x", 0, {2, 4});
  auto up = op::MatMulV2("up").set_input_x1(x).set_input_x2(Constant("w1", {4, 8}, Whole(32)));
  auto relu = op::Relu("relu").set_input_x(up);
  Graph first("stage0.air");
  first.SetInputs({x}).SetOutputs(std::vector<Operator>{relu});
  auto hidden = Input("hidden", 0, {2, 8});
  auto down = op::MatMulV2("down").set_input_x1(hidden).set_input_x2(Constant("w2", {8, 4}, Whole(32, 2)));
  Graph second("stage1.air");
  second.SetInputs({hidden}).SetOutputs(std::vector<Operator>{down});
  const Strings options = Options("stage0.air", "stage1.air",
                                  R"(,"model_relation":[{"type":"flow","src":"-1:0","dst":"0:0"},
                                      {"type":"flow","src":"0:0","dst":"1:0"},{"type":"flow","src":"1:0","dst":"-1:0"}])");
  std::map<AscendString, AscendString> ascend;
  for (const auto& [key, value] : options) ascend[key.c_str()] = AscendString(value.c_str());
  ASSERT_EQ(aclgrphBuildModel(std::vector<Graph>{first, second}, ascend, model_), GRAPH_SUCCESS) << GEGetErrorMsg();
  const std::vector<float> input = Whole(8, 3);
  EXPECT_EQ(Run(input), Expected(input));
}

TEST_F(SlicesTest, WhatIsMissingIsNamed) {
  const std::vector<Graph> graphs = {TensorParallelSlice("part0", 0), TensorParallelSlice("part1", 1)};
  const Strings options = Options("part0.air", "part1.air", kGroup);
  EXPECT_EQ(aclgrphBuildModel(std::vector<Graph>{graphs[0]}, options, model_), GRAPH_PARAM_INVALID);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("at least two"));
  EXPECT_EQ(aclgrphBuildModel(graphs, Strings{{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"}}, model_), GRAPH_PARAM_INVALID);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr(ir_option::MODEL_RELATION_CONFIG));
  Strings off = options;
  off[ir_option::DISTRIBUTED_CLUSTER_BUILD] = "0";
  EXPECT_EQ(aclgrphBuildModel(graphs, off, model_), GRAPH_PARAM_INVALID);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10054"));
  EXPECT_EQ(aclgrphBuildModel(std::vector<Graph>{graphs[0], TensorParallelSlice("other", 1)}, options, model_), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("EF1001: graph 'other' is no submodel"));
  EXPECT_EQ(aclgrphBuildModel(std::vector<Graph>{graphs[0], graphs[0]}, options, model_), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("two graphs are named 'part0'"));
  Strings bad = options;
  bad[ir_option::MODEL_RELATION_CONFIG] = folder_.Write("bad.json", "[");
  EXPECT_EQ(aclgrphBuildModel(graphs, bad, model_), GRAPH_FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10032"));
  EXPECT_EQ(aclgrphBuildModel(graphs[0], options, model_), GRAPH_PARAM_INVALID);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("vector"));
}

}  // namespace
}  // namespace ge::testing
