#include "core/cluster/cost_file.h"

#include "absl/strings/str_replace.h"
#include "core/cluster/cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

constexpr char kFile[] = R"({"omserve_costs": {
  "devices": {"cpu": {"flops_per_second": 4e10, "bytes_per_second": 8e9, "start_seconds": 1e-6, "half_rows": 16,
    "epilogue_share": 0.25,
    "operators": {"SoftmaxV2": {"by_bytes": [[100, 1e-6], [200, 3e-6]], "piece_seconds": 1e-7},
                  "Conv2D": {"flops_per_second": 1e10, "overlap": 0.5, "half_rows": 0, "bytes_per_second": 1e9, "start_seconds": 0},
                  "Conv2D/pointwise": {"by_bytes": [[1000, 5e-6]]},
                  "MatMulV2": {"flops_per_second": 2e10, "products": [[1, 64, 64, 7e-6]]}}}},
  "links": {"intra_node": {"alpha_seconds": 2e-6, "bytes_per_second": 2e9, "gamma_seconds_per_byte": 0, "topology": "bus",
              "collectives": [{"kind": "all_reduce", "ranks": 2, "points": [[1024, 9e-6], [4096, 12e-6]]}]},
            "inter_node": {"bytes_per_second": 1e8}}}})";

TEST(CostFileTest, IsTakenOver) {
  Cluster cluster = Cluster::Local(4);
  ASSERT_TRUE(cluster.ApplyCosts(kFile, "costs.json").ok());
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(0, {.type = "Add", .bytes = 8e3}), 2e-6);
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(3, {.type = "SoftmaxV2", .bytes = 150}), 2e-6);
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(0, {.type = "MatMulV2", .flops = 8192, .rows = 1, .columns = 64, .inner = 64}), 7e-6);
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(3, {.type = "SoftmaxV2", .bytes = 150, .pieces = 3}), 2.3e-6);
  // An epilogue costs a share of what it would alone; a form of an operator what was measured of it, else what was of the operator.
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(0, {.type = "Add", .bytes = 8e3, .epilogue = true}), 0.5e-6);
  const OperatorWork convolution{.type = "Conv2D", .flops = 1e4, .bytes = 1e3};
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(0, convolution), 1.5e-6);
  OperatorWork form = convolution;
  form.variant = "Conv2D/unknown";
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(0, form), 1.5e-6);
  form.variant = "Conv2D/pointwise";
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(0, form), 5e-6);
  // Half of the rows' peak at 16 of them; the device's start.
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(0, {.type = "MatMulV2", .flops = 1e10, .rows = 16, .columns = 1, .inner = 1}), 1 + 1e-6);
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kAllReduce, {0, 1}, 1024), 9e-6);
  EXPECT_EQ(cluster.PriceCollective(CollectiveKind::kAllReduce, {0, 1}, 1024).algorithm, "measured");
  EXPECT_DOUBLE_EQ(cluster.Link(0, 1).Time(2e9), 1 + 2e-6);
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kSendReceive, {0, 1}, 2e3), 3e-6);
  // A second pair on the same medium.
  EXPECT_DOUBLE_EQ(cluster.PriceGroup(CollectiveKind::kAllReduce, cluster.Concurrent({{0, 1}, {2, 3}})[0], 1280).seconds, 10.5e-6);
  // Faster links: the curve of fewer bytes.
  EXPECT_DOUBLE_EQ(cluster.Scaled(2, 1).CollectiveTime(CollectiveKind::kAllReduce, {0, 1}, 5120), 10.5e-6);
  EXPECT_DOUBLE_EQ(cluster.Scaled(2, 1).CollectiveTime(CollectiveKind::kAllReduce, {2, 3}, 8192), 12e-6);
}

TEST(CostFileTest, WrittenAndReadAgain) {
  const CostFile file = CostFile::Parse(kFile, "costs.json").value();
  const std::string text = file.ToJson();
  EXPECT_EQ(CostFile::Parse(text, "again").value().ToJson(), text);
  Cluster first = Cluster::Local(2), second = Cluster::Local(2);
  ASSERT_TRUE(first.ApplyCosts(kFile, "a").ok());
  ASSERT_TRUE(second.ApplyCosts(text, "b").ok());
  for (double bytes : {10.0, 150.0, 1e4, 1e7}) {
    EXPECT_EQ(first.CollectiveTime(CollectiveKind::kAllReduce, {0, 1}, bytes),
              second.CollectiveTime(CollectiveKind::kAllReduce, {0, 1}, bytes));
    EXPECT_EQ(first.OperatorTime(0, {.type = "SoftmaxV2", .bytes = bytes}),
              second.OperatorTime(0, {.type = "SoftmaxV2", .bytes = bytes}));
  }
}

