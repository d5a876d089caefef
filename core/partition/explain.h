// PlanReport: what a plan costs and why, ready to be shown. Computed from (graph, cluster, plan) alone, so it
// is the same for a plan just made and for one read from a file; the seconds add up to those of the plan.
#ifndef OMSERVE_CORE_PARTITION_EXPLAIN_H_
#define OMSERVE_CORE_PARTITION_EXPLAIN_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/partition/plan.h"

namespace omserve {

struct PlanReport {
  struct Operator {
    int32_t node = -1;
    std::string name, type;
    int stage = 0;
    std::vector<std::string> outputs;  // shardings
    double seconds = 0;                // on one device, with resolving its sums where the strategy does
    int64_t weight_bytes = 0;          // that one device holds for it
  };
  // A value changing its sharding, or crossing stages, on its way to one reader.
  struct Reshard {
    std::string producer, reader;  // reader: an operator, or "output NAME"
    int from_stage = 0, to_stage = 0;
    std::string from, to;            // shardings
    std::vector<std::string> steps;  // "all-gather of dimension 1 over axes 0"
    double seconds = 0;
    int64_t bytes = 0;  // sent by one device, about
  };
  struct Stage {
    std::vector<std::string> devices;  // logical ids, of replica 0
    std::vector<int> axes;
    double seconds = 0;  // of one run, with what it receives
    double compute_seconds = 0, communication_seconds = 0;
    int64_t weight_bytes = 0, value_bytes = 0;  // per device: constants, and values alive at once
    int64_t memory_bytes = 0;                   // of a device; 0: not stated
    std::map<int, int64_t> axis_bytes;          // traffic of one device per axis
    std::map<int, int64_t> stage_bytes;         // what a device of a later stage receives from this one
  };
  int replicas = 1;
  std::vector<Stage> stages;
  std::vector<Operator> operators;  // in execution order
  std::vector<Reshard> reshards;
  double seconds = 0, lower_bound = 0;
  double objective_seconds = 0, objective_bound = 0;  // as in Plan
  double seconds_between_answers = 0;  // of a replica with requests in all stages
  bool exact = false;
  std::string engine;
};

// "all-gather of dimension 1 over axes 0"
std::string Describe(const ReshardStep& step);

// INVALID_ARGUMENT for a plan that does not fit the graph.
absl::StatusOr<PlanReport> ExplainPlan(const Graph& graph, const Cluster& cluster, const Plan& plan);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_EXPLAIN_H_
