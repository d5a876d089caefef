#include "omserve/client.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "client/cpp/fake_service.h"
#include "core/base/sha256.h"
#include "core/om/om_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::client {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              absl::StrCat("omserve_client_", testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    auto client = Client::Connect(fake_.address());
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  void Write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(Path(name), std::ios::binary) << content;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    std::stringstream content;
    content << file.rdbuf();
    return content.str();
  }
  std::vector<std::string> FilesInFolder() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(folder_).string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  FakeService fake_;
  std::unique_ptr<Client> client_;
  std::filesystem::path folder_;
};

// ---- Connecting

TEST(ConnectTest, AddressWithoutPortIsRefused) {
  for (const char* address : {"", "localhost", ":90", "host:", "host:x", "host:0", "host:65536"}) {
    const auto client = Client::Connect(address);
    EXPECT_EQ(client.status().code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(Message(client.status()), HasSubstr("expected HOST:PORT"));
  }
}

TEST(ConnectTest, NobodyListeningFailsAtOnceNamingTheAddress) {
  std::string address;
  {
    FakeService gone;
    address = gone.address();
  }
  const auto client = Client::Connect(address, {.timeout = absl::Minutes(10)});
  EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Message(client.status()), AllOf(HasSubstr(address), HasSubstr("refused")));
}

TEST(ConnectTest, StopEndsTheWaitForAListener) {
  std::string address;
  {
    FakeService gone;
    address = gone.address();
  }
  std::stop_source stop;
  stop.request_stop();
  const auto client = Client::Connect(
      address, {.timeout = absl::Minutes(10), .stop = stop.get_token(), .wait_until_listening = true});
  EXPECT_EQ(client.status().code(), absl::StatusCode::kCancelled);
}

// ---- Running

TEST_F(ClientTest, EveryStatusCodeOfARunArrivesWithItsMessage) {
  for (int code = 1; code <= 16; ++code) {
    fake_.on_run = [code](grpc::ServerContext*, const v1::RunRequest&, v1::RunResponse*) {
      return grpc::Status(static_cast<grpc::StatusCode>(code),
                          absl::StrCat("cause ", code, ": ünïcode, 100%"));
    };
    const auto result = client_->Run("m", {});
    EXPECT_EQ(static_cast<int>(result.status().code()), code);
    EXPECT_EQ(Message(result.status()), absl::StrCat("cause ", code, ": ünïcode, 100%"));
  }
}

TEST_F(ClientTest, LongMessageDoesNotReplaceTheCode) {
  const std::string message(20000, 'x');
  fake_.on_run = [&](grpc::ServerContext*, const v1::RunRequest&, v1::RunResponse*) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, message);
  };
  EXPECT_EQ(client_->Run("m", {}).status(), absl::NotFoundError(message));
}

TEST_F(ClientTest, RunCarriesInputsAndOutputs) {
  v1::RunRequest seen;
  fake_.on_run = [&](grpc::ServerContext*, const v1::RunRequest& request, v1::RunResponse* response) {
    seen = request;
    response->set_request_id("given");
    auto* output = response->add_outputs();
    output->set_name("y");
    output->set_dtype("float32");
    output->add_shape(2);
    const float values[] = {0.5f, -1.0f};
    output->set_data(values, sizeof(values));
    auto* empty = response->add_outputs();
    empty->set_name("none");
    empty->set_dtype("int64");
    empty->add_shape(0);
    return grpc::Status::OK;
  };
  const std::vector<int64_t> ids = {1, 2, 3};
  const auto result =
      client_->Run("m", {Tensor::Of<int64_t>("ids", {1, 3}, ids)}, {.outputs = {"y", "none"}});
  ASSERT_TRUE(result.ok()) << result.status();

  EXPECT_EQ(seen.model(), "m");
  EXPECT_THAT(seen.outputs(), ElementsAre("y", "none"));
  ASSERT_EQ(seen.inputs_size(), 1);
  EXPECT_EQ(seen.inputs(0).dtype(), "int64");
  EXPECT_THAT(seen.inputs(0).shape(), ElementsAre(1, 3));
  EXPECT_EQ(std::memcmp(seen.inputs(0).data().data(), ids.data(), 24), 0);

  EXPECT_EQ(result->request_id, "given");
  ASSERT_EQ(result->outputs.size(), 2u);
  EXPECT_THAT(result->outputs[0].As<float>().value(), ElementsAre(0.5f, -1.0f));
  EXPECT_THAT(result->outputs[1].shape(), ElementsAre(0));
  EXPECT_THAT(result->outputs[1].As<int64_t>().value(), IsEmpty());
}

