// α–β models of collectives. p devices, n bytes of payload; γ: seconds per byte of a local reduction.
// Source: Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH", 2005.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/cluster/cluster.h"

namespace omserve {
namespace {

// A homogeneous group: every member reaches every other at the same cost.
struct Group {
  int size = 1;
  LinkCost ring;  // when each member talks to its neighbour only
  LinkCost any;   // when all members talk across the group at once and share the slowest link
  double gamma = 0;

  double steps() const { return std::ceil(std::log2(static_cast<double>(size))); }
  double share() const { return static_cast<double>(size - 1) / size; }
  bool power_of_two() const { return (size & (size - 1)) == 0; }
};

double AllReduce(const Group& g, double n) {
  if (g.size <= 1) return 0;
  const double local = g.share() * n * g.gamma;
  const double ring =
      2 * (g.size - 1) * g.ring.alpha_seconds + 2 * g.share() * n * g.ring.beta_seconds_per_byte + local;
  // Halving–doubling: members beyond a power of two hand their buffer to a neighbour first and get it back
  // last.
  const double halving = 2 * g.steps() * g.any.alpha_seconds +
                         2 * g.share() * n * g.any.beta_seconds_per_byte + local +
                         (g.power_of_two() ? 0 : 2 * g.any.Time(n));
  const double doubling = g.steps() * (g.any.Time(n) + n * g.gamma);
  const double tree = 2 * g.steps() * g.ring.Time(n) + g.steps() * n * g.gamma;
  return std::min({ring, halving, doubling, tree});
}

double AllGather(const Group& g, double n) {
  if (g.size <= 1) return 0;
  const double ring = (g.size - 1) * g.ring.alpha_seconds + g.share() * n * g.ring.beta_seconds_per_byte;
  const double bruck = g.steps() * g.any.alpha_seconds + g.share() * n * g.any.beta_seconds_per_byte;
  return std::min(ring, bruck);
}

double ReduceScatter(const Group& g, double n) {
  // The same messages as an all-gather, backwards, and a reduction of what arrives.
  return g.size <= 1 ? 0 : AllGather(g, n) + g.share() * n * g.gamma;
}

double AllToAll(const Group& g, double n) {
  if (g.size <= 1) return 0;
  const double pairwise = (g.size - 1) * g.any.alpha_seconds + g.share() * n * g.any.beta_seconds_per_byte;
  const double bruck = g.steps() * g.any.Time(n / 2);
  return std::min(pairwise, bruck);
}

double Broadcast(const Group& g, double n) {
  if (g.size <= 1) return 0;
  const double tree = g.steps() * g.ring.Time(n);
  const double scatter_gather =
      (g.steps() + g.size - 1) * g.ring.alpha_seconds + 2 * g.share() * n * g.ring.beta_seconds_per_byte;
  return std::min(tree, scatter_gather);
}

LinkCost Slower(const LinkCost& a, const LinkCost& b) {
  return {std::max(a.alpha_seconds, b.alpha_seconds),
          std::max(a.beta_seconds_per_byte, b.beta_seconds_per_byte)};
}

LinkCost SharedBy(LinkCost link, int users) {
  link.beta_seconds_per_byte *= std::max(1, users);
  return link;
}

}  // namespace

double Cluster::CollectiveTime(CollectiveKind kind, const std::vector<int>& positions, double bytes) const {
  const int p = static_cast<int>(positions.size());
  if (p <= 1) return 0;
  if (kind == CollectiveKind::kSendReceive) return Link(positions[0], positions[1]).Time(bytes);

  std::map<std::pair<int, int>, int> members;  // of each node
  double slowest_memory = devices_[static_cast<size_t>(positions[0])].bytes_per_second;
  for (int position : positions) {
    const ClusterDevice& device = devices_[static_cast<size_t>(position)];
    ++members[{device.id.cluster, device.id.node}];
    slowest_memory = std::min(slowest_memory, device.bytes_per_second);
  }
  const int nodes = static_cast<int>(members.size());
  int most = 0, least = p;
  for (const auto& [node, count] : members) {
    most = std::max(most, count);
    least = std::min(least, count);
  }
  // Reads two operands and writes one.
  const double gamma = 3 / slowest_memory;

  Group flat;
  flat.size = p;
  flat.gamma = gamma;
  if (nodes == 1) {
    flat.ring = flat.any = intra_node_;
  } else {
    // A ring in order of nodes leaves each node once; other patterns send from all members of a node at once.
    const LinkCost shared = SharedBy(inter_node_, interface_per_item_ ? 1 : most);
    flat.ring = most > 1 ? Slower(intra_node_, inter_node_) : inter_node_;
    flat.any = most > 1 ? Slower(intra_node_, shared) : inter_node_;
  }

  // Inside each node first (or last), and between the members of equal position in their nodes, all at once.
  const bool hierarchical = nodes > 1 && most > 1 && most == least;
  Group inner{most, intra_node_, intra_node_, gamma};
  const LinkCost outer_link = SharedBy(inter_node_, interface_per_item_ ? 1 : most);
  Group outer{nodes, outer_link, outer_link, gamma};

  switch (kind) {
    case CollectiveKind::kAllReduce: {
      const double time = AllReduce(flat, bytes);
      if (!hierarchical) return time;
      return std::min(time,
                      ReduceScatter(inner, bytes) + AllReduce(outer, bytes / most) + AllGather(inner, bytes));
    }
    case CollectiveKind::kAllGather: {
      const double time = AllGather(flat, bytes);
      return hierarchical ? std::min(time, AllGather(outer, bytes / most) + AllGather(inner, bytes)) : time;
    }
    case CollectiveKind::kReduceScatter: {
      const double time = ReduceScatter(flat, bytes);
      return hierarchical ? std::min(time, ReduceScatter(inner, bytes) + ReduceScatter(outer, bytes / most))
                          : time;
    }
    case CollectiveKind::kAllToAll: {
      const double time = AllToAll(flat, bytes);
      return hierarchical ? std::min(time, AllToAll(inner, bytes) + AllToAll(outer, bytes)) : time;
    }
    case CollectiveKind::kBroadcast: {
      const double time = Broadcast(flat, bytes);
      if (!hierarchical) return time;
      // One member of each node takes part in the outer step, so nothing is shared there.
      return std::min(
          time, Broadcast(Group{nodes, inter_node_, inter_node_, gamma}, bytes) + Broadcast(inner, bytes));
    }
    case CollectiveKind::kSendReceive:
      break;
  }
  return Link(positions[0], positions[1]).Time(bytes);
}

}  // namespace omserve
