// The CPU joins the conformance suite: with one thread and with several.
#include <memory>

#include <gtest/gtest.h>

#include "core/device/conformance/harness.h"
#include "core/device/cpu/cpu_device.h"

namespace omserve::conformance {
namespace {

DeviceFactory CpuWithThreads(int threads) {
  return [threads](size_t memory_bytes) -> std::unique_ptr<Device> {
    auto device = CpuDevice::Create(0, threads, memory_bytes);
    return device.ok() ? std::move(*device) : nullptr;
  };
}

INSTANTIATE_TEST_SUITE_P(Cpu, DeviceConformance, testing::Values(CpuWithThreads(1), CpuWithThreads(3)),
                         [](const auto& info) { return info.index == 0 ? "OneThread" : "ThreeThreads"; });

}  // namespace
}  // namespace omserve::conformance
