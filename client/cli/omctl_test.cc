// Runs the program: command lines, exit codes, output; against a service that answers as told.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/npy.h"
#include "core/base/temporary_folder.h"
#include "client/cpp/fake_service.h"
#include "core/base/sha256.h"
#include "core/om/om_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "protos/onnx/onnx.pb.h"

namespace omserve::cli {
namespace {

using client::FakeService;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

class OmctlTest : public testing::Test {
 protected:
  void SetUp() override { folder_ = *TemporaryFolder::Create("omctl-"); }

  // The program's outcome for a command line, without any setting from the environment.
  Outcome Run(std::vector<std::string> arguments) {
    const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "omctl";
    const std::string out = folder_->File("stdout");
    const std::string err = folder_->File("stderr");
    arguments.insert(arguments.begin(), program.string());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char* const environment[] = {nullptr};
    const pid_t pid = fork();
    if (pid == 0) {
      dup2(out_fd, STDOUT_FILENO);
      dup2(err_fd, STDERR_FILENO);
      execve(argv[0], argv.data(), environment);
      _exit(127);
    }
    close(out_fd);
    close(err_fd);
    int status = 0;
    waitpid(pid, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, Content(out), Content(err)};
  }

  Outcome RunOnFake(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--coordinator", fake_.address()});
    return Run(std::move(arguments));
  }

