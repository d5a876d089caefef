#include <utility>

#include "absl/strings/str_replace.h"
#include "core/cluster/cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

// The documented examples: one node with two cards (build side), as TorchAir writes it.
constexpr char kSmall[] =
    R"({"cluster":[{"cluster_nodes":[{"node_id":0,"node_type":"ATLAS800","ipaddr":"127.0.0.1",
   "port":2509,"is_local":true,"item_list":[{"item_id":0},{"item_id":1}]}],"nodes_toplogy":{}}],
 "item_def":[{"item_type":"Ascend910"}],
 "node_def":[{"item":[{"item_type":"Ascend910"}]}]})";

// One card with two chips.
constexpr char kTwoChips[] = R"({"cluster":[{"cluster_nodes":[{"node_id":0,"node_type":"ATLAS300",
   "item_list":[{"item_id":0}]}]}],
 "item_def":[{"device_list":[{"device_id":0},{"device_id":1}],"item_type":"Ascend310P3"}]})";

// Two nodes of two cards, every field of the run side.
constexpr char kFull[] = R"({"cluster":[{"cluster_nodes":[
   {"node_id":1,"node_type":"ATLAS900","ipaddr":"10.0.0.2","port":2509,"is_local":false,
    "item_list":[{"item_id":1,"device_id":0,"ipaddr":"192.168.2.1"},{"item_id":0,"device_id":1,"ipaddr":"192.168.2.2"}]},
   {"node_id":0,"node_type":"ATLAS900","ipaddr":"10.0.0.1","port":2509,"is_local":true,"memory":25165824,
    "deploy_res_path":"/home/","auth_lib_path":"/lib/auth.so","data_panel":{"avail_ports":"16666~32767"},
    "item_list":[{"item_id":0,"device_id":0,"ipaddr":"192.168.1.1"},{"item_id":1,"device_id":1,"ipaddr":"192.168.1.2"}]}],
  "nodes_topology":{"type":"star","protocol":"RDMA:200Gb","topos":[{"plane_id":0,"devices":[0,1]}]}}],
 "node_def":[{"node_type":"ATLAS900","resource_type":"Aarch","support_links":"[HCCS,PCIE,ROCE]","item_type":"Ascend910B1",
   "inter_item_memory_access_mode":"[NUMA]","h2d_bw":"PCIE:100Gb",
   "item_topology":[{"links_mode":"HCCS:128Gb","links":[[0,1]]}]}],
 // The card of this node.
 "item_def":[{"item_type":"Ascend910B1","resource_type":"Ascend","memory":"[DDR:64GB]",
   "aic_type":"[DAVINCI_V100:32]","links_mode":"HCCS"}]})";

std::string Ids(const Cluster& cluster) {
  std::string ids;
  for (const ClusterDevice& device : cluster.devices()) ids += device.id.ToString() + " ";
  return ids;
}

TEST(ClusterConfigTest, SmallForm) {
  auto cluster = Cluster::FromJson(kSmall, "c.json");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Ids(*cluster), "0:0:0:0 0:0:1:0 ");
  EXPECT_EQ(cluster->num_nodes(), 1);
  EXPECT_EQ(cluster->devices()[0].type, "Ascend910");
  EXPECT_EQ(cluster->devices()[0].memory_bytes, 0);
  EXPECT_GT(cluster->devices()[0].flops_per_second, 1e13);
  EXPECT_EQ(cluster->source_json(), kSmall);
}

TEST(ClusterConfigTest, ChipsOfACard) {
  auto cluster = Cluster::FromJson(kTwoChips, "c.json");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Ids(*cluster), "0:0:0:0 0:0:0:1 ");
  EXPECT_EQ(cluster->devices()[1].type, "Ascend310P3");
}

TEST(ClusterConfigTest, FullForm) {
  auto cluster = Cluster::FromJson(kFull, "c.json");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Ids(*cluster), "0:0:0:0 0:0:1:0 0:1:0:0 0:1:1:0 ");
  EXPECT_EQ(cluster->num_nodes(), 2);
  EXPECT_EQ(cluster->devices()[0].memory_bytes, int64_t{64} << 30);
  EXPECT_DOUBLE_EQ(cluster->Link(0, 1).beta_seconds_per_byte, 8 / 128e9);
  EXPECT_DOUBLE_EQ(cluster->Link(1, 2).beta_seconds_per_byte, 8 / 200e9);
}

TEST(ClusterConfigTest, LocalReadsBack) {
  const Cluster local = Cluster::Local(3);
  EXPECT_EQ(Ids(local), "0:0:0:0 0:0:1:0 0:0:2:0 ");
  EXPECT_EQ(local.devices()[0].type, "cpu");
  EXPECT_DOUBLE_EQ(local.devices()[0].flops_per_second, 50e9);
  auto again = Cluster::FromJson(local.source_json(), "again");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Ids(*again), Ids(local));
}

