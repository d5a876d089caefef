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
  // By rank (stage by stage). The k-th input of a slice is the whole graph's input inputs[rank][k], its k-th output holds
  // pieces[rank][k]. With one stage every slice has all inputs; else those that its stage reads.
  std::vector<Graph> slices;
  std::vector<std::vector<int>> inputs;
  std::vector<std::vector<SlicePiece>> pieces;
  std::vector<SliceGroup> groups;
};

// The slices of a stage have the same nodes in the same order, so each group meets its collectives in one global order
// and cannot deadlock. What crosses stages is sent where it is made and received before anything else of the receiving
// stage, always in the order in which it is made: one global order again, also with several runs in flight. INTERNAL when an emission does not give the local shapes its rule promises.
absl::StatusOr<CutGraph> Lower(const Graph& graph, const Cluster& cluster, const Plan& plan);

// The group of `rank` over `axes`, of ranks counted from `first_rank`; `groups` gets it if it is new.
std::string GroupName(const Mesh& mesh, int first_rank, int rank, const AxisList& axes, std::vector<SliceGroup>* groups);

// Adds to `slice` the operators of one reshard step on rank `rank` of the mesh; `value` has the local shape of `before`.
// `groups` gets the group, of ranks counted from `first_rank`, if it is new.
absl::StatusOr<ValueId> EmitReshardStep(Graph& slice, const Mesh& mesh, int first_rank, int rank, ValueId value,
                                        const Sharding& before, const ReshardStep& step, const std::string& name,
                                        std::vector<SliceGroup>* groups);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_LOWER_LOWER_H_
