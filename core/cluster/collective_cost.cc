// Collectives on a cluster: which links a group shares with the groups beside it, and whether to go node by node.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/cluster/cluster.h"

namespace omserve {
namespace {

using NodeId = std::pair<int, int>;

NodeId NodeOf(const ClusterDevice& device) { return {device.id.cluster, device.id.node}; }

LinkCost Slower(const LinkCost& a, const LinkCost& b) {
  return {std::max(a.alpha_seconds, b.alpha_seconds), std::max(a.beta_seconds_per_byte, b.beta_seconds_per_byte)};
}

LinkCost SharedBy(LinkCost link, double users) {
  link.beta_seconds_per_byte *= users;
  return link;
}

// The most messages on one link of a ring of `count` places, when every place of `groups` sends along its group's ring in
// order, each message taking the shorter way round.
double RingLoad(const std::vector<std::vector<int>>& groups, int count) {
  std::vector<int> load(static_cast<size_t>(2 * count), 0);  // clockwise from each place, then counter-clockwise
  for (const std::vector<int>& group : groups) {
    if (group.size() < 2) continue;
    for (size_t i = 0; i < group.size(); ++i) {
      const int from = group[i], to = group[(i + 1) % group.size()];
      const int ahead = (to - from + count) % count;
      const bool clockwise = 2 * ahead <= count;
      const int hops = clockwise ? ahead : count - ahead;
      for (int hop = 0; hop < hops; ++hop) {
        const int place = clockwise ? (from + hop) % count : (from - hop + count) % count;
        ++load[static_cast<size_t>(clockwise ? place : count + place)];
      }
    }
  }
  return std::max(1, *std::max_element(load.begin(), load.end()));
}

CollectivePrice Sum(std::initializer_list<CollectivePrice> phases) {
  CollectivePrice sum{0, "hierarchical"};
  for (const CollectivePrice& phase : phases) sum.seconds += phase.seconds;
  return sum;
}

}  // namespace

std::vector<ConcurrentGroup> Cluster::Concurrent(const std::vector<std::vector<int>>& groups) const {
  struct NodeLoad {
    int active = 0;           // devices here that take part in anything
    int outgoing_groups = 0;  // groups with members here and elsewhere
    int outgoing = 0;         // members of those
    double ring = 1;
    int places = 0;                 // devices of this node
    std::map<size_t, size_t> place_of;  // of a group, in `places`
  };
  std::map<NodeId, NodeLoad> loads;
  std::map<NodeId, std::vector<std::vector<int>>> places;  // of each group's members, on rings
  std::vector<std::map<NodeId, int>> members(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    for (int position : groups[g]) ++members[g][NodeOf(devices_[static_cast<size_t>(position)])];
    for (const auto& [node, count] : members[g]) {
      NodeLoad& load = loads[node];
      if (groups[g].size() > 1) load.active += count;
      if (members[g].size() > 1) {
        ++load.outgoing_groups;
        load.outgoing += count;
      }
    }
  }
  if (intra_node_.topology == Topology::kRing) {
    std::map<NodeId, int> seen;
    std::vector<int> place(devices_.size());
    for (size_t i = 0; i < devices_.size(); ++i) {
      NodeId node = NodeOf(devices_[i]);
      place[i] = seen[node]++;
    }
    for (size_t g = 0; g < groups.size(); ++g) {
      std::map<NodeId, std::vector<int>> of_group;
      for (int position : groups[g]) {
        const auto index = static_cast<size_t>(position);
        of_group[NodeOf(devices_[index])].push_back(place[index]);
      }
      for (auto& [node, own] : of_group) {
        loads[node].place_of[g] = places[node].size();
        places[node].push_back(std::move(own));
      }
    }
    for (auto& [node, load] : loads) {
      load.places = seen[node];
      load.ring = RingLoad(places[node], load.places);
    }
  }

  std::set<ConcurrentGroup> distinct;
  for (size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].empty()) continue;
    ConcurrentGroup group;
    group.size = static_cast<int>(groups[g].size());
    group.nodes = static_cast<int>(members[g].size());
    group.least_per_node = group.size;
    group.slowest_memory = devices_[static_cast<size_t>(groups[g][0])].bytes_per_second;
    for (int position : groups[g]) {
      group.slowest_memory = std::min(group.slowest_memory, devices_[static_cast<size_t>(position)].bytes_per_second);
    }
    for (const auto& [node, count] : members[g]) {
      group.most_per_node = std::max(group.most_per_node, count);
      group.least_per_node = std::min(group.least_per_node, count);
      const NodeLoad& load = loads[node];
      double inside = 1, alone = 1;
      if (intra_node_.topology == Topology::kRing) {
        inside = load.ring;
        alone = RingLoad({places[node][load.place_of.at(g)]}, load.places);
      }
      if (intra_node_.topology == Topology::kBus) {
        inside = load.active;
        alone = count;
      }
      group.load_inside = std::max(group.load_inside, inside);
      group.load_inside_alone = std::max(group.load_inside_alone, alone);
      if (!interface_per_item_) {
        // A ring in order of nodes leaves each node once; other patterns send from all members of a node at once.
        group.ring_load_between = std::max<double>(group.ring_load_between, load.outgoing_groups);
        group.any_load_between = std::max<double>(group.any_load_between, load.outgoing);
      }
    }
    distinct.insert(group);
  }
  return {distinct.begin(), distinct.end()};
}

