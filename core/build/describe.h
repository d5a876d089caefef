// What an OM says of a slice.
#ifndef OMSERVE_CORE_BUILD_DESCRIBE_H_
#define OMSERVE_CORE_BUILD_DESCRIBE_H_

#include <cstdint>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/om/model.h"

namespace omserve {

// Of its constants.
int64_t WeightBytes(const Graph& slice);

// Name, devices and weights of a slice; its inputs are those of the model in order, its outputs are left to the caller.
SliceInfo DescribeSlice(const Graph& slice, std::vector<LogicalDeviceId> devices);

}  // namespace omserve

#endif  // OMSERVE_CORE_BUILD_DESCRIBE_H_
