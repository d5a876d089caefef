#include "core/base/checked.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(CheckedTest, ReportsOverflow) {
  EXPECT_EQ(CheckedMul<int64_t>(3, 4), 12);
  EXPECT_EQ(CheckedMul<int64_t>(INT64_MAX, 2), std::nullopt);
  EXPECT_EQ(CheckedAdd<int64_t>(INT64_MAX, 1), std::nullopt);
  EXPECT_EQ(AlignUp(513, 512), 1024);
}

}  // namespace
}  // namespace omserve