  FakeService fake_;
  std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(OmctlTest, CommandLinesThatCannotBeUnderstoodExitWith2) {
  const std::vector<std::string> lines[] = {
      {},
      {"frobnicate"},
      {"models", "--frobnicate", "--coordinator", "a:1"},
      {"models", "extra", "--coordinator", "a:1"},
      {"models", "--output", "xml", "--coordinator", "a:1"},
      {"models", "--timeout", "0", "--coordinator", "a:1"},
      {"models", "--timeout", "soon", "--coordinator", "a:1"},
      {"models"},
      {"cluster"},
      {"load", "x.om"},
      {"load", "--coordinator", "a:1"},
      {"unload", "--coordinator", "a:1"},
      {"run", "m"},
      {"run", "--coordinator", "a:1"},
      {"run", "m", "--input", "x", "--coordinator", "a:1"},
      {"run", "m", "--input", "x=y.npy", "--coordinator", "a:1"},
      {"run", "m", "--input", "=@y.npy", "--coordinator", "a:1"},
      {"run", "m", "--input", "x=@", "--coordinator", "a:1"},
      {"build", "m.onnx"},
      {"build", "-o", "m.om"},
      {"build", "-o", "m.om", "--model-relation-config", "r.json"},
      {"build", "-o", "m.om", "--shard-model-dir", "slices"},
      {"build", "m.onnx", "-o", "m.om", "--model-relation-config", "r.json", "--shard-model-dir", "slices"},
      {"build", "m.onnx", "-o", "m.om", "--tensor-parallel", "0"},
      {"build", "m.onnx", "-o", "m.om", "--tensor-parallel", "two"},
      {"build", "m.onnx", "-o", "m.om", "--tensor-parallel", "2", "--parallel", "p.json"},
      {"build", "m.onnx", "-o", "m.om", "--objective", "throughput"},
      {"build", "m.onnx", "-o", "m.om", "--auto", "--objective", "speed"},
      {"build", "m.onnx", "-o", "m.om", "--global-batch", "0"},
      {"inspect"},
      {"verify"},
      {"verify", "folder", "--rtol", "-1"},
  };
  for (const std::vector<std::string>& line : lines) {
    const Outcome outcome = Run(line);
    EXPECT_EQ(outcome.exit_code, 2) << absl::StrCat(line.empty() ? "" : line[0]) << " " << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err, "");
  }
}

TEST_F(OmctlTest, HelpAndVersionExitWith0) {
  EXPECT_EQ(Run({"--help"}).exit_code, 0);
  EXPECT_THAT(Run({"build", "--help"}).out, HasSubstr("--cluster-config"));
  const Outcome version = Run({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.out, OMSERVE_VERSION "\n");
}

TEST_F(OmctlTest, FailuresExitWith1AndNameTheCode) {
  fake_.on_unload = [](const v1::UnloadRequest&) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "no model 'm'; loaded: a, b");
  };
  Outcome outcome = RunOnFake({"unload", "m"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "omctl: NOT_FOUND: no model 'm'; loaded: a, b\n");

  outcome = RunOnFake({"unload", "m", "--output", "json"});
  EXPECT_EQ(outcome.exit_code, 1);
  const json error = json::parse(outcome.err).at("error");
  EXPECT_EQ(error.at("code"), "NOT_FOUND");
  EXPECT_EQ(error.at("message"), "no model 'm'; loaded: a, b");
}

TEST_F(OmctlTest, NobodyListeningIsAFailure) {
  const Outcome outcome = Run({"models", "--coordinator", "127.0.0.1:1"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("UNAVAILABLE"), HasSubstr("127.0.0.1:1")));
}

TEST_F(OmctlTest, TimeoutEndsACallThatDoesNotAnswer) {
  fake_.on_run = [](grpc::ServerContext* context, const v1::RunRequest&, v1::RunResponse*) {
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::CANCELLED;
  };
  const Outcome outcome = RunOnFake({"run", "m", "--timeout", "0.3"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("DEADLINE_EXCEEDED"));
}

TEST_F(OmctlTest, ModelsAndClusterForPeopleAndForMachines) {
  fake_.on_list = [](v1::ListModelsResponse* response) {
    v1::ModelStatus* model = response->add_models();
    model->set_name("stories");
    model->set_state(v1::MODEL_STATE_READY);
    v1::SlicePlacement* slice = model->add_slices();
    slice->set_slice("stories_rank0");
    slice->set_worker("w1");
    slice->set_weight_bytes(2048);
    return grpc::Status::OK;
  };
  fake_.on_describe = [](v1::DescribeClusterResponse* response) {
    v1::WorkerStatus* worker = response->add_workers();
    worker->set_name("w1");
    worker->set_lost_cause("lease expired");
    worker->add_devices()->set_kind("cpu");
    return grpc::Status::OK;
  };
  EXPECT_THAT(RunOnFake({"models"}).out,
              AllOf(HasSubstr("stories  READY"), HasSubstr("stories_rank0"), HasSubstr("2.0 KiB")));
  EXPECT_THAT(RunOnFake({"cluster"}).out, AllOf(HasSubstr("w1"), HasSubstr("lost: lease expired")));
  const json models = json::parse(RunOnFake({"models", "--output", "json"}).out).at("models");
  EXPECT_EQ(models.at(0).at("state"), "READY");
  EXPECT_EQ(models.at(0).at("slices").at(0).at("weight_bytes"), 2048);
  const json cluster = json::parse(RunOnFake({"cluster", "--output", "json"}).out);
  EXPECT_EQ(cluster.at("workers").at(0).at("alive"), false);
}

TEST_F(OmctlTest, RunReadsAndWritesNumpyFiles) {
  fake_.on_run = [](grpc::ServerContext*, const v1::RunRequest& request, v1::RunResponse* response) {
    *response->add_outputs() = request.inputs(0);
    response->mutable_outputs(0)->set_name("../evil/name");
    *response->add_outputs() = request.inputs(1);
    response->mutable_outputs(1)->set_name(".._evil_name");
    return grpc::Status::OK;
  };
  ASSERT_TRUE(WriteNpy(folder_->File("a.npy"), Tensor::Of<int64_t>({1, 3}, {4, 5, 6})).ok());
  ASSERT_TRUE(WriteNpy(folder_->File("b.npy"), Tensor::Of<float>({0, 2}, {})).ok());
  const Outcome outcome = RunOnFake({"run", "m", "--input", "x=1=@" + folder_->File("a.npy"), "--input",
                                     "b=@" + folder_->File("b.npy"), "--output-dir", folder_->File("out")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("int64[1,3]"), HasSubstr("[4, 5, 6]"), HasSubstr("float32[0,2]")));

  // Names of outputs lead nowhere but into the folder.
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder_->File("out"))) {
    files.push_back(entry.path().filename().string());
  }
  std::sort(files.begin(), files.end());
  EXPECT_THAT(files, ElementsAre("_._evil_name.npy", "_._evil_name_2.npy"));
  const auto back = ReadNpy(folder_->File("out/_._evil_name.npy"));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_THAT(back->values<int64_t>(), ElementsAre(4, 5, 6));
}

TEST_F(OmctlTest, RunRefusesADamagedInputFile) {
  std::ofstream(folder_->File("bad.npy")) << "not numpy";
  const Outcome outcome = RunOnFake({"run", "m", "--input", "x=@" + folder_->File("bad.npy")});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("INVALID_ARGUMENT: input 'x'"), HasSubstr("bad.npy")));
}

