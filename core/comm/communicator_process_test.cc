// Communicators of several real processes: this one is process 0, comm_test_worker plays the others.
#include <fcntl.h>
#include <poll.h>
#include <atomic>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/comm/collective_checks.h"
#include "core/comm/network.h"
#include "core/comm/communicator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(200);  // under sanitizers, on a busy machine

class WorkerProcess {
 public:
  WorkerProcess(const std::string& world, int process, const std::string& mode) {
    int in[2], out[2];
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    const std::string number = absl::StrCat(process);
    const char* arguments[] = {COMM_TEST_WORKER, world.c_str(), number.c_str(), mode.c_str(), nullptr};
    EXPECT_EQ(posix_spawn(&pid_, COMM_TEST_WORKER, &actions, nullptr, const_cast<char**>(arguments), environ),
              0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = out[0];
  }

  ~WorkerProcess() {
    CloseInput();
    if (pid_ > 0) Kill(SIGKILL);
    close(from_);
  }

  void Tell(const std::string& line) {
    const std::string text = line + "\n";
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t written = write(to_, text.data() + done, text.size() - done);
      if (written <= 0) return;
      done += static_cast<size_t>(written);
    }
  }

  void CloseInput() {
    if (to_ >= 0) close(std::exchange(to_, -1));
  }

  // The next line; "" when there is none within the time.
  std::string Hear() {
    const absl::Time deadline = absl::Now() + kPatience;
    for (;;) {
      if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
        const std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      pollfd fd{from_, POLLIN, 0};
      const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
      if (left <= 0 || poll(&fd, 1, static_cast<int>(left)) <= 0) return "";
      char bytes[4096];
      const ssize_t size = read(from_, bytes, sizeof(bytes));
      if (size <= 0) return "";
      buffer_.append(bytes, static_cast<size_t>(size));
    }
  }

