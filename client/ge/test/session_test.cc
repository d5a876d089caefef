// What is documented of GEInitialize, Session and their messages.
#include <condition_variable>
#include <cstdlib>
#include <limits>
#include <mutex>

#include "test_util.h"

namespace ge::testing {
namespace {

using ::testing::HasSubstr;

class SessionTest : public RuntimeTest {};

// y = x + x
Graph Doubled(const char* name, std::vector<int64_t> dims = {2}) {
  auto x = Input("x", 0, dims);
  auto y = op::Add("y").set_input_x1(x).set_input_x2(x);
  Graph graph(name);
  graph.SetInputs({x}).SetOutputs(std::vector<Operator>{y});
  return graph;
}

std::vector<float> RunOne(Session& session, uint32_t id, const Tensor& input) {
  std::vector<Tensor> outputs;
  EXPECT_EQ(session.RunGraph(id, {input}, outputs), SUCCESS) << GEGetErrorMsg();
  return outputs.size() == 1 ? Values<float>(outputs[0]) : std::vector<float>();
}

TEST(UninitializedTest, ASessionHasIdZeroAndEveryCallFailsWithAText) {
  Session session{Strings{}};
  EXPECT_EQ(session.GetSessionId(), 0u);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10062"));
  std::vector<Tensor> outputs;
  EXPECT_EQ(session.AddGraph(0, Doubled("g")), FAILED);
  EXPECT_EQ(session.LoadGraph(0, {}, "x.om"), FAILED);
  EXPECT_EQ(session.RunGraph(0, {}, outputs), FAILED);
  EXPECT_EQ(session.RemoveGraph(0), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10062: Failed to RunGraph"));
  EXPECT_EQ(GEFinalize(), SUCCESS);
}

TEST(UninitializedTest, AnEmptyKeyFailsAndUnknownOnesWarn) {
  EXPECT_EQ(GEInitialize(Strings{{"", "1"}}), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10059"));
  EXPECT_EQ(GEInitialize(Strings{{"ge.graphRunMode", "7"}}), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10001"));
  EXPECT_EQ(GEInitialize(std::map<AscendString, AscendString>{{"no.such.key", "1"}, {"ge.graphRunMode", "1"}}), SUCCESS);
  EXPECT_THAT(GEGetWarningMsg(), HasSubstr("no.such.key"));
  EXPECT_EQ(GEFinalize(), SUCCESS);
}

TEST_F(SessionTest, MessagesAreReturnedOnce) {
  Session session{Strings{}};
  EXPECT_EQ(session.RemoveGraph(5), FAILED);
  EXPECT_THAT(GEGetErrorMsgV2().GetString(), HasSubstr("no graph 5"));
  EXPECT_EQ(GEGetErrorMsgV2(), AscendString(""));
}

TEST_F(SessionTest, ReusedIdKeepsTheFirstGraph) {
  Session session{Strings{}};
  EXPECT_GT(session.GetSessionId(), 0u);
  auto x = Input("x", 0, {2});
  auto y = op::Neg("y").set_input_x(x);
  Graph negated("negated");
  negated.SetInputs({x}).SetOutputs(std::vector<Operator>{y});
  EXPECT_EQ(session.AddGraph(1, Doubled("doubled")), SUCCESS);
  EXPECT_EQ(session.AddGraph(1, negated), SUCCESS);
  EXPECT_THAT(GEGetWarningMsg(), HasSubstr("the first one stays"));
  EXPECT_TRUE(session.IsGraphNeedRebuild(1));
  EXPECT_EQ(RunOne(session, 1, Make<float>({2}, {1, -3})), (std::vector<float>{2, -6}));
  EXPECT_FALSE(session.IsGraphNeedRebuild(1));
  EXPECT_EQ(session.RemoveGraph(1), SUCCESS);
  EXPECT_EQ(session.AddGraph(1, negated), SUCCESS);
  EXPECT_EQ(RunOne(session, 1, Make<float>({2}, {1, -3})), (std::vector<float>{-1, 3}));
}

TEST_F(SessionTest, ACopyDoesNotChangeWithTheGraph) {
  Session session{Strings{}};
  Graph graph = Doubled("copied");
  EXPECT_EQ(session.AddGraphWithCopy(1, graph), SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(session.AddGraph(2, graph), SUCCESS);
  Operator y;
  ASSERT_EQ(graph.FindOpByName("y", y), GRAPH_SUCCESS);
  auto negated = op::Neg("negated").set_input_x(y);
  graph.SetOutputs(std::vector<Operator>{negated});
  EXPECT_EQ(RunOne(session, 1, Make<float>({2}, {1, 2})), (std::vector<float>{2, 4}));
  EXPECT_EQ(RunOne(session, 2, Make<float>({2}, {1, 2})), (std::vector<float>{-2, -4}));
}

TEST_F(SessionTest, NoInputsWhereTheGraphHasNoData) {
  auto a = Constant<float>("a", {2}, {1, 2});
  auto y = op::Neg("y").set_input_x(a);
  Graph graph("constant");
  graph.SetOutputs(std::vector<Operator>{y});
  Session session{Strings{}};
  EXPECT_EQ(session.AddGraph(0, graph), SUCCESS) << GEGetErrorMsg();
  std::vector<Tensor> outputs;
  ASSERT_EQ(session.RunGraph(0, {}, outputs), SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(Values<float>(outputs[0]), (std::vector<float>{-1, -2}));
}

TEST_F(SessionTest, InputsByIndexAndOutputsAsDeclared) {
  auto b = Input("b", 1, {2});
  auto a = Input("a", 0, {2});
  auto difference = op::Sub("difference").set_input_x1(a).set_input_x2(b);
  auto sum = op::Add("sum").set_input_x1(a).set_input_x2(b);
  Graph graph("two");
  graph.SetInputs({b, a}).SetOutputs(std::vector<Operator>{sum, difference});
  Session session{Strings{}};
  EXPECT_EQ(session.AddGraph(0, graph), SUCCESS);
  std::vector<Tensor> outputs;
  ASSERT_EQ(session.RunGraph(0, {Make<float>({2}, {5, 6}), Make<float>({2}, {1, 2})}, outputs), SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(Values<float>(outputs[0]), (std::vector<float>{6, 8}));
  EXPECT_EQ(Values<float>(outputs[1]), (std::vector<float>{4, 4}));
  EXPECT_EQ(session.RunGraph(0, {Make<float>({2}, {5, 6})}, outputs), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E19025"));
  EXPECT_EQ(session.RunGraph(0, {Make<float>({2}, {5, 6}), Make<int32_t>({2}, {1, 2})}, outputs), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("int32"));
}

TEST_F(SessionTest, UnknownDimensionsComeFromTheInputs) {
  Session session{Strings{}};
  EXPECT_EQ(session.AddGraph(0, Doubled("dynamic", {-1})), SUCCESS);
  EXPECT_EQ(session.CompileGraph(0), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("unknown dimensions"));
  InputTensorInfo info;
  info.dims = {3};
  EXPECT_EQ(session.BuildGraph(0, std::vector<InputTensorInfo>{info}), SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(RunOne(session, 0, Make<float>({3}, {1, 2, 3})), (std::vector<float>{2, 4, 6}));
  EXPECT_EQ(RunOne(session, 0, Make<float>({1}, {7})), (std::vector<float>{14}));
}

TEST_F(SessionTest, AsynchronousRunsAnswerInOrder) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<float> answers;
  Session session{Strings{}};
  EXPECT_EQ(session.AddGraph(0, Doubled("later", {1})), SUCCESS);
  for (int i = 0; i < 5; ++i) {
    const auto callback = [&](Status status, std::vector<Tensor>& outputs) {
      const std::lock_guard<std::mutex> lock(mutex);
      answers.push_back(status == SUCCESS ? Values<float>(outputs[0])[0] : std::numeric_limits<float>::quiet_NaN());
      changed.notify_all();
    };
    EXPECT_EQ(session.RunGraphAsync(0, {Make<float>({1}, {static_cast<float>(i)})}, callback), SUCCESS);
  }
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait(lock, [&] { return answers.size() == 5; });
  EXPECT_EQ(answers, (std::vector<float>{0, 2, 4, 6, 8}));
  EXPECT_EQ(session.RunGraphAsync(9, {}, [](Status, std::vector<Tensor>&) {}), FAILED);
}

TEST_F(SessionTest, LoadGraphTakesOnlyDistributedModels) {
  const Folder folder;
  ASSERT_EQ(aclgrphBuildInitialize(Strings{}), GRAPH_SUCCESS);
  ModelBufferData ordinary;
  ModelBufferData distributed;
  // Any other value than "1" is off.
  ASSERT_EQ(aclgrphBuildModel(Doubled("m"), Strings{{ir_option::DISTRIBUTED_CLUSTER_BUILD, "true"}}, ordinary), GRAPH_SUCCESS)
      << GEGetErrorMsg();
  ASSERT_EQ(aclgrphBuildModel(Doubled("m"), Strings{{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"}}, distributed), GRAPH_SUCCESS)
      << GEGetErrorMsg();
  aclgrphBuildFinalize();
  ASSERT_EQ(aclgrphSaveModel((folder / "ordinary").c_str(), ordinary), GRAPH_SUCCESS);
  ASSERT_EQ(aclgrphSaveModel((folder / "distributed").c_str(), distributed), GRAPH_SUCCESS);

  Session session{Strings{}};
  EXPECT_EQ(session.LoadGraph(0, {}, folder / "ordinary.om"), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("distributed"));
  EXPECT_EQ(session.LoadGraph(0, {}, folder / "missing.om"), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("missing.om"));
  ASSERT_EQ(session.LoadGraph(0, {}, folder / "distributed.om"), SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(RunOne(session, 0, Make<float>({2}, {1, 2})), (std::vector<float>{2, 4}));
  EXPECT_EQ(session.LoadGraph(0, {}, folder / "distributed.om"), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("already"));
}

// The lines of the page, with a model that takes no inputs.
TEST(PageExampleTest, LoadsAndRuns) {
  const Folder folder;
  auto a = Constant<float>("a", {2}, {1, 2});
  auto y = op::Neg("y").set_input_x(a);
  Graph graph("page");
  graph.SetOutputs(std::vector<Operator>{y});
  ASSERT_EQ(aclgrphBuildInitialize(Strings{}), GRAPH_SUCCESS);
  ModelBufferData model;
  ASSERT_EQ(aclgrphBuildModel(graph, Strings{{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"}}, model), GRAPH_SUCCESS)
      << GEGetErrorMsg();
  aclgrphBuildFinalize();
  ASSERT_EQ(aclgrphSaveModel(folder / "page", model), GRAPH_SUCCESS);

  std::map<AscendString, AscendString> config = {{"ge.exec.deviceId", "0"}, {"ge.graphRunMode", "1"}};
  Status ret = ge::GEInitialize(config);
  ASSERT_EQ(ret, SUCCESS);
  std::map<AscendString, AscendString> options;
  ge::Session* session = new Session(options);
  ASSERT_NE(session, nullptr);
  uint32_t graph_id = 0;
  const std::string model_path = folder / "page.om";
  std::map<std::string, std::string> load_option;
  ret = session->LoadGraph(graph_id, load_option, model_path);
  EXPECT_EQ(ret, SUCCESS) << GEGetErrorMsg();
  std::vector<ge::Tensor> inputs;
  std::vector<ge::Tensor> outputs;
  ret = session->RunGraph(graph_id, inputs, outputs);
  EXPECT_EQ(ret, SUCCESS) << GEGetErrorMsg();
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(Values<float>(outputs[0]), (std::vector<float>{-1, -2}));
  delete session;
  ret = ge::GEFinalize();
  EXPECT_EQ(ret, SUCCESS);
}

TEST(AddressTest, NobodyListens) {
  const char* before = std::getenv("OMSERVE_ADDRESS");
  const std::string address = before == nullptr ? "" : before;
  ::setenv("OMSERVE_ADDRESS", "127.0.0.1:1", 1);
  ASSERT_EQ(GEInitialize(Strings{}), SUCCESS);
  Session session{Strings{}};
  EXPECT_EQ(session.GetSessionId(), 0u);
  EXPECT_THAT(GEGetErrorMsg(), ::testing::AllOf(HasSubstr("E10062"), HasSubstr("OMSERVE_ADDRESS"), HasSubstr("127.0.0.1:1")));
  EXPECT_EQ(session.AddGraph(0, Doubled("nobody")), FAILED);
  EXPECT_EQ(GEFinalize(), SUCCESS);
  if (address.empty()) {
    ::unsetenv("OMSERVE_ADDRESS");
  } else {
    ::setenv("OMSERVE_ADDRESS", address.c_str(), 1);
  }
}

TEST_F(SessionTest, SessionsDoNotSeeEachOthersGraphs) {
  Session first{Strings{}};
  Session second{Strings{}};
  EXPECT_NE(first.GetSessionId(), second.GetSessionId());
  EXPECT_EQ(first.AddGraph(0, Doubled("same")), SUCCESS);
  std::vector<Tensor> outputs;
  EXPECT_EQ(second.RunGraph(0, {}, outputs), FAILED);
  EXPECT_EQ(second.AddGraph(0, Doubled("same", {1})), SUCCESS);
  EXPECT_EQ(RunOne(second, 0, Make<float>({1}, {4})), (std::vector<float>{8}));
  EXPECT_EQ(RunOne(first, 0, Make<float>({2}, {1, 2})), (std::vector<float>{2, 4}));
}

TEST_F(SessionTest, LoadGraphRefusesVariables) {
  const Folder folder;
  // An OM that no build makes, written by a program beside this one.
  const std::string maker = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "client_ge_variable_om";
  const std::string path = folder / "variable.om";
  ASSERT_EQ(std::system((maker + " " + path).c_str()), 0);
  Session session{Strings{}};
  EXPECT_EQ(session.LoadGraph(0, {}, path), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("holds variable 'counter'"));
  std::vector<Tensor> outputs;
  EXPECT_EQ(session.RunGraph(0, {}, outputs), FAILED) << "nothing is registered";
}

// The devices of the process come from the environment, else from the option, else they are two.
TEST(ResourceConfigTest, DevicesAreThoseOfTheClusterFile) {
  if (std::getenv("OMSERVE_ADDRESS") != nullptr) GTEST_SKIP() << "the service has its own devices";
  const Folder folder;
  const std::string three = ClusterFile(folder, 3);
  ASSERT_EQ(aclgrphBuildInitialize(Strings{{ir_option::CLUSTER_CONFIG, three}}), GRAPH_SUCCESS);
  ModelBufferData model;
  ASSERT_EQ(aclgrphBuildModel(Doubled("replicas"), Strings{{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"}}, model), GRAPH_SUCCESS)
      << GEGetErrorMsg();
  aclgrphBuildFinalize();
  ASSERT_EQ(aclgrphSaveModel(folder / "replicas", model), GRAPH_SUCCESS);
  const auto load = [&](const Strings& options) {
    EXPECT_EQ(GEInitialize(options), SUCCESS) << GEGetErrorMsg();
    Status status = FAILED;
    {
      Session session{Strings{}};
      status = session.LoadGraph(0, {}, folder / "replicas.om");
      if (status == SUCCESS) {
        EXPECT_EQ(RunOne(session, 0, Make<float>({2}, {1, 2})), (std::vector<float>{2, 4}));
      }
    }
    EXPECT_EQ(GEFinalize(), SUCCESS);
    return status;
  };
  EXPECT_EQ(load({}), FAILED);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("3"));
  EXPECT_EQ(load({{RESOURCE_CONFIG_PATH, three}}), SUCCESS) << GEGetErrorMsg();
  const Folder other;
  ::setenv("RESOURCE_CONFIG_PATH", ClusterFile(other, 1).c_str(), 1);
  EXPECT_EQ(load({{RESOURCE_CONFIG_PATH, three}}), FAILED) << "the environment stands before the option";
  ::setenv("RESOURCE_CONFIG_PATH", three.c_str(), 1);
  EXPECT_EQ(load({}), SUCCESS) << GEGetErrorMsg();
  ::unsetenv("RESOURCE_CONFIG_PATH");
  EXPECT_EQ(GEInitialize(Strings{{RESOURCE_CONFIG_PATH, folder.Write("bad.json", "{")}}), ACL_ERROR_GE_PARAM_INVALID);
  EXPECT_THAT(GEGetErrorMsg(), HasSubstr("E10032"));
}

TEST_F(SessionTest, WhatTheServiceCannotDoSaysSo) {
  Session session{Strings{}};
  std::vector<Tensor> tensors;
  std::map<int32_t, std::vector<Tensor>> by_device;
  EXPECT_EQ(session.RunGraphDistribute(0, by_device, by_device), FAILED);
  EXPECT_EQ(session.RunGraphWithStreamAsync(0, nullptr, tensors, tensors), FAILED);
  EXPECT_EQ(session.GetVariables(std::vector<std::string>{"v"}, tensors), FAILED);
  EXPECT_EQ(session.SaveGraphsToPb("x"), FAILED);
  const std::string text = GEGetErrorMsg();
  for (const char* call : {"RunGraphDistribute", "RunGraphWithStreamAsync", "GetVariables", "SaveGraphsToPb"}) {
    EXPECT_THAT(text, HasSubstr(std::string("E10055: Session::") + call));
  }
  // Without partitioning there is nothing to do.
  EXPECT_EQ(session.ShardGraphs(), SUCCESS);
}

TEST(StatusFactoryTest, EveryDocumentedValueHasAText) {
  for (uint32_t value : {SUCCESS, FAILED, GE_CLI_GE_NOT_INITIALIZED, GE_CLI_SESS_RUN_FAILED, GE_GRAPH_NOT_BUILT,
                         GRAPH_PARAM_INVALID, ACL_ERROR_GE_PARAM_INVALID, ACL_ERROR_GE_MODEL_EXECUTE_TIMEOUT}) {
    EXPECT_NE(StatusFactory::Instance()->GetErrDesc(value), "") << value;
  }
  EXPECT_EQ(StatusFactory::Instance()->GetErrDesc(123456789), "");
  EXPECT_EQ(GE_CLI_SESS_RUN_FAILED, 1343229960u);
  EXPECT_EQ(GE_CLI_GE_NOT_INITIALIZED, 0x50101000u + 11u);
  EXPECT_EQ(GRAPH_PARAM_INVALID, 0x03000001u);
}

}  // namespace
}  // namespace ge::testing