TEST_F(OmctlTest, BuildSendsThePolicyThatANumberStandsFor) {
  std::ofstream(folder_->File("m.onnx")) << "";
  v1::BuildOptions seen;
  fake_.on_build = [&](const v1::BuildOptions& options, const client::ReceivedFiles&, const auto&) {
    seen = options;
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "empty model");
  };
  const std::string model = folder_->File("m.onnx");
  const std::string om = folder_->File("m.om");
  const Outcome outcome =
      RunOnFake({"build", model, "-o", om, "--tensor-parallel", "3", "--input-shape", "x:1,2"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("INVALID_ARGUMENT: empty model"));
  EXPECT_EQ(seen.input_shapes(), "x:1,2");
  const json policy = json::parse(seen.parallel_config());
  EXPECT_EQ(policy.at("graph_parallel_option").at("tensor_parallel_option").at("tensor_parallel_size"), 3);
  const json cluster = json::parse(seen.cluster_config());
  EXPECT_EQ(cluster.at("cluster").at(0).at("cluster_nodes").at(0).at("item_list").size(), 3u);

  RunOnFake({"build", model, "-o", om, "--auto", "--objective", "decode", "--global-batch", "8"});
  const json chosen = json::parse(seen.parallel_config()).at("graph_parallel_option");
  EXPECT_EQ(chosen.at("objective"), "decode");
  EXPECT_EQ(chosen.at("global_batch_size"), 8);

  // Without any of these nothing is asked.
  RunOnFake({"build", model, "-o", om});
  EXPECT_EQ(seen.parallel_config(), "");
  EXPECT_EQ(seen.cluster_config(), "");
}

TEST_F(OmctlTest, BuildLocatesErrorsOfTheClusterFile) {
  std::ofstream(folder_->File("m.onnx")) << "";
  std::ofstream(folder_->File("c.json")) << R"({"cluster": 7})";
  const Outcome outcome = RunOnFake({"build", folder_->File("m.onnx"), "-o", folder_->File("m.om"),
                                     "--cluster-config", folder_->File("c.json")});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("c.json"), HasSubstr("cluster")));
}

// ---- With an OM: y = x + w in two slices, whatever the model says.

class OmctlModelTest : public OmctlTest {
 protected:
  void SetUp() override {
    OmctlTest::SetUp();
    SlicedModel model;
    model.info = {.name = "adder",
                  .inputs = {{"x", {DataType::kFloat, {2}}}},
                  .outputs = {{"y", {DataType::kFloat, {2}}}},
                  .groups = {{"tp", {0, 1}}},
                  .build = {{"plan", "cut x in two"}}};
    for (int rank = 0; rank < 2; ++rank) {
      Graph graph(absl::StrCat("adder_rank", rank));
      Node* x = graph.AddData("x", {DataType::kFloat, {2}});
      Node* w = graph.AddConst("w", Tensor::Of<float>({2}, {1, 2}));
      Node* y = graph.AddNode("Add", "y", {x->out(), w->out()});
      y->SetOutput(0, {DataType::kFloat, {2}});
      graph.AddOutput("y", y->out());
      model.graphs.push_back(std::move(graph));
      model.info.slices.push_back({.name = absl::StrCat("adder_rank", rank),
                                   .devices = {LogicalDeviceId{.item = rank}},
                                   .inputs = {0},
                                   .outputs = {{.output = 0, .begin = {0}, .extent = {2}}},
                                   .weight_bytes = 8});
    }
    ASSERT_TRUE(WriteOm(model, Om()).ok());

    fake_.on_build = [this](const v1::BuildOptions& options, const client::ReceivedFiles&,
                            const std::function<void(const v1::BuildResponse&)>& send) {
      builds_.push_back(options);
      const std::string om = Content(Om());
      v1::BuildResponse response;
      response.mutable_result()->set_model_name("adder");
      send(response);
      response.mutable_file()->set_name("adder.om");
      response.mutable_file()->set_size(om.size());
      response.mutable_file()->set_sha256(Sha256::Of(om));
      send(response);
      response.set_chunk(om);
      send(response);
      return grpc::Status::OK;
    };
    fake_.on_load_options = [](const v1::LoadOptions&) { return v1::NeedFiles(); };
    fake_.on_load = [](const client::ReceivedFiles&,
                       const std::function<void(const v1::LoadResponse&)>& send) {
      v1::LoadResponse response;
      response.mutable_result()->mutable_model()->set_state(v1::MODEL_STATE_READY);
      send(response);
      return grpc::Status::OK;
    };
    fake_.on_unload = [this](const v1::UnloadRequest&) {
      ++unloads_;
      return grpc::Status::OK;
    };
    // Answers its input: right wherever a data set expects that.
    fake_.on_run = [](grpc::ServerContext*, const v1::RunRequest& request, v1::RunResponse* response) {
      *response->add_outputs() = request.inputs(0);
      response->mutable_outputs(0)->set_name("y");
      return grpc::Status::OK;
    };
  }

