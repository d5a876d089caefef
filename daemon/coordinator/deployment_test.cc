#include "daemon/coordinator/deployment.h"

#include "absl/strings/str_cat.h"
#include "core/base/temporary_folder.h"
#include "daemon/testing/fake_link.h"
#include "daemon/testing/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DeploymentTest : public testing::Test, public DeploymentHost {
 protected:
  ~DeploymentTest() override {
    for (auto& link : links_) link->DropRuns();
  }

  struct Answer {
    absl::Status status = absl::UnknownError("no answer yet");
    std::vector<Tensor> outputs;
  };

  // A model of `slices` slices, a worker each, in `replicas` replicas; READY in epoch 1.
  void Start(int slices, int replicas = 1, DeploymentOptions options = {}, int stages = 1) {
    content_ = MakeFakeModel(folder_->path(), {.slices = slices, .replicas = replicas, .stages = stages});
    deployment_ = std::make_shared<Deployment>("m", content_, options, this, &clock_, &log_, metrics_);
    links_.clear();
    for (int i = 0; i < slices * replicas; ++i) links_.push_back(std::make_shared<FakeLink>());
    ASSERT_TRUE(deployment_->BeginAttempt({}, nullptr).ok());
    ASSERT_TRUE(deployment_->FinishAttempt(Epoch(1, slices, replicas)).ok());
  }
  BroughtUp Epoch(uint64_t epoch, int slices, int replicas = 1) {
    BroughtUp up{.epoch = epoch};
    for (int replica = 0; replica < replicas; ++replica) {
      Replica& entry = up.replicas.emplace_back();
      for (int slice = 0; slice < slices; ++slice) {
        const int worker = replica * slices + slice;
        entry.members.push_back({Worker(worker), {"i", "m", epoch, replica}, {slice}});
        up.slices.push_back({.slice = absl::StrCat("s", slice), .worker = absl::StrCat("w", worker),
                             .replica = replica});
      }
    }
    return up;
  }
  WorkerRef Worker(int i) { return {absl::StrCat("w", i), "i", links_[i]}; }

  std::shared_ptr<omserve::Run> Submit(Answer* answer, absl::Time deadline = absl::InfiniteFuture()) {
    auto run = std::make_shared<omserve::Run>(
        absl::StrCat("r", ++next_id_),
        std::vector<Tensor>{Tensor::Of<float>({4}, {1, 2, 3, 4}), Tensor::Of<float>({4}, {5, 6, 7, 8})},
        deployment_->layout(), clock_.Now(), deadline, [answer](absl::StatusOr<std::vector<Tensor>> result) {
          answer->status = result.status();
          if (result.ok()) answer->outputs = *std::move(result);
        });
    absl::Status status = deployment_->Submit({run});
    if (!status.ok()) answer->status = status;
    return run;
  }
  void Pass(absl::Duration duration) {
    clock_.Advance(duration);
    deployment_->Tick();
  }

  void RestartLater(std::shared_ptr<Deployment>, std::vector<ReplicaMember> members, absl::Status cause) override {
    ++restarts_;
    NoteReleases(members, cause);
  }
  void ReleaseLater(std::vector<ReplicaMember> members, absl::Status cause) override { NoteReleases(members, cause); }
  void NoteReleases(const std::vector<ReplicaMember>& members, const absl::Status& cause) {
    for (const ReplicaMember& member : members) releases_.push_back(absl::StrCat(member.worker.name, "/", member.id.epoch));
    release_cause_ = cause;
  }

  const std::unique_ptr<TemporaryFolder> folder_ = TemporaryFolder::Create("deployment-test-").value();
  SimulatedClock clock_;
  std::string lines_;
  const Log log_{{.level = LogLevel::kDebug, .role = "coordinator"}, &lines_};
  const std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>(std::make_shared<prometheus::Registry>());
  std::shared_ptr<const ModelContent> content_;
  std::vector<std::shared_ptr<FakeLink>> links_;
  std::shared_ptr<Deployment> deployment_;
  int next_id_ = 0;
  int restarts_ = 0;
  std::vector<std::string> releases_;
  absl::Status release_cause_;
  const absl::Status lost_ = absl::UnavailableError("worker 'w1' (incarnation i) was lost: killed");
};

