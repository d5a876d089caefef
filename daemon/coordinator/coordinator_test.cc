#include "daemon/coordinator/coordinator.h"

#include <filesystem>

#include "absl/synchronization/notification.h"
#include "core/base/sha256.h"
#include "daemon/testing/fake_link.h"
#include "daemon/testing/fake_model.h"
#include "daemon/testing/fake_parts.h"
#include "daemon/worker/worker_agent.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CoordinatorTest : public testing::Test {
 protected:
  CoordinatorTest() {
    CoordinatorOptions options;
    options.registry.version = "1.0";
    options.tick = absl::ZeroDuration();
    coordinator_ = std::make_unique<Coordinator>(options, store_.get(), OpenFakeModel, &clock_, &clock_, &log_,
                                                 std::make_shared<Metrics>(std::make_shared<prometheus::Registry>()));
  }
  ~CoordinatorTest() override {
    for (auto& [name, link] : links_) {
      while (link->num_waiting() > 0) link->TakeRun().Answer(absl::CancelledError("the test is over"));
    }
    coordinator_.reset();
  }

  // A worker w<i> with one fake device that answers what the test says.
  uint64_t AddFakeWorker(const std::string& name, uint64_t memory = 1000) {
    auto link = std::make_shared<FakeLink>();
    links_[name] = link;
    return coordinator_
        ->RegisterWorker({name, name + "-i", "1.0", "", {{0, "fake", memory, 0, 1}}}, link, /*leased=*/true, nullptr)
        .value();
  }
  // A worker with fake devices that really runs fake slices.
  std::shared_ptr<WorkerAgent> AddAgent(const std::string& name, int devices) {
    auto agent = std::make_shared<WorkerAgent>(WorkerOptions{name, "1.0", name + "-i"}, FakeDevices(devices, 1000),
                                               machine_.parts(), nullptr, &log_);
    EXPECT_TRUE(coordinator_->RegisterWorker(agent->Hello(""), agent, /*leased=*/false, nullptr).ok());
    return agent;
  }

  absl::StatusOr<LoadOutcome> Load(const FakeModelOptions& model = {}, const std::string& name = "",
                                   const ProgressFunction& progress = nullptr) {
    const std::string om = FakeOm(model);
    FileUpload upload = coordinator_->NewUpload();
    if (absl::Status status = upload.Begin({"m.om", om.size(), Sha256::Of(om)}); !status.ok()) return status;
    if (absl::Status status = upload.Append(om); !status.ok()) return status;
    if (absl::Status status = upload.Finish(); !status.ok()) return status;
    return coordinator_->Load(name, upload, progress, {});
  }

  static RunCall Call(const std::string& model = "m") {
    return {model,
            "r1",
            {{"w", Tensor::Of<float>({4}, {5, 6, 7, 8})}, {"x", Tensor::Of<float>({4}, {1, 2, 3, 4})}},
            {},
            absl::InfiniteFuture()};
  }
  struct Pending {
    absl::Notification done;
    absl::StatusOr<std::vector<NamedTensor>> result;
    RunHandle handle;
  };
  std::unique_ptr<Pending> Start(RunCall call) {
    auto pending = std::make_unique<Pending>();
    pending->handle = coordinator_->StartRun(std::move(call), [p = pending.get()](auto result) {
      p->result = std::move(result);
      p->done.Notify();
    });
    return pending;
  }
  absl::StatusOr<std::vector<NamedTensor>> RunModel(RunCall call) {
    auto pending = Start(std::move(call));
    pending->done.WaitForNotification();
    return pending->result;
  }
  DeploymentStatus Model() const { return coordinator_->ListModels().at(0); }
  void Pass(absl::Duration duration) {
    for (absl::Duration passed; passed < duration; passed += absl::Milliseconds(500)) {
      clock_.Advance(absl::Milliseconds(500));
      coordinator_->Tick();
    }
  }

  const std::unique_ptr<TemporaryFolder> folder_ = TemporaryFolder::Create("coordinator-test-").value();
  const std::unique_ptr<ContentStore> store_ = ContentStore::Open(folder_->path() + "/files", 1 << 20).value();
  SimulatedClock clock_;
  std::string lines_;
  const Log log_{{.level = LogLevel::kDebug, .role = "coordinator"}, &lines_};
  FakeMachine machine_;
  std::map<std::string, std::shared_ptr<FakeLink>> links_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorTest, LoadsRunsAndUnloadsOverTwoWorkersInTheProcess) {
  auto a = AddAgent("a", 1);
  auto b = AddAgent("b", 1);
  std::vector<std::string> phases;
  auto loaded = Load({}, "", [&](const LongCallProgress& progress) {
    if (phases.empty() || phases.back() != progress.phase) phases.push_back(progress.phase);
  });
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(phases, ElementsAre("push", "compile", "connect", "warmup"));
  EXPECT_EQ(loaded->model.state, DeploymentState::kReady);
  EXPECT_EQ(loaded->bytes_pushed, 0u);  // it stayed in the process
  ASSERT_THAT(loaded->model.slices, SizeIs(2));
  EXPECT_EQ(loaded->model.slices[1].slice, "m_rank1");
  EXPECT_EQ(loaded->model.slices[1].device, "0:1:0:0");
  EXPECT_EQ(loaded->model.slices[1].worker, "b");
  EXPECT_EQ(loaded->model.plan, "a fake plan");
  EXPECT_EQ(machine_.runs_started, 2);  // the warm-up

  auto result = RunModel(Call());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ((*result)[0].name, "y");
  EXPECT_THAT((*result)[0].tensor.values<float>(), ElementsAre(1, 2, 3, 4, 1, 2, 3, 4));
  RunCall only_z = Call();
  only_z.outputs = {"z"};
  EXPECT_THAT(*RunModel(only_z), SizeIs(1));
  EXPECT_EQ(Model().runs, 2u);

  ASSERT_TRUE(coordinator_->Unload("m", absl::InfiniteFuture()).ok());
  EXPECT_THAT(coordinator_->ListModels(), IsEmpty());
  EXPECT_EQ(machine_.runners_alive, 0);
  EXPECT_THAT(a->memory_in_use(), ElementsAre(0));
}

