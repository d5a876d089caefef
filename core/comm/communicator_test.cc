// Communicators of one process.
#include "core/comm/communicator.h"

#include <dlfcn.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/comm/collective_checks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Reduction = CollectiveBackend::Reduction;

constexpr absl::Duration kPatience = absl::Seconds(200);  // under sanitizers, on a busy machine

std::unique_ptr<CommunicatorHub> MakeHub(const CommWorld& world, const Cancellation* epoch = nullptr) {
  absl::StatusOr<std::unique_ptr<CommunicatorHub>> hub = CommunicatorHub::Create(world, 0, epoch);
  EXPECT_TRUE(hub.ok()) << hub.status();
  EXPECT_TRUE((*hub)->local_addresses().empty());
  return *std::move(hub);
}

// Runs `body` for each rank in a thread of its own and returns the statuses.
std::vector<absl::Status> OnRanks(CommunicatorHub& hub, int ranks,
                                  const std::function<absl::Status(int, CollectiveBackend&)>& body) {
  std::vector<absl::Status> statuses(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] { statuses[rank] = body(rank, *hub.backend(rank)); });
  }
  for (std::thread& thread : threads) thread.join();
  return statuses;
}

absl::Status SumOne(CollectiveBackend& backend, const std::string& group, const WaitLimit& limit) {
  int32_t value = 1;
  return backend.AllReduce(group, &value, &value, 1, DataType::kInt32, Reduction::kSum, limit);
}

class GroupSizeTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, GroupSizeTest, testing::Values(1, 2, 3, 4, 6));

TEST_P(GroupSizeTest, EveryCollective) {
  CommWorld world;
  world.process_of.assign(GetParam(), 0);
  world.groups.push_back({"all", {}});
  for (int rank = GetParam() - 1; rank >= 0; --rank) world.groups[0].ranks.push_back(rank);
  const auto hub = MakeHub(world);
  const absl::Status status = CheckAllGroups(*hub, world, RanksOf(world, 0), AllTypes(),
                                             WaitLimit{absl::Now() + kPatience, nullptr, nullptr});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(hub->network_bytes(), 0);
  EXPECT_EQ(hub->local_bytes() > 0, GetParam() > 1);
}

TEST(CommunicatorTest, GroupsAreIndependent) {
  // A 2 x 2 mesh, whose rows and columns are used in turn, with different numbers of calls.
  const CommWorld world = ParseWorld("0,0,0,0 row0:0,1 row1:2,3 column0:0,2 column1:1,3 all:0,1,2,3");
  const auto hub = MakeHub(world);
  const WaitLimit limit{absl::Now() + kPatience, nullptr, nullptr};
  const auto statuses = OnRanks(*hub, 4, [&](int rank, CollectiveBackend& backend) -> absl::Status {
    const std::string row = rank < 2 ? "row0" : "row1", column = rank % 2 == 0 ? "column0" : "column1";
    for (int round = 0; round < 200; ++round) {
      // Row 1 calls more often than row 0.
      for (int i = 0; i < (rank < 2 ? 1 : 3); ++i) {
        if (absl::Status status = SumOne(backend, row, limit); !status.ok()) return status;
      }
      std::vector<int32_t> value(round % 2 == 0 ? 10 : 10000, rank);
      for (const std::string& group : {row, column}) {
        absl::Status status = backend.AllReduce(group, value.data(), value.data(), value.size(),
                                                DataType::kInt32, Reduction::kSum, limit);
        if (!status.ok()) return status;
      }
      for (const int32_t sum : value) {
        if (sum != 0 + 1 + 2 + 3) return absl::InternalError("wrong sum");
      }
    }
    return absl::OkStatus();
  });
  for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
}

