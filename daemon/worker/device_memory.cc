#include "daemon/worker/device_memory.h"

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {

absl::StatusOr<std::unique_ptr<DeviceMemoryLedger::Reservation>> DeviceMemoryLedger::Reserve(int device,
                                                                                             uint64_t bytes) {
  if (device < 0 || device >= static_cast<int>(limits_.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no device ", device, "; this worker has ", limits_.size(), " (from 0)"));
  }
  std::unique_ptr<Reservation> reservation(new Reservation(this, device));
  RETURN_IF_ERROR(reservation->Resize(bytes));
  return reservation;
}

std::vector<uint64_t> DeviceMemoryLedger::used() const {
  absl::MutexLock lock(&mutex_);
  return used_;
}

DeviceMemoryLedger::Reservation::~Reservation() {
  absl::MutexLock lock(&ledger_->mutex_);
  ledger_->used_[device_] -= bytes_;
}

absl::Status DeviceMemoryLedger::Reservation::Resize(uint64_t bytes) {
  absl::MutexLock lock(&ledger_->mutex_);
  const uint64_t limit = ledger_->limits_[device_];
  uint64_t& used = ledger_->used_[device_];
  const uint64_t others = used - bytes_;
  if (bytes > limit - others) {
    return absl::ResourceExhaustedError(absl::StrCat("device ", device_, ": need ", bytes, " bytes, have ",
                                                     limit - others, " free of ", limit));
  }
  used = others + bytes;
  bytes_ = bytes;
  return absl::OkStatus();
}

}  // namespace omserve