TEST_F(ClientTest, TensorsLargerThanGrpcsDefaultLimitPass) {
  fake_.on_run = [&](grpc::ServerContext*, const v1::RunRequest& request, v1::RunResponse* response) {
    *response->add_outputs() = request.inputs(0);
    return grpc::Status::OK;
  };
  auto values = std::make_shared<std::vector<float>>(3 << 20, 2.0f);
  const auto result = client_->Run("m", {Tensor::Shared({"x", "float32", {3 << 20}}, values, values->data(),
                                                        values->size() * sizeof(float))});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(std::ranges::equal(result->outputs[0].As<float>().value(), *values));
}

TEST_F(ClientTest, OutputWhoseBytesDoNotFitItsShapeIsRefused) {
  fake_.on_run = [&](grpc::ServerContext*, const v1::RunRequest&, v1::RunResponse* response) {
    auto* output = response->add_outputs();
    output->set_name("y");
    output->set_dtype("float32");
    output->add_shape(3);
    output->set_data("12345678");
    return grpc::Status::OK;
  };
  const auto result = client_->Run("m", {});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(Message(result.status()), HasSubstr("'y' of the answer: float32[3] takes 12 bytes, found 8"));
}

// Holds runs until the client gives them up; a run that nobody ends would hang the test.
class HoldingTest : public ClientTest {
 protected:
  HoldingTest() {
    fake_.on_run = [this](grpc::ServerContext* context, const v1::RunRequest&, v1::RunResponse*) {
      if (!arrived_.HasBeenNotified()) arrived_.Notify();
      while (!context->IsCancelled()) std::this_thread::yield();
      if (!given_up_.HasBeenNotified()) given_up_.Notify();
      return grpc::Status(grpc::StatusCode::ABORTED, "too late to be seen");
    };
  }
  absl::Notification arrived_;   // the run is with the service
  absl::Notification given_up_;  // the service has been told that the client left
};

TEST_F(HoldingTest, TimeoutEndsTheRunOnBothSides) {
  const auto result = client_->Run("m", {}, {{.timeout = absl::Milliseconds(50)}});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
  given_up_.WaitForNotification();
}

TEST_F(HoldingTest, StopEndsTheRunOnBothSides) {
  std::stop_source stop;
  absl::Notification done;
  absl::StatusOr<RunResult> result;
  client_->RunAsync("m", {}, {{.stop = stop.get_token()}}, [&](absl::StatusOr<RunResult> answer) {
    result = std::move(answer);
    done.Notify();
  });
  arrived_.WaitForNotification();
  stop.request_stop();
  done.WaitForNotification();
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  given_up_.WaitForNotification();
}

TEST_F(HoldingTest, StopRequestedBeforeNeverStarts) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(client_->Run("m", {}, {{.stop = stop.get_token()}}).status().code(),
            absl::StatusCode::kCancelled);
}

TEST_F(HoldingTest, DestroyingTheClientCancelsAndWaitsForCallbacks) {
  int called = 0;
  absl::StatusCode code = absl::StatusCode::kOk;
  client_->RunAsync("m", {}, {}, [&](absl::StatusOr<RunResult> answer) {
    code = answer.status().code();
    ++called;
  });
  arrived_.WaitForNotification();
  client_.reset();
  EXPECT_EQ(called, 1);
  EXPECT_EQ(code, absl::StatusCode::kCancelled);
}

