// cluster_config.json → Cluster. Two documents describe the file and differ: the small form of the build side
// and the full form of the run side (numa_config.json). The union of both is read here.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "core/cluster/cluster.h"

namespace omserve {
namespace {

// What the cost model assumes where the file states nothing. Only the proportions between compute, memory and
// links decide a plan; they are the right order of magnitude, not a data sheet.
//
// A device of the CPU back end: a few cores of a server, all-core single-precision matrix product and stream
// copy.
constexpr double kCpuFlops = 50e9;
constexpr double kCpuMemoryBandwidth = 10e9;
// An Ascend training card: half-precision matrix product and HBM.
constexpr double kAscendFlops = 256e12;
constexpr double kAscendMemoryBandwidth = 1.2e12;

// Inside a node: shared memory between CPU devices; HCCS between cards when its bandwidth is not stated.
constexpr double kSharedMemoryLatency = 5e-6;
constexpr double kSharedMemoryBandwidth = 4e9;
constexpr double kCardLinkLatency = 5e-6;
constexpr double kCardLinkBandwidth = 128e9 / 8;

// Between nodes.
constexpr double kTcpLatency = 50e-6;
constexpr double kRdmaLatency = 5e-6;
constexpr double kNetworkBandwidth = 10e9 / 8;

constexpr int64_t kMaxId = 32767;  // of a node or item: the limit of a field of a logical device id
constexpr size_t kMaxDevices = 65535;

struct ItemDef {
  std::string type;
  bool is_cpu = false;
  int64_t memory_bytes = 0;
  int chips = 1;
};

struct NodeDef {
  std::optional<std::string> type;  // absent in the small form: then it describes every node
  std::optional<std::string> item_type;
  std::optional<double> link_bandwidth;  // bytes/s of the slowest stated link between its items
  std::set<std::pair<int64_t, int64_t>> linked;  // pairs of items with an HCCS link of their own, lower id first
};

struct NodeEntry {
  int64_t id = 0;
  std::optional<std::string> type;
  std::vector<int64_t> items;  // ascending
  bool every_item_has_ip = true;
  std::string path;
};

absl::StatusOr<std::optional<std::string>> OptionalString(const JsonPlace& place) {
  if (place.value() == nullptr) return std::optional<std::string>();
  ASSIGN_OR_RETURN(std::string text, place.String());
  return std::optional<std::string>(std::move(text));
}

absl::Status CheckOptionalInt(const JsonPlace& place) {
  return place.value() == nullptr ? absl::OkStatus() : place.Int().status();
}

absl::Status CheckOptionalString(const JsonPlace& place) { return OptionalString(place).status(); }

// "[DDR:64GB]": bytes. GB is 2^30, as memory is sold.
absl::StatusOr<int64_t> ParseMemory(const JsonPlace& place) {
  ASSIGN_OR_RETURN(std::string text, place.String());
  const auto error = [&] {
    return place.Error(absl::StrCat("expected a text like \"[DDR:64GB]\", found \"", text, "\""));
  };
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return error();
  const std::vector<std::string> parts = absl::StrSplit(text.substr(1, text.size() - 2), ':');
  if (parts.size() != 2 || parts[0].empty()) return error();
  constexpr std::pair<absl::string_view, double> kUnits[] = {
      {"KB", 1024.0}, {"MB", 1048576.0}, {"GB", 1073741824.0}, {"TB", 1099511627776.0}};
  for (const auto& [unit, factor] : kUnits) {
    absl::string_view number = parts[1];
    if (!absl::ConsumeSuffix(&number, unit)) continue;
    double value = 0;
    // Bounded by 2^53 bytes: far beyond any memory, and exact as a double. The comparison also refuses NaN.
    if (!absl::SimpleAtod(number, &value) || !(value > 0 && value * factor <= 9007199254740992.0))
      return error();
    return static_cast<int64_t>(value * factor);
  }
  return error();
}

// "HCCS" or "HCCS:128Gb": the name, and bytes per second when stated. Gb is 10^9 bit/s.
struct NamedLink {
  std::string name;
  std::optional<double> bandwidth;
};

absl::StatusOr<NamedLink> ParseLink(const JsonPlace& place, absl::string_view example) {
  ASSIGN_OR_RETURN(std::string text, place.String());
  const auto error = [&] {
    return place.Error(absl::StrCat("expected a text like \"", example, "\", found \"", text, "\""));
  };
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  NamedLink link;
  link.name = parts[0];
  if (link.name.empty() || parts.size() > 2) return error();
  if (parts.size() == 2) {
    absl::string_view number = parts[1];
    double gigabits = 0;
    if (!absl::ConsumeSuffix(&number, "Gb") || !absl::SimpleAtod(number, &gigabits) ||
        !(gigabits > 0 && gigabits <= 1e9)) {
      return error();
    }
    link.bandwidth = gigabits * 1e9 / 8;
  }
  return link;
}

absl::Status CheckBracketedList(const JsonPlace& place, absl::string_view example) {
  ASSIGN_OR_RETURN(std::string text, place.String());
  if (text.size() < 3 || text.front() != '[' || text.back() != ']') {
    return place.Error(absl::StrCat("expected a text like \"", example, "\", found \"", text, "\""));
  }
  return absl::OkStatus();
}

absl::Status CheckOneOf(const JsonPlace& place, const std::vector<std::string>& known) {
  ASSIGN_OR_RETURN(std::string text, place.String());
  if (std::find(known.begin(), known.end(), text) == known.end()) {
    return place.Error(absl::StrCat("expected ", absl::StrJoin(known, " or "), ", found \"", text, "\""));
  }
  return absl::OkStatus();
}

// "16666~32767", alone or as the only kind of element of an array.
absl::Status CheckPortRange(const JsonPlace& place) {
  if (place.value() != nullptr && place.value()->is_array()) {
    ASSIGN_OR_RETURN(std::vector<JsonPlace> ranges, place.Array());
    for (const JsonPlace& range : ranges) RETURN_IF_ERROR(CheckPortRange(range));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(std::string text, place.String());
  const std::vector<std::string> ends = absl::StrSplit(text, '~');
  int from = 0, to = 0;
  if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &from) || !absl::SimpleAtoi(ends[1], &to) || from < 0 ||
      from > to || to > 65535) {
    return place.Error(absl::StrCat("expected a port range like \"16666~32767\", found \"", text, "\""));
  }
  return absl::OkStatus();
}

absl::StatusOr<ItemDef> ParseItemDef(const JsonPlace& place) {
  RETURN_IF_ERROR(
      place.CheckFields({"item_type", "resource_type", "memory", "aic_type", "links_mode", "device_list"}));
  ItemDef def;
  ASSIGN_OR_RETURN(def.type, place.Field("item_type").String());
  if (def.type.empty()) return place.Field("item_type").Error("expected a name, found \"\"");
  def.is_cpu = absl::EqualsIgnoreCase(def.type, "cpu");
  const JsonPlace resource = place.Field("resource_type");
  if (resource.value() != nullptr) {
    RETURN_IF_ERROR(CheckOneOf(resource, {"Ascend", "X86", "Aarch"}));
    def.is_cpu = *resource.String() != "Ascend";
  }
  if (place.Field("memory").value() != nullptr) {
    ASSIGN_OR_RETURN(def.memory_bytes, ParseMemory(place.Field("memory")));
  }
  if (place.Field("aic_type").value() != nullptr) {
    RETURN_IF_ERROR(CheckBracketedList(place.Field("aic_type"), "[DAVINCI_V100:32]"));
  }
  RETURN_IF_ERROR(CheckOptionalString(place.Field("links_mode")));
  const JsonPlace devices = place.Field("device_list");
  if (devices.value() != nullptr) {
    ASSIGN_OR_RETURN(std::vector<JsonPlace> entries, devices.Array());
    if (entries.empty()) return devices.Error("expected at least one device");
    std::set<int64_t> seen;
    for (const JsonPlace& entry : entries) {
      RETURN_IF_ERROR(entry.CheckFields({"device_id"}));
      ASSIGN_OR_RETURN(int64_t id, entry.Field("device_id").IntInRange(0, kMaxId));
      if (!seen.insert(id).second) return entry.Field("device_id").Error(absl::StrCat(id, " is given twice"));
    }
    def.chips = static_cast<int>(entries.size());
  }
  return def;
}

absl::StatusOr<NodeDef> ParseNodeDef(const JsonPlace& place) {
  RETURN_IF_ERROR(place.CheckFields({"node_type", "resource_type", "support_links", "item_type", "item",
                                     "inter_item_memory_access_mode", "h2d_bw", "item_topology"}));
  NodeDef def;
  ASSIGN_OR_RETURN(def.type, OptionalString(place.Field("node_type")));
  ASSIGN_OR_RETURN(def.item_type, OptionalString(place.Field("item_type")));
  const JsonPlace item = place.Field("item");
  if (item.value() != nullptr) {
    // The spelling of TorchAir's generator: "item": [{"item_type": "Ascend910"}].
    ASSIGN_OR_RETURN(std::vector<JsonPlace> entries, item.Array());
    for (const JsonPlace& entry : entries) {
      RETURN_IF_ERROR(entry.CheckFields({"item_type"}));
      ASSIGN_OR_RETURN(std::string type, entry.Field("item_type").String());
      if (def.item_type && *def.item_type != type) {
        return entry.Field("item_type")
            .Error(absl::StrCat("'", type, "' and '", *def.item_type,
                                "' in one node; all items of a node must have one type"));
      }
      def.item_type = std::move(type);
    }
  }
  if (place.Field("resource_type").value() != nullptr) {
    RETURN_IF_ERROR(CheckOneOf(place.Field("resource_type"), {"X86", "Aarch"}));
  }
  if (place.Field("support_links").value() != nullptr) {
    RETURN_IF_ERROR(CheckBracketedList(place.Field("support_links"), "[HCCS,PCIE,ROCE]"));
  }
  if (place.Field("inter_item_memory_access_mode").value() != nullptr) {
    RETURN_IF_ERROR(CheckOneOf(place.Field("inter_item_memory_access_mode"), {"[NUMA]", "[UMA]"}));
  }
  if (place.Field("h2d_bw").value() != nullptr) {
    RETURN_IF_ERROR(ParseLink(place.Field("h2d_bw"), "PCIE:100Gb").status());
  }
  const JsonPlace topology = place.Field("item_topology");
  if (topology.value() == nullptr) return def;
  ASSIGN_OR_RETURN(std::vector<JsonPlace> entries, topology.Array());
  for (const JsonPlace& entry : entries) {
    RETURN_IF_ERROR(entry.CheckFields({"links_mode", "links"}));
    ASSIGN_OR_RETURN(NamedLink link, ParseLink(entry.Field("links_mode"), "HCCS:128Gb"));
    if (link.bandwidth) {
      def.link_bandwidth = std::min(def.link_bandwidth.value_or(*link.bandwidth), *link.bandwidth);
    }
    if (entry.Field("links").value() == nullptr) continue;
    ASSIGN_OR_RETURN(std::vector<JsonPlace> links, entry.Field("links").Array());
    for (const JsonPlace& pair : links) {
      ASSIGN_OR_RETURN(std::vector<JsonPlace> ends, pair.Array());
      if (ends.size() != 2) {
        return pair.Error(absl::StrCat("expected two items that are linked, found ", ends.size()));
      }
      ASSIGN_OR_RETURN(const int64_t a, ends[0].IntInRange(0, kMaxId));
      ASSIGN_OR_RETURN(const int64_t b, ends[1].IntInRange(0, kMaxId));
      if (link.name == "HCCS" && a != b) def.linked.emplace(std::min(a, b), std::max(a, b));
    }
  }
  return def;
}

absl::StatusOr<NodeEntry> ParseNode(const JsonPlace& place) {
  RETURN_IF_ERROR(place.CheckFields({"node_id", "node_type", "ipaddr", "port", "is_local", "item_list",
                                     "data_panel", "memory", "auth_lib_path", "deploy_res_path"}));
  NodeEntry node;
  node.path = place.path();
  ASSIGN_OR_RETURN(node.id, place.Field("node_id").IntInRange(0, kMaxId));
  ASSIGN_OR_RETURN(node.type, OptionalString(place.Field("node_type")));
  RETURN_IF_ERROR(CheckOptionalString(place.Field("ipaddr")));
  if (place.Field("port").value() != nullptr)
    RETURN_IF_ERROR(place.Field("port").IntInRange(0, 65535).status());
  if (place.Field("is_local").value() != nullptr) RETURN_IF_ERROR(place.Field("is_local").Bool().status());
  RETURN_IF_ERROR(CheckOptionalInt(place.Field("memory")));
  RETURN_IF_ERROR(CheckOptionalString(place.Field("auth_lib_path")));
  RETURN_IF_ERROR(CheckOptionalString(place.Field("deploy_res_path")));
  const JsonPlace panel = place.Field("data_panel");
  if (panel.value() != nullptr) {
    RETURN_IF_ERROR(panel.CheckFields({"avail_ports"}));
    if (panel.Field("avail_ports").value() != nullptr)
      RETURN_IF_ERROR(CheckPortRange(panel.Field("avail_ports")));
  }
  ASSIGN_OR_RETURN(std::vector<JsonPlace> items, place.Field("item_list").Array());
  if (items.empty()) return place.Field("item_list").Error("expected at least one item");
  std::set<int64_t> ids;
  for (const JsonPlace& item : items) {
    RETURN_IF_ERROR(item.CheckFields({"item_id", "device_id", "ipaddr"}));
    ASSIGN_OR_RETURN(int64_t id, item.Field("item_id").IntInRange(0, kMaxId));
    if (!ids.insert(id).second) {
      return item.Field("item_id").Error(absl::StrCat(id, " is the id of another item of this node"));
    }
    RETURN_IF_ERROR(CheckOptionalInt(item.Field("device_id")));
    ASSIGN_OR_RETURN(std::optional<std::string> ip, OptionalString(item.Field("ipaddr")));
    if (!ip) node.every_item_has_ip = false;
  }
  node.items.assign(ids.begin(), ids.end());
  return node;
}

struct Network {
  bool stated = false;
  LinkCost link;
};

absl::StatusOr<Network> ParseNodesTopology(const JsonPlace& place) {
  RETURN_IF_ERROR(place.CheckFields({"type", "protocol", "topos"}));
  RETURN_IF_ERROR(CheckOptionalString(place.Field("type")));
  Network network;
  const JsonPlace protocol = place.Field("protocol");
  if (protocol.value() != nullptr) {
    ASSIGN_OR_RETURN(NamedLink link, ParseLink(protocol, "RDMA:200Gb"));
    if (link.name != "RDMA" && link.name != "TCP") {
      return protocol.Error(absl::StrCat("expected RDMA or TCP before the colon, found \"", link.name, "\""));
    }
    network.stated = true;
    network.link = {link.name == "RDMA" ? kRdmaLatency : kTcpLatency,
                    1 / link.bandwidth.value_or(kNetworkBandwidth)};
  }
  if (place.Field("topos").value() == nullptr) return network;
  ASSIGN_OR_RETURN(std::vector<JsonPlace> planes, place.Field("topos").Array());
  for (const JsonPlace& plane : planes) {
    RETURN_IF_ERROR(plane.CheckFields({"plane_id", "devices"}));
    RETURN_IF_ERROR(plane.Field("plane_id").IntInRange(0, kMaxId).status());
    ASSIGN_OR_RETURN(std::vector<JsonPlace> devices, plane.Field("devices").Array());
    for (const JsonPlace& device : devices) RETURN_IF_ERROR(device.IntInRange(0, kMaxId).status());
  }
  return network;
}

template <typename T>
absl::StatusOr<std::vector<T>> ParseList(const JsonPlace& place,
                                         absl::StatusOr<T> (*parse)(const JsonPlace&)) {
  std::vector<T> parsed;
  if (place.value() == nullptr) return parsed;
  ASSIGN_OR_RETURN(std::vector<JsonPlace> entries, place.Array());
  for (const JsonPlace& entry : entries) {
    ASSIGN_OR_RETURN(T value, parse(entry));
    parsed.push_back(std::move(value));
  }
  return parsed;
}

// The definition of a node: the one of its type, or the only one when that names no type; null when the file
// defines no nodes at all.
absl::StatusOr<const NodeDef*> DefOfNode(const NodeEntry& node, const std::vector<NodeDef>& defs) {
  if (defs.empty()) return nullptr;
  std::vector<std::string> known;
  const NodeDef* untyped = nullptr;
  for (const NodeDef& def : defs) {
    if (!def.type) {
      untyped = &def;
    } else if (!node.type ? defs.size() == 1 : *def.type == *node.type) {
      return &def;
    } else {
      known.push_back(*def.type);
    }
  }
  if (untyped != nullptr) return untyped;
  return absl::InvalidArgumentError(absl::StrCat(
      node.path, ".node_type: ", node.type ? absl::StrCat("'", *node.type, "' is not defined") : "missing",
      "; node_def has ", absl::StrJoin(known, ", ")));
}

// The definition of the items of a node; null when the file defines no items.
absl::StatusOr<const ItemDef*> DefOfItems(const NodeEntry& node, const NodeDef* node_def,
                                          const std::vector<ItemDef>& defs) {
  if (defs.empty()) return nullptr;
  std::vector<std::string> known;
  for (const ItemDef& def : defs) {
    if (node_def != nullptr && node_def->item_type ? def.type == *node_def->item_type : defs.size() == 1)
      return &def;
    known.push_back(def.type);
  }
  if (node_def != nullptr && node_def->item_type) {
    return absl::InvalidArgumentError(absl::StrCat(node.path, ": its items are of type '",
                                                   *node_def->item_type, "', but item_def has only ",
                                                   absl::StrJoin(known, ", ")));
  }
  return absl::InvalidArgumentError(absl::StrCat(node.path, ": item_def has ", absl::StrJoin(known, ", "),
                                                 ", and no node_def says which of them its items are"));
}

// What the stated links between the items of a node amount to; a switch where they are neither all pairs nor one ring.
Topology TopologyOf(const NodeDef& def, const std::vector<int64_t>& items) {
  const size_t count = items.size();
  if (count < 3) return Topology::kSwitch;
  const auto linked = [&](size_t i, size_t j) {
    return def.linked.contains({std::min(items[i], items[j]), std::max(items[i], items[j])});
  };
  size_t links = 0;
  bool ring = true;
  for (size_t i = 0; i < count; ++i) {
    ring = ring && linked(i, (i + 1) % count);
    for (size_t j = 0; j < i; ++j) links += linked(i, j);
  }
  if (links == count * (count - 1) / 2) return Topology::kFullMesh;
  return ring && links == count ? Topology::kRing : Topology::kSwitch;
}

absl::Status CheckUnique(const JsonPlace& list, absl::string_view field, std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return absl::OkStatus();
  return list.Error(absl::StrCat("two entries have the ", field, " '", *twice, "'"));
}

}  // namespace