TEST_F(DeploymentTest, OneRunGoesToAllWorkersOfAReplicaAndIsAssembled) {
  Start(2);
  Answer answer;
  Submit(&answer);
  FakeLink::PendingRun first = links_[0]->TakeRun();
  EXPECT_EQ(first.call.request_id, "r1");
  EXPECT_EQ(first.call.id.epoch, 1u);
  EXPECT_THAT(first.call.inputs, SizeIs(2));
  first.AnswerOk();
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kUnknown);
  links_[1]->TakeRun().AnswerOk();
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_THAT(answer.outputs[0].values<float>(), ElementsAre(1, 2, 3, 4, 1, 2, 3, 4));
  EXPECT_THAT(answer.outputs[1].values<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(deployment_->status().runs, 1u);
  EXPECT_THAT(lines_, HasSubstr("run answered request_id=r1 model=m"));
}

TEST_F(DeploymentTest, RunsWithCollectivesGoOneByOne) {
  Start(2);
  Answer a, b;
  Submit(&a);
  Submit(&b);
  EXPECT_EQ(links_[0]->num_waiting(), 1u);
  links_[0]->TakeRun().AnswerOk();
  EXPECT_EQ(links_[0]->num_waiting(), 0u);  // slice 1 is still at it
  links_[1]->TakeRun().AnswerOk();
  EXPECT_EQ(links_[0]->TakeRun().call.request_id, "r2");
  links_[1]->TakeRun();
}

TEST_F(DeploymentTest, StagesWorkOnDifferentRuns) {
  Start(2, 1, {}, /*stages=*/2);
  Answer answers[4];
  for (Answer& answer : answers) Submit(&answer);
  EXPECT_EQ(links_[0]->num_waiting(), 3u);  // one for each stage, and one on its way
  std::vector<FakeLink::PendingRun> first, second;
  for (int i = 0; i < 3; ++i) {
    first.push_back(links_[0]->TakeRun());
    second.push_back(links_[1]->TakeRun());
    EXPECT_EQ(first[i].call.sequence, static_cast<uint64_t>(i + 1));
    EXPECT_EQ(second[i].call.sequence, static_cast<uint64_t>(i + 1));
  }
  // The first stage is ahead of the second one.
  first[0].AnswerOk();
  first[1].AnswerOk();
  EXPECT_EQ(links_[0]->num_waiting(), 0u);
  second[0].AnswerOk();
  EXPECT_TRUE(answers[0].status.ok());
  EXPECT_EQ(links_[0]->TakeRun().call.sequence, 4u);
}

TEST_F(DeploymentTest, AFailureCostsTheOthersInFlightTimeOnly) {
  Start(2, 1, {}, /*stages=*/2);
  Answer bad, innocent, waiting;
  Submit(&bad);
  Submit(&innocent);
  std::vector<FakeLink::PendingRun> runs;
  for (auto& link : links_) runs.push_back(link->TakeRun());
  std::vector<FakeLink::PendingRun> others;
  for (auto& link : links_) others.push_back(link->TakeRun());
  // The epoch's first failure is what all of its runs end with, in any order.
  const absl::Status broke = absl::InvalidArgumentError("index 9 of 4");
  others[1].Answer(broke);
  runs[0].Answer(broke);
  others[0].Answer(broke);
  EXPECT_EQ(restarts_, 1);
  Submit(&waiting);
  runs[1].Answer(broke);
  EXPECT_EQ(restarts_, 1);
  for (const Answer* answer : {&bad, &innocent, &waiting}) {
    EXPECT_EQ(answer->status.code(), absl::StatusCode::kUnknown);
  }
  ASSERT_TRUE(deployment_->BeginAttempt({}, nullptr).ok());
  ASSERT_TRUE(deployment_->FinishAttempt(Epoch(2, 2)).ok());
  // Now each alone, so that it is known whose fault it is.
  EXPECT_EQ(links_[0]->num_waiting(), 1u);
  FakeLink::PendingRun again = links_[0]->TakeRun();
  EXPECT_EQ(again.call.request_id, "r1");
  EXPECT_EQ(again.call.id.epoch, 2u);
  EXPECT_EQ(again.call.sequence, 1u);
  again.Answer(broke);
  EXPECT_EQ(bad.status, absl::InvalidArgumentError("worker 'w0': index 9 of 4"));
  links_[1]->TakeRun().Answer(broke);
  EXPECT_EQ(restarts_, 2);
  ASSERT_TRUE(deployment_->BeginAttempt({}, nullptr).ok());
  ASSERT_TRUE(deployment_->FinishAttempt(Epoch(3, 2)).ok());
  again = links_[0]->TakeRun();
  EXPECT_EQ(again.call.request_id, "r2");
  EXPECT_EQ(links_[0]->num_waiting(), 0u);
  again.AnswerOk();
  links_[1]->TakeRun().AnswerOk();
  EXPECT_TRUE(innocent.status.ok());
  for (auto& link : links_) link->TakeRun().AnswerOk();
  EXPECT_TRUE(waiting.status.ok());
  EXPECT_TRUE(deployment_->WaitDrained(absl::InfinitePast()));
}

