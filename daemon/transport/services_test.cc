// Coordinator and workers over real connections, with fake models and devices.
#include <cstring>
#include <filesystem>
#include <thread>

#include "absl/synchronization/notification.h"
#include "core/base/sha256.h"
#include "core/base/temporary_folder.h"
#include "daemon/coordinator/build_runner.h"
#include "daemon/coordinator/coordinator.h"
#include "daemon/testing/fake_model.h"
#include "daemon/testing/fake_parts.h"
#include "daemon/transport/build_service.h"
#include "daemon/transport/grpc_worker_link.h"
#include "daemon/transport/lease_client.h"
#include "daemon/transport/model_service.h"
#include "daemon/transport/registry_service.h"
#include "daemon/transport/rpc_server.h"
#include "daemon/transport/run_service.h"
#include "daemon/transport/worker_rpc_service.h"
#include "daemon/worker/worker_agent.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "omserve/v1/build.grpc.pb.h"
#include "omserve/v1/run.grpc.pb.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A worker process's worth of objects.
class Worker {
 public:
  Worker(const std::string& name, const std::string& coordinator, const std::string& folder, FakeMachine* machine,
         const Log* log, const std::string& version = "1.0")
      : agent_({name, version, name + "-i"}, FakeDevices(1, 64 << 20), machine->parts(),
               ContentStore::Open(folder + "/" + name, 1 << 30).value(), log),
        service_(&agent_),
        server_(RpcServer::Start({.listen = "127.0.0.1:0"}, {&service_}).value()),
        lease_({.coordinator = coordinator, .address = server_->address(), .first_retry = absl::Milliseconds(10)},
               &agent_, log),
        thread_([this] { status_ = lease_.Run(); }) {}
  ~Worker() { Leave().IgnoreError(); }

  // Ends as a worker does that is told to.
  absl::Status Leave() {
    lease_.Leave(absl::Now() + absl::Seconds(10));
    return Join();
  }
  absl::Status Join() {
    if (thread_.joinable()) thread_.join();
    return status_;
  }
  WorkerAgent& agent() { return agent_; }

 private:
  WorkerAgent agent_;
  WorkerRpcService service_;
  const std::unique_ptr<RpcServer> server_;
  LeaseClient lease_;
  absl::Status status_;
  std::thread thread_;
};

class ServicesTest : public testing::Test {
 protected:
  ServicesTest() { StartCoordinator("127.0.0.1:0"); }
  ~ServicesTest() override {
    workers_.clear();
    StopCoordinator();
  }