TEST_F(ClientTest, ManyAsyncRunsAnswerOnceEach) {
  fake_.on_run = [&](grpc::ServerContext*, const v1::RunRequest& request, v1::RunResponse* response) {
    response->set_request_id(request.request_id());
    return grpc::Status::OK;
  };
  constexpr int kRuns = 200;
  absl::Mutex mutex;
  std::map<std::string, int> answers;
  for (int i = 0; i < kRuns; ++i) {
    client_->RunAsync("m", {}, {.request_id = absl::StrCat(i)}, [&](absl::StatusOr<RunResult> answer) {
      absl::MutexLock lock(&mutex);
      ++answers[answer.ok() ? answer->request_id : "failed"];
    });
  }
  absl::MutexLock lock(&mutex);
  auto all = [&answers] { return answers.size() == kRuns; };
  ASSERT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&all), absl::Seconds(60)));
  for (const auto& [id, count] : answers) EXPECT_EQ(count, 1) << id;
}

// ---- Building

constexpr char kOm[] = "the offline model";

v1::BuildResponse FileStep(const std::string& name, const std::string& content) {
  v1::BuildResponse response;
  response.mutable_file()->set_name(name);
  response.mutable_file()->set_size(content.size());
  response.mutable_file()->set_sha256(Sha256::Of(content));
  return response;
}
v1::BuildResponse ChunkStep(const std::string& content) {
  v1::BuildResponse response;
  response.set_chunk(content);
  return response;
}
v1::BuildResponse ResultStep() {
  v1::BuildResponse response;
  response.mutable_result()->set_model_name("mlp");
  response.mutable_result()->set_plan("2 slices");
  return response;
}

class BuildTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    Write("model.onnx", "a model");
    std::filesystem::create_directories(folder_ / "out");
    fake_.on_build = [this](const v1::BuildOptions& options, const ReceivedFiles& files,
                            const std::function<void(const v1::BuildResponse&)>& send) {
      options_ = options;
      received_ = files;
      for (const v1::BuildResponse& step : answer_) send(step);
      return end_;
    };
  }
  v1::BuildOptions options_;
  ReceivedFiles received_;
  std::vector<v1::BuildResponse> answer_ = {ResultStep(), FileStep("x.om", kOm), ChunkStep(kOm)};
  grpc::Status end_;
};

TEST_F(BuildTest, SendsTheModelAndWritesTheOm) {
  v1::BuildResponse progress;
  progress.mutable_progress()->set_phase("plan");
  progress.mutable_progress()->set_fraction(0.5);
  answer_.insert(answer_.begin(), progress);

  std::vector<std::string> phases;
  const auto result = client_->Build(
      Path("model.onnx"), Path("out/m.om"),
      {.model_name = "name", .cluster_config = "{c}", .parallel_config = "{p}", .input_shapes = "x:1,2", .cost_config = "{m}"},
      [&](const Progress& p) {
        if (phases.empty() || phases.back() != p.phase) phases.push_back(p.phase);
      });
  ASSERT_TRUE(result.ok()) << result.status();

  EXPECT_EQ(options_.model_name(), "name");
  EXPECT_EQ(options_.model_file(), "model.onnx");
  EXPECT_EQ(options_.cluster_config(), "{c}");
  EXPECT_EQ(options_.parallel_config(), "{p}");
  EXPECT_EQ(options_.cost_config(), "{m}");
  EXPECT_EQ(options_.input_shapes(), "x:1,2");
  EXPECT_THAT(received_.content, ElementsAre(Pair("model.onnx", "a model")));
  EXPECT_EQ(received_.sha256["model.onnx"], Sha256::Of("a model"));
  EXPECT_THAT(phases, ElementsAre("digest", "upload", "plan", "download"));

  EXPECT_EQ(result->model_name, "mlp");
  EXPECT_THAT(result->files, ElementsAre(Path("out/m.om")));
  EXPECT_EQ(result->bytes, sizeof(kOm) - 1);
  EXPECT_EQ(Read("out/m.om"), kOm);
}

TEST_F(BuildTest, LargeFilesTravelWhole) {
  std::string model(5 << 20, '\0');
  for (size_t i = 0; i < model.size(); ++i) model[i] = static_cast<char>(i * 31 >> 3);
  Write("model.onnx", model);
  ASSERT_TRUE(client_->Build(Path("model.onnx"), Path("out/m.om")).ok());
  EXPECT_EQ(received_.sha256["model.onnx"], Sha256::Of(model));
  EXPECT_TRUE(received_.content["model.onnx"] == model);
}

