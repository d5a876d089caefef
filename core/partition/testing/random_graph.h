// Random graphs and random legal plans for property tests. Tensors hold small whole numbers and every operator keeps
// them whole and below 2^24, so float sums are exact in any order and equality can be asked of every bit.
#ifndef OMSERVE_CORE_PARTITION_TESTING_RANDOM_GRAPH_H_
#define OMSERVE_CORE_PARTITION_TESTING_RANDOM_GRAPH_H_

#include <random>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/partition/plan.h"

namespace omserve {

// `num_nodes` operators over matrix products, element-wise, reductions, reshapes, transposes, concatenations, slices,
// gathers, selections and broadcasts, with shared values, constants and one to three outputs. `vocabulary`: and an embedding
// and a head over more than a thousand words.
Graph RandomGraph(std::mt19937& rng, int num_nodes, bool vocabulary = false);

// One tensor per graph input: whole numbers, or valid indices for index inputs.
std::vector<Tensor> RandomInputs(const Graph& graph, std::mt19937& rng);

// A strategy for every operator, drawn from all that are legal and reachable from its producers'.
absl::StatusOr<Plan> RandomPlan(const Graph& graph, const Cluster& cluster, int num_devices, std::mt19937& rng);

// In pipeline stages of the given sizes; operators are drawn into stages at random as long as values flow forward.
absl::StatusOr<Plan> RandomPlan(const Graph& graph, const Cluster& cluster, const std::vector<int>& stage_sizes,
                                std::mt19937& rng);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_TESTING_RANDOM_GRAPH_H_
