// The CPU as a device: kernels on oneDNN and own loops, one arena per executable (docs/design.md).
//
//   ASSIGN_OR_RETURN(std::unique_ptr<CpuDevice> device, CpuDevice::Create(0, /*threads=*/2, /*memory_bytes=*/0));
//   ASSIGN_OR_RETURN(std::unique_ptr<Executable> executable, device->Compile(slice));
//   ASSIGN_OR_RETURN(std::vector<Tensor> outputs, executable->Run(inputs, {}));
#ifndef OMSERVE_CORE_DEVICE_CPU_CPU_DEVICE_H_
#define OMSERVE_CORE_DEVICE_CPU_CPU_DEVICE_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/device/device.h"

namespace omserve {

namespace cpu {
class MemoryBudget;
}  // namespace cpu

// Thread-safe. Executables may outlive the device.
class CpuDevice : public Device {
 public:
  // What it costs to wake sleeping threads and to wait for them, on virtual machines too.
  static constexpr absl::Duration kWake = absl::Microseconds(50);

  // `threads` >= 1 is how many a run uses, the calling one included: with 1 no other is started. `memory_bytes` is
  // what all executables together may hold; 0 stands for the machine's memory. INVALID_ARGUMENT for other values.
  // Operators that several threads would not make faster by more than `wake` run on one.
  static absl::StatusOr<std::unique_ptr<CpuDevice>> Create(int ordinal, int threads, size_t memory_bytes,
                                                           absl::Duration wake = kWake);
  ~CpuDevice() override;

  const DeviceInfo& info() const override { return info_; }
  absl::StatusOr<std::unique_ptr<Executable>> Compile(const Graph& slice) override;

 private:
  CpuDevice(DeviceInfo info, absl::Duration wake, std::shared_ptr<cpu::MemoryBudget> budget);

  const DeviceInfo info_;
  const absl::Duration wake_;
  const std::shared_ptr<cpu::MemoryBudget> budget_;
};

// Thread-safe. Makes the node's kernel and runs it at once on one thread. The outputs of NonZero and Where, whose size
// depends on the values, need not be known on the node.
class CpuEvaluator : public Evaluator {
 public:
  absl::StatusOr<std::vector<Tensor>> Evaluate(const Graph& graph, const Node& node,
                                               absl::Span<const Tensor> inputs) override;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_DEVICE_CPU_CPU_DEVICE_H_