// initializer { external_data { location }, data_location: EXTERNAL }
std::string ModelWithExternalData(const std::string& location) {
  auto field = [](char tag, const std::string& content) {
    return std::string{tag, static_cast<char>(content.size())} + content;
  };
  return field(0x3a, field(0x2a, field(0x6a, field(0x0a, "location") + field(0x12, location)) + "\x70\x01"));
}

TEST_F(BuildTest, ExternalDataGoesWithTheModel) {
  Write("model.onnx", ModelWithExternalData("data/w.bin"));
  Write("data/w.bin", "weights");
  ASSERT_TRUE(client_->Build(Path("model.onnx"), Path("out/m.om")).ok());
  EXPECT_THAT(received_.content, Contains(Pair("data/w.bin", "weights")));
}

TEST_F(BuildTest, ExternalDataMayNotLeaveTheFolder) {
  Write("outside.bin", "secret");
  Write("sub/model.onnx", ModelWithExternalData("../outside.bin"));
  const auto result = client_->Build(Path("sub/model.onnx"), Path("out/m.om"));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(received_.content, IsEmpty());
}

TEST_F(BuildTest, MissingFilesAreNamed) {
  Write("model.onnx", ModelWithExternalData("w.bin"));
  for (const auto& [model, missing] :
       {std::pair("absent.onnx", "absent.onnx"), std::pair("model.onnx", "w.bin")}) {
    const auto result = client_->Build(Path(model), Path("out/m.om"));
    EXPECT_EQ(result.status().code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(Message(result.status()), HasSubstr(missing));
  }
  EXPECT_EQ(client_->Build(Path("model.onnx"), Path("nowhere/m.om")).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(BuildTest, RefusalWhileTheModelIsBeingSentArrives) {
  Write("model.onnx", std::string(20 << 20, 'x'));
  fake_.on_build_options = [](const v1::BuildOptions&) {
    return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "operator LSTM of node 'lstm'");
  };
  EXPECT_EQ(client_->Build(Path("model.onnx"), Path("out/m.om")).status(),
            absl::UnimplementedError("operator LSTM of node 'lstm'"));
}

TEST_F(BuildTest, FilesBesideTheOmKeepTheirNames) {
  answer_ = {ResultStep(), FileStep("x.om", kOm), ChunkStep(kOm), FileStep("x/rank0.om", "slice"),
             ChunkStep("slice")};
  const auto result = client_->Build(Path("model.onnx"), Path("out/m.om"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Read("out/x/rank0.om"), "slice");
  EXPECT_EQ(result->files.size(), 2u);
}

TEST_F(BuildTest, NothingIsLeftBehindWhenTheBuildFails) {
  const std::vector<std::string> before = FilesInFolder();
  end_ = grpc::Status(grpc::StatusCode::INTERNAL, "disk on fire");
  EXPECT_EQ(client_->Build(Path("model.onnx"), Path("out/m.om")).status(),
            absl::InternalError("disk on fire"));
  EXPECT_EQ(FilesInFolder(), before);
}

TEST_F(BuildTest, DamagedAnswersAreRefusedAndLeaveNothing) {
  const std::vector<std::string> before = FilesInFolder();
  const struct {
    std::vector<v1::BuildResponse> answer;
    absl::StatusCode code;
  } cases[] = {
      {{ResultStep(), FileStep("x.om", kOm), ChunkStep("another content!!")}, absl::StatusCode::kDataLoss},
      {{ResultStep(), FileStep("x.om", kOm), ChunkStep("short")}, absl::StatusCode::kDataLoss},
      {{ResultStep(), FileStep("x.om", kOm), ChunkStep(kOm), ChunkStep("more")}, absl::StatusCode::kDataLoss},
      {{ResultStep(), FileStep("x.om", kOm), FileStep("y.om", "y")}, absl::StatusCode::kDataLoss},
      {{ResultStep(), FileStep("x.om", kOm), ChunkStep(kOm), FileStep("../y.om", "y"), ChunkStep("y")},
       absl::StatusCode::kPermissionDenied},
      {{ResultStep(), ChunkStep(kOm)}, absl::StatusCode::kInternal},
      {{ResultStep()}, absl::StatusCode::kInternal},
      {{FileStep("x.om", kOm), ChunkStep(kOm)}, absl::StatusCode::kInternal},
      {{}, absl::StatusCode::kInternal},
  };
  for (const auto& test : cases) {
    answer_ = test.answer;
    const auto result = client_->Build(Path("model.onnx"), Path("out/m.om"));
    EXPECT_EQ(result.status().code(), test.code) << result.status();
    EXPECT_EQ(FilesInFolder(), before);
  }
}

// ---- Loading

class LoadTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    fake_.on_load_options = [this](const v1::LoadOptions& options) {
      options_ = options;
      v1::NeedFiles need;
      for (const v1::FileHeader& file : options.files()) {
        if (wanted_) need.add_sha256(file.sha256());
      }
      return need;
    };
    fake_.on_load = [this](const ReceivedFiles& files,
                           const std::function<void(const v1::LoadResponse&)>& send) {
      received_ = files;
      if (!end_.ok()) return end_;
      v1::LoadResponse response;
      response.mutable_progress()->set_phase("compile");
      send(response);
      response.mutable_result()->mutable_model()->set_name(options_.name());
      response.mutable_result()->mutable_model()->set_state(v1::MODEL_STATE_READY);
      response.mutable_result()->set_bytes_pushed(7);
      send(response);
      return grpc::Status::OK;
    };
  }

  // An OM of two slices; small `max_embedded` puts them beside it.
  void WriteModel(const std::string& name, uint64_t max_embedded) {
    SlicedModel model;
    model.info.name = "mlp";
    model.info.inputs = {{"x", {DataType::kFloat, {2}}}};
    model.info.outputs = {{"y", {DataType::kFloat, {2}}}};
    for (int rank = 0; rank < 2; ++rank) {
      Graph graph(absl::StrCat("mlp_rank", rank));
      Node* x = graph.AddData("x", {DataType::kFloat, {2}});
      Node* w = graph.AddConst("w", omserve::Tensor::Of<float>({2}, {1.0f, static_cast<float>(rank)}));
      Node* y = graph.AddNode("Add", "y", {x->out(), w->out()});
      y->SetOutput(0, {DataType::kFloat, {2}});
      graph.AddOutput("y", y->out());
      model.graphs.push_back(std::move(graph));
      SliceInfo slice{.name = absl::StrCat("mlp_rank", rank),
                      .devices = {LogicalDeviceId{.item = rank}},
                      .inputs = {0},
                      .outputs = {{.output = 0, .begin = {0}, .extent = {2}}},
                      .weight_bytes = 8};
      model.info.slices.push_back(slice);
    }
    const absl::Status written = WriteOm(model, Path(name), {.max_embedded_bytes = max_embedded});
    ASSERT_TRUE(written.ok()) << written;
  }

  v1::LoadOptions options_;
  ReceivedFiles received_;
  bool wanted_ = true;
  grpc::Status end_;
};

TEST_F(LoadTest, SendsTheOmAndReportsTheResult) {
  WriteModel("m.om", uint64_t{1} << 30);
  std::vector<std::string> phases;
  const auto result = client_->Load(Path("m.om"), {.name = "served"}, [&](const Progress& progress) {
    if (phases.empty() || phases.back() != progress.phase) phases.push_back(progress.phase);
  });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(options_.name(), "served");
  EXPECT_THAT(received_.content, ElementsAre(Pair("m.om", Read("m.om"))));
  EXPECT_EQ(received_.sha256["m.om"], Sha256::Of(Read("m.om")));
  EXPECT_THAT(phases, ElementsAre("digest", "upload", "compile"));
  EXPECT_EQ(result->model.name, "served");
  EXPECT_EQ(result->model.state, ModelState::kReady);
  EXPECT_EQ(result->bytes_pushed, 7u);
}

TEST_F(LoadTest, FilesBesideTheOmGoWithIt) {
  WriteModel("m.om", 16);
  ASSERT_TRUE(client_->Load(Path("m.om")).ok());
  EXPECT_EQ(received_.content.size(), 3u);
  for (const auto& [name, content] : received_.content) EXPECT_TRUE(content == Read(name)) << name;
  EXPECT_EQ(options_.files(0).name(), "m.om");
}

TEST_F(LoadTest, SendsNothingThatTheServiceHolds) {
  WriteModel("m.om", uint64_t{1} << 30);
  wanted_ = false;
  ASSERT_TRUE(client_->Load(Path("m.om")).ok());
  EXPECT_THAT(received_.content, IsEmpty());
}

TEST_F(LoadTest, ErrorsOfTheServiceAndOfTheFileArrive) {
  WriteModel("m.om", uint64_t{1} << 30);
  end_ = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "need 10, have 5");
  EXPECT_EQ(client_->Load(Path("m.om")).status(), absl::ResourceExhaustedError("need 10, have 5"));
  EXPECT_EQ(client_->Load(Path("absent.om")).status().code(), absl::StatusCode::kNotFound);
  Write("junk.om", std::string(1000, 'x'));
  EXPECT_FALSE(client_->Load(Path("junk.om")).ok());
}