  std::string Om() const { return folder_->File("adder.om"); }

  void WriteFile(const std::string& name, const google::protobuf::MessageLite& message) {
    const std::filesystem::path path = folder_->File("model/" + name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << message.SerializeAsString();
  }
  static onnx::TensorProto Floats(const std::vector<float>& values) {
    onnx::TensorProto proto;
    proto.add_dims(static_cast<int64_t>(values.size()));
    proto.set_data_type(ToOnnxNumber(DataType::kFloat));
    proto.mutable_float_data()->Assign(values.begin(), values.end());
    return proto;
  }
  // A model with one input and a data set for each pair of input and expected output.
  std::string WriteModel(const std::vector<std::pair<std::vector<float>, std::vector<float>>>& sets) {
    onnx::ModelProto model;
    model.mutable_graph()->add_input()->set_name("x");
    WriteFile("model.onnx", model);
    for (size_t i = 0; i < sets.size(); ++i) {
      WriteFile(absl::StrCat("test_data_set_", i, "/input_0.pb"), Floats(sets[i].first));
      WriteFile(absl::StrCat("test_data_set_", i, "/output_0.pb"), Floats(sets[i].second));
    }
    return folder_->File("model");
  }

  std::vector<v1::BuildOptions> builds_;
  int unloads_ = 0;
};

TEST_F(OmctlModelTest, InspectShowsSlicesAndDigests) {
  const Outcome text = Run({"inspect", Om()});
  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("model adder"), HasSubstr("cut x in two"), HasSubstr("adder_rank1"),
                              HasSubstr("0:0:1:0"), HasSubstr("tp     0,1"), HasSubstr("float32[2]")));
  const Outcome machine = Run({"inspect", Om(), "--verify-digests", "--output", "json"});
  ASSERT_EQ(machine.exit_code, 0) << machine.err;
  const json document = json::parse(machine.out);
  EXPECT_EQ(document.at("digests_verified"), true);
  EXPECT_EQ(document.at("slices").at(1).at("devices").at(0), "0:0:1:0");
  EXPECT_EQ(document.at("slices").at(1).at("digest").get<std::string>().size(), 64u);
  EXPECT_EQ(document.at("groups").at(0).at("ranks"), json({0, 1}));
}

TEST_F(OmctlModelTest, InspectFindsADamagedWeight) {
  std::string om = Content(Om());
  const float weights[] = {1, 2};
  const size_t at = om.find(std::string(reinterpret_cast<const char*>(weights), sizeof(weights)));
  ASSERT_NE(at, std::string::npos);
  om[at] ^= 1;
  std::ofstream(Om(), std::ios::binary) << om;
  EXPECT_EQ(Run({"inspect", Om()}).exit_code, 0);
  const Outcome outcome = Run({"inspect", Om(), "--verify-digests"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("DATA_LOSS"), HasSubstr("adder_rank0")));
}

