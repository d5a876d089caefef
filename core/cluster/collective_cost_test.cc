#include "absl/strings/str_cat.h"
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

// Groups along one axis of a mesh of `nodes` x `items`: inside the nodes, or one device of each.
std::vector<std::vector<int>> Axis(int nodes, int items, bool inside) {
  std::vector<std::vector<int>> groups;
  for (int i = 0; i < (inside ? nodes : items); ++i) {
    std::vector<int>& group = groups.emplace_back();
    for (int j = 0; j < (inside ? items : nodes); ++j) group.push_back(inside ? i * items + j : j * items + i);
  }
  return groups;
}

TEST(CollectiveCostTest, GroupsAtOnceShareTheNetwork) {
  const Cluster cluster = Nodes(2, 4);
  const double alpha = 50e-6, beta = 1e-9, n = 2e6;
  const std::vector<ConcurrentGroup> strided = cluster.Concurrent(Axis(2, 4, false));
  ASSERT_EQ(strided.size(), 1u);  // all look alike
  // Alone a pair has the network to itself; four pairs get a quarter each.
  EXPECT_DOUBLE_EQ(cluster.CollectiveTime(CollectiveKind::kAllGather, {0, 4}, n), alpha + n / 2 * beta);
  EXPECT_DOUBLE_EQ(cluster.PriceGroup(CollectiveKind::kAllGather, strided[0], n).seconds, alpha + n / 2 * 4 * beta);
  // Groups inside their nodes share nothing: each device has its port.
  const std::vector<ConcurrentGroup> consecutive = cluster.Concurrent(Axis(2, 4, true));
  ASSERT_EQ(consecutive.size(), 1u);
  EXPECT_DOUBLE_EQ(cluster.PriceGroup(CollectiveKind::kAllGather, consecutive[0], n).seconds,
                   cluster.CollectiveTime(CollectiveKind::kAllGather, {0, 1, 2, 3}, n));
}

// What Galvatron measured for groups of eight on nodes of eight GPUs: 158 GB/s (of bus bandwidth) when a group is a node,
// 16.2 GB/s when each group has one GPU of every node and all groups run at once: with the bandwidths of one link and of one
// node's network, both follow from who shares what.
TEST(CollectiveCostTest, ConsecutiveAndStridedGroups) {
  std::string nodes;
  for (int i = 0; i < 8; ++i) {
    absl::StrAppend(&nodes, i == 0 ? "" : ",", "{\"node_id\":", i, ",\"item_list\":[");
    for (int j = 0; j < 8; ++j) absl::StrAppend(&nodes, j == 0 ? "" : ",", "{\"item_id\":", j, "}");
    absl::StrAppend(&nodes, "]}");
  }
  Cluster cluster =
      Cluster::FromJson(absl::StrCat(R"({"cluster":[{"cluster_nodes":[)", nodes,
                                     R"(],"nodes_topology":{"protocol":"RDMA:1037Gb"}}],
          "node_def":[{"item_type":"Ascend910","item_topology":[{"links_mode":"HCCS:1264Gb"}]}],
          "item_def":[{"item_type":"Ascend910"}]})"),
                        "test")
          .value();
  ASSERT_TRUE(cluster.ApplyCosts(R"({"omserve_costs":{"links":{"intra_node":{"gamma_seconds_per_byte":0},
                                                       "inter_node":{"gamma_seconds_per_byte":0}}}})",
                                 "test")
                  .ok());
  const double n = 1e9;
  const auto bus_bandwidth = [&](bool inside) {
    const std::vector<ConcurrentGroup> groups = cluster.Concurrent(Axis(8, 8, inside));
    EXPECT_EQ(groups.size(), 1u);
    return 2 * 7 / 8.0 * n / cluster.PriceGroup(CollectiveKind::kAllReduce, groups[0], n).seconds;
  };
  EXPECT_NEAR(bus_bandwidth(true), 158e9, 0.05 * 158e9);
  EXPECT_NEAR(bus_bandwidth(false), 16.2e9, 0.05 * 16.2e9);
}