TEST(CommunicatorTest, MissingRankEndsAtTheDeadlineForAll) {
  const CommWorld world = ParseWorld("0,0,0 all:0,1,2 pair:0,1");
  const auto hub = MakeHub(world);
  const auto statuses = OnRanks(*hub, 3, [&](int rank, CollectiveBackend& backend) -> absl::Status {
    if (rank == 2) return absl::OkStatus();  // never arrives
    // One has a deadline, the other has none and leaves with it.
    const absl::Time deadline = rank == 0 ? absl::Now() + absl::Milliseconds(50) : absl::InfiniteFuture();
    return SumOne(backend, "all", WaitLimit{deadline, nullptr, nullptr});
  });
  for (const int rank : {0, 1}) {
    EXPECT_EQ(statuses[rank].code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_THAT(std::string(statuses[rank].message()), HasSubstr("all-reduce of group \"all\" on rank 0"));
    EXPECT_THAT(std::string(statuses[rank].message()), HasSubstr("waiting for rank 2"));
  }
  // The hub is out of step: nothing works on it any more, not even another group.
  EXPECT_EQ(SumOne(*hub->backend(0), "pair", WaitLimit{}), statuses[0]);
}

TEST(CommunicatorTest, CancellationWakesSpinnersAndSleepers) {
  for (const bool cancel_run : {false, true}) {
    const CommWorld world = ParseWorld("0,0,0,0 all:0,1,2,3");
    Cancellation epoch, run;
    const auto hub = MakeHub(world, &epoch);
    std::atomic<int> waiting{0};
    absl::Time cancelled;
    const absl::Status cause = absl::UnavailableError("worker b is lost");
    const auto statuses = OnRanks(*hub, 4, [&](int rank, CollectiveBackend& backend) -> absl::Status {
      if (rank == 3) {
        while (waiting != 3) std::this_thread::yield();
        cancelled = absl::Now();
        (cancel_run ? run : epoch).Cancel(cause);
        return cause;
      }
      const WaitLimit limit{absl::InfiniteFuture(), rank == 1 && cancel_run ? &run : nullptr, nullptr};
      ++waiting;
      if (rank == 2) {  // in a message instead
        int32_t value;
        return backend.Receive("all", &value, 1, DataType::kInt32, 3, 5, limit);
      }
      return SumOne(backend, "all", limit);
    });
    EXPECT_LT(absl::Now() - cancelled, absl::Seconds(1));
    for (const absl::Status& status : statuses) EXPECT_EQ(status, cause);
  }
}

TEST(CommunicatorTest, CancelledLongSendTakesItsMemoryBack) {
  const CommWorld world = ParseWorld("0,0 all:0,1");
  Cancellation run;
  const auto hub = MakeHub(world);
  const auto statuses = OnRanks(*hub, 2, [&](int rank, CollectiveBackend& backend) -> absl::Status {
    if (rank == 1) {
      run.Cancel(absl::CancelledError("client left"));
      return absl::OkStatus();
    }
    // The first ones are copied, then there is no memory for more.
    const std::vector<float> data(100000);
    absl::Status status;
    for (int i = 0; status.ok(); ++i) {
      EXPECT_LT(i, 100);
      status = backend.Send("all", data.data(), data.size(), DataType::kFloat, 1, 0,
                            WaitLimit{absl::InfiniteFuture(), &run, nullptr});
    }
    return status;
  });
  EXPECT_EQ(statuses[0].message(), "client left");
}

TEST(CommunicatorTest, LongMessagesDoNotWaitForTheirReceiver) {
  const CommWorld world = ParseWorld("0,0 all:0,1");
  const auto hub = MakeHub(world);
  for (int round = 0; round < 3; ++round) {
    const auto statuses = OnRanks(*hub, 2, [&](int rank, CollectiveBackend& backend) {
      return SendAhead(backend, rank, 4, 100000 + 50000 * round, WaitLimit{absl::Now() + kPatience});
    });
    for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(CommunicatorTest, CallsThatDoNotAgreeAreFound) {
  const CommWorld world = ParseWorld("0,0 all:0,1");
  for (const int difference : {0, 1, 2, 3}) {
    const auto hub = MakeHub(world);
    const auto statuses = OnRanks(*hub, 2, [&](int rank, CollectiveBackend& backend) -> absl::Status {
      std::vector<float> data(64), wide(128);
      const WaitLimit limit{absl::Now() + kPatience, nullptr, nullptr};
      const bool odd = rank == 1;
      if (odd && difference == 0) {
        return backend.AllGather("all", data.data(), wide.data(), 64, DataType::kFloat, limit);
      }
      return backend.AllReduce("all", data.data(), data.data(), odd && difference == 1 ? 32 : 64,
                               odd && difference == 2 ? DataType::kInt32 : DataType::kFloat,
                               odd && difference == 3 ? Reduction::kMax : Reduction::kSum, limit);
    });
    EXPECT_EQ(statuses[0].code(), absl::StatusCode::kInternal) << difference;
    EXPECT_EQ(statuses[0], statuses[1]);
    EXPECT_THAT(std::string(statuses[0].message()), HasSubstr("called as all-"));
  }
}

TEST(CommunicatorTest, MessageOfTheWrongSize) {
  const CommWorld world = ParseWorld("0,0 all:0,1");
  const auto hub = MakeHub(world);
  const WaitLimit limit{absl::Now() + kPatience, nullptr, nullptr};
  const auto statuses = OnRanks(*hub, 2, [&](int rank, CollectiveBackend& backend) -> absl::Status {
    std::vector<float> data(10);
    return rank == 0 ? backend.Send("all", data.data(), 10, DataType::kFloat, 1, 0, limit)
                     : backend.Receive("all", data.data(), 9, DataType::kFloat, 0, 0, limit);
  });
  EXPECT_TRUE(statuses[0].ok());
  EXPECT_THAT(std::string(statuses[1].message()), HasSubstr("rank 0 sent 40 bytes where 36 are expected"));
}

TEST(CommunicatorTest, BadArgumentsFailNothingElse) {
  const CommWorld world = ParseWorld("0,0 all:0,1");
  const auto hub = MakeHub(world);
  CollectiveBackend& backend = *hub->backend(0);
  float data[2] = {};
  const WaitLimit limit;
  EXPECT_EQ(*backend.GroupSize("all"), 2);
  EXPECT_EQ(*hub->backend(1)->GroupRank("all"), 1);
  EXPECT_THAT(backend.GroupSize("tp").status().ToString(),
              HasSubstr("is in no group \"tp\"; its groups are: all"));
  EXPECT_EQ(backend.AllReduce("tp", data, data, 1, DataType::kFloat, Reduction::kSum, limit).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(backend.AllReduce("all", data, data, 1, DataType::kBool, Reduction::kSum, limit).code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(backend.AllGather("all", data, data, 1, DataType::kString, limit).code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(backend.AllGather("all", data, data, size_t{1} << 62, DataType::kFloat, limit).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(backend.Broadcast("all", data, data, 1, DataType::kFloat, 2, limit).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(backend.Send("all", data, 1, DataType::kFloat, 0, 0, limit).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(backend.Receive("all", data, 1, DataType::kFloat, 1, -1, limit).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(hub->backend(2), nullptr);
  const auto statuses =
      OnRanks(*hub, 2, [&](int, CollectiveBackend& end) { return SumOne(end, "all", WaitLimit{}); });
  for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
}

// UCX would handle these in every process that is linked with it.
TEST(CommunicatorTest, SignalsAreLeftAlone) {
  for (const int signal : {SIGHUP, SIGFPE, SIGILL, SIGBUS, SIGSEGV}) {
    struct sigaction action;
    ASSERT_EQ(sigaction(signal, nullptr, &action), 0);
    Dl_info info{};
    dladdr(reinterpret_cast<void*>(action.sa_handler), &info);
    EXPECT_THAT(std::string(info.dli_fname ? info.dli_fname : ""), Not(HasSubstr("libucs"))) << signal;
  }
}

TEST(CommunicatorTest, BadWorldsAreRefused) {
  const auto create = [](const std::string& world, int process = 0) {
    return CommunicatorHub::Create(ParseWorld(world), process, nullptr).status();
  };
  EXPECT_THAT(create("0,0 all:0,2").ToString(), HasSubstr("group \"all\" has member 2; ranks are 0 to 1"));
  EXPECT_THAT(create("0,0 all:0,-1").ToString(), HasSubstr("has member -1"));
  EXPECT_THAT(create("0,0 all:0,0").ToString(), HasSubstr("has member 0 twice"));
  EXPECT_THAT(create("0,0 all:").ToString(), HasSubstr("has no members"));
  EXPECT_THAT(create("0,0 all:0 all:1").ToString(), HasSubstr("two groups are called \"all\""));
  EXPECT_THAT(create("0,0 :0").ToString(), HasSubstr("empty name"));
  EXPECT_THAT(create("0,-1 all:0").ToString(), HasSubstr("rank 1 is placed in process -1"));
  EXPECT_THAT(create("0,0 all:0", 1).ToString(), HasSubstr("process 1 hosts none of the 2 ranks"));
}

}  // namespace
}  // namespace omserve
