// Plan: stages, meshes and the strategy of every operator, with what they cost. What the planner decides and
// the lowering emits.
//
//   { replicas d; stages: [mesh]; operator → (stage, strategy); outputs; predicted seconds and their lower
//   bound }
#ifndef OMSERVE_CORE_PARTITION_PLAN_H_
#define OMSERVE_CORE_PARTITION_PLAN_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/deadline.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/partition/parallel_options.h"
#include "core/partition/search/solve.h"
#include "core/partition/strategy.h"

namespace omserve {

struct Plan {
  // The pipeline stages of replica 0, each on a mesh of its own devices. A value never flows to an earlier
  // stage. Ranks number the devices of a replica, stage by stage.
  std::vector<Mesh> stages{Mesh({0})};
  // Of nodes that are not in stage 0.
  std::map<int32_t, int> stage_of;
  // Per replica, per rank: the device, as a position in the cluster. Empty: one replica, on the meshes'
  // devices.
  std::vector<std::vector<int>> replicas;
  // Of every node but Data and Const, by node id, on the mesh of its stage. Model inputs arrive whole on
  // every device that reads them; constants are cut as their readers want them.
  std::map<int32_t, Strategy> strategies;
  WeightPrefetch weight_prefetch;
  int64_t padded_to = 1;  // as in ParallelOptions: the plan is one of the model so padded
  // How each graph output is left on its stage's mesh: never partial. The coordinator assembles cut outputs.
  std::vector<Sharding> outputs;

  double seconds = 0;                 // predicted time of one run, through all stages
  double lower_bound = 0;             // no plan with these stages and meshes is faster
  bool exact = false;                 // seconds is that optimum
  std::vector<double> stage_seconds;  // per stage, with what is sent to it; their sum is `seconds`
  std::vector<int64_t> device_bytes;  // per stage: weights and activations one device holds at most
  std::string engine;                 // what found it
  // What replicas, stages and meshes were chosen by (ParallelOptions::objective): what this plan reaches, and what no plan
  // is below, wherever the model is cut. 0: not every size was tried, or nothing was to be chosen.
  double objective_seconds = 0, objective_bound = 0;
  bool memory_binds = false;          // with more memory another plan would have been chosen

  int stage(int32_t node) const {
    auto it = stage_of.find(node);
    return it == stage_of.end() ? 0 : it->second;
  }
  const Mesh& mesh_of(int32_t node) const { return stages[static_cast<size_t>(stage(node))]; }
  int num_stages() const { return static_cast<int>(stages.size()); }
  int num_ranks() const { return first_rank(num_stages()); }
  int first_rank(int stage) const;
  int num_replicas() const { return replicas.empty() ? 1 : static_cast<int>(replicas.size()); }
  // Where rank `rank` of replica `replica` lives.
  int device(int replica, int rank) const;
  // With requests in flight in all stages, a replica answers one per this time.
  double seconds_between_answers() const;
};

struct PlanOptions {
  // Devices of one replica, as positions in the cluster, nearest neighbours first.
  std::vector<int> devices;
  // Pipeline stages; must divide the number of devices.
  int stages = 1;
  // Axis sizes of each stage's mesh; absent: those of MeshCandidates that give the fastest plan.
  std::optional<std::vector<int>> axes;
  // Weights must be cut over all devices of a stage wherever an operator allows it: what asking for tensor
  // parallelism means.
  bool cut_weights = true;
  // As in ParallelOptions.
  bool weight_sharding = false;
  WeightPrefetch weight_prefetch;
  // Operators that no weights lie behind (masks, position tables) run whole on every device. They are small,
  // are read in every layer, and taking a part of a whole value is local; so this costs next to nothing and
  // keeps variables that touch everything out of the network.
  bool whole_before_weights = true;
  // Repeated layers are solved once. Off, the same optimum is found the long way: for tests.
  bool fold = true;
  StrategySpace space;
  SolveOptions solve;
  std::vector<PlanHint> hints;
};

// Decides. INVALID_ARGUMENT says which dimension the device count cannot divide (attention heads, weights)
// and which counts would do, or which hint no strategy meets; RESOURCE_EXHAUSTED when no plan was found that
// fits the devices' memory (the nearest: need, have, what is missing).
absl::StatusOr<Plan> MakePlan(const Graph& graph, const Cluster& cluster, const PlanOptions& options,
                              const WaitLimit& limit = {});

// The sharding in which a value leaves its producer under a plan; constants and model inputs: replicated.
Sharding ProducedSharding(const Graph& graph, const Plan& plan, ValueId value);

// "proven best of all sizes and stages allowed", or how far it may be from that; empty when the bound is 0.
std::string ObjectiveGapText(double objective_seconds, double objective_bound);

// A line for people: the meshes, how many weighted operators are cut, the collectives of one slice with their
// bytes, the predicted time and its bound.
std::string Summarize(const Graph& graph, const Plan& plan, const Graph& slice);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_PLAN_H_