TEST_F(DeploymentTest, AnOverdueRunIsEndedOnceNoOlderOneIsInItsWay) {
  Start(2, 1, {.abort_grace = absl::Milliseconds(100)}, /*stages=*/2);
  Answer older, overdue;
  Submit(&older);
  Submit(&overdue, clock_.Now() + absl::Milliseconds(50));
  std::vector<FakeLink::PendingRun> runs, late;
  for (auto& link : links_) {
    runs.push_back(link->TakeRun());
    late.push_back(link->TakeRun());
  }
  Pass(absl::Milliseconds(60));
  EXPECT_EQ(overdue.status.code(), absl::StatusCode::kDeadlineExceeded);
  Pass(absl::Seconds(1));
  EXPECT_FALSE(late[0].context.cancellation->cancelled());
  for (const FakeLink::PendingRun& run : runs) run.AnswerOk();
  EXPECT_TRUE(older.status.ok());
  Pass(absl::Seconds(1));
  EXPECT_TRUE(late[0].context.cancellation->cancelled());
  for (const FakeLink::PendingRun& run : late) run.Answer(late[0].context.cancellation->status());
  EXPECT_EQ(restarts_, 1);
  EXPECT_TRUE(deployment_->WaitDrained(absl::InfinitePast()));
}

TEST_F(DeploymentTest, ALostWorkerEndsEveryRunInFlight) {
  Start(2, 1, {}, /*stages=*/2);
  Answer answers[3];
  for (Answer& answer : answers) Submit(&answer);
  std::vector<FakeLink::PendingRun> runs;
  for (int i = 0; i < 3; ++i) {
    runs.push_back(links_[0]->TakeRun());
    links_[1]->TakeRun().Answer(absl::UnavailableError("connection reset"));
  }
  for (const FakeLink::PendingRun& run : runs) run.Answer(absl::UnavailableError("rank 1 cannot be reached"));
  deployment_->FailWorker(Worker(1), lost_);
  for (const Answer& answer : answers) EXPECT_EQ(answer.status, lost_);
  EXPECT_TRUE(deployment_->WaitDrained(absl::InfinitePast()));
}

TEST_F(DeploymentTest, ReplicasShareTheLoad) {
  Start(1, 2);
  Answer answers[5];
  for (Answer& answer : answers) Submit(&answer);
  EXPECT_EQ(links_[0]->num_waiting(), 2u);  // one runs, one travels
  EXPECT_EQ(links_[1]->num_waiting(), 2u);
  links_[1]->TakeRun().AnswerOk();
  EXPECT_EQ(links_[1]->num_waiting(), 2u);
  for (FakeLink* link : {links_[0].get(), links_[1].get()}) {
    while (link->num_waiting() > 0) link->TakeRun().AnswerOk();
  }
  for (const Answer& answer : answers) EXPECT_TRUE(answer.status.ok());
}

TEST_F(DeploymentTest, QueueIsBounded) {
  Start(2, 1, {.queue = {.runs = 1}});
  Answer running, waiting, refused;
  Submit(&running);
  Submit(&waiting);
  Submit(&refused);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(waiting.status.code(), absl::StatusCode::kUnknown);
}