TEST(ClusterConfigTest, CpuByResourceType) {
  auto cluster = Cluster::FromJson(
      R"({"cluster":[{"cluster_nodes":[{"node_id":7,"item_list":[{"item_id":3}]}]}],
          "item_def":[{"item_type":"Xeon","resource_type":"X86","memory":"[DDR:1.5GB]"}]})",
      "c.json");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Ids(*cluster), "0:7:3:0 ");
  EXPECT_DOUBLE_EQ(cluster->devices()[0].flops_per_second, 50e9);
  EXPECT_EQ(cluster->devices()[0].memory_bytes, int64_t{3} << 29);
}

TEST(ClusterConfigTest, MissingFileIsNamed) {
  EXPECT_EQ(Cluster::FromFile("/nonexistent/c.json").status().code(), absl::StatusCode::kNotFound);
}

// Each row replaces one text of the full form; the message must name the place and what is right.
struct WrongField {
  const char* from;
  const char* to;
  const char* message;
};

class WrongFieldTest : public testing::TestWithParam<WrongField> {};

TEST_P(WrongFieldTest, IsLocated) {
  const WrongField& wrong = GetParam();
  std::string text = kFull;
  const size_t at = text.find(wrong.from);
  ASSERT_NE(at, std::string::npos) << wrong.from;
  text.replace(at, std::string(wrong.from).size(), wrong.to);
  const absl::Status status = Cluster::FromJson(text, "c.json").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_THAT(std::string(status.message()), HasSubstr(wrong.message));
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongFieldTest,
    testing::Values(
        WrongField{"\"cluster\"", "\"Cluster\"",
                   "unknown key 'Cluster'; known are cluster, node_def, item_def"},
        WrongField{"\"cluster_nodes\"", "\"nodes\"", "c.json.cluster[0]: unknown key 'nodes'"},
        WrongField{"\"node_id\":1,", "", "cluster_nodes[0].node_id: missing; expected an integer"},
        WrongField{"\"node_id\":1,", "\"node_id\":\"1\",", "node_id: expected an integer, found \"1\""},
        WrongField{"\"node_id\":1,", "\"node_id\":-1,", "node_id: expected an integer from 0 to 32767"},
        WrongField{"\"node_id\":1,", "\"node_id\":0,",
                   "cluster_nodes[1].node_id: 0 is the id of c.json.cluster[0].cluster_nodes[0]"},
        WrongField{"\"node_type\":\"ATLAS900\"", "\"node_type\":\"ATLAS800\"",
                   "cluster_nodes[0].node_type: 'ATLAS800' is not defined; node_def has ATLAS900"},
        WrongField{"\"node_type\":\"ATLAS900\"", "\"node_type\":9", "node_type: expected a string, found 9"},
        WrongField{"\"10.0.0.2\"", "10", "cluster_nodes[0].ipaddr: expected a string"},
        WrongField{"\"port\":2509", "\"port\":\"x\"", "cluster_nodes[0].port: expected an integer"},
        WrongField{
            "\"port\":2509", "\"port\":65536",
            "c.json.cluster[0].cluster_nodes[0].port: expected an integer from 0 to 65535, found 65536"},
        WrongField{"\"is_local\":false", "\"is_local\":0", "is_local: expected true or false, found 0"},
        WrongField{"25165824", "\"24GB\"", "cluster_nodes[1].memory: expected an integer"},
        WrongField{"16666~32767", "16666-32767", "avail_ports: expected a port range like \"16666~32767\""},
        WrongField{"\"data_panel\":{", "\"data_panel\":{\"x\":1,",
                   "data_panel: unknown key 'x'; known are avail_ports"},
        WrongField{"\"item_list\"", "\"items\"", "cluster_nodes[0]: unknown key 'items'; known are node_id"},
        WrongField{"{\"item_id\":1,\"device_id\":0,\"ipaddr\":\"192.168.2.1\"},", "",
                   "cluster_nodes[1].item_list: has 2 items, c.json.cluster[0].cluster_nodes[0] has 1"},
        WrongField{"\"item_id\":1,", "", "item_list[0].item_id: missing; expected an integer"},
        WrongField{"\"item_id\":1,", "\"item_id\":0,", "item_list[1].item_id: 0 is the id of another item"},
        WrongField{"\"device_id\":0", "\"device_id\":\"a\"", "item_list[0].device_id: expected an integer"},
        WrongField{"RDMA:200Gb", "RDMA:200GB",
                   "nodes_topology.protocol: expected a text like \"RDMA:200Gb\""},
        WrongField{"RDMA:200Gb", "RDMA:-1Gb", "protocol: expected a text like"},
        WrongField{"RDMA:200Gb", "RDMA:nanGb", "protocol: expected a text like"},
        WrongField{"RDMA:200Gb", "IB:200Gb", "protocol: expected RDMA or TCP before the colon, found \"IB\""},
        WrongField{"\"type\":\"star\"", "\"type\":1", "nodes_topology.type: expected a string"},
        WrongField{"\"plane_id\":0,", "", "topos[0].plane_id: missing"},
        WrongField{"\"devices\":[0,1]", "\"devices\":[0,\"1\"]", "topos[0].devices[1]: expected an integer"},
        WrongField{"\"resource_type\":\"Aarch\"", "\"resource_type\":\"MIPS\"",
                   "node_def[0].resource_type: expected X86 or Aarch, found \"MIPS\""},
        WrongField{"[HCCS,PCIE,ROCE]", "HCCS,PCIE",
                   "support_links: expected a text like \"[HCCS,PCIE,ROCE]\""},
        WrongField{"[NUMA]", "[XUMA]", "inter_item_memory_access_mode: expected [NUMA] or [UMA]"},
        WrongField{"PCIE:100Gb", "PCIE:fast", "h2d_bw: expected a text like \"PCIE:100Gb\""},
        WrongField{"HCCS:128Gb", "HCCS:128",
                   "item_topology[0].links_mode: expected a text like \"HCCS:128Gb\""},
        WrongField{"[[0,1]]", "[[0,1,2]]", "links[0]: expected two items that are linked, found 3"},
        WrongField{"[[0,1]]", "[[0,\"1\"]]", "links[0][1]: expected an integer"},
        WrongField{"[[0,1]]", "[0,1]", "links[0]: expected an array"},
        WrongField{"\"resource_type\":\"Ascend\"", "\"resource_type\":\"GPU\"",
                   "item_def[0].resource_type: expected Ascend or X86 or Aarch"},
        WrongField{"[DDR:64GB]", "64GB",
                   "item_def[0].memory: expected a text like \"[DDR:64GB]\", found \"64GB\""},
        WrongField{"[DDR:64GB]", "[DDR:64]", "item_def[0].memory: expected a text like"},
        WrongField{"[DDR:64GB]", "[DDR:-64GB]", "item_def[0].memory: expected a text like"},
        WrongField{"[DDR:64GB]", "[DDR:1e300GB]", "item_def[0].memory: expected a text like"},
        WrongField{"[DAVINCI_V100:32]", "32", "aic_type: expected a text like"},
        WrongField{"{\"item_type\":\"Ascend910B1\",\"resource_type\"", "{\"resource_type\"",
                   "item_def[0].item_type: missing; expected a string"},
        WrongField{"{\"item_type\":\"Ascend910B1\"", "{\"item_type\":\"Ascend310\"",
                   "its items are of type 'Ascend910B1', but item_def has only Ascend310"},
        WrongField{"\"links_mode\":\"HCCS\"", "\"links\":\"HCCS\"", "item_def[0]: unknown key 'links'"},
        WrongField{"\"links_mode\":\"HCCS\"", "\"device_list\":[{\"device_id\":0},{\"device_id\":0}]",
                   "device_list[1].device_id: 0 is given twice"},
        WrongField{"\"item_def\":[", "\"item_def\":[{\"item_type\":\"Ascend910B1\"},",
                   "item_def: two entries have the item_type 'Ascend910B1'"}));

