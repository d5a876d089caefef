#include "core/build/describe.h"

#include <numeric>
#include <utility>

namespace omserve {

int64_t WeightBytes(const Graph& slice) {
  int64_t bytes = 0;
  for (int32_t id : slice.NodeIds()) {
    if (const TensorSlice* constant = slice.node(id)->constant()) bytes += static_cast<int64_t>(constant->byte_size());
  }
  return bytes;
}

SliceInfo DescribeSlice(const Graph& slice, std::vector<LogicalDeviceId> devices) {
  SliceInfo info;
  info.name = slice.name();
  info.devices = std::move(devices);
  info.inputs.resize(slice.inputs().size());
  std::iota(info.inputs.begin(), info.inputs.end(), 0);
  info.weight_bytes = WeightBytes(slice);
  return info;
}

}  // namespace omserve