  void Kill(int signal) {
    kill(pid_, signal);
    if (signal != SIGKILL) return;
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  // Ends the process by closing its input; true if it did so without failing.
  bool Finish() {
    CloseInput();
    EXPECT_EQ(Hear(), "DONE");
    int status = -1;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

 private:
  pid_t pid_ = -1;
  int to_ = -1;
  int from_ = -1;
  std::string buffer_;
};

// A world whose process 0 is this one.
class World {
 public:
  World(const std::string& text, int processes, const std::string& mode) : world_(ParseWorld(text)) {
    for (int process = 1; process < processes; ++process) {
      workers_.push_back(std::make_unique<WorkerProcess>(text, process, mode));
    }
    auto hub = CommunicatorHub::Create(world_, 0, &epoch_);
    EXPECT_TRUE(hub.ok()) << hub.status();
    hub_ = *std::move(hub);
    addresses_ = hub_->local_addresses();
    for (auto& worker : workers_) {
      std::string line;
      for (line = worker->Hear(); absl::StartsWith(line, "ADDRESS "); line = worker->Hear()) {
        const std::vector<std::string> words = absl::StrSplit(line, ' ');
        addresses_[std::stoi(words[1])] = absl::HexStringToBytes(words[2]);
      }
      EXPECT_EQ(line, "END");
    }
  }

  void Connect() {
    for (auto& worker : workers_) {
      for (const auto& [rank, address] : addresses_) {
        worker->Tell(absl::StrCat("ADDRESS ", rank, " ", absl::BytesToHexString(address)));
      }
      worker->Tell("END");
    }
    const absl::Status status = hub_->Connect(addresses_, Limit());
    ASSERT_TRUE(status.ok()) << status;
    for (auto& worker : workers_) ASSERT_EQ(worker->Hear(), "CONNECTED");
  }

  // Repeats an all-reduce of group "all" on all local ranks until it fails; their statuses.
  std::vector<absl::Status> Loop(size_t count, const WaitLimit& limit) {
    const std::vector<int> ranks = RanksOf(world_, 0);
    std::vector<absl::Status> statuses(ranks.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < ranks.size(); ++i) {
      threads.emplace_back([&, i] {
        std::vector<float> data(count, 1.0f);
        while (statuses[i].ok()) {
          statuses[i] =
              hub_->backend(ranks[i])->AllReduce("all", data.data(), data.data(), count, DataType::kFloat,
                                                 CollectiveBackend::Reduction::kMax, limit);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return statuses;
  }

  WaitLimit Limit() const { return WaitLimit{absl::Now() + kPatience, nullptr, nullptr}; }
  CommunicatorHub& hub() { return *hub_; }
  void DestroyHub() { hub_.reset(); }
  const CommWorld& world() const { return world_; }
  WorkerProcess& worker(int process) { return *workers_[process - 1]; }
  std::map<int, std::string>& addresses() { return addresses_; }
  Cancellation& epoch() { return epoch_; }

 private:
  const CommWorld world_;
  Cancellation epoch_;
  std::vector<std::unique_ptr<WorkerProcess>> workers_;
  std::unique_ptr<CommunicatorHub> hub_;
  std::map<int, std::string> addresses_;
};

struct Case {
  const char* name;
  const char* world;
  int processes;
};

class ProcessTest : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Worlds, ProcessTest,
                         testing::Values(Case{"TwoOfOne", "0,1 all:0,1", 2},
                                         Case{"TwoReversed", "1,0 all:0,1 back:1,0", 2},
                                         Case{"TwoOfTwo", "0,0,1,1 all:0,1,2,3 inner:0,1 outer:1,2", 2},
                                         Case{"Interleaved", "0,1,0,1 all:0,1,2,3 mixed:3,0,2", 2},
                                         Case{"Uneven", "1,0,0,1,0 all:0,1,2,3,4 some:4,0,3", 2},
                                         Case{"ThreeOfOne", "0,1,2 all:0,1,2 two:2,0", 3},
                                         Case{"ThreeUneven", "0,0,1,2,2 all:0,1,2,3,4 mixed:3,0,4,2,1", 3}),
                         [](const auto& info) { return info.param.name; });

TEST_P(ProcessTest, EveryCollective) {
  World world(GetParam().world, GetParam().processes, "check");
  world.Connect();
  const absl::Status status =
      CheckAllGroups(world.hub(), world.world(), RanksOf(world.world(), 0), kProcessTypes, world.Limit());
  EXPECT_TRUE(status.ok()) << status;
  for (int process = 1; process < GetParam().processes; ++process) {
    EXPECT_EQ(world.worker(process).Hear(), "RESULT 0 ");
  }
  EXPECT_GT(world.hub().network_bytes(), 0);
  world.DestroyHub();
  for (int process = 1; process < GetParam().processes; ++process)
    EXPECT_TRUE(world.worker(process).Finish());
}

TEST(CommunicatorProcessTest, LongMessagesDoNotWaitForTheirReceiver) {
  World world("0,1 all:0,1", 2, "ahead");
  world.Connect();
  const absl::Status status = SendAhead(*world.hub().backend(0), 0, 4, 400000, world.Limit());
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(world.worker(1).Hear(), "RESULT 0 ");
  world.DestroyHub();
  EXPECT_TRUE(world.worker(1).Finish());
}

TEST(CommunicatorProcessTest, LongMessagesThatNobodyTakesEndWithTheEpoch) {
  World world("0,1 all:0,1", 2, "stall");
  world.Connect();
  std::atomic<int> sent{0};
  absl::Status status;
  std::thread sender([&] {
    const std::vector<float> data(4 << 20);
    while (status.ok()) {
      status = world.hub().backend(0)->Send("all", data.data(), data.size(), DataType::kFloat, 1, 0, world.Limit());
      sent += status.ok();
    }
  });
  while (sent < NetworkWorker::kBackgroundSends) std::this_thread::yield();
  world.epoch().Cancel(absl::UnavailableError("worker b is lost"));
  sender.join();
  EXPECT_EQ(status, absl::UnavailableError("worker b is lost"));
  const absl::Time begin = absl::Now();
  world.DestroyHub();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(2));
}

TEST(CommunicatorProcessTest, MissingRankEndsAtTheDeadline) {
  World world("0,0,1 all:0,1,2", 2, "stall");
  world.Connect();
  const absl::Time begin = absl::Now();
  const auto statuses = world.Loop(1000, WaitLimit{begin + absl::Milliseconds(100), nullptr, nullptr});
  EXPECT_LT(absl::Now() - begin, absl::Seconds(1));
  for (const absl::Status& status : statuses) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    // Rank 2 of the leader, which asks it, or the leader of the other.
    EXPECT_THAT(std::string(status.message()), HasSubstr("waiting for rank "));
  }
}

TEST(CommunicatorProcessTest, CancelledEpochEndsAllWithTheCause) {
  for (const size_t count : {1000, 4 << 20}) {
    World world("0,0,1,2 all:0,1,2,3", 3, count == 1000 ? "loop" : "loop_large");
    world.Connect();
    absl::Time cancelled;
    std::thread canceller([&] {
      EXPECT_EQ(world.worker(1).Hear(), "LOOPING");
      EXPECT_EQ(world.worker(2).Hear(), "LOOPING");
      cancelled = absl::Now();
      world.epoch().Cancel(absl::UnavailableError("worker b is lost"));
      world.worker(1).Tell("CANCEL worker b is lost");
      world.worker(2).Tell("CANCEL worker b is lost");
    });
    const auto statuses = world.Loop(count, WaitLimit{});
    canceller.join();
    for (const absl::Status& status : statuses) EXPECT_EQ(status, absl::UnavailableError("worker b is lost"));
    // A process may notice that its peer has left before it hears of the cancellation.
    for (const int process : {1, 2}) EXPECT_THAT(world.worker(process).Hear(), HasSubstr("RESULT 14 "));
    EXPECT_LT(absl::Now() - cancelled, absl::Seconds(2));
    world.DestroyHub();
    EXPECT_LT(absl::Now() - cancelled, absl::Seconds(4));
  }
}

TEST(CommunicatorProcessTest, KilledPeerIsReported) {
  for (const size_t count : {1000, 4 << 20}) {
    World world("0,0,1,2 all:0,1,2,3", 3, count == 1000 ? "loop" : "loop_large");
    world.Connect();
    std::thread killer([&] {
      EXPECT_EQ(world.worker(1).Hear(), "LOOPING");
      EXPECT_EQ(world.worker(2).Hear(), "LOOPING");
      world.worker(1).Kill(SIGKILL);
    });
    // No cancellation: the transport alone must tell, within UCX's keep-alive.
    const auto statuses = world.Loop(count, WaitLimit{absl::Now() + absl::Seconds(20), nullptr, nullptr});
    killer.join();
    for (const absl::Status& status : statuses) {
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr("rank "));
    }
    const absl::Time begin = absl::Now();
    world.DestroyHub();
    EXPECT_LT(absl::Now() - begin, absl::Seconds(2));
    // The other survivor finds out by itself, or is told by this process.
    EXPECT_THAT(world.worker(2).Hear(), HasSubstr("RESULT 14 "));
  }
}

TEST(CommunicatorProcessTest, PeersAreToldTheFirstCause) {
  World world("0,0,1,2 all:0,1,2,3", 3, "loop");
  world.Connect();
  Cancellation run;
  std::thread canceller([&] {
    EXPECT_EQ(world.worker(1).Hear(), "LOOPING");
    EXPECT_EQ(world.worker(2).Hear(), "LOOPING");
    run.Cancel(absl::CancelledError("the client has left"));
  });
  const auto statuses = world.Loop(1000, WaitLimit{absl::InfiniteFuture(), &run, nullptr});
  const absl::Time begin = absl::Now();
  canceller.join();
  for (const absl::Status& status : statuses) EXPECT_EQ(status, run.status());
  for (const int process : {1, 2}) EXPECT_EQ(world.worker(process).Hear(), "RESULT 1 the client has left");
  EXPECT_LT(absl::Now() - begin, absl::Seconds(1));
}

TEST(CommunicatorProcessTest, StoppedPeerIsLeftWhenTheEpochIsCancelled) {
  World world("0,1 all:0,1", 2, "loop_large");
  world.Connect();
  std::thread stopper([&] {
    EXPECT_EQ(world.worker(1).Hear(), "LOOPING");
    world.worker(1).Kill(SIGSTOP);
    world.epoch().Cancel(absl::UnavailableError("the lease of worker b ran out"));
  });
  const auto statuses = world.Loop(4 << 20, WaitLimit{});
  stopper.join();
  EXPECT_EQ(statuses[0], absl::UnavailableError("the lease of worker b ran out"));
  const absl::Time begin = absl::Now();
  world.DestroyHub();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(2));
}

TEST(CommunicatorProcessTest, ConnectChecksAddresses) {
  const auto connect = [](auto change) {
    World world("0,1 all:0,1", 2, "stall");
    change(world);
    return world.hub().Connect(world.addresses(),
                               WaitLimit{absl::Now() + absl::Milliseconds(100), nullptr, nullptr});
  };
  EXPECT_THAT(connect([](World& world) { world.addresses().erase(1); }).ToString(),
              HasSubstr("no address was given for rank 1"));
  EXPECT_THAT(connect([](World& world) { world.addresses()[1] = "?"; }).ToString(), HasSubstr("too short"));
  EXPECT_THAT(connect([](World& world) { world.addresses()[1][60] ^= 1; }).ToString(),
              HasSubstr("is damaged"));
  EXPECT_THAT(connect([](World& world) { world.addresses()[1] = world.addresses()[0]; }).ToString(),
              HasSubstr("is that of rank 0"));
  // The other process never connects.
  const absl::Status alone = connect([](World&) {});
  EXPECT_EQ(alone.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(alone.message()), HasSubstr("rank 1 to answer rank 0"));
}

TEST(CommunicatorProcessTest, CollectivesNeedConnect) {
  World world("0,1 all:0,1", 2, "stall");
  float value = 0;
  EXPECT_EQ(world.hub()
                .backend(0)
                ->AllReduce("all", &value, &value, 1, DataType::kFloat, CollectiveBackend::Reduction::kSum,
                            WaitLimit{})
                .code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace omserve
