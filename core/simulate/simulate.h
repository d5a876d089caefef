// Predicting what a plan does, without devices: how long a run takes, how many runs a second the pipeline answers,
// where it waits. A stage's program has the operators, reshards and messages that the lowering emits for it, in that
// order, at the prices by which the plan was chosen.
#ifndef OMSERVE_CORE_SIMULATE_SIMULATE_H_
#define OMSERVE_CORE_SIMULATE_SIMULATE_H_

#include "absl/status/statusor.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/partition/plan.h"
#include "core/simulate/pipeline.h"

namespace omserve {

// Of one replica. What costs nothing is left out. INVALID_ARGUMENT for a plan that does not fit the graph.
//
// The times of all its steps add up to those of the plan, less the steps that several readers of a value share: a plan
// prices each reader by itself.
absl::StatusOr<PipelineProgram> ProgramOf(const Graph& graph, const Cluster& cluster, const Plan& plan);

struct PlanSimulation {
  int replicas = 1;
  PipelineProgram program;     // of one replica
  double latency = 0;          // of a run that is alone
  int micro_batches = 1;       // runs of a request
  double request_seconds = 0;  // of a request that is alone, its runs on all replicas; messages beside the work
  SteadyState steady;          // of a replica; messages occupy their stages
  SteadyState overlapped;      // messages go beside the work of the stages
  // To draw, with all events: a run that is alone, and the first runs of a full pipeline, messages beside the work.
  Simulation alone, under_way;
};

struct PlanSimulationOptions {
  int micro_batches = 1;  // runs that a request is split into
  int drawn_runs = 0;     // how many are in `under_way`; 0: nothing is kept to draw
};
absl::StatusOr<PlanSimulation> SimulatePlan(const Graph& graph, const Cluster& cluster, const Plan& plan,
                                            const PlanSimulationOptions& options = {});

}  // namespace omserve

#endif  // OMSERVE_CORE_SIMULATE_SIMULATE_H_
