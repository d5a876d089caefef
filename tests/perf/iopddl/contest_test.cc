#include "tests/perf/iopddl/contest.h"

#include <fstream>
#include <limits>

#include "core/partition/search/solve.h"
#include "gtest/gtest.h"

namespace omserve::iopddl {
namespace {

constexpr char kTiny[] = R"({"problem": {"name": "tiny",
  "nodes": {"intervals": [[0, 2], [1, 3], []], "costs": [[5, 1], [4, 2], [0]], "usages": [[1, 9], [1, 9], [7]]},
  "edges": {"nodes": [[0, 1], [0, 1], [1, 2]], "costs": [[0, 1, 1, 1000000000000000000], [1, 1, 1, 1], [3, 0]]},
  "usage_limit": 12}})";

std::string Write(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

TEST(ContestTest, ReadsSolvesAndChecks) {
  const std::string path = Write("tiny.json", kTiny);
  auto instance = ReadInstance(path);
  ASSERT_TRUE(instance.ok()) << instance.status();
  EXPECT_EQ(instance->name, "tiny");
  EXPECT_EQ(instance->network.row_limit, (std::vector<double>{12, 12, 12}));
  EXPECT_EQ(instance->network.usages.size(), 2u);
  EXPECT_EQ(instance->network.edges[0].cost[3], std::numeric_limits<double>::infinity());
  auto solution = Solve(instance->network);
  ASSERT_TRUE(solution.ok());
  EXPECT_TRUE(solution->exact);
  auto verdict = Check(path, solution->choice);
  ASSERT_TRUE(verdict.ok());
  EXPECT_TRUE(verdict->valid) << verdict->problem;
  EXPECT_EQ(static_cast<double>(verdict->cost), solution->cost);
  EXPECT_EQ(verdict->cost, 9);  // 5 + 2 + (1 + 1) + 0, or 1 + 4 + (1 + 1) + 3 = 10
}

TEST(ContestTest, CheckerRefusesForbiddenPairsAndBrokenMemory) {
  const std::string path = Write("tiny.json", kTiny);
  EXPECT_FALSE(Check(path, {1, 1, 0})->valid);
  EXPECT_FALSE(Check(path, {0, 0})->valid);
  EXPECT_FALSE(Check(path, {0, 2, 0})->valid);
  std::string tight = kTiny;
  tight.replace(tight.find(": 12}"), 5, ": 9} ");
  const std::string tight_path = Write("tight.json", tight);
  EXPECT_FALSE(Check(tight_path, {0, 1, 0})->valid);
  EXPECT_TRUE(Check(tight_path, {0, 0, 0})->valid);
}

TEST(ContestTest, MalformedFilesAreRefused) {
  for (const char* text : {"", "{", "[]x", R"({"problem": {"nodes": {"costs": [1]}}})", R"({"problem": {"nodes": {"costs": [[1]]}}})"}) {
    EXPECT_FALSE(ReadInstance(Write("bad.json", text)).ok()) << text;
  }
  EXPECT_FALSE(ReadInstance("/nowhere/at/all.json.gz").ok());
}

}  // namespace
}  // namespace omserve::iopddl