TEST_F(DeploymentTest, LossOfAWorkerAnswersAllNamingItAndFreesThePeers) {
  Start(2);
  Answer running, waiting;
  Submit(&running);
  Submit(&waiting);
  deployment_->FailWorker(Worker(1), lost_);
  EXPECT_EQ(running.status, lost_);
  EXPECT_EQ(waiting.status, lost_);
  EXPECT_THAT(releases_, ElementsAre("w0/1"));
  EXPECT_EQ(release_cause_, lost_);
  EXPECT_EQ(deployment_->state(), DeploymentState::kFailed);
  EXPECT_THAT(deployment_->status().cause, HasSubstr("worker 'w1'"));
  EXPECT_THAT(deployment_->status().slices, IsEmpty());
  // What the peers say when they are released changes nothing.
  EXPECT_EQ(links_[0]->TakeRun().context.cancellation->status(), lost_);
  Answer late;
  Submit(&late);
  EXPECT_EQ(late.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(late.status.message()), HasSubstr("has failed: worker 'w1' (incarnation i) was lost"));
}

TEST_F(DeploymentTest, ALostWorkerIsTheAnswerEvenIfItsPeerComplainsFirst) {
  Start(2);
  Answer answer, waiting;
  Submit(&answer);
  Submit(&waiting);
  links_[0]->TakeRun().Answer(absl::UnavailableError("rank 0: connection to rank 1 reset"));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kUnknown);
  links_[1]->TakeRun().Answer(absl::CancelledError("cancelled"));
  EXPECT_EQ(restarts_, 1);
  deployment_->FailWorker(Worker(1), lost_);
  EXPECT_EQ(answer.status, lost_);
  EXPECT_EQ(waiting.status, lost_);
  EXPECT_EQ(deployment_->state(), DeploymentState::kFailed);
  EXPECT_FALSE(deployment_->BeginAttempt({}, nullptr).ok());
  EXPECT_TRUE(deployment_->WaitDrained(absl::InfinitePast()));
}

TEST_F(DeploymentTest, WithoutALossThePeersComplaintIsTheAnswer) {
  Start(2);
  Answer answer;
  Submit(&answer);
  links_[0]->TakeRun().Answer(absl::UnavailableError("connection to rank 1 reset"));
  links_[1]->TakeRun().Answer(absl::CancelledError("cancelled"));
  Pass(absl::Seconds(2));
  EXPECT_EQ(answer.status, absl::UnavailableError("worker 'w0': connection to rank 1 reset"));
  EXPECT_TRUE(deployment_->WaitDrained(absl::InfinitePast()));
}

TEST_F(DeploymentTest, FailedRunWithCollectivesStartsANewEpochAndTheQueueWaits) {
  Start(2);
  Answer failed, waiting;
  Submit(&failed);
  Submit(&waiting);
  links_[1]->TakeRun().Answer(absl::InternalError("kernel broke"));
  EXPECT_EQ(failed.status, absl::InternalError("worker 'w1': kernel broke"));
  FakeLink::PendingRun peer = links_[0]->TakeRun();
  EXPECT_TRUE(peer.context.cancellation->cancelled());
  EXPECT_EQ(restarts_, 0);  // not before the peer is out of it
  peer.Answer(absl::InternalError("kernel broke"));
  EXPECT_EQ(restarts_, 1);
  EXPECT_THAT(releases_, ElementsAre("w0/1", "w1/1"));
  EXPECT_EQ(deployment_->state(), DeploymentState::kRestarting);
  ASSERT_TRUE(deployment_->BeginAttempt({}, nullptr).ok());
  ASSERT_TRUE(deployment_->FinishAttempt(Epoch(2, 2)).ok());
  EXPECT_EQ(links_[0]->TakeRun().call.id.epoch, 2u);
  EXPECT_EQ(waiting.status.code(), absl::StatusCode::kUnknown);
}

