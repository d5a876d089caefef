// Plan files: a plan as JSON that people can read and edit. Operators are named, axes are numbers of their
// stage's mesh:
//
//   {"omserve_plan": {
//     "stages": [{"devices": ["0:0:0:0", "0:0:1:0"], "axes": [2]}],
//     "replicas": [["0:0:0:0", "0:0:1:0"]],
//     "operators": [{"node": "fc1", "type": "MatMulV2", "stage": 0, "cut": {"n": [0]}, "outputs": ["[-,
//     0]"]}, …], "outputs": {"y": "[-, 0]"}}}
//
// "cut" gives mesh axes to the factors of the operator's sharding rule (name, or "#index" where names
// repeat), "summands" to its linear inputs. "outputs" is how each output leaves: as the cut yields it, or
// with its sums resolved.
#ifndef OMSERVE_CORE_PARTITION_PLAN_FILE_H_
#define OMSERVE_CORE_PARTITION_PLAN_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "core/partition/plan.h"

namespace omserve {

std::string PlanToText(const Graph& graph, const Cluster& cluster, const Plan& plan);

// Plan::padded_to of a plan file.
absl::StatusOr<int64_t> PaddingOfPlan(absl::string_view text, absl::string_view source);

// INVALID_ARGUMENT, located: JSON that is not a plan, operators the graph does not have or the plan lacks,
// devices the cluster does not have, cuts the operator does not allow, values that cannot get from one
// sharding to the next. RESOURCE_EXHAUSTED: a stage does not fit its devices' memory. Prices are those of `cluster` now; the bound is not known and the plan not called
// optimal.
absl::StatusOr<Plan> PlanFromText(absl::string_view text, absl::string_view source, const Graph& graph,
                                  const Cluster& cluster);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_PLAN_FILE_H_
