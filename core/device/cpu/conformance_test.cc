// The CPU joins the conformance suite: with one thread and with several.
#include <memory>

#include <gtest/gtest.h>

#include "core/device/conformance/harness.h"
#include "core/device/cpu/cpu_device.h"

namespace omserve::conformance {
namespace {

// Even the smallest operator is split.
DeviceFactory CpuWithThreads(int threads) {
  return [threads](size_t memory_bytes) -> std::unique_ptr<Device> {
    auto device = CpuDevice::Create(0, threads, memory_bytes, absl::ZeroDuration());
    return device.ok() ? std::move(*device) : nullptr;
  };
}

INSTANTIATE_TEST_SUITE_P(CpuOneThread, DeviceConformance, testing::Values(CpuWithThreads(1)));
INSTANTIATE_TEST_SUITE_P(CpuThreeThreads, DeviceConformance, testing::Values(CpuWithThreads(3)));

}  // namespace
}  // namespace omserve::conformance
