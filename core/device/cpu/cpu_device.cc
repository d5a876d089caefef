#include "core/device/cpu/cpu_device.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/device/cpu/executable.h"
#include "core/device/cpu/memory_budget.h"

namespace omserve {

absl::StatusOr<std::unique_ptr<CpuDevice>> CpuDevice::Create(int ordinal, int threads, size_t memory_bytes,
                                                              absl::Duration wake) {
  constexpr int kMostThreads = 1024;
  if (threads < 1 || threads > kMostThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("device cpu:", ordinal, ": ", threads, " threads, expected 1 to ", kMostThreads));
  }
  if (memory_bytes == 0) {
    memory_bytes = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  }
  auto budget = std::make_shared<cpu::MemoryBudget>(absl::StrCat("cpu:", ordinal), memory_bytes);
  return std::unique_ptr<CpuDevice>(new CpuDevice({"cpu", ordinal, memory_bytes, threads}, wake, std::move(budget)));
}

CpuDevice::CpuDevice(DeviceInfo info, absl::Duration wake, std::shared_ptr<cpu::MemoryBudget> budget)
    : info_(std::move(info)), wake_(wake), budget_(std::move(budget)) {}

CpuDevice::~CpuDevice() = default;

absl::StatusOr<std::unique_ptr<Executable>> CpuDevice::Compile(const Graph& slice) {
  return cpu::CpuExecutable::Compile(slice, {.threads = info_.threads, .wake_seconds = absl::ToDoubleSeconds(wake_)}, budget_);
}

}  // namespace omserve
