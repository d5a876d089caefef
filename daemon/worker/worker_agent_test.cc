#include "daemon/worker/worker_agent.h"

#include <mutex>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "core/base/sha256.h"
#include "core/base/temporary_folder.h"
#include "daemon/testing/fake_parts.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class WorkerAgentTest : public testing::Test {
 protected:
  WorkerAgentTest() : folder_(TemporaryFolder::Create("worker-test-").value()) { Start(); }

  void Start() {
    agent_.reset();
    agent_ = std::make_unique<WorkerAgent>(WorkerOptions{"w0", "1.0", "inc1"}, FakeDevices(2, 1000), machine_.parts(),
                                           ContentStore::Open(folder_->path(), 1 << 20).value(), &log_);
  }

  static EpochId Id(uint64_t epoch, std::string incarnation = "inc1.0") { return {incarnation, "m", epoch, 0}; }

  PrepareCall TwoSlices(uint64_t epoch) const {
    return {Id(epoch), {{0, 0, Sha256::Of(slice_), slice_.size()}, {1, 1, Sha256::Of(other_), other_.size()}}};
  }
  CompileCall Compile(uint64_t epoch) const { return {Id(epoch), CommWorld{{0, 0}, {{"tp", {0, 1}}}}, 0}; }

  // Run `number` of epoch 1, whose input begins with it.
  void Send(int number, std::vector<absl::Status>& answers, absl::BlockingCounter& done) {
    ExecuteCall call = Run(1);
    call.sequence = static_cast<uint64_t>(number);
    call.inputs[0] = Tensor::Of<float>({4}, {static_cast<float>(number), 0, 0, 0});
    agent_->Execute(call, {}, [&answers, &done, number](absl::StatusOr<ExecuteReply> reply) {
      answers[static_cast<size_t>(number) - 1] = reply.status();
      done.DecrementCount();
    });
  }

  absl::Status SendChunks(const std::string& digest, const std::string& content) {
    auto writer = agent_->BeginPush(digest, content.size());
    if (!writer.ok()) return writer.status();
    if (absl::Status status = (*writer)->Append(content); !status.ok()) return status;
    return agent_->FinishPush(**writer);
  }

  // Brings epoch `epoch` up, whatever is in the store already.
  void BringUp(uint64_t epoch) {
    auto missing = agent_->Prepare(TwoSlices(epoch), {});
    ASSERT_TRUE(missing.ok()) << missing.status();
    for (const std::string& digest : *missing) {
      ASSERT_TRUE(SendChunks(digest, digest == Sha256::Of(slice_) ? slice_ : other_).ok());
    }
    ASSERT_TRUE(agent_->Compile(Compile(epoch), {}).ok());
    ASSERT_TRUE(agent_->Connect({Id(epoch), {}}, {}).ok());
  }

  ExecuteCall Run(uint64_t epoch) const {
    return {Id(epoch), "r1", {Tensor::Of<float>({4}, {1, 2, 3, 4})}, {{0, {0}, {0}}, {1, {0}, {}}}};
  }
  absl::StatusOr<ExecuteReply> Execute(ExecuteCall call, CallContext context = {}) {
    absl::Notification done;
    absl::StatusOr<ExecuteReply> reply;
    agent_->Execute(std::move(call), std::move(context), [&](absl::StatusOr<ExecuteReply> result) {
      reply = std::move(result);
      done.Notify();
    });
    done.WaitForNotification();
    return reply;
  }

  const std::string slice_ = FakeSlice(1, 1, 100);
  const std::string other_ = FakeSlice(1, 1, 200);
  const std::unique_ptr<TemporaryFolder> folder_;
  std::string lines_;
  const Log log_{{.level = LogLevel::kDebug, .role = "worker"}, &lines_};
  FakeMachine machine_;
  std::unique_ptr<WorkerAgent> agent_;
};

