// What a plan asks of the devices' memory.
#ifndef OMSERVE_CORE_PARTITION_DEVICE_BYTES_H_
#define OMSERVE_CORE_PARTITION_DEVICE_BYTES_H_

#include <cstdint>
#include <vector>

#include "core/partition/plan.h"

namespace omserve {

// Bytes the devices of each stage hold: constants, and the most of computed values alive at once.
std::vector<int64_t> DeviceBytes(const Graph& graph, const Plan& plan);
// With the operators in topological order, when they are known.
std::vector<int64_t> DeviceBytes(const Graph& graph, const Plan& plan, const std::vector<int32_t>& order);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_DEVICE_BYTES_H_