TEST_F(DeploymentTest, FailedRestartFailsTheModelAndAnswersTheQueue) {
  Start(2);
  Answer failed, waiting;
  Submit(&failed);
  Submit(&waiting);
  for (auto& link : links_) link->TakeRun().Answer(absl::InternalError("kernel broke"));
  ASSERT_TRUE(deployment_->BeginAttempt({}, nullptr).ok());
  EXPECT_FALSE(deployment_->FinishAttempt(absl::ResourceExhaustedError("no room")).ok());
  EXPECT_EQ(waiting.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(waiting.status.message()), HasSubstr("no room"));
  EXPECT_EQ(deployment_->state(), DeploymentState::kFailed);
}

TEST_F(DeploymentTest, FailedRunWithoutCollectivesCostsNothingElse) {
  Start(1);
  Answer answer;
  Submit(&answer);
  links_[0]->TakeRun().Answer(absl::InvalidArgumentError("index 7 out of range"));
  EXPECT_EQ(answer.status, absl::InvalidArgumentError("worker 'w0': index 7 out of range"));
  EXPECT_EQ(deployment_->state(), DeploymentState::kReady);
}

TEST_F(DeploymentTest, ClientThatLeavesTheQueueIsAnsweredAndForgotten) {
  Start(2);
  Answer running, waiting;
  Submit(&running);
  std::shared_ptr<omserve::Run> run = Submit(&waiting);
  deployment_->Abandon(run, absl::CancelledError("client left"));
  EXPECT_EQ(waiting.status.code(), absl::StatusCode::kCancelled);
  for (auto& link : links_) link->TakeRun().AnswerOk();
  EXPECT_EQ(links_[0]->num_waiting(), 0u);
  EXPECT_TRUE(deployment_->WaitDrained(absl::InfinitePast()));
}

TEST_F(DeploymentTest, ShortRunOfALeavingClientMayFinish) {
  Start(2);
  Answer answer;
  std::shared_ptr<omserve::Run> run = Submit(&answer);
  deployment_->Abandon(run, absl::CancelledError("client left"));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kCancelled);
  for (auto& link : links_) {
    FakeLink::PendingRun pending = link->TakeRun();
    EXPECT_FALSE(pending.context.cancellation->cancelled());
    pending.AnswerOk();
  }
  EXPECT_EQ(deployment_->state(), DeploymentState::kReady);
  EXPECT_EQ(deployment_->status().runs, 0u);
}

TEST_F(DeploymentTest, LongRunOfALeavingClientIsEnded) {
  Start(2);
  Answer answer;
  std::shared_ptr<omserve::Run> run = Submit(&answer);
  deployment_->Abandon(run, absl::CancelledError("client left"));
  Pass(absl::Seconds(1));
  for (auto& link : links_) {
    FakeLink::PendingRun pending = link->TakeRun();
    EXPECT_EQ(pending.context.cancellation->status(), absl::CancelledError("client left"));
    pending.Answer(absl::CancelledError("client left"));
  }
  EXPECT_EQ(restarts_, 1);
}

TEST_F(DeploymentTest, RunWithoutCollectivesIsEndedAtOnce) {
  Start(1);
  Answer answer;
  std::shared_ptr<omserve::Run> run = Submit(&answer);
  deployment_->Abandon(run, absl::CancelledError("client left"));
  EXPECT_TRUE(links_[0]->TakeRun().context.cancellation->cancelled());
}

TEST_F(DeploymentTest, DeadlinesEndRunsInTheQueueAndInFlight) {
  Start(2);
  Answer running, waiting;
  Submit(&running, clock_.Now() + absl::Seconds(2));
  Submit(&waiting, clock_.Now() + absl::Seconds(1));
  Pass(absl::Milliseconds(1500));
  EXPECT_EQ(waiting.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(waiting.status.message()), HasSubstr("waiting in the queue"));
  EXPECT_EQ(running.status.code(), absl::StatusCode::kUnknown);
  Pass(absl::Seconds(1));
  EXPECT_EQ(running.status.code(), absl::StatusCode::kDeadlineExceeded);
  FakeLink::PendingRun pending = links_[0]->TakeRun();
  EXPECT_FALSE(pending.context.cancellation->cancelled());
  Pass(absl::Seconds(1));
  EXPECT_TRUE(pending.context.cancellation->cancelled());
}

