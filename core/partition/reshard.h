// Resharding: the steps that turn one sharding of a tensor into another, and what they cost. One function gives both,
// so that what is priced is what is emitted.
#ifndef OMSERVE_CORE_PARTITION_RESHARD_H_
#define OMSERVE_CORE_PARTITION_RESHARD_H_

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/cluster/cluster.h"
#include "core/partition/sharding.h"

namespace omserve {

struct ReshardStep {
  enum class Kind {
    kSlice,          // keep this rank's part of `dim` over `axes`: no communication
    kAllGather,      // `axes`, the minor end of `dim`, are gathered
    kAllReduce,      // the summands over `axes` are added up everywhere
    kReduceScatter,  // the summands over `axes` are added up, each rank keeping its part of `dim`
    kAllToAll,       // `axes`, the minor end of `dim`, move to the minor end of `to_dim`
  };
  Kind kind;
  int dim = 0;
  int to_dim = 0;
  AxisList axes;
  Sharding after;
  double seconds = 0;
  absl::string_view algorithm;  // of the collective, as priced
};

struct ReshardPath {
  std::vector<ReshardStep> steps;  // empty: nothing to do
  double seconds = 0;
};

// Prices steps on a cluster and finds cheapest paths: Dijkstra over the shardings of a tensor, which are few (an axis
// is unused, partial, or at one place of one dimension). Remembers what it found. Not thread-safe.
class Resharder {
 public:
  // Both must outlive the resharder.
  Resharder(const Mesh& mesh, const Cluster& cluster) : mesh_(mesh), cluster_(cluster) {}

  // Seconds of the cheapest path; infinity when there is none (only a target that is partial where the source is
  // not: summands cannot be made from a sum).
  double Seconds(const Sharding& from, const Sharding& to, const TensorDesc& desc);
  // The path itself; the shardings must be legal and Seconds finite.
  ReshardPath Path(const Sharding& from, const Sharding& to, const TensorDesc& desc);

  // Seconds of one collective over `axes`, as a step of its own; `bytes` of what comes out.
  double AllReduceSeconds(const AxisList& axes, double bytes) const;
  double AllGatherSeconds(const AxisList& axes, double bytes) const;

  const Mesh& mesh() const { return mesh_; }

 private:
  struct Reached {
    double seconds = 0;
    Sharding previous;
    ReshardStep step;
  };
  // Everything reachable from one sharding of one kind of tensor.
  using Tree = absl::flat_hash_map<Sharding, Reached>;

  const Tree& TreeFrom(const Sharding& from, const TensorDesc& desc);
  std::vector<ReshardStep> StepsFrom(const Sharding& from, const TensorDesc& desc) const;
  // The slowest of the groups that run along `axes`, all at once.
  CollectivePrice PriceCollective(CollectiveKind kind, const AxisList& axes, double payload) const;
  CollectivePrice Price(const ReshardStep& step, const Sharding& before, const TensorDesc& desc) const;

  const Mesh& mesh_;
  const Cluster& cluster_;
  // The groups over these axes; of those of equal price, one.
  const std::vector<ConcurrentGroup>& GroupsOver(const AxisList& axes) const;

  absl::flat_hash_map<std::pair<Shape, int>, absl::flat_hash_map<Sharding, std::unique_ptr<Tree>>> trees_;
  mutable absl::flat_hash_map<AxisList, std::vector<ConcurrentGroup>> groups_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_RESHARD_H_