// ---- The small calls

TEST_F(ClientTest, UnloadSendsTheNameAndReturnsTheStatus) {
  fake_.on_unload = [](const v1::UnloadRequest& request) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND,
                        absl::StrCat("no model '", request.name(), "'; loaded: a, b"));
  };
  EXPECT_EQ(client_->Unload("m"), absl::NotFoundError("no model 'm'; loaded: a, b"));
}

TEST_F(ClientTest, ListModelsTellsEverything) {
  fake_.on_list = [](v1::ListModelsResponse* response) {
    auto* model = response->add_models();
    model->set_name("m");
    model->set_state(v1::MODEL_STATE_FAILED);
    model->set_cause("worker lost");
    model->set_runs(12);
    auto* input = model->add_inputs();
    input->set_name("x");
    input->set_dtype("float32");
    input->add_shape(-1);
    auto* slice = model->add_slices();
    slice->set_slice("m_rank0");
    slice->set_worker("w1");
    slice->set_weight_bytes(uint64_t{5} << 32);
    return grpc::Status::OK;
  };
  const auto models = client_->ListModels();
  ASSERT_TRUE(models.ok()) << models.status();
  ASSERT_EQ(models->size(), 1u);
  const ModelStatus& model = models->front();
  EXPECT_EQ(model.name, "m");
  EXPECT_STREQ(ToString(model.state), "FAILED");
  EXPECT_EQ(model.cause, "worker lost");
  EXPECT_EQ(model.runs, 12u);
  EXPECT_THAT(model.inputs, ElementsAre(TensorDesc{"x", "float32", {-1}}));
  EXPECT_THAT(model.slices, ElementsAre(AllOf(Field(&SlicePlacement::worker, "w1"),
                                              Field(&SlicePlacement::weight_bytes, uint64_t{5} << 32))));
}

TEST_F(ClientTest, DescribeClusterTellsEverything) {
  fake_.on_describe = [](v1::DescribeClusterResponse* response) {
    response->set_coordinator_version("0.1.0");
    auto* worker = response->add_workers();
    worker->set_name("w1");
    worker->set_lost_cause("lease expired");
    auto* device = worker->add_devices();
    device->set_kind("cpu");
    device->set_memory_bytes(1000);
    device->set_logical_id("0:0:1:0");
    return grpc::Status::OK;
  };
  const auto cluster = client_->DescribeCluster();
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->coordinator_version, "0.1.0");
  ASSERT_EQ(cluster->workers.size(), 1u);
  EXPECT_EQ(cluster->workers[0].lost_cause, "lease expired");
  ASSERT_EQ(cluster->workers[0].devices.size(), 1u);
  EXPECT_EQ(cluster->workers[0].devices[0].logical_id, "0:0:1:0");
}

}  // namespace
}  // namespace omserve::client