  void StartCoordinator(const std::string& listen) {
    CoordinatorOptions options;
    options.registry = {.version = "1.0", .heartbeat = absl::Milliseconds(20)};
    options.tick = absl::Milliseconds(10);
    options.deployment.abort_grace = absl::Milliseconds(20);
    coordinator_ = std::make_unique<Coordinator>(options, store_.get(), OpenFakeModel, Clock::Real(), Clock::Real(),
                                                 &log_, metrics_);
    builds_ = std::make_unique<BuildRunner>(
        BuildRunnerOptions{.folder = folder_->path()},
        [this](const auto& model, const auto& om, const auto& call, const auto& progress, const auto& limit) {
          return build_(model, om, call, progress, limit);
        },
        OpenFakeModel, &log_, metrics_);
    run_service_ = std::make_unique<RunService>(coordinator_.get(), metrics_);
    model_service_ = std::make_unique<ModelService>(coordinator_.get());
    cluster_service_ = std::make_unique<ClusterService>(coordinator_.get());
    build_service_ = std::make_unique<BuildService>(builds_.get());
    registry_service_ = std::make_unique<RegistryService>(
        coordinator_.get(), [](const WorkerHello& hello) { return std::make_shared<GrpcWorkerLink>(hello.address); });
    auto server = RpcServer::Start({.listen = listen, .address_file = folder_->path() + "/address"},
                                   {run_service_.get(), model_service_.get(), cluster_service_.get(),
                                    build_service_.get(), registry_service_.get()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(server).value();
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    models_ = v1::ModelService::NewStub(channel_);
    runs_ = v1::RunService::NewStub(channel_);
    cluster_ = v1::ClusterService::NewStub(channel_);
  }
  void StopCoordinator() {
    server_->Shutdown(absl::Now());
    coordinator_.reset();
    server_.reset();
  }

  Worker& AddWorker(const std::string& name) {
    workers_.push_back(std::make_unique<Worker>(name, server_->address(), folder_->path(), &machine_, &log_));
    AwaitWorker(name, true);
    return *workers_.back();
  }
  void AwaitWorker(const std::string& name, bool alive) {
    while (true) {
      const v1::DescribeClusterResponse cluster = Describe();
      for (const v1::WorkerStatus& worker : cluster.workers()) {
        if (worker.name() == name && worker.alive() == alive) return;
      }
      std::this_thread::yield();
    }
  }
  void AwaitEpoch(uint64_t epoch) {
    while (coordinator_->ListModels().at(0).epoch != epoch) std::this_thread::yield();
  }
  v1::DescribeClusterResponse Describe() {
    grpc::ClientContext context;
    v1::DescribeClusterResponse response;
    EXPECT_TRUE(cluster_->DescribeCluster(&context, {}, &response).ok());
    return response;
  }

  // Loads as a client does. `damage`: changes a byte on the way.
  grpc::Status Load(const FakeModelOptions& model, v1::LoadResult* result, bool damage = false) {
    std::string om = FakeOm(model);
    grpc::ClientContext context;
    auto stream = models_->Load(&context);
    v1::LoadRequest request;
    v1::FileHeader* header = request.mutable_options()->add_files();
    header->set_name("m.om");
    header->set_size(om.size());
    header->set_sha256(Sha256::Of(om));
    const v1::FileHeader file = *header;
    stream->Write(request);
    v1::LoadResponse response;
    if (stream->Read(&response) && response.need().sha256_size() > 0) {
      if (damage) om.back() ^= 1;
      *request.mutable_file() = file;
      stream->Write(request);
      for (size_t offset = 0; offset < om.size(); offset += 1 << 20) {
        request.set_chunk(om.substr(offset, 1 << 20));
        stream->Write(request);
      }
    }
    stream->WritesDone();
    phases_.clear();
    while (stream->Read(&response)) {
      if (response.has_result()) *result = response.result();
      if (response.has_progress()) phases_.push_back(response.progress().phase());
    }
    return stream->Finish();
  }

  static v1::RunRequest Request(const std::string& model = "m") {
    v1::RunRequest request;
    request.set_model(model);
    for (const char* name : {"x", "w"}) {
      v1::Tensor* tensor = request.add_inputs();
      tensor->set_name(name);
      tensor->set_dtype("float32");
      tensor->add_shape(4);
      const float values[4] = {1, 2, 3, 4};
      tensor->set_data(values, sizeof(values));
    }
    return request;
  }
  grpc::Status Run(const v1::RunRequest& request, v1::RunResponse* response,
                   absl::Duration timeout = absl::InfiniteDuration()) {
    grpc::ClientContext context;
    if (timeout < absl::InfiniteDuration()) context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    return runs_->Run(&context, request, response);
  }
  std::string Health() {
    grpc::ClientContext context;
    grpc::GenericStub stub(channel_);
    const grpc::Slice empty;
    grpc::ByteBuffer request(&empty, 1), response;
    absl::Notification done;
    grpc::Status status;
    stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", {}, &request, &response, [&](grpc::Status result) {
      status = result;
      done.Notify();
    });
    done.WaitForNotification();
    std::vector<grpc::Slice> slices;
    if (!status.ok() || !response.Dump(&slices).ok() || slices.empty()) return status.error_message();
    return std::string(slices[0].begin(), slices[0].end());
  }

  const std::unique_ptr<TemporaryFolder> folder_ = TemporaryFolder::Create("services-test-").value();
  const std::unique_ptr<ContentStore> store_ = ContentStore::Open(folder_->path() + "/files", 1 << 30).value();
  std::string lines_;
  const Log log_{{.level = LogLevel::kDebug, .role = "test"}, &lines_};
  const std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>(std::make_shared<prometheus::Registry>());
  FakeMachine machine_;
  BuildFunction build_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<BuildRunner> builds_;
  std::unique_ptr<RunService> run_service_;
  std::unique_ptr<ModelService> model_service_;
  std::unique_ptr<ClusterService> cluster_service_;
  std::unique_ptr<BuildService> build_service_;
  std::unique_ptr<RegistryService> registry_service_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<v1::RunService::Stub> runs_;
  std::unique_ptr<v1::ClusterService::Stub> cluster_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::string> phases_;
};

