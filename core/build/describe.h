// What an OM says of a slice.
#ifndef OMSERVE_CORE_BUILD_DESCRIBE_H_
#define OMSERVE_CORE_BUILD_DESCRIBE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/om/model.h"

namespace omserve {

// Of its constants.
int64_t WeightBytes(const Graph& slice);

// Name, devices and weights of a slice; its inputs are those of the model in order, its outputs are left to the caller.
SliceInfo DescribeSlice(const Graph& slice, std::vector<LogicalDeviceId> devices);

// Nothing but the inputs and outputs.
ModelInfo DescribeInputsAndOutputs(const Graph& graph);

// Of slices made by the user: those that share a collective run in step, what only messages connect may work on different
// runs. The number of such parts.
int CountStages(const SlicedModel& model);

// Runs for a request of `global_batch_size` rows. INVALID_ARGUMENT when the first dimension of an input or output is not
// the batch, or does not divide it.
absl::StatusOr<int> CountMicroBatches(const ModelInfo& info, int64_t global_batch_size);

}  // namespace omserve

#endif  // OMSERVE_CORE_BUILD_DESCRIBE_H_