struct Wrong {
  const char* from;
  const char* to;
  const char* message;
};

class WrongCostsTest : public testing::TestWithParam<Wrong> {};

TEST_P(WrongCostsTest, IsLocatedAndChangesNothing) {
  const std::string text = absl::StrReplaceAll(kFile, {{GetParam().from, GetParam().to}});
  ASSERT_NE(text, kFile);
  Cluster cluster = Cluster::Local(2);
  const absl::Status status = cluster.ApplyCosts(text, "costs.json");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(GetParam().message));
  EXPECT_THAT(std::string(status.message()), testing::StartsWith("costs.json"));
  EXPECT_EQ(cluster.PriceCollective(CollectiveKind::kAllReduce, {0, 1}, 1024).algorithm, "recursive doubling");
}

INSTANTIATE_TEST_SUITE_P(
    Costs, WrongCostsTest,
    testing::Values(
        Wrong{"omserve_costs", "costs", "unknown key 'costs'"},
        Wrong{"\"cpu\"", "\"gpu\"", "no device of the cluster is of type 'gpu'; its types: cpu"},
        Wrong{"4e10", "0", "devices.cpu.flops_per_second: expected a number above 0, found 0"},
        Wrong{"4e10", "1e300", "devices.cpu.flops_per_second: expected a number above 0, found 1e+300"},
        Wrong{"\"half_rows\": 16", "\"half_rows\": \"16\"", "half_rows: expected a number of 0 or more, found \"16\""},
        Wrong{"half_rows", "half_row", "unknown key 'half_row'"},
        Wrong{"\"epilogue_share\": 0.25", "\"epilogue_share\": 1.5", "cpu.epilogue_share: expected a number from 0 to 1, found 1.5"},
        Wrong{"\"half_rows\": 0", "\"piece_seconds\": 0", "Conv2D.piece_seconds: expected by_bytes beside it"},
        Wrong{"[1, 64, 64, 7e-6]", "[1, 64, 7e-6]", "products[0]: expected [rows, columns, inner, seconds], found 3 numbers"},
        Wrong{"[1, 64, 64, 7e-6]", "[1.5, 64, 64, 7e-6]", "products[0]: expected whole sizes of 1 or more, found 1.5"},
        Wrong{"[1, 64, 64, 7e-6]", "[1, 64, 64, 0]", "products[0]: expected more than 0 seconds"},
        Wrong{"[200, 3e-6]", "[100, 3e-6]", "SoftmaxV2.by_bytes: point 1: size 100; sizes must increase"},
        Wrong{"12e-6", "8e-6", "collectives[0].points: point 1: 8e-06 seconds; expected more than 0 and never less"},
        Wrong{"\"bus\"", "\"star\"", "intra_node.topology: expected switch, full_mesh, ring or bus, found \"star\""},
        Wrong{"all_reduce", "reduce", "collectives[0].kind: expected all_reduce, all_gather"},
        Wrong{"\"ranks\": 2", "\"ranks\": 1", "collectives[0].ranks: expected an integer from 2 to 65535"},
        Wrong{"\"all_reduce\", \"ranks\": 2", "\"send_receive\", \"ranks\": 3", "send_receive has 2 ranks, found 3"},
        Wrong{"\"points\": [[", "\"points\": [[1024, 9e-6], [4096, 12e-6]]}, {\"kind\": \"all_reduce\", \"ranks\": 2, \"points\": [[",
              "collectives[1]: all_reduce of 2 ranks is given twice"},
        Wrong{"\"bytes_per_second\": 1e8", "\"bytes_per_second\": -1", "inter_node.bytes_per_second: expected a number above 0"},
        Wrong{"{\"omserve_costs\"", "\"omserve_costs\"", "costs.json"}));

}  // namespace
}  // namespace omserve