TEST_F(CoordinatorTest, PushesWhatWorkersLackAndExchangesAddresses) {
  AddFakeWorker("a");
  AddFakeWorker("b");
  EXPECT_EQ(Load()->bytes_pushed, 200u);
  EXPECT_EQ(links_["a"]->connects[0].addresses, (std::map<int, std::string>{{1, "address 1"}}));
  EXPECT_EQ(links_["b"]->connects[0].addresses, (std::map<int, std::string>{{0, "address 0"}}));
  EXPECT_THAT(links_["b"]->worlds[0].world.process_of, ElementsAre(0, 1));
  EXPECT_EQ(links_["b"]->worlds[0].process, 1);
  ASSERT_TRUE(coordinator_->Unload("m", absl::InfiniteFuture()).ok());
  EXPECT_EQ(Load()->bytes_pushed, 0u);
  EXPECT_THAT(links_["a"]->steps(), ElementsAre("prepare m 1/0", "compile m 1/0", "connect m 1/0", "release m 1/0",
                                                "prepare m 2/0", "compile m 2/0", "connect m 2/0"));
}

TEST_F(CoordinatorTest, ReplicasOfOneSliceOnOneWorkerArePushedOnce) {
  AddFakeWorker("a");
  auto link = links_["a"];
  ASSERT_TRUE(coordinator_
                  ->RegisterWorker({"b", "b-i", "1.0", "", {{0, "fake", 1000, 0, 1}, {1, "fake", 1000, 0, 1}}}, link,
                                   true, nullptr)
                  .ok());
  auto loaded = Load({.slices = 1, .replicas = 3});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->bytes_pushed, 100u);
  EXPECT_THAT(loaded->model.plan, HasSubstr("placed 0:0:0:0 → 'a' device 0, 0:1:0:0 → 'b' device 0"));
}

