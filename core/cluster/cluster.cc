#include "core/cluster/cluster.h"

#include <set>
#include <utility>

#include "core/base/file.h"
#include "core/base/status.h"
#include "nlohmann/json.hpp"

namespace omserve {

absl::StatusOr<Cluster> Cluster::FromFile(const std::string& path) {
  constexpr size_t kMaxBytes = size_t{16} << 20;
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxBytes));
  return FromJson(text, path);
}

Cluster Cluster::Local(int count) {
  // Written as a file would be, so that what an OM stores of it can be read again.
  nlohmann::ordered_json items = nlohmann::ordered_json::array();
  for (int i = 0; i < count; ++i) items.push_back({{"item_id", i}});
  const nlohmann::ordered_json file = {
      {"cluster", {{{"cluster_nodes", {{{"node_id", 0}, {"is_local", true}, {"item_list", items}}}}}}},
      {"item_def", {{{"item_type", "cpu"}}}},
  };
  return FromJson(file.dump(), "local cluster").value();
}

int Cluster::num_nodes() const {
  std::set<std::pair<int, int>> nodes;
  for (const ClusterDevice& device : devices_) nodes.emplace(device.id.cluster, device.id.node);
  return static_cast<int>(nodes.size());
}

LinkCost Cluster::Link(int a, int b) const {
  const LogicalDeviceId& x = devices_[static_cast<size_t>(a)].id;
  const LogicalDeviceId& y = devices_[static_cast<size_t>(b)].id;
  return x.cluster == y.cluster && x.node == y.node ? intra_node_.link : inter_node_.link;
}

Cluster Cluster::Scaled(double link_bandwidth, double memory) const {
  Cluster scaled = *this;
  for (LevelCosts* level : {&scaled.intra_node_, &scaled.inter_node_}) {
    level->link.beta_seconds_per_byte /= link_bandwidth;
    level->speed *= link_bandwidth;
  }
  for (ClusterDevice& device : scaled.devices_) {
    device.memory_bytes = static_cast<int64_t>(static_cast<double>(device.memory_bytes) * memory);
  }
  return scaled;
}

}  // namespace omserve
