// DeviceMemory: what the models on each device of a worker take, against what they may.
#ifndef OMSERVE_DAEMON_WORKER_DEVICE_MEMORY_H_
#define OMSERVE_DAEMON_WORKER_DEVICE_MEMORY_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace omserve {

// Thread-safe. Must outlive its reservations.
class DeviceMemoryLedger {
 public:
  // Bytes held until destroyed. Not thread-safe.
  class Reservation {
   public:
    ~Reservation();
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;
    // Changes the size. RESOURCE_EXHAUSTED as Reserve; then the size stays.
    absl::Status Resize(uint64_t bytes);

   private:
    friend class DeviceMemoryLedger;
    Reservation(DeviceMemoryLedger* ledger, int device) : ledger_(ledger), device_(device) {}
    DeviceMemoryLedger* const ledger_;
    const int device_;
    uint64_t bytes_ = 0;
  };

  // `limits`: by device ordinal.
  explicit DeviceMemoryLedger(std::vector<uint64_t> limits) : limits_(std::move(limits)), used_(limits_.size(), 0) {}

  // RESOURCE_EXHAUSTED says need and have; INVALID_ARGUMENT for an ordinal that is not there.
  absl::StatusOr<std::unique_ptr<Reservation>> Reserve(int device, uint64_t bytes);

  std::vector<uint64_t> used() const;
  const std::vector<uint64_t>& limits() const { return limits_; }

 private:
  const std::vector<uint64_t> limits_;
  mutable absl::Mutex mutex_;
  std::vector<uint64_t> used_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_WORKER_DEVICE_MEMORY_H_
