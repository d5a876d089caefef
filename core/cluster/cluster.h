// Cluster: the devices a model may be cut over, their memory and the links between them, as read from
// cluster_config.json (both documented forms; format: docs/cann/… of CANN 8.0, "CLUSTER_CONFIG").
#ifndef OMSERVE_CORE_CLUSTER_CLUSTER_H_
#define OMSERVE_CORE_CLUSTER_CLUSTER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/cluster/collective_algorithms.h"
#include "core/cluster/operator_cost.h"

namespace omserve {

// "cluster:node:item" or "cluster:node:item:chip"; three fields mean chip 0.
struct LogicalDeviceId {
  int cluster = 0;
  int node = 0;
  int item = 0;
  int chip = 0;

  // INVALID_ARGUMENT names the text. Blanks and one pair of brackets around the text are tolerated.
  static absl::StatusOr<LogicalDeviceId> Parse(absl::string_view text);
  // A comma list whose fields may be ranges "a~b": "0:0:0~1,0:1:0" → three ids, in order, without repeats.
  static absl::StatusOr<std::vector<LogicalDeviceId>> ParseList(absl::string_view text);
  // Four fields: "0:0:1:0".
  std::string ToString() const;
  auto operator<=>(const LogicalDeviceId&) const = default;
};

struct ClusterDevice : OperatorRates {
  LogicalDeviceId id;
  std::string type;          // item_type: "Ascend910B1", "cpu"
  int64_t memory_bytes = 0;  // 0: not stated
  std::shared_ptr<const MeasuredOperators> measured;  // of the device type; null: nothing
};

// The links of one level: inside a node, or between nodes.
struct LevelCosts {
  LinkCost link;                // of one device
  std::optional<double> gamma;  // seconds per byte of a local reduction; absent: from the devices' memory
  Topology topology = Topology::kSwitch;
  std::shared_ptr<const CollectiveCurves> measured;  // null: nothing
  double speed = 1;                                  // Scaled: measured curves are for links 1/speed as fast
};

// A group of devices that do a collective while others do the same, as far as its price goes.
struct ConcurrentGroup {
  int size = 1, nodes = 1;
  int most_per_node = 1, least_per_node = 1;
  double slowest_memory = 0;
  // How many messages share the busiest link or network interface: when each member talks to its neighbour, and when all
  // talk across the group at once.
  double load_inside = 1, ring_load_between = 1, any_load_between = 1;
  double load_inside_alone = 1;  // when only this group is at work

  auto operator<=>(const ConcurrentGroup&) const = default;
};

class Cluster {
 public:
  // Node and item ids are those of the file; a chip is the position in item_def.device_list. What the file does not
  // state (peak rates, links) gets defaults. UNIMPLEMENTED for the rank tables of CANN 9. Errors are located: "cluster_config.json.cluster[0].cluster_nodes[1].port: expected an integer from 0 to 65535,
  // found \"x\"".
  static absl::StatusOr<Cluster> FromJson(absl::string_view text, absl::string_view source);
  static absl::StatusOr<Cluster> FromFile(const std::string& path);
  // `count` >= 1 CPU devices on one node, ids 0:0:0 … 0:0:count-1: what standalone uses without a file.
  static Cluster Local(int count);

  const std::vector<ClusterDevice>& devices() const { return devices_; }
  int num_devices() const { return static_cast<int>(devices_.size()); }
  int num_nodes() const;

  // The same cluster with links and memories of so many times the size: for asking what would change.
  Cluster Scaled(double link_bandwidth, double memory) const;

  // Seconds of one operator on the device at `position`: everything that prices an operator asks here.
  double OperatorTime(int position, const OperatorWork& work) const;

  // The link between two devices given by position: inside a node, or between nodes.
  LinkCost Link(int a, int b) const;

  // Time in seconds of one collective over the devices at `positions`, each with `bytes` of payload: all-reduce: the
  // buffer; all-gather: the whole output; reduce-scatter: the whole input; all-to-all: the local buffer. What was measured
  // (ApplyCosts), else the cheapest algorithm, hierarchical ones over several nodes included.
  double CollectiveTime(CollectiveKind kind, const std::vector<int>& positions, double bytes) const;
  // The same with the name of the algorithm.
  CollectivePrice PriceCollective(CollectiveKind kind, const std::vector<int>& positions, double bytes) const;

  // Groups that do the same collective at the same time (those along an axis of a mesh) share links. Finds out which,
  // once; groups of equal price are returned once.
  std::vector<ConcurrentGroup> Concurrent(const std::vector<std::vector<int>>& groups) const;
  CollectivePrice PriceGroup(CollectiveKind kind, const ConcurrentGroup& group, double bytes) const;

  // Takes over what a cost file says (format: docs/partitioning.md; what `omctl calibrate` writes). INVALID_ARGUMENT with
  // the place in the file; the cluster is then as it was.
  absl::Status ApplyCosts(absl::string_view json, absl::string_view source);

  // The file as it was read; stored in the OM.
  const std::string& source_json() const { return source_json_; }

 private:
  std::vector<ClusterDevice> devices_;  // by node, then item, then chip
  LevelCosts intra_node_;
  LevelCosts inter_node_;
  bool interface_per_item_ = false;  // each item has its own network interface; else those of a node share one
  std::string source_json_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_CLUSTER_CLUSTER_H_
