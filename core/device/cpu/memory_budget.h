// MemoryBudget: the memory of one CPU device, shared by its executables.
#ifndef OMSERVE_CORE_DEVICE_CPU_MEMORY_BUDGET_H_
#define OMSERVE_CORE_DEVICE_CPU_MEMORY_BUDGET_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace omserve::cpu {

// Thread-safe.
class MemoryBudget : public std::enable_shared_from_this<MemoryBudget> {
 public:
  // `device` names it in messages: "cpu:0".
  MemoryBudget(std::string device, size_t total) : device_(std::move(device)), total_(total) {}

  // Bytes taken until the reservation is destroyed.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(std::shared_ptr<MemoryBudget> budget, size_t bytes) : budget_(std::move(budget)), bytes_(bytes) {}
    Reservation(Reservation&& other) noexcept
        : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
    Reservation& operator=(Reservation&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Reservation();

   private:
    std::shared_ptr<MemoryBudget> budget_;
    size_t bytes_ = 0;
  };

  // RESOURCE_EXHAUSTED "slice needs N bytes (weights W, arena A), device cpu:0 has M".
  absl::StatusOr<Reservation> Reserve(size_t weights, size_t arena);

 private:
  const std::string device_;
  const size_t total_;
  absl::Mutex mutex_;
  size_t used_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_MEMORY_BUDGET_H_
