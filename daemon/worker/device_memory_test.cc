#include "daemon/worker/device_memory.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;

TEST(DeviceMemoryTest, ReservesResizesAndGivesBack) {
  DeviceMemoryLedger ledger({100, 50});
  auto a = ledger.Reserve(0, 60).value();
  EXPECT_THAT(ledger.used(), ElementsAre(60, 0));
  absl::Status status = ledger.Reserve(0, 41).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "device 0: need 41 bytes, have 40 free of 100");
  EXPECT_TRUE(a->Resize(100).ok());
  EXPECT_EQ(a->Resize(101).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(ledger.used(), ElementsAre(100, 0));
  a.reset();
  EXPECT_THAT(ledger.used(), ElementsAre(0, 0));
  EXPECT_EQ(ledger.Reserve(2, 1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ledger.Reserve(1, ~uint64_t{0}).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace omserve
