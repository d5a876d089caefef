#include "absl/strings/str_replace.h"
#include "core/cluster/cluster.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

constexpr CollectiveKind kAll[] = {CollectiveKind::kAllReduce,     CollectiveKind::kAllGather,
                                   CollectiveKind::kReduceScatter, CollectiveKind::kAllToAll,
                                   CollectiveKind::kBroadcast,     CollectiveKind::kSendReceive};

// `nodes` CPU nodes of `items` devices, joined by TCP at 8 Gbit/s = 1 GB/s.
Cluster Nodes(int nodes, int items) {
  std::string item_list, node_list;
  for (int i = 0; i < items; ++i)
    item_list += absl::StrReplaceAll("{\"item_id\":#},", {{"#", std::to_string(i)}});
  item_list.pop_back();
  for (int i = 0; i < nodes; ++i) {
    node_list += absl::StrReplaceAll("{\"node_id\":#,\"item_list\":[@]},",
                                     {{"#", std::to_string(i)}, {"@", item_list}});
  }
  node_list.pop_back();
  return Cluster::FromJson(absl::StrReplaceAll(
                               R"({"cluster":[{"cluster_nodes":[@],"nodes_topology":{"protocol":"TCP:8Gb"}}],
                 "item_def":[{"item_type":"cpu"}]})",
                               {{"@", node_list}}),
                           "test")
      .value();
}

std::vector<int> FirstN(int n) {
  std::vector<int> positions(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) positions[static_cast<size_t>(i)] = i;
  return positions;
}

TEST(CollectiveCostTest, ALoneDeviceWaitsForNobody) {
  const Cluster cluster = Cluster::Local(2);
  for (CollectiveKind kind : kAll) EXPECT_EQ(cluster.CollectiveTime(kind, {1}, 1e9), 0);
}

TEST(CollectiveCostTest, TwoDevicesOfOneNode) {
  const Cluster cluster = Cluster::Local(2);
  const double alpha = 5e-6, beta = 1 / 4e9, gamma = 3 / 10e9, n = 8e6;
  // Large buffers: a ring moves each byte once each way.
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kAllReduce, {0, 1}, n),
                   2 * alpha + n * beta + n / 2 * gamma);
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kAllGather, {0, 1}, n), alpha + n / 2 * beta);
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kReduceScatter, {0, 1}, n),
                   alpha + n / 2 * beta + n / 2 * gamma);
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kAllToAll, {0, 1}, n), alpha + n / 2 * beta);
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kBroadcast, {0, 1}, n), alpha + n * beta);
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kSendReceive, {0, 1}, n), alpha + n * beta);
  // Small ones: one exchange of the whole buffer.
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kAllReduce, {0, 1}, 64),
                   alpha + 64 * beta + 64 * gamma);
}

TEST(CollectiveCostTest, SmallBuffersTakeLogarithmicSteps) {
  const Cluster cluster = Cluster::Local(8);
  EXPECT_NEAR(cluster.CollectiveTime(CollectiveKind::kAllReduce, FirstN(8), 0), 3 * 5e-6, 1e-12);
  EXPECT_NEAR(cluster.CollectiveTime(CollectiveKind::kAllGather, FirstN(8), 0), 3 * 5e-6, 1e-12);
}

TEST(CollectiveCostTest, HierarchyWinsAcrossNodes) {
  const Cluster cluster = Nodes(2, 4);
  const double alpha_in = 5e-6, beta_in = 1 / 4e9, alpha_out = 50e-6, beta_out = 1e-9, gamma = 3 / 10e9;
  // In the small-message regime one would wait for three slow steps without the hierarchy: here it is one.
  const double n = 4096, quarter = n / 4;
  const double scatter = 2 * alpha_in + 0.75 * n * beta_in + 0.75 * n * gamma;
  const double outer = alpha_out + quarter * (4 * beta_out) + quarter * gamma;
  const double gather = 2 * alpha_in + 0.75 * n * beta_in;
  EXPECT_NEAR(cluster.CollectiveTime(CollectiveKind::kAllReduce, FirstN(8), n), scatter + outer + gather,
              1e-12);
}

TEST(CollectiveCostTest, OneDeviceOfEachNodeDoesNotShareTheNetwork) {
  const Cluster cluster = Nodes(2, 4);
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kAllGather, {0, 4}, 2e6), 50e-6 + 1e6 * 1e-9);
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kSendReceive, {3, 4}, 1e6), 50e-6 + 1e-3);
}

TEST(CollectiveCostTest, GrowsWithBytesAndWithTheDistance) {
  const Cluster cluster = Nodes(4, 6);
  for (CollectiveKind kind : kAll) {
    for (int p : {2, 3, 5, 6, 7, 12, 24}) {
      double last = 0;
      for (double bytes = 1; bytes < 1e10; bytes *= 7) {
        const double time = cluster.CollectiveTime(kind, FirstN(p), bytes);
        EXPECT_GT(time, last) << static_cast<int>(kind) << " " << p << " " << bytes;
        last = time;
      }
    }
    // Two devices on two nodes are never faster than two on one.
    EXPECT_GT(cluster.CollectiveTime(kind, {0, 6}, 1e5), cluster.CollectiveTime(kind, {0, 1}, 1e5));
  }
}

}  // namespace
}  // namespace omserve
