#include "core/partition/stages.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace omserve {
namespace {

double BruteForce(const StageProblem& problem) {
  double best = std::numeric_limits<double>::infinity();
  const int n = static_cast<int>(problem.seconds.size());
  std::function<void(int, int, int, double, double)> extend = [&](int begin, int cut, int left, double sum,
                                                                  double slowest) {
    auto stage = [&](int end) {
      double seconds = begin == 0 ? 0 : problem.cut_seconds[static_cast<size_t>(cut)], bytes = 0;
      for (int i = begin; i < end; ++i) {
        seconds += problem.seconds[static_cast<size_t>(i)];
        bytes += problem.weight_bytes[static_cast<size_t>(i)];
      }
      return problem.memory_bytes > 0 && bytes > problem.memory_bytes
                 ? std::numeric_limits<double>::infinity()
                 : seconds;
    };
    if (left == 1) {
      const double last = stage(n);
      best = std::min(best, sum + last + (problem.in_flight - 1) * std::max(slowest, last));
      return;
    }
    for (int c = cut + 1; c < static_cast<int>(problem.cuts.size()); ++c) {
      const double seconds = stage(problem.cuts[static_cast<size_t>(c)]);
      extend(problem.cuts[static_cast<size_t>(c)], c, left - 1, sum + seconds, std::max(slowest, seconds));
    }
  };
  extend(0, -1, problem.stages, 0, 0);
  return best;
}

TEST(StagesTest, EqualsBruteForce) {
  int solved = 0;
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    std::mt19937 rng(seed);
    auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); };
    StageProblem problem;
    const int n = draw(1, 9);
    for (int i = 0; i < n; ++i) {
      problem.seconds.push_back(draw(0, 20));
      problem.weight_bytes.push_back(draw(0, 10));
      if (i > 0 && draw(0, 3) > 0) {
        problem.cuts.push_back(i);
        problem.cut_seconds.push_back(draw(0, 8));
      }
    }
    problem.stages = draw(1, 4);
    problem.in_flight = draw(1, 6);
    if (draw(0, 1) == 1) problem.memory_bytes = draw(5, 40);
    const double expected = BruteForce(problem);
    const auto solution = CutIntoStages(problem, /*exact=*/true);
    if (expected == std::numeric_limits<double>::infinity()) {
      EXPECT_FALSE(solution.has_value()) << seed;
      continue;
    }
    ASSERT_TRUE(solution.has_value()) << seed;
    EXPECT_EQ(solution->sum + (problem.in_flight - 1) * solution->slowest, expected) << seed;
    EXPECT_EQ(static_cast<int>(solution->begin.size()), problem.stages);
    ++solved;
  }
  EXPECT_GT(solved, 1000);
}

}  // namespace
}  // namespace omserve
