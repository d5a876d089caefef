#include "core/device/cpu/memory_plan.h"

#include <random>

#include <gtest/gtest.h>

namespace omserve::cpu {
namespace {

void ExpectDisjoint(const std::vector<MemoryRequest>& requests, const MemoryPlan& plan) {
  for (size_t a = 0; a < requests.size(); ++a) {
    EXPECT_EQ(plan.offsets[a] % kArenaAlignment, 0u);
    EXPECT_LE(plan.offsets[a] + requests[a].bytes, plan.total);
    for (size_t b = a + 1; b < requests.size(); ++b) {
      if (requests[a].last < requests[b].first || requests[b].last < requests[a].first) continue;
      if (requests[a].bytes == 0 || requests[b].bytes == 0) continue;
      EXPECT_TRUE(plan.offsets[a] + requests[a].bytes <= plan.offsets[b] ||
                  plan.offsets[b] + requests[b].bytes <= plan.offsets[a])
          << a << " and " << b << " overlap";
    }
  }
}

TEST(MemoryPlan, SharesWhatLivesAtDifferentTimes) {
  const std::vector<MemoryRequest> chain = {{1000, 0, 1}, {1000, 1, 2}, {1000, 2, 3}, {1000, 3, 4}};
  const MemoryPlan plan = PlanMemory(chain);
  ExpectDisjoint(chain, plan);
  EXPECT_EQ(plan.total, 2048u);
}

TEST(MemoryPlan, FillsTheSmallestGapThatFits) {
  // The first three leave a gap of 128 at step 1, the fourth fits there.
  const std::vector<MemoryRequest> requests = {{1024, 0, 2}, {128, 0, 0}, {512, 0, 2}, {100, 1, 2}};
  const MemoryPlan plan = PlanMemory(requests);
  ExpectDisjoint(requests, plan);
  EXPECT_EQ(plan.total, 1024u + 512u + 128u);
}

TEST(MemoryPlan, TakesNoRoomForNothing) {
  EXPECT_EQ(PlanMemory({}).total, 0u);
  const MemoryPlan plan = PlanMemory({{0, 0, 5}, {64, 0, 5}, {0, 0, 5}});
  EXPECT_EQ(plan.total, 64u);
}

TEST(MemoryPlan, NeverOverlapsWhatLivesTogether) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<MemoryRequest> requests;
    size_t sum = 0;
    for (int i = 0; i < 40; ++i) {
      const int first = static_cast<int>(random() % 30);
      requests.push_back({random() % 5000, first, first + static_cast<int>(random() % 8)});
      sum += requests.back().bytes + kArenaAlignment;
    }
    const MemoryPlan plan = PlanMemory(requests);
    ExpectDisjoint(requests, plan);
    EXPECT_LE(plan.total, sum);
  }
}

TEST(Arena, IsAlignedAndZero) {
  auto arena = Arena::Create(3 << 20);
  ASSERT_TRUE(arena.ok());
  EXPECT_GE(arena->size(), size_t{3 << 20});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(arena->data()) % kArenaAlignment, 0u);
  EXPECT_EQ(arena->data()[(3 << 20) - 1], std::byte{0});
}

}  // namespace
}  // namespace omserve::cpu