TEST_F(ServicesTest, AModelOverTwoWorkers) {
  AddWorker("w0");
  AddWorker("w1");
  // Several chunks, the last one not whole.
  const FakeModelOptions model{.slice_bytes = (3 << 20) + 17};
  v1::LoadResult result;
  grpc::Status status = Load(model, &result);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(result.bytes_pushed(), 2 * model.slice_bytes);
  EXPECT_EQ(result.bytes_uploaded(), FakeOm(model).size());
  EXPECT_EQ(result.model().state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(result.model().slices(1).worker(), "w1");
  EXPECT_THAT(phases_, testing::Contains("warmup"));

  v1::RunResponse response;
  v1::RunRequest request = Request();
  request.set_request_id("my-run");
  status = Run(request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.request_id(), "my-run");
  ASSERT_EQ(response.outputs_size(), 2);
  EXPECT_EQ(response.outputs(0).name(), "y");
  float values[8];
  ASSERT_EQ(response.outputs(0).data().size(), sizeof(values));
  std::memcpy(values, response.outputs(0).data().data(), sizeof(values));
  EXPECT_THAT(values, ElementsAre(1, 2, 3, 4, 1, 2, 3, 4));
  ASSERT_TRUE(Run(Request(), &response).ok());
  EXPECT_FALSE(response.request_id().empty());

  grpc::ClientContext unload;
  v1::UnloadRequest name;
  name.set_name("m");
  v1::UnloadResponse unloaded;
  ASSERT_TRUE(models_->Unload(&unload, name, &unloaded).ok());
  EXPECT_EQ(machine_.runners_alive, 0);
  EXPECT_EQ(Run(Request(), &response).error_code(), grpc::StatusCode::NOT_FOUND);

  status = Load(model, &result);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(result.bytes_uploaded(), 0u);
  EXPECT_EQ(result.bytes_pushed(), 0u);
  EXPECT_THAT(lines_, HasSubstr("run done request_id=my-run deployment=m"));
}

TEST_F(ServicesTest, WhatIsDamagedOnTheWayIsDataLoss) {
  v1::LoadResult result;
  grpc::Status status = Load({}, &result, /*damage=*/true);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_THAT(status.error_message(), HasSubstr(Sha256::Of(FakeOm({}))));
}

TEST_F(ServicesTest, ProtocolErrorsOfClients) {
  for (bool build : {false, true}) {
    grpc::ClientContext context;
    if (build) {
      auto stream = v1::BuildService::NewStub(channel_)->Build(&context);
      v1::BuildRequest request;
      request.set_chunk("x");
      stream->Write(request);
      stream->WritesDone();
      EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    } else {
      auto stream = models_->Load(&context);
      v1::LoadRequest request;
      request.set_chunk("x");
      stream->Write(request);
      stream->WritesDone();
      EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    }
  }
  v1::RunResponse response;
  v1::RunRequest request = Request();
  request.mutable_inputs(0)->set_dtype("float77");
  EXPECT_EQ(Run(request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServicesTest, DeadlineAndCancellationEndARun) {
  AddWorker("w0");
  AddWorker("w1");
  v1::LoadResult result;
  ASSERT_TRUE(Load({}, &result).ok());
  std::atomic<int> to_hang{2};  // the next run, on both slices; not the warm-up that follows
  machine_.set_behaviour([&](int ordinal, const Graph& slice, const std::vector<Tensor>& inputs,
                             const WaitLimit& limit) -> absl::StatusOr<std::vector<Tensor>> {
    if (to_hang-- > 0) return FakeMachine::Hang(ordinal, slice, inputs, limit);
    return std::vector<Tensor>(slice.outputs().size(), inputs.at(0));
  });
  v1::RunResponse response;
  EXPECT_EQ(Run(Request(), &response, absl::Milliseconds(50)).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);

  AwaitEpoch(2);
  to_hang = 2;
  const int started = machine_.runs_started;
  grpc::ClientContext context;
  std::thread client([&] {
    EXPECT_EQ(runs_->Run(&context, Request(), &response).error_code(), grpc::StatusCode::CANCELLED);
  });
  while (machine_.runs_started < started + 2) std::this_thread::yield();
  context.TryCancel();
  client.join();
  // Each cost the epoch it was in; the next run waits for a new one.
  EXPECT_TRUE(Run(Request(), &response).ok());
  EXPECT_EQ(coordinator_->ListModels()[0].epoch, 3u);
}

TEST_F(ServicesTest, WorkerThatLeavesIsReplaced) {
  AddWorker("w0");
  Worker& leaving = AddWorker("w1");
  v1::LoadResult result;
  ASSERT_TRUE(Load({}, &result).ok());
  EXPECT_TRUE(leaving.Leave().ok());
  AwaitWorker("w1", false);
  v1::RunResponse response;
  grpc::Status status = Run(Request(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("worker 'w1' (incarnation w1-i.0) is shutting down"));
  AddWorker("w2");
  status = Load({}, &result);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(Run(Request(), &response).ok());
}

TEST_F(ServicesTest, LostWorkerAnswersTheRunsThatWait) {
  AddWorker("w0");
  AddWorker("w1");
  v1::LoadResult result;
  ASSERT_TRUE(Load({}, &result).ok());
  machine_.set_behaviour(FakeMachine::Hang);
  const int started = machine_.runs_started;
  grpc::Status first, second;
  v1::RunResponse responses[2];
  std::thread a([&] { first = Run(Request(), &responses[0]); });
  while (machine_.runs_started < started + 2) std::this_thread::yield();
  std::thread b([&] { second = Run(Request(), &responses[1]); });
  coordinator_->EndWorker(/*session=*/2, "killed");
  a.join();
  b.join();
  EXPECT_EQ(first.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(first.error_message(), HasSubstr("worker 'w1'"));
  EXPECT_EQ(second.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(second.error_message(), HasSubstr("worker 'w1'"));
  while (machine_.runners_alive > 0) std::this_thread::yield();  // w0 was told, w1 finds its lease gone
}

TEST_F(ServicesTest, AnotherVersionIsRefusedForGood) {
  Worker worker("old", server_->address(), folder_->path(), &machine_, &log_, "0.9");
  absl::Status status = worker.Join();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "the coordinator refuses this worker: worker 'old' has version 0.9, the coordinator 1.0; both must be the "
            "same");
}

TEST_F(ServicesTest, WorkersComeBackToACoordinatorThatStartsAnew) {
  AddWorker("w0");
  AddWorker("w1");
  v1::LoadResult result;
  ASSERT_TRUE(Load({}, &result).ok());
  const std::string address = server_->address();
  server_->Shutdown(absl::Now());  // as if it crashed: nothing is released
  server_.reset();
  while (machine_.runners_alive > 0) std::this_thread::yield();  // they do so by themselves
  coordinator_.reset();
  StartCoordinator(address);
  AwaitWorker("w0", true);
  AwaitWorker("w1", true);
  EXPECT_EQ(result.model().epoch(), 1u);
  grpc::Status status = Load({}, &result);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(result.bytes_pushed(), 0u);
}

TEST_F(ServicesTest, BuildsOverTheWire) {
  build_ = [](const std::string& model_path, const std::string& om_path, const BuildCall& call,
              const ProgressFunction& progress, const WaitLimit& limit) -> absl::Status {
    EXPECT_EQ(ReadFile(model_path).value(), "graph");
    EXPECT_EQ(call.input_shapes, "x:1");
    progress({"plan", 0.5, "half"});
    return WriteFileAtomically(om_path, FakeOm({.name = "built", .slice_bytes = 3 << 20}));
  };
  grpc::ClientContext context;
  auto stub = v1::BuildService::NewStub(channel_);
  auto stream = stub->Build(&context);
  v1::BuildRequest request;
  request.mutable_options()->set_model_file("net.onnx");
  request.mutable_options()->set_input_shapes("x:1");
  stream->Write(request);
  request.mutable_file()->set_name("net.onnx");
  request.mutable_file()->set_size(5);
  request.mutable_file()->set_sha256(Sha256::Of("graph"));
  stream->Write(request);
  request.set_chunk("graph");
  stream->Write(request);
  stream->WritesDone();
  v1::BuildResponse response;
  std::vector<std::string> steps;
  std::string om;
  while (stream->Read(&response)) {
    if (response.has_progress()) steps.push_back(response.progress().phase());
    if (response.has_result()) steps.push_back(response.result().model_name());
    if (response.has_file()) steps.push_back(response.file().name());
    if (response.has_chunk()) om += response.chunk();
  }
  grpc::Status status = stream->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(steps, ElementsAre("plan", "built", "net.om"));
  EXPECT_EQ(om, FakeOm({.name = "built", .slice_bytes = 3 << 20}));
}

TEST_F(ServicesTest, ClientThatLeavesEndsItsBuild) {
  absl::Notification building;
  absl::Notification ended;
  build_ = [&](const auto&, const auto&, const auto&, const auto&, const WaitLimit& limit) {
    building.Notify();
    absl::Status status;
    while (status.ok()) status = limit.Check("the end of the test");
    ended.Notify();
    return status;
  };
  grpc::ClientContext context;
  auto stub = v1::BuildService::NewStub(channel_);
  auto stream = stub->Build(&context);
  v1::BuildRequest request;
  request.mutable_options()->set_model_file("net.onnx");
  stream->Write(request);
  request.mutable_file()->set_name("net.onnx");
  request.mutable_file()->set_size(5);
  request.mutable_file()->set_sha256(Sha256::Of("graph"));
  stream->Write(request);
  request.set_chunk("graph");
  stream->Write(request);
  stream->WritesDone();
  building.WaitForNotification();
  context.TryCancel();
  ended.WaitForNotification();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ServicesTest, HealthAddressFileAndPorts) {
  EXPECT_EQ(ReadFile(folder_->path() + "/address").value(), server_->address() + "\n");
  EXPECT_EQ(Health(), "\x08\x01");  // SERVING
  server_->SetServing(false);
  EXPECT_EQ(Health(), "\x08\x02");  // NOT_SERVING
  absl::Status taken = RpcServer::Start({.listen = server_->address()}, {}).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(RpcServer::Start({.listen = "nowhere"}, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace omserve