absl::StatusOr<Cluster> Cluster::FromJson(absl::string_view text, absl::string_view source) {
  ASSIGN_OR_RETURN(JsonDocument document, JsonDocument::Parse(text, source));
  const JsonPlace root = document.root();
  RETURN_IF_ERROR(root.CheckObject());
  if (root.Field("RankTable").value() != nullptr) {
    return absl::UnimplementedError(absl::StrCat(
        source,
        ": this is a rank table (the form of CANN 9); expected the form with the keys cluster, node_def, "
        "item_def"));
  }
  RETURN_IF_ERROR(root.CheckFields({"cluster", "node_def", "item_def"}));

  ASSIGN_OR_RETURN(std::vector<ItemDef> item_defs, ParseList<ItemDef>(root.Field("item_def"), ParseItemDef));
  ASSIGN_OR_RETURN(std::vector<NodeDef> node_defs, ParseList<NodeDef>(root.Field("node_def"), ParseNodeDef));
  std::vector<std::string> item_types, node_types;
  for (const ItemDef& def : item_defs) item_types.push_back(def.type);
  for (const NodeDef& def : node_defs) node_types.push_back(def.type.value_or(""));
  RETURN_IF_ERROR(CheckUnique(root.Field("item_def"), "item_type", std::move(item_types)));
  RETURN_IF_ERROR(CheckUnique(root.Field("node_def"), "node_type", std::move(node_types)));

  ASSIGN_OR_RETURN(std::vector<JsonPlace> clusters, root.Field("cluster").Array());
  if (clusters.empty()) return root.Field("cluster").Error("expected at least one cluster");

  Cluster cluster;
  cluster.source_json_ = std::string(text);
  Network network;
  std::optional<double> link_bandwidth;
  std::optional<std::pair<std::string, size_t>> first_node;  // its path and number of items
  std::optional<Topology> topology;
  bool all_cpu = true, every_item_has_ip = true;
  for (size_t c = 0; c < clusters.size(); ++c) {
    const JsonPlace& place = clusters[c];
    RETURN_IF_ERROR(place.CheckFields({"cluster_nodes", "nodes_topology", "nodes_toplogy"}));
    // The second spelling is what an older generator writes.
    for (const char* key : {"nodes_topology", "nodes_toplogy"}) {
      if (place.Field(key).value() == nullptr) continue;
      ASSIGN_OR_RETURN(Network found, ParseNodesTopology(place.Field(key)));
      if (found.stated &&
          (!network.stated || found.link.beta_seconds_per_byte > network.link.beta_seconds_per_byte)) {
        network = found;
      }
    }
    ASSIGN_OR_RETURN(std::vector<JsonPlace> places, place.Field("cluster_nodes").Array());
    if (places.empty()) return place.Field("cluster_nodes").Error("expected at least one node");
    std::map<int64_t, NodeEntry> nodes;  // by node_id
    for (const JsonPlace& entry : places) {
      ASSIGN_OR_RETURN(NodeEntry node, ParseNode(entry));
      if (nodes.contains(node.id)) {
        return entry.Field("node_id").Error(absl::StrCat(node.id, " is the id of ", nodes[node.id].path));
      }
      if (!first_node) {
        first_node.emplace(node.path, node.items.size());
      } else if (first_node->second != node.items.size()) {
        return entry.Field("item_list")
            .Error(absl::StrCat("has ", node.items.size(), " items, ", first_node->first, " has ",
                                first_node->second, "; every node must have the same number"));
      }
      nodes.emplace(node.id, std::move(node));
    }
    for (const auto& [id, node] : nodes) {
      ASSIGN_OR_RETURN(const NodeDef* node_def, DefOfNode(node, node_defs));
      ASSIGN_OR_RETURN(const ItemDef* item_def, DefOfItems(node, node_def, item_defs));
      if (node_def != nullptr && node_def->link_bandwidth) {
        link_bandwidth =
            std::min(link_bandwidth.value_or(*node_def->link_bandwidth), *node_def->link_bandwidth);
      }
      ItemDef items;
      if (item_def != nullptr) items = *item_def;
      const Topology of_node = node_def != nullptr && items.chips == 1 ? TopologyOf(*node_def, node.items) : Topology::kSwitch;
      topology = topology.value_or(of_node) == of_node ? of_node : Topology::kSwitch;
      all_cpu = all_cpu && items.is_cpu;
      every_item_has_ip = every_item_has_ip && node.every_item_has_ip;
      if (cluster.devices_.size() + node.items.size() * static_cast<size_t>(items.chips) > kMaxDevices) {
        return place.Error(absl::StrCat("more than ", kMaxDevices, " devices"));
      }
      for (int64_t item : node.items) {
        for (int chip = 0; chip < items.chips; ++chip) {
          ClusterDevice device;
          device.id = {static_cast<int>(c), static_cast<int>(id), static_cast<int>(item), chip};
          device.type =
              items.type.empty() && node_def != nullptr ? node_def->item_type.value_or("") : items.type;
          device.memory_bytes = items.memory_bytes;
          device.flops_per_second = items.is_cpu ? kCpuFlops : kAscendFlops;
          device.bytes_per_second = items.is_cpu ? kCpuMemoryBandwidth : kAscendMemoryBandwidth;
          cluster.devices_.push_back(std::move(device));
        }
      }
    }
  }

  cluster.intra_node_.link = {all_cpu ? kSharedMemoryLatency : kCardLinkLatency,
                         1 / link_bandwidth.value_or(all_cpu ? kSharedMemoryBandwidth : kCardLinkBandwidth)};
  cluster.inter_node_.link = network.stated ? network.link : LinkCost{kTcpLatency, 1 / kNetworkBandwidth};
  cluster.intra_node_.topology = topology.value_or(Topology::kSwitch);
  // An address per item says that each card has its own network interface; else the node's is shared.
  cluster.interface_per_item_ = every_item_has_ip;
  return cluster;
}

}  // namespace omserve
