// ThreadSanitizer knows what the libraries order, and still sees what nothing orders.
#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace omserve {
namespace {

// In a program of its own, which ends with ThreadSanitizer's exit code if it saw a race.
template <typename Body>
[[noreturn]] void RunAndExit(const Body& body) {
  body();
  std::exit(0);
}

class LibraryOrderTest : public testing::Test {
 protected:
  LibraryOrderTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  absl::Mutex mutex_;
  int value_ = 0;
};

TEST_F(LibraryOrderTest, UnorderedWritesAreReported) {
  EXPECT_EXIT(RunAndExit([&] {
                std::jthread other([&] { ++value_; });
                ++value_;
              }),
              testing::ExitedWithCode(66), "data race");
}

TEST_F(LibraryOrderTest, WritesUnderDifferentMutexesAreReported) {
  EXPECT_EXIT(RunAndExit([&] {
                absl::Mutex another;
                const auto add = [&](absl::Mutex& mutex) {
                  absl::MutexLock lock(&mutex);
                  ++value_;
                };
                std::jthread other([&] { add(another); });
                add(mutex_);
              }),
              testing::ExitedWithCode(66), "data race");
}

TEST_F(LibraryOrderTest, MutexOrders) {
  EXPECT_EXIT(RunAndExit([&] {
                const auto add = [&] {
                  for (int i = 0; i < 1000; ++i) {
                    absl::MutexLock lock(&mutex_);
                    ++value_;
                  }
                };
                std::jthread other(add);
                add();
              }),
              testing::ExitedWithCode(0), "");
}

TEST_F(LibraryOrderTest, AwaitOrdersWhatItsConditionReads) {
  EXPECT_EXIT(RunAndExit([&] {
                const auto take_turns = [&](int own) {
                  for (int i = 0; i < 1000; ++i) {
                    const auto my_turn = [&] { return value_ % 2 == own; };
                    absl::MutexLock lock(&mutex_);
                    mutex_.Await(absl::Condition(&my_turn));
                    ++value_;
                  }
                };
                std::jthread other([&] { take_turns(1); });
                take_turns(0);
              }),
              testing::ExitedWithCode(0), "");
}

TEST_F(LibraryOrderTest, NotificationOrders) {
  EXPECT_EXIT(RunAndExit([&] {
                absl::Notification written;
                std::jthread other([&] {
                  ++value_;
                  written.Notify();
                });
                written.WaitForNotification();
                ++value_;
              }),
              testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace omserve