TEST_F(DeploymentTest, OneLostReplicaLeavesTheOthersServing) {
  Start(1, 2);
  Answer a, b, c;
  Submit(&a);
  Submit(&b);
  deployment_->FailWorker(Worker(1), lost_);
  EXPECT_EQ(b.status, lost_);
  EXPECT_EQ(deployment_->state(), DeploymentState::kReady);
  EXPECT_THAT(deployment_->status().slices, SizeIs(1));
  Submit(&c);
  links_[0]->TakeRun().AnswerOk();
  links_[0]->TakeRun().AnswerOk();
  EXPECT_TRUE(a.status.ok());
  EXPECT_TRUE(c.status.ok());
}

TEST_F(DeploymentTest, LossOfAnotherWorkerOrIncarnationDoesNotConcernIt) {
  Start(2);
  WorkerRef other = Worker(1);
  other.incarnation = "older";
  deployment_->FailWorker(other, lost_);
  EXPECT_EQ(deployment_->state(), DeploymentState::kReady);
}

TEST_F(DeploymentTest, WorkerThatLeavesFinishesWhatItHas) {
  Start(2);
  Answer running, waiting;
  Submit(&running);
  Submit(&waiting);
  deployment_->RetireWorker(Worker(1), absl::UnavailableError("worker 'w1' is shutting down"));
  EXPECT_EQ(waiting.status.message(), "worker 'w1' is shutting down");
  for (auto& link : links_) link->TakeRun().AnswerOk();
  EXPECT_TRUE(running.status.ok());
  EXPECT_EQ(deployment_->state(), DeploymentState::kFailed);
  deployment_->FailWorker(Worker(1), lost_);
  EXPECT_THAT(releases_, ElementsAre("w0/1"));
}

TEST_F(DeploymentTest, LossDuringAnAttemptCancelsIt) {
  Start(2);
  Answer failed;
  Submit(&failed);
  for (auto& link : links_) link->TakeRun().Answer(absl::InternalError("kernel broke"));
  auto cancellation = std::make_shared<Cancellation>();
  ASSERT_TRUE(deployment_->BeginAttempt({Worker(0), Worker(1)}, cancellation).ok());
  EXPECT_EQ(deployment_->BeginAttempt({}, nullptr).code(), absl::StatusCode::kFailedPrecondition);
  deployment_->FailWorker(Worker(1), lost_);
  EXPECT_EQ(cancellation->status(), lost_);
  // Even if all steps had just succeeded.
  EXPECT_EQ(deployment_->FinishAttempt(Epoch(2, 2)), lost_);
  EXPECT_EQ(deployment_->state(), DeploymentState::kFailed);
}

TEST_F(DeploymentTest, UnloadDrainsThenCloses) {
  Start(2);
  Answer running, waiting, late;
  Submit(&running);
  Submit(&waiting);
  ASSERT_TRUE(deployment_->BeginUnload().ok());
  EXPECT_EQ(deployment_->BeginUnload().code(), absl::StatusCode::kFailedPrecondition);
  Submit(&late);
  EXPECT_EQ(late.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(deployment_->WaitDrained(absl::InfinitePast()));
  for (int i = 0; i < 2; ++i) {
    for (auto& link : links_) link->TakeRun().AnswerOk();
  }
  EXPECT_TRUE(running.status.ok());
  EXPECT_TRUE(waiting.status.ok());
  EXPECT_TRUE(deployment_->WaitDrained(absl::InfinitePast()));
  EXPECT_THAT(deployment_->Close(absl::UnavailableError("unloaded")), SizeIs(2));
}

TEST_F(DeploymentTest, CloseAnswersWhatIsLeft) {
  Start(2);
  Answer running, waiting;
  Submit(&running);
  Submit(&waiting);
  EXPECT_THAT(deployment_->Close(absl::UnavailableError("unloaded")), SizeIs(2));
  EXPECT_EQ(running.status.message(), "unloaded");
  EXPECT_EQ(waiting.status.message(), "unloaded");
  EXPECT_FALSE(deployment_->WaitDrained(absl::InfinitePast()));
  for (auto& link : links_) link->TakeRun().Answer(absl::UnavailableError("unloaded"));
  EXPECT_TRUE(deployment_->WaitDrained(absl::InfinitePast()));
  EXPECT_EQ(restarts_, 0);
}

}  // namespace
}  // namespace omserve
