// Choosing: from a policy to a plan, over how many replicas, pipeline stages and devices per stage.
#ifndef OMSERVE_CORE_PARTITION_CHOOSE_H_
#define OMSERVE_CORE_PARTITION_CHOOSE_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/partition/plan.h"

namespace omserve {

class PlanSearch;

// "EF1012: …" when the sizes asked for do not multiply to the number of devices.
absl::Status CheckSizes(const ParallelOptions& options, const Cluster& cluster);

// The plan for all devices of the cluster. With `automatic`, every way to write the device count as replicas
// x stages x tensor parallel size that agrees with what is given is tried while search_seconds last, and the
// best by the objective wins; of equals, the one with more replicas. Errors as MakePlan and CheckSizes;
// "EF1008: …" for dynamic shapes.
absl::StatusOr<Plan> PlanModel(const Graph& graph, const Cluster& cluster, const ParallelOptions& options,
                               const WaitLimit& limit = {});

// PlanModel for questions about one model, cluster and policy: what several answers share is made once. Not
// thread-safe. What is given to Create must outlive it.
class ModelPlanner {
 public:
  static absl::StatusOr<std::unique_ptr<ModelPlanner>> Create(const Graph& graph, const Cluster& cluster,
                                                              const ParallelOptions& options);
  ~ModelPlanner();

  // As PlanModel, on devices with `memory` times what the cluster states.
  absl::StatusOr<Plan> Find(double memory, const WaitLimit& limit = {});

 private:
  ModelPlanner(const Graph& graph, const Cluster& cluster, const ParallelOptions& options);

  const Graph& graph_;
  const Cluster& cluster_;
  const ParallelOptions& options_;
  PlanOptions plan_options_;
  std::unique_ptr<PlanSearch> search_;  // null when the policy is a plan
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_CHOOSE_H_
