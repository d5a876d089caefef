// What collectives cost among devices that reach each other equally well, by algorithm; the cheapest one that the links
// allow wins. Sources: Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH", 2005;
// Sanders, Speck, Träff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan", 2009.
#ifndef OMSERVE_CORE_CLUSTER_COLLECTIVE_ALGORITHMS_H_
#define OMSERVE_CORE_CLUSTER_COLLECTIVE_ALGORITHMS_H_

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/string_view.h"
#include "core/cluster/cost_curve.h"

namespace omserve {

enum class CollectiveKind { kAllReduce, kAllGather, kReduceScatter, kAllToAll, kBroadcast, kSendReceive };
// "all_reduce"; the names cost files use.
absl::string_view ToString(CollectiveKind kind);
std::optional<CollectiveKind> CollectiveKindOf(absl::string_view name);

// Seconds, and by which algorithm: "ring", "full mesh, two shots", "hierarchical", "measured". Empty: nothing to do.
struct CollectivePrice {
  double seconds = 0;
  absl::string_view algorithm;  // of static storage
};

// Time of moving n bytes over one link: alpha + n * beta.
struct LinkCost {
  double alpha_seconds = 0;          // per message
  double beta_seconds_per_byte = 0;  // 1 / bandwidth

  double Time(double bytes) const { return alpha_seconds + bytes * beta_seconds_per_byte; }
};

// How the devices of a level are joined; it says what simultaneous messages share.
enum class Topology {
  kSwitch,    // a port per device: nothing but the port itself
  kFullMesh,  // a link per pair, usable all at once
  kRing,      // links to the two neighbours: messages to farther ones pass through those between
  kBus,       // one medium for all
};

// Curves by kind and number of ranks, of one level: what was measured of it, or what was fitted to that.
using CollectiveCurves = std::map<std::pair<CollectiveKind, int>, CostCurve>;

// Devices that do one collective together.
struct CollectiveGroup {
  int size = 1;
  LinkCost ring;     // when each member talks to its neighbour only
  LinkCost any;      // when all members talk across the group at once
  double gamma = 0;  // seconds per byte of a local reduction
  bool full_mesh = false;
  const CollectiveCurves* measured = nullptr;  // preferred where they know the kind
  double measured_load = 1;                    // so many bytes for each: of links shared with other groups

  // `bytes` of payload as for Cluster::CollectiveTime; not of kSendReceive.
  CollectivePrice Price(CollectiveKind kind, double bytes) const;

 private:
  CollectivePrice AnalyticPrice(CollectiveKind kind, double bytes) const;
  std::optional<double> MeasuredSeconds(CollectiveKind kind, double bytes) const;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_CLUSTER_COLLECTIVE_ALGORITHMS_H_