TEST_F(OmctlModelTest, VerifyPassesWhatIsWithinTolerance) {
  const std::string folder = WriteModel({{{1, 2}, {1, 2}}, {{3, 4}, {3, 4.001f}}});
  const Outcome outcome = RunOnFake({"verify", folder, "--tensor-parallel", "2"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err << outcome.out;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("test_data_set_0  y"), HasSubstr("exact"), HasSubstr("model: pass")));
  // One build serves both sets; it is told the shapes and the policy, and unloaded in the end.
  ASSERT_EQ(builds_.size(), 1u);
  EXPECT_EQ(builds_[0].input_shapes(), "x:2");
  EXPECT_THAT(builds_[0].parallel_config(), HasSubstr("\"tensor_parallel_size\":2"));
  EXPECT_EQ(unloads_, 1);
}

TEST_F(OmctlModelTest, VerifyReportsEveryDifference) {
  const std::string folder = WriteModel({{{1, 2}, {1, 3}}, {{1, 2, 3}, {1, 2, 3}}, {{5, 6}, {5, 6, 7}}});
  const Outcome outcome = RunOnFake({"verify", folder, "--output", "json"});
  EXPECT_EQ(outcome.exit_code, 1);
  const json document = json::parse(outcome.out);
  EXPECT_EQ(document.at("passed"), false);
  const json& first = document.at("data_sets").at(0).at("outputs").at(0);
  EXPECT_EQ(first.at("passed"), false);
  EXPECT_EQ(first.at("worst_absolute"), 1.0);
  EXPECT_EQ(first.at("worst").at("index"), json({1}));
  EXPECT_EQ(document.at("data_sets").at(1).at("passed"), true);
  EXPECT_EQ(document.at("data_sets").at(2).at("outputs").at(0).at("mismatch"),
            "expected float32[3], found float32[2]");
  EXPECT_EQ(builds_.size(), 2u);  // two shapes
  EXPECT_THAT(RunOnFake({"verify", folder}).out,
              HasSubstr("at [1]: expected 3, found 2; 1 of 2 elements differ"));
}

TEST_F(OmctlModelTest, VerifyGoesOnAfterAFailure) {
  const std::string folder = WriteModel({{{1, 2}, {1, 2}}, {{1, 2, 3}, {1, 2, 3}}});
  const auto build = fake_.on_build;
  fake_.on_build = [&](const v1::BuildOptions& options, const client::ReceivedFiles& files,
                       const auto& send) {
    if (options.input_shapes() == "x:2")
      return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "operator Foo of node f");
    return build(options, files, send);
  };
  const Outcome outcome = RunOnFake({"verify", folder});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("UNIMPLEMENTED: build: operator Foo of node f"), HasSubstr("pass  ")));
}

TEST_F(OmctlModelTest, VerifyUnloadsWhenARunFails) {
  const std::string folder = WriteModel({{{1, 2}, {1, 2}}});
  fake_.on_run = [](grpc::ServerContext*, const v1::RunRequest&, v1::RunResponse*) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "worker w1 was lost");
  };
  const Outcome outcome = RunOnFake({"verify", folder});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("UNAVAILABLE: run: worker w1 was lost"));
  EXPECT_EQ(unloads_, 1);
}

TEST_F(OmctlModelTest, VerifyNeedsAnInputForEachOfTheModel) {
  const std::string folder = WriteModel({{{1, 2}, {1, 2}}});
  onnx::ModelProto model;
  for (const char* name : {"x", "mask"}) model.mutable_graph()->add_input()->set_name(name);
  WriteFile("model.onnx", model);
  const Outcome outcome = RunOnFake({"verify", folder});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("test_data_set_0 has 1 inputs, the model 2: x, mask"));
}

TEST_F(OmctlTest, InspectOfWhatIsNoOmFails) {
  std::ofstream(folder_->File("junk.om")) << std::string(1000, 'x');
  EXPECT_EQ(Run({"inspect", folder_->File("junk.om")}).exit_code, 1);
  EXPECT_EQ(Run({"inspect", folder_->File("absent.om")}).exit_code, 1);
}

}  // namespace
}  // namespace omserve::cli
