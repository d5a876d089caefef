#include "core/base/deadline.h"

#include <thread>

#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(CancellationTest, FirstCauseWins) {
  Cancellation cancellation;
  int calls = 0;
  cancellation.OnCancel([&] { ++calls; });
  const int64_t removed = cancellation.OnCancel([&] { calls += 100; });
  cancellation.Remove(removed);
  EXPECT_TRUE(cancellation.Cancel(absl::UnavailableError("worker b is lost")));
  EXPECT_FALSE(cancellation.Cancel(absl::AbortedError("second")));
  EXPECT_EQ(cancellation.status().message(), "worker b is lost");
  EXPECT_EQ(calls, 1);
  cancellation.OnCancel([&] { ++calls; });
  EXPECT_EQ(calls, 2);
}

TEST(WaitLimitTest, EpochBeforeRunBeforeDeadline) {
  Cancellation run, epoch;
  WaitLimit limit{absl::InfinitePast(), &run, &epoch};
  EXPECT_EQ(limit.Check("a peer").code(), absl::StatusCode::kDeadlineExceeded);
  run.Cancel(absl::CancelledError("client left"));
  EXPECT_EQ(limit.Check("a peer").code(), absl::StatusCode::kCancelled);
  epoch.Cancel(absl::UnavailableError("lost"));
  EXPECT_EQ(limit.Check("a peer").code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(limit.cancelled());
}

}  // namespace
}  // namespace omserve
