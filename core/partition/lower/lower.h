// Lowering: graph + plan → one slice graph per device, with local shapes, Hcom* operators and weight shards as boxes of
// the source's bytes.
#ifndef OMSERVE_CORE_PARTITION_LOWER_LOWER_H_
#define OMSERVE_CORE_PARTITION_LOWER_LOWER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/partition/plan.h"

namespace omserve {

// Ranks that communicate under one name, in group-rank order.
struct SliceGroup {
  std::string name;
  std::vector<int> ranks;
};

// The box of graph output `output` that a slice's output holds.
struct SlicePiece {
  int output = 0;
  std::vector<int64_t> begin;
  Shape extent;
};

struct CutGraph {
  // By rank. Every slice has all inputs of the whole graph, and its k-th output holds pieces[rank][k].
  std::vector<Graph> slices;
  std::vector<std::vector<SlicePiece>> pieces;
  std::vector<SliceGroup> groups;
};

// Every rank's slice has the same nodes in the same order, so each group meets its collectives in one global order and
// cannot deadlock. INTERNAL when an emission does not give the local shapes its rule promises.
absl::StatusOr<CutGraph> Lower(const Graph& graph, const Cluster& cluster, const Plan& plan);

// Adds to `slice` the operators of one reshard step on rank `rank`; `value` has the local shape of `before`.
// `groups` gets the group if it is new.
absl::StatusOr<ValueId> EmitReshardStep(Graph& slice, const Mesh& mesh, int rank, ValueId value,
                                        const Sharding& before, const ReshardStep& step, const std::string& name,
                                        std::vector<SliceGroup>* groups);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_LOWER_LOWER_H_
