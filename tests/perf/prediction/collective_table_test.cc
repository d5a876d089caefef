#include "tests/perf/prediction/collective_table.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::prediction {
namespace {

constexpr char kTable[] =
    "# us. columns: system,op,ranks, then latency at 4KiB,64KiB,1MiB (payload: x)\n"
    "fast,all_reduce,2,10,13,40\nfast,alltoall,4,11,,50\nslow,all_reduce,2,100,130,400\n";

TEST(CollectiveTableTest, IsRead) {
  const CollectiveTable table = ParseCollectiveTable(kTable, "t.csv").value();
  EXPECT_THAT(table.sizes, testing::ElementsAre(4096, 65536, 1048576));
  ASSERT_EQ(table.systems.size(), 2u);
  ASSERT_EQ(table.systems[0].samples.size(), 5u);
  EXPECT_THAT(table.systems[0].column, testing::ElementsAre(0, 1, 2, 0, 2));
  const CollectiveSample& last = table.systems[0].samples.back();
  EXPECT_EQ(last.kind, CollectiveKind::kAllToAll);
  EXPECT_EQ(last.ranks, 4);
  EXPECT_DOUBLE_EQ(last.bytes, 1048576);
  EXPECT_DOUBLE_EQ(last.seconds, 50e-6);
}

TEST(CollectiveTableTest, PredictsThroughACluster) {
  const CollectiveTable table = ParseCollectiveTable(kTable, "t.csv").value();
  const std::vector<double> same = PredictCollectives(table.systems[1].samples, table.systems[1].samples).value();
  for (size_t i = 0; i < same.size(); ++i) EXPECT_NEAR(same[i], table.systems[1].samples[i].seconds, 0.1 * same[i]);
}

TEST(CollectiveTableTest, ErrorsNameTheLine) {
  const auto error = [](absl::string_view text) { return std::string(ParseCollectiveTable(text, "t.csv").status().message()); };
  EXPECT_THAT(error("a,all_reduce,2,1\n"), testing::HasSubstr("t.csv:1: expected a comment with the sizes"));
  EXPECT_THAT(error("# 4KiB\na,all_reduce,2\n"), testing::HasSubstr("t.csv:2: expected system, operation, ranks and 1 times"));
  EXPECT_THAT(error("# 4KiB\na,reduce,2,1\n"), testing::HasSubstr("unknown operation 'reduce'"));
  EXPECT_THAT(error("# 4KiB\na,all_reduce,1,1\n"), testing::HasSubstr("expected 2 ranks or more, found '1'"));
  EXPECT_THAT(error("# 4KiB\na,all_reduce,2,x\n"), testing::HasSubstr("expected microseconds above 0, found 'x'"));
  EXPECT_THAT(error("# 4KiB\n"), testing::HasSubstr("no rows"));
}

}  // namespace
}  // namespace omserve::prediction