CollectivePrice Cluster::PriceGroup(CollectiveKind kind, const ConcurrentGroup& of, double bytes) const {
  if (of.size <= 1) return {};
  const bool inside = of.nodes == 1;
  if (kind == CollectiveKind::kSendReceive) {
    const LevelCosts& level = inside ? intra_node_ : inter_node_;
    CollectiveGroup pair;
    pair.size = 2;
    pair.ring = level.link;
    pair.measured = level.measured.get();
    pair.measured_load = 1 / level.speed;
    return pair.Price(kind, bytes);
  }
  const double inside_gamma = intra_node_.gamma.value_or(3 / of.slowest_memory);  // reads two operands, writes one
  const double between_gamma = inter_node_.gamma.value_or(3 / of.slowest_memory);

  CollectiveGroup inner;
  inner.size = of.most_per_node;
  inner.ring = inner.any = SharedBy(intra_node_.link, of.load_inside);
  inner.gamma = inside_gamma;
  inner.full_mesh = intra_node_.topology == Topology::kFullMesh;
  inner.measured = intra_node_.measured.get();
  inner.measured_load = of.load_inside / of.load_inside_alone / intra_node_.speed;
  if (inside) {
    inner.size = of.size;
    return inner.Price(kind, bytes);
  }

  CollectiveGroup flat;
  flat.size = of.size;
  flat.gamma = between_gamma;
  flat.ring = SharedBy(inter_node_.link, of.ring_load_between);
  flat.any = SharedBy(inter_node_.link, of.any_load_between);
  flat.measured = inter_node_.measured.get();
  flat.measured_load = of.any_load_between / of.most_per_node / inter_node_.speed;
  if (of.most_per_node > 1) {
    flat.ring = Slower(inner.ring, flat.ring);
    flat.any = Slower(inner.any, flat.any);
  }
  const CollectivePrice direct = flat.Price(kind, bytes);
  if (of.most_per_node == 1 || of.most_per_node != of.least_per_node) return direct;

  // Inside each node first (or last), and between the members of equal position in their nodes, all at once.
  CollectiveGroup outer = flat;
  outer.size = of.nodes;
  outer.ring = outer.any = SharedBy(inter_node_.link, of.any_load_between);
  outer.measured_load = of.any_load_between / inter_node_.speed;
  CollectivePrice nested;
  switch (kind) {
    case CollectiveKind::kAllReduce:
      nested = Sum({inner.Price(CollectiveKind::kReduceScatter, bytes), outer.Price(kind, bytes / of.most_per_node),
                    inner.Price(CollectiveKind::kAllGather, bytes)});
      break;
    case CollectiveKind::kAllGather:
    case CollectiveKind::kReduceScatter:
      nested = Sum({outer.Price(kind, bytes / of.most_per_node), inner.Price(kind, bytes)});
      break;
    case CollectiveKind::kAllToAll:
      nested = Sum({inner.Price(kind, bytes), outer.Price(kind, bytes)});
      break;
    case CollectiveKind::kBroadcast:
      // One member of each node takes part in the outer step, so a group shares nothing with itself there.
      outer.ring = outer.any = SharedBy(inter_node_.link, of.ring_load_between);
      outer.measured_load = of.ring_load_between / inter_node_.speed;
      nested = Sum({outer.Price(kind, bytes), inner.Price(kind, bytes)});
      break;
    case CollectiveKind::kSendReceive: return direct;
  }
  return nested.seconds < direct.seconds ? nested : direct;
}

CollectivePrice Cluster::PriceCollective(CollectiveKind kind, const std::vector<int>& positions, double bytes) const {
  if (positions.size() <= 1) return {};
  if (kind == CollectiveKind::kSendReceive) {
    const auto node = [&](int position) { return NodeOf(devices_[static_cast<size_t>(position)]); };
    ConcurrentGroup pair;
    pair.size = 2;
    pair.nodes = node(positions[0]) == node(positions[1]) ? 1 : 2;
    return PriceGroup(kind, pair, bytes);
  }
  return PriceGroup(kind, Concurrent({positions})[0], bytes);
}

double Cluster::CollectiveTime(CollectiveKind kind, const std::vector<int>& positions, double bytes) const {
  return PriceCollective(kind, positions, bytes).seconds;
}

}  // namespace omserve
