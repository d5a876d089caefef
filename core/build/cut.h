// Planning and cutting a model, and what its OM says of that.
#ifndef OMSERVE_CORE_BUILD_CUT_H_
#define OMSERVE_CORE_BUILD_CUT_H_

#include <functional>

#include "absl/status/statusor.h"
#include "core/build/build.h"
#include "core/partition/choose.h"

namespace omserve {

// One slice per rank of the plan, with a device of each replica. The plan travels in the OM: build["plan"] is
// a summary, build["plan_file"] the file that --save-plan writes.
absl::StatusOr<SlicedModel> CutModel(Graph graph, ModelInfo info, const Cluster& cluster,
                                     const ParallelOptions& options,
                                     const std::function<void(const BuildProgress&)>& progress,
                                     const WaitLimit& limit);

// The same by a plan that exists already. `info` has name, inputs, outputs and provenance.
absl::StatusOr<SlicedModel> CutByPlan(const Graph& graph, ModelInfo info, const Cluster& cluster, const Plan& plan);

}  // namespace omserve

#endif  // OMSERVE_CORE_BUILD_CUT_H_