TEST_F(CoordinatorTest, NamesInUse) {
  AddAgent("a", 2);
  ASSERT_TRUE(Load().ok());
  auto again = Load();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->model.epoch, 1u);
  absl::Status other = Load({.slice_bytes = 50}, "m").status();
  EXPECT_EQ(other.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(other.message()), HasSubstr("name 'm' is in use by another model (digest "));
  EXPECT_TRUE(Load({.slice_bytes = 50}, "second").ok());
  EXPECT_EQ(Load({}, "../x").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CoordinatorTest, ModelThatDoesNotFitLeavesNothingBehind) {
  AddAgent("a", 2);
  absl::Status status = Load({.slice_bytes = 5000}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("need 5000 bytes for weights, have at most 1000"));
  EXPECT_THAT(coordinator_->ListModels(), IsEmpty());
  machine_.arena_bytes = 950;
  status = Load().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("load of 'm': worker 'a': "));
  EXPECT_THAT(coordinator_->ListModels(), IsEmpty());
  EXPECT_EQ(machine_.runners_alive, 0);
  machine_.arena_bytes = 0;
  EXPECT_TRUE(Load().ok());
}

TEST_F(CoordinatorTest, ModelsCountAgainstEachOthersMemoryAtOnce) {
  AddAgent("a", 2);
  ASSERT_TRUE(Load({.slices = 1, .slice_bytes = 600}, "first").ok());
  auto second = Load({.slices = 1, .slice_bytes = 600}, "second");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->model.slices[0].worker_device, 1);
  EXPECT_EQ(Load({.slices = 1, .slice_bytes = 600}, "third").status().code(), absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(coordinator_->Unload("first", absl::InfiniteFuture()).ok());
  EXPECT_TRUE(Load({.slices = 1, .slice_bytes = 600}, "third").ok());
}

TEST_F(CoordinatorTest, FailureOnOneWorkerEndsTheWaitOfTheOthers) {
  AddFakeWorker("a");
  AddFakeWorker("b");
  links_["b"]->set_prepare(absl::ResourceExhaustedError("slice 1: device 0: need 2 bytes, have 1 free of 1"));
  absl::Status status = Load().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "load of 'm': worker 'b': slice 1: device 0: need 2 bytes, have 1 free of 1");
  links_["a"]->AwaitStep("release m 1/0");
  links_["b"]->AwaitStep("release m 1/0");
}

TEST_F(CoordinatorTest, WorkerLostDuringALoadEndsTheLoad) {
  AddFakeWorker("a");
  const uint64_t b = AddFakeWorker("b");
  links_["a"]->set_block_connect(true);
  links_["b"]->set_block_connect(true);
  absl::Status status;
  std::thread load([&] { status = Load().status(); });
  links_["a"]->AwaitStep("connect m 1/0");
  coordinator_->EndWorker(b, "killed");
  load.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("worker 'b' (incarnation b-i) was lost: killed"));
  EXPECT_THAT(coordinator_->ListModels(), IsEmpty());
}

TEST_F(CoordinatorTest, SilentWorkerFailsItsModelsAndANewOneTakesItsPlace) {
  const uint64_t a = AddFakeWorker("a");
  AddFakeWorker("b");
  ASSERT_TRUE(Load().ok());
  auto run = Start(Call());
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(coordinator_->RenewWorker(a, {}).ok());
    Pass(absl::Milliseconds(500));
  }
  run->done.WaitForNotification();
  EXPECT_EQ(run->result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(run->result.status().message()),
              HasSubstr("worker 'b' (incarnation b-i) was lost: lease expired"));
  links_["a"]->AwaitStep("release m 1/0");
  EXPECT_EQ(Model().state, DeploymentState::kFailed);
  EXPECT_EQ(RunModel(Call()).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Load().status().code(), absl::StatusCode::kUnavailable);  // one device is left
  AddFakeWorker("c");
  auto loaded = Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->model.state, DeploymentState::kReady);
}

TEST_F(CoordinatorTest, BrokenRunDoesNotBreakTheNext) {
  AddAgent("a", 2);
  std::atomic<bool> broken{false};  // the next run, and no other: not the warm-up of the next epoch
  machine_.set_behaviour([&](int ordinal, const Graph& slice, const std::vector<Tensor>& inputs,
                             const WaitLimit&) -> absl::StatusOr<std::vector<Tensor>> {
    if (ordinal == 0 && broken.exchange(false)) return absl::InternalError("kernel broke");
    return std::vector<Tensor>(slice.outputs().size(), inputs.at(0));
  });
  ASSERT_TRUE(Load().ok());
  broken = true;
  EXPECT_EQ(RunModel(Call()).status(), absl::InternalError("worker 'a': rank 0: kernel broke"));
  EXPECT_TRUE(RunModel(Call()).ok());  // waits for the new epoch
  EXPECT_EQ(Model().epoch, 2u);
}

