// CpuExecutable: a slice compiled for the CPU: kernels in execution order, and where each value lies.
#ifndef OMSERVE_CORE_DEVICE_CPU_EXECUTABLE_H_
#define OMSERVE_CORE_DEVICE_CPU_EXECUTABLE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/memory_budget.h"
#include "core/device/cpu/memory_plan.h"
#include "core/device/device.h"
#include "core/graph/graph.h"

namespace omserve::cpu {

struct CompileOptions {
  int threads = 1;
  // An operator is split over threads when that saves more than this: what waking them and waiting for them costs.
  double wake_seconds = 0;
  bool fuse = true;  // false in tests that compare
};

class CpuExecutable : public Executable {
 public:
  static absl::StatusOr<std::unique_ptr<Executable>> Compile(const Graph& slice, const CompileOptions& options,
                                                             const std::shared_ptr<MemoryBudget>& budget);

  absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs, const RunContext& context) override;
  size_t weight_bytes() const override { return weight_bytes_; }
  size_t arena_bytes() const override { return arena_.size(); }

  // Kernels in the order they run, for tests and profiles.
  std::vector<std::string> StepNames() const;
  std::vector<int> StepThreads() const;

 private:
  friend class Compiler;
  CpuExecutable() = default;

  // Memory that holds one or several values (views, in-place results).
  struct Storage {
    enum class Kind {
      kArena,     // at a fixed address
      kConstant,  // at a fixed address
      kInput,     // the caller's tensor, or its copy in the arena when it is not aligned
      kResult,    // fresh memory in every run
    };
    Kind kind = Kind::kArena;
    size_t bytes = 0;
    int input = -1;                // kInput: which
    std::byte* address = nullptr;  // for kInput: of the copy; kInput and kResult are set in every run
  };

  struct Place {
    int storage = -1;  // -1: absent
    size_t offset = 0;
  };

  struct Step {
    std::unique_ptr<Kernel> kernel;
    std::string title;  // operator 'Add' (node 'add_1')
    int threads = 1;
    std::vector<Place> inputs, outputs;
    size_t scratch_offset = 0;
  };

  struct Result {
    TensorDesc desc;
    Place place;
    bool copy = false;  // the storage is not the caller's to keep: an input, a constant, a part of something larger
  };

  absl::Status BindInputs(absl::Span<const Tensor> inputs);
  const std::byte* Address(const Place& place) const {
    return place.storage < 0 ? nullptr : addresses_[static_cast<size_t>(place.storage)] + place.offset;
  }

  // Constant after compilation.
  size_t weight_bytes_ = 0;
  MemoryBudget::Reservation reservation_;
  std::vector<TensorDesc> input_descs_;
  std::vector<std::string> input_names_;
  std::vector<Tensor> constants_;  // keeps them alive
  std::vector<Storage> storages_;
  std::vector<Step> steps_;
  std::vector<Result> results_;
  Arena arena_;

  // Of the current run.
  std::vector<std::byte*> addresses_;  // by storage
  std::vector<const void*> input_pointers_;
  std::vector<void*> output_pointers_;
};

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_EXECUTABLE_H_
