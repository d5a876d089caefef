#include "daemon/coordinator/admission.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(AdmitTest, Table) {
  const QueueLimits limits{.runs = 2, .bytes = 100};
  const auto code = [&](QueueView queue, uint64_t bytes) { return Admit("m", queue, bytes, limits).code(); };
  EXPECT_EQ(code({0, 0}, 100), absl::StatusCode::kOk);
  EXPECT_EQ(code({0, 0}, 1000), absl::StatusCode::kOk);  // alone, a run of any size
  EXPECT_EQ(code({1, 60}, 40), absl::StatusCode::kOk);
  EXPECT_EQ(code({1, 60}, 41), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code({1, 0}, ~uint64_t{0}), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code({2, 2}, 1), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Admit("m", {2, 2}, 1, limits).message(),
            "the queue of model 'm' is full: 2 runs wait, the limit is 2; retry later");
}

TEST(PickReplicaTest, Table) {
  EXPECT_EQ(PickReplica({}), -1);
  EXPECT_EQ(PickReplica({{{true, 1, 1, 0}}}), -1);
  EXPECT_EQ(PickReplica({{{false, 0, 1, 0}, {true, 1, 2, 0}}}), 1);
  EXPECT_EQ(PickReplica({{{true, 1, 2, 0}, {true, 0, 2, 9}}}), 1);  // least loaded
  EXPECT_EQ(PickReplica({{{true, 0, 2, 5}, {true, 0, 2, 4}}}), 1);  // then least used
}

}  // namespace
}  // namespace omserve