Cluster OneNode(absl::string_view topology) {
  Cluster cluster = Cluster::Local(8);
  EXPECT_TRUE(cluster
                  .ApplyCosts(absl::StrCat(R"({"omserve_costs":{"links":{"intra_node":{"topology":")", topology,
                                           R"(","alpha_seconds":0,"bytes_per_second":1e9,"gamma_seconds_per_byte":0}}}})"),
                              "test")
                  .ok());
  return cluster;
}

TEST(CollectiveCostTest, ContentionInsideANode) {
  const double n = 1e6;
  const auto seconds = [&](absl::string_view topology, const std::vector<std::vector<int>>& groups) {
    const Cluster cluster = OneNode(topology);
    const std::vector<ConcurrentGroup> all = cluster.Concurrent(groups);
    return cluster.PriceGroup(CollectiveKind::kAllGather, all[0], n).seconds;
  };
  const std::vector<std::vector<int>> near = {{0, 1}, {2, 3}, {4, 5}, {6, 7}};
  const std::vector<std::vector<int>> far = {{0, 4}, {1, 5}, {2, 6}, {3, 7}};
  EXPECT_DOUBLE_EQ(seconds("switch", near), n / 2 * 1e-9);
  EXPECT_DOUBLE_EQ(seconds("switch", far), n / 2 * 1e-9);
  // On a ring of eight, partners four places apart: each link carries four messages in its direction.
  EXPECT_DOUBLE_EQ(seconds("ring", near), n / 2 * 1e-9);
  EXPECT_DOUBLE_EQ(seconds("ring", far), 4 * n / 2 * 1e-9);
  // All eight devices on one medium.
  EXPECT_DOUBLE_EQ(seconds("bus", near), 8 * n / 2 * 1e-9);
  EXPECT_DOUBLE_EQ(seconds("bus", {{0, 1}}), 2 * n / 2 * 1e-9);
}

TEST(CollectiveCostTest, LinksOfTheClusterFileMakeAFullMeshOrARing) {
  const auto seconds = [](absl::string_view links) {
    const Cluster cluster = Cluster::FromJson(absl::StrCat(R"({"cluster":[{"cluster_nodes":[{"node_id":0,"item_list":[
        {"item_id":0},{"item_id":1},{"item_id":2},{"item_id":3}]}]}],"node_def":[{"item_type":"Ascend910",
        "item_topology":[{"links_mode":"HCCS:80Gb","links":[)", links, R"(]}]}],"item_def":[{"item_type":"Ascend910"}]})"),
                                              "test").value();
    return cluster.PriceCollective(CollectiveKind::kAllGather, {0, 1, 2, 3}, 4e6);
  };
  EXPECT_EQ(seconds("[0,1],[0,2],[0,3],[1,2],[1,3],[2,3]").algorithm, "full mesh, one shot");
  EXPECT_DOUBLE_EQ(seconds("[0,1],[0,2],[0,3],[1,2],[1,3],[2,3]").seconds, 5e-6 + 1e6 / 1e10);
  EXPECT_EQ(seconds("[0,1],[1,2],[2,3],[3,0]").algorithm, "Bruck");
  EXPECT_EQ(seconds("[0,1]").algorithm, "Bruck");
}

TEST(CollectiveCostTest, TheAlgorithmIsTold) {
  const Cluster cluster = Nodes(2, 4);
  EXPECT_EQ(cluster.PriceCollective(CollectiveKind::kAllReduce, FirstN(8), 4096).algorithm, "hierarchical");
  EXPECT_EQ(cluster.PriceCollective(CollectiveKind::kSendReceive, {0, 5}, 4096).algorithm, "direct");
  EXPECT_EQ(cluster.PriceCollective(CollectiveKind::kAllReduce, {0}, 4096).algorithm, "");
}

}  // namespace
}  // namespace omserve