TEST_F(WorkerAgentTest, BringsUpRunsAndReleases) {
  BringUp(1);
  EXPECT_THAT(agent_->memory_in_use(), ElementsAre(100, 200));
  auto reply = Execute(Run(1));
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_THAT(*reply, SizeIs(2));
  EXPECT_THAT((*reply)[0].outputs[0].values<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT((*reply)[1].outputs, IsEmpty());
  EXPECT_TRUE(agent_->Release({Id(1), absl::CancelledError("unloaded")}, {}).ok());
  EXPECT_THAT(agent_->memory_in_use(), ElementsAre(0, 0));
  EXPECT_EQ(machine_.runners_alive, 0);
  EXPECT_EQ(machine_.hubs_alive, 0);
  EXPECT_THAT(lines_, HasSubstr("run done request_id=r1 deployment=m epoch=1"));
}

TEST_F(WorkerAgentTest, SecondLoadAndRestartNeedNoBytes) {
  BringUp(1);
  EXPECT_THAT(*agent_->Prepare(TwoSlices(2), {}), IsEmpty());
  Start();
  EXPECT_THAT(*agent_->Prepare(TwoSlices(1), {}), IsEmpty());
}

TEST_F(WorkerAgentTest, NewerEpochReplacesOlderAndOlderCallsAreRefused) {
  BringUp(1);
  BringUp(2);
  EXPECT_EQ(machine_.runners_alive, 2);
  absl::Status late = Execute(Run(1)).status();
  EXPECT_EQ(late.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(late.message(), "'m' epoch 1 replica 0 is not on worker 'w0'; the newest epoch there is 2");
  EXPECT_EQ(agent_->Prepare(TwoSlices(2), {}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(agent_->Release({Id(1), absl::CancelledError("late")}, {}).ok());
  EXPECT_TRUE(Execute(Run(2)).ok());
}

TEST_F(WorkerAgentTest, AnotherIncarnationIsRefusedNamingBoth) {
  BringUp(1);
  ExecuteCall call = Run(1);
  call.id.incarnation = "inc0";
  absl::Status status = Execute(call).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "the call is for incarnation inc0 of worker 'w0'; this is incarnation inc1.0");
}

TEST_F(WorkerAgentTest, PrepareAfterReleaseIsTooLate) {
  EXPECT_TRUE(agent_->Release({Id(3), absl::CancelledError("load cancelled")}, {}).ok());
  EXPECT_EQ(agent_->Prepare(TwoSlices(3), {}).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(WorkerAgentTest, WhatALeaseEndedIsNotHeardFromAgain) {
  BringUp(3);
  agent_->ReleaseAll(absl::UnavailableError("coordinator lost"));
  EXPECT_EQ(machine_.runners_alive, 0);
  EXPECT_EQ(agent_->Release({Id(3), absl::CancelledError("late")}, {}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(agent_->Prepare(TwoSlices(4), {}).status().code(), absl::StatusCode::kFailedPrecondition);
  // A coordinator that starts anew counts from one.
  PrepareCall anew = TwoSlices(1);
  anew.id.incarnation = agent_->Hello("").incarnation;
  EXPECT_EQ(anew.id.incarnation, "inc1.1");
  EXPECT_TRUE(agent_->Prepare(anew, {}).ok());
}

TEST_F(WorkerAgentTest, DamagedPushIsDataLossAndUnaskedPushIsRefused) {
  EXPECT_EQ(SendChunks(Sha256::Of(slice_), slice_).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(agent_->Prepare(TwoSlices(1), {}).ok());
  std::string damaged = slice_;
  damaged.back() ^= 1;
  EXPECT_EQ(SendChunks(Sha256::Of(slice_), damaged).code(), absl::StatusCode::kDataLoss);
  absl::Status status = agent_->Compile(Compile(1), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has not been pushed"));
}

TEST_F(WorkerAgentTest, PushInsideTheProcessKeepsTheBytesWhereTheyAre) {
  ASSERT_TRUE(agent_->Prepare(TwoSlices(1), {}).ok());
  EXPECT_EQ(*agent_->Push(Sha256::Of(slice_), Buffer::CopyOf(slice_.data(), slice_.size()), nullptr, {}), 0u);
  EXPECT_EQ(agent_->Push(Sha256::Of(other_), Buffer::CopyOf(slice_.data(), slice_.size()), nullptr, {}).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(*agent_->Push(Sha256::Of(other_), Buffer::CopyOf(other_.data(), other_.size()), nullptr, {}), 0u);
  EXPECT_TRUE(agent_->Compile(Compile(1), {}).ok());
}

TEST_F(WorkerAgentTest, DeviceMemoryIsCheckedBeforeAndAfterCompilation) {
  PrepareCall large = TwoSlices(1);
  large.slices[1].size = 1001;
  absl::Status status = agent_->Prepare(large, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "slice 1: device 1: need 1001 bytes, have 1000 free of 1000");
  EXPECT_THAT(agent_->memory_in_use(), ElementsAre(0, 0));

  machine_.arena_bytes = 900;
  auto missing = agent_->Prepare(TwoSlices(2), {});
  ASSERT_TRUE(missing.ok());
  ASSERT_TRUE(SendChunks(Sha256::Of(slice_), slice_).ok());
  ASSERT_TRUE(SendChunks(Sha256::Of(other_), other_).ok());
  status = agent_->Compile(Compile(2), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("need 1100 bytes, have 1000 free of 1000"));
  EXPECT_TRUE(agent_->Release({Id(2), status}, {}).ok());
  EXPECT_THAT(agent_->memory_in_use(), ElementsAre(0, 0));
}

TEST_F(WorkerAgentTest, FirstFailureEndsItsPeersAndIsTheAnswer) {
  machine_.set_behaviour([](int ordinal, const Graph& slice, const std::vector<Tensor>& inputs,
                            const WaitLimit& limit) -> absl::StatusOr<std::vector<Tensor>> {
    if (ordinal == 1) return absl::InternalError("kernel broke");
    return FakeMachine::Hang(ordinal, slice, inputs, limit);
  });
  BringUp(1);
  absl::Status status = Execute(Run(1)).status();
  EXPECT_EQ(status, absl::InternalError("rank 1: kernel broke"));
  EXPECT_THAT(lines_, HasSubstr("W worker run failed request_id=r1 deployment=m"));
}

TEST_F(WorkerAgentTest, CallerCancelsARun) {
  machine_.set_behaviour(FakeMachine::Hang);
  BringUp(1);
  CallContext context{absl::InfiniteFuture(), std::make_shared<Cancellation>()};
  absl::Notification done;
  absl::Status status;
  agent_->Execute(Run(1), context, [&](absl::StatusOr<ExecuteReply> reply) {
    status = reply.status();
    done.Notify();
  });
  EXPECT_EQ(agent_->runs_in_flight(), 1);
  EXPECT_FALSE(agent_->WaitIdle(absl::InfinitePast()));
  context.cancellation->Cancel(absl::CancelledError("the client left"));
  done.WaitForNotification();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(agent_->WaitIdle(absl::InfiniteFuture()));
}

TEST_F(WorkerAgentTest, ReleaseEndsRunsWithItsCauseBeforeItReturns) {
  machine_.set_behaviour(FakeMachine::Hang);
  BringUp(1);
  absl::Status status;
  agent_->Execute(Run(1), {}, [&](absl::StatusOr<ExecuteReply> reply) { status = reply.status(); });
  EXPECT_TRUE(agent_->Release({Id(1), absl::UnavailableError("worker 'w1' was lost")}, {}).ok());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("worker 'w1' was lost"));
  EXPECT_EQ(machine_.runners_alive, 0);
}

TEST_F(WorkerAgentTest, RunsStartInTheirOrderWhateverTheOrderTheyComeIn) {
  std::mutex mutex;
  std::vector<float> started;  // first elements seen by rank 0
  machine_.set_behaviour([&](int ordinal, const Graph&, const std::vector<Tensor>& inputs,
                             const WaitLimit&) -> absl::StatusOr<std::vector<Tensor>> {
    std::lock_guard lock(mutex);
    if (ordinal == 0) started.push_back(inputs[0].values<float>()[0]);
    return std::vector<Tensor>{inputs[0]};
  });
  BringUp(1);
  std::vector<absl::Status> answers(4, absl::UnknownError("none"));
  absl::BlockingCounter done(4);
  Send(3, answers, done);
  Send(2, answers, done);
  EXPECT_EQ(agent_->runs_in_flight(), 2);
  EXPECT_EQ(machine_.runs_started, 0);
  Send(1, answers, done);
  Send(4, answers, done);
  done.Wait();
  EXPECT_THAT(started, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(answers, Each(absl::OkStatus()));
  // What was already there is refused.
  ExecuteCall again = Run(1);
  again.sequence = 2;
  EXPECT_THAT(Execute(again).status().ToString(), HasSubstr("'m' epoch 1 replica 0: run number 2 where 5 is next"));
}

TEST_F(WorkerAgentTest, RunsWhoseTurnNeverComesAreAnsweredByTheRelease) {
  BringUp(1);
  absl::Status status;
  ExecuteCall call = Run(1);
  call.sequence = 2;
  agent_->Execute(call, {}, [&](absl::StatusOr<ExecuteReply> reply) { status = reply.status(); });
  EXPECT_TRUE(agent_->Release({Id(1), absl::UnavailableError("worker 'w1' was lost")}, {}).ok());
  EXPECT_THAT(status.ToString(), HasSubstr("worker 'w1' was lost"));
  EXPECT_EQ(machine_.runs_started, 0);
}

TEST_F(WorkerAgentTest, AfterAFailureNoLaterRunStarts) {
  // Its messages would meet those of the run that its peers are still in.
  machine_.set_behaviour([](int ordinal, const Graph&, const std::vector<Tensor>& inputs,
                            const WaitLimit&) -> absl::StatusOr<std::vector<Tensor>> {
    if (inputs[0].values<float>()[0] == 1) return absl::InvalidArgumentError("index 9 of 4");
    return std::vector<Tensor>{inputs[0]};
  });
  BringUp(1);
  std::vector<absl::Status> answers(2);
  absl::BlockingCounter done(2);
  Send(2, answers, done);
  Send(1, answers, done);
  done.Wait();
  for (const absl::Status& answer : answers) EXPECT_THAT(answer.ToString(), HasSubstr("index 9 of 4"));
  EXPECT_THAT(Execute(Run(1)).status().ToString(), HasSubstr("index 9 of 4"));
}

TEST_F(WorkerAgentTest, DeadlineEndsARun) {
  machine_.set_behaviour(FakeMachine::Hang);
  BringUp(1);
  EXPECT_EQ(Execute(Run(1), {absl::Now() + absl::Milliseconds(5), nullptr}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(WorkerAgentTest, CompileFailureIsReportedAsItIs) {
  machine_.fail_compile = true;
  ASSERT_TRUE(agent_->Prepare(TwoSlices(1), {}).ok());
  ASSERT_TRUE(SendChunks(Sha256::Of(slice_), slice_).ok());
  ASSERT_TRUE(SendChunks(Sha256::Of(other_), other_).ok());
  absl::Status status = agent_->Compile(Compile(1), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no kernel for 'Strange'"));
  EXPECT_EQ(Execute(Run(1)).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(WorkerAgentTest, MalformedRunsAreRefused) {
  BringUp(1);
  const auto code = [&](const std::function<void(ExecuteCall&)>& change) {
    ExecuteCall call = Run(1);
    change(call);
    return Execute(call).status().code();
  };
  EXPECT_EQ(code([](ExecuteCall& call) { call.slices.pop_back(); }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](ExecuteCall& call) { call.slices[1].rank = 7; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](ExecuteCall& call) { call.slices[0].inputs = {1}; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](ExecuteCall& call) { call.slices[0].inputs = {}; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](ExecuteCall& call) { call.slices[0].outputs = {-1}; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](ExecuteCall& call) { call.slices[0].outputs = {0, 0}; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](ExecuteCall&) {}), absl::StatusCode::kOk);
  PrepareCall negative = TwoSlices(2);
  negative.slices[0].rank = -1;
  EXPECT_EQ(agent_->Prepare(negative, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace omserve
