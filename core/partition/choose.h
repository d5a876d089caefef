// Choosing: from a policy to a plan, over how many replicas, pipeline stages and devices per stage.
#ifndef OMSERVE_CORE_PARTITION_CHOOSE_H_
#define OMSERVE_CORE_PARTITION_CHOOSE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/partition/plan.h"

namespace omserve {

// "EF1012: …" when the sizes asked for do not multiply to the number of devices.
absl::Status CheckSizes(const ParallelOptions& options, const Cluster& cluster);

// The plan for all devices of the cluster. With `automatic`, every way to write the device count as replicas
// x stages x tensor parallel size that agrees with what is given is tried while search_seconds last, and the
// best by the objective wins; of equals, the one with more replicas. Errors as MakePlan and CheckSizes;
// "EF1008: …" for dynamic shapes.
absl::StatusOr<Plan> PlanModel(const Graph& graph, const Cluster& cluster, const ParallelOptions& options,
                               const WaitLimit& limit = {});

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_CHOOSE_H_
