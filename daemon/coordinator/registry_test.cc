#include "daemon/coordinator/registry.h"

#include "absl/strings/str_cat.h"
#include "daemon/testing/fake_link.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(FindExpiredTest, Table) {
  const absl::Time t = absl::UnixEpoch();
  const std::vector<LeaseView> leases = {{1, t}, {2, t + absl::Seconds(2)}, {3, t - absl::Seconds(1)}};
  EXPECT_THAT(FindExpired(leases, t + absl::Seconds(3), absl::Seconds(3)), ElementsAre(3));
  EXPECT_THAT(FindExpired(leases, t + absl::Seconds(4), absl::Seconds(3)), ElementsAre(1, 3));
  EXPECT_THAT(FindExpired({}, t, absl::Seconds(3)), IsEmpty());
}

class RegistryTest : public testing::Test {
 protected:
  WorkerHello Hello(std::string name, std::string incarnation = "i1") const {
    return {std::move(name), std::move(incarnation), "1.0", "host:1", {{0, "cpu", 100, 0, 1}}};
  }
  absl::StatusOr<uint64_t> Register(WorkerHello hello) {
    return registry_.Register(std::move(hello), std::make_shared<FakeLink>(), true,
                              [this](absl::Status cause) { ended_.push_back(cause); });
  }
  // As the coordinator does, several times per lease.
  void Pass(absl::Duration duration) {
    for (absl::Duration passed; passed < duration; passed += absl::Milliseconds(500)) {
      clock_.Advance(absl::Milliseconds(500));
      registry_.ExpireLeases();
    }
  }

  SimulatedClock clock_;
  std::vector<std::string> lost_;
  std::vector<absl::Status> ended_;
  Registry registry_{{.version = "1.0"}, &clock_, [this](const WorkerRef& worker, const absl::Status& cause) {
                       lost_.push_back(std::string(cause.message()));
                     }};
};

TEST_F(RegistryTest, LeaseExpiresUnlessRenewed) {
  const uint64_t a = *Register(Hello("a"));
  ASSERT_TRUE(Register(Hello("b")).ok());
  Pass(absl::Seconds(2));
  EXPECT_TRUE(registry_.Renew(a, {42}).ok());
  EXPECT_THAT(lost_, IsEmpty());
  Pass(absl::Seconds(2));
  EXPECT_THAT(lost_, ElementsAre("worker 'b' (incarnation i1) was lost: lease expired (nothing heard for 3.5s)"));
  EXPECT_THAT(ended_, SizeIs(1));
  const std::vector<WorkerView> workers = registry_.Workers();
  ASSERT_THAT(workers, SizeIs(2));
  EXPECT_TRUE(workers[0].alive);
  EXPECT_EQ(workers[0].hello.devices[0].memory_in_use, 42u);
  EXPECT_FALSE(workers[1].alive);
  EXPECT_EQ(workers[1].lost_cause.message(), lost_[0]);
  EXPECT_EQ(registry_.CheckAlive({"b", "i1", nullptr}), workers[1].lost_cause);
  EXPECT_EQ(registry_.Renew(99, {}).code(), absl::StatusCode::kNotFound);
}

TEST_F(RegistryTest, SilenceWhileTheCoordinatorItselfStoodStillSaysNothing) {
  ASSERT_TRUE(Register(Hello("a")).ok());
  clock_.Advance(absl::Hours(1));
  registry_.ExpireLeases();
  EXPECT_THAT(lost_, IsEmpty());
  Pass(absl::Seconds(4));
  EXPECT_THAT(lost_, SizeIs(1));
}

TEST_F(RegistryTest, EndOfSessionIsLossOnce) {
  const uint64_t a = *Register(Hello("a"));
  registry_.End(a, "its stream ended");
  registry_.End(a, "again");
  Pass(absl::Seconds(5));
  EXPECT_THAT(lost_, ElementsAre("worker 'a' (incarnation i1) was lost: its stream ended"));
  EXPECT_THAT(ended_, IsEmpty());  // who ends a session need not be told
}

TEST_F(RegistryTest, NameOfALiveWorkerIsTaken) {
  const uint64_t a = *Register(Hello("a"));
  absl::Status taken = Register(Hello("a", "i2")).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(taken.message()), HasSubstr("'a' (incarnation i1 at host:1)"));
  registry_.End(a, "killed");
  ASSERT_TRUE(Register(Hello("a", "i2")).ok());
  EXPECT_TRUE(registry_.CheckAlive({"a", "i2", nullptr}).ok());
  EXPECT_EQ(registry_.CheckAlive({"a", "i1", nullptr}).code(), absl::StatusCode::kUnavailable);
}

TEST_F(RegistryTest, SameProcessRegistersAnew) {
  const uint64_t first = *Register(Hello("a", "i1.0"));
  const uint64_t second = *Register(Hello("a", "i1.1"));
  EXPECT_NE(first, second);
  EXPECT_THAT(lost_, ElementsAre(HasSubstr("it registered anew")));
  registry_.End(first, "late");  // the old stream's end must not hurt the new session
  EXPECT_TRUE(registry_.CheckAlive({"a", "i1.1", nullptr}).ok());
  EXPECT_EQ(registry_.CheckAlive({"a", "i1.0", nullptr}).code(), absl::StatusCode::kUnavailable);
}

TEST_F(RegistryTest, AnotherVersionIsRefusedNamingBoth) {
  WorkerHello hello = Hello("a");
  hello.version = "0.9";
  absl::Status status = Register(hello).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "worker 'a' has version 0.9, the coordinator 1.0; both must be the same");
  hello = Hello("../a");
  EXPECT_EQ(Register(hello).status().code(), absl::StatusCode::kInvalidArgument);
  hello = Hello("a");
  hello.devices.clear();
  EXPECT_EQ(Register(hello).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(RegistryTest, NaturalOrderAndBoundedMemoryOfTheLost) {
  for (int i = 0; i < 100; ++i) registry_.End(*Register(Hello(absl::StrCat("w", i))), "gone");
  ASSERT_TRUE(Register(Hello("w7")).ok());
  ASSERT_TRUE(Register(Hello("w01")).ok());
  ASSERT_TRUE(Register(Hello("w1")).ok());
  std::vector<std::string> alive;
  for (const WorkerView& worker : registry_.Workers()) {
    if (worker.alive) alive.push_back(worker.hello.name);
  }
  EXPECT_THAT(alive, ElementsAre("w01", "w1", "w7"));
  EXPECT_LE(registry_.Workers().size(), 40u);
}

}  // namespace
}  // namespace omserve