TEST_F(CoordinatorTest, EpochIsRestartedOnTheSameWorkersWithoutBytes) {
  AddFakeWorker("a");
  AddFakeWorker("b");
  ASSERT_TRUE(Load().ok());
  auto failed = Start(Call());
  auto waiting = Start(Call());
  for (auto& [name, link] : links_) link->TakeRun().Answer(absl::InternalError("kernel broke"));
  failed->done.WaitForNotification();
  EXPECT_EQ(failed->result.status().code(), absl::StatusCode::kInternal);
  for (auto& [name, link] : links_) {
    FakeLink::PendingRun run = link->TakeRun();
    EXPECT_EQ(run.call.id.epoch, 2u);
    run.AnswerOk();
  }
  waiting->done.WaitForNotification();
  EXPECT_TRUE(waiting->result.ok()) << waiting->result.status();
  EXPECT_EQ(Model().epoch, 2u);
  EXPECT_EQ(Model().bytes_pushed, 200u);
  EXPECT_THAT(links_["a"]->steps(), ElementsAre("prepare m 1/0", "compile m 1/0", "connect m 1/0", "release m 1/0",
                                                "prepare m 2/0", "compile m 2/0", "connect m 2/0"));
}

TEST_F(CoordinatorTest, RequestsThatCannotBeServedSayWhy) {
  AddAgent("a", 2);
  EXPECT_EQ(RunModel(Call()).status(), absl::NotFoundError("there is no model 'm'; none is loaded"));
  ASSERT_TRUE(Load().ok());
  EXPECT_EQ(RunModel(Call("q")).status(), absl::NotFoundError("there is no model 'q'; loaded are 'm'"));
  RunCall call = Call();
  call.inputs.pop_back();
  EXPECT_EQ(RunModel(call).status().code(), absl::StatusCode::kInvalidArgument);
  call = Call();
  call.request_id = "a\nb";
  EXPECT_EQ(RunModel(call).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(coordinator_->Unload("q", absl::InfiniteFuture()).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(lines_, HasSubstr("run refused request_id=r1 model=q"));
}

TEST_F(CoordinatorTest, DamagedOmIsReportedAndForgotten) {
  AddAgent("a", 2);
  FileUpload upload = coordinator_->NewUpload();
  ASSERT_TRUE(upload.Begin({"m.om", 4, Sha256::Of("junk")}).ok());
  ASSERT_TRUE(upload.Append("junk").ok());
  ASSERT_TRUE(upload.Finish().ok());
  EXPECT_EQ(coordinator_->Load("", upload, nullptr, {}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(coordinator_->ListModels(), IsEmpty());
}

TEST_F(CoordinatorTest, CancelledRunIsAnsweredOnce) {
  AddFakeWorker("a");
  ASSERT_TRUE(Load({.slices = 1}).ok());
  auto run = Start(Call());
  coordinator_->CancelRun(run->handle, absl::CancelledError("client left"));
  EXPECT_EQ(run->result.status().code(), absl::StatusCode::kCancelled);
  links_["a"]->TakeRun().AnswerOk();  // too late
  EXPECT_EQ(run->result.status().code(), absl::StatusCode::kCancelled);
}

TEST_F(CoordinatorTest, DrainRefusesNewWorkAndFinishesTheOld) {
  AddFakeWorker("a");
  ASSERT_TRUE(Load({.slices = 1}).ok());
  auto run = Start(Call());
  coordinator_->BeginDrain();
  EXPECT_EQ(RunModel(Call()).status(), absl::UnavailableError("the server is shutting down"));
  EXPECT_EQ(Load().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(coordinator_->WaitDrained(absl::InfinitePast()));
  links_["a"]->TakeRun().AnswerOk();
  EXPECT_TRUE(coordinator_->WaitDrained(absl::InfiniteFuture()));
  EXPECT_TRUE(run->result.ok());
}

TEST_F(CoordinatorTest, LeavingWorkerGetsNoNewModels) {
  const uint64_t a = AddFakeWorker("a");
  AddFakeWorker("b");
  coordinator_->RetireWorker(a);
  auto loaded = Load({.slices = 1});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->model.slices[0].worker, "b");
}

}  // namespace
}  // namespace omserve
