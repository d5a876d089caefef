// Planning a model whose vocabulary does not divide by the devices: it is padded (core/passes/pad_vocabulary.h) where the
// plan cuts it, and stays as it is where not.
#ifndef OMSERVE_CORE_BUILD_PADDING_H_
#define OMSERVE_CORE_BUILD_PADDING_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/partition/choose.h"
#include "core/partition/parallel_options.h"
#include "core/passes/pad_vocabulary.h"

namespace omserve {

// Pads the model for what `options` lets stages have of the cluster, or as its plan says, and sets options.padded_to.
absl::StatusOr<std::vector<PaddedWeight>> PadForPlan(Graph& graph, const Cluster& cluster, ParallelOptions& options);

// A model with its plan. Lives on the heap: the planner refers to graph and options.
struct PlannedModel {
  Graph graph;  // as planned
  ParallelOptions options;
  std::vector<PaddedWeight> padded;
  std::unique_ptr<ModelPlanner> planner;  // for further questions
  Plan plan;

  // "'wte' 50257 to 50260", one after the other; empty where nothing is padded.
  std::string DescribePadding() const;
};

// `cluster` must outlive the result. Errors as PlanModel.
absl::StatusOr<std::unique_ptr<PlannedModel>> PadAndPlan(Graph graph, const Cluster& cluster,
                                                         const ParallelOptions& options, const WaitLimit& limit = {});

}  // namespace omserve

#endif  // OMSERVE_CORE_BUILD_PADDING_H_
