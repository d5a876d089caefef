#include "omserve/standalone.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(StandaloneTest, TwoLiveInOneProcessAtAddressesOfTheirOwn) {
  auto first = Standalone::Start({.devices = 1});
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = Standalone::Start({.devices = 2});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(absl::StartsWith((*first)->address(), "127.0.0.1:")) << (*first)->address();
  EXPECT_NE((*first)->address(), (*second)->address());
}

TEST(StandaloneTest, RefusesWhatCannotBe) {
  EXPECT_EQ(Standalone::Start({.devices = 0}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Standalone::Start({.devices = 65}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Standalone::Start({.devices = 1, .log_level = "loud"}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace omserve
