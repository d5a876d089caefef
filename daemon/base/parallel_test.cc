#include "daemon/base/parallel.h"

#include <atomic>
#include <thread>

#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(ParallelTest, RunsAllAtOnce) {
  std::atomic<int> started{0};
  // Each waits for all others, so that running them one after the other would hang.
  EXPECT_TRUE(ParallelForEach(3, [&](int) {
                ++started;
                while (started < 3) std::this_thread::yield();
                return absl::OkStatus();
              }).ok());
  EXPECT_TRUE(ParallelForEach(0, [](int) { return absl::InternalError("not called"); }).ok());
}

TEST(ParallelTest, ReturnsAnErrorAfterAllAreDone) {
  std::atomic<int> done{0};
  absl::Status status = ParallelForEach(3, [&](int i) {
    ++done;
    return i == 1 ? absl::AbortedError("the cause") : absl::OkStatus();
  });
  EXPECT_EQ(status, absl::AbortedError("the cause"));
  EXPECT_EQ(done, 3);
}

TEST(TaskPoolTest, FinishesWhatWasPosted) {
  std::atomic<int> done{0};
  {
    TaskPool pool(2);
    for (int i = 0; i < 10; ++i) {
      pool.Post([&] {
        if (done++ == 0) pool.Post([&] { ++done; });
      });
    }
  }
  EXPECT_EQ(done, 11);
}

}  // namespace
}  // namespace omserve