TEST(ClusterConfigTest, RequiredParts) {
  auto message = [](absl::string_view text) {
    return std::string(Cluster::FromJson(text, "c").status().message());
  };
  EXPECT_EQ(message("{}"), "c.cluster: missing; expected an array");
  EXPECT_EQ(message(R"({"cluster":[]})"), "c.cluster: expected at least one cluster");
  EXPECT_EQ(message(R"({"cluster":[{}]})"), "c.cluster[0].cluster_nodes: missing; expected an array");
  EXPECT_EQ(message(R"({"cluster":[{"cluster_nodes":[{"node_id":0}]}]})"),
            "c.cluster[0].cluster_nodes[0].item_list: missing; expected an array");
  EXPECT_THAT(message("[]"), HasSubstr("c: expected an object"));
  EXPECT_THAT(message("{,}"), HasSubstr("c: not valid JSON at line 1"));
  EXPECT_EQ(Cluster::FromJson(R"({"RankTable":{}})", "c").status().code(), absl::StatusCode::kUnimplemented);
}

TEST(ClusterConfigTest, TooManyDevices) {
  std::string items;
  for (int i = 0; i < 300; ++i) items += absl::StrReplaceAll("{\"item_id\":#},", {{"#", std::to_string(i)}});
  items.pop_back();
  const std::string chips = absl::StrReplaceAll(items, {{"item_id", "device_id"}});
  EXPECT_THAT(std::string(Cluster::FromJson(
                              R"({"cluster":[{"cluster_nodes":[{"node_id":0,"item_list":[)" + items +
                                  R"(]}]}],"item_def":[{"item_type":"a","device_list":[)" + chips + "]}]}",
                              "c")
                              .status()
                              .message()),
              HasSubstr("more than 65535 devices"));
}

}  // namespace
}  // namespace omserve
