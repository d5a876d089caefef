#include "core/device/cpu/memory_budget.h"

#include "absl/strings/str_cat.h"

namespace omserve::cpu {

absl::StatusOr<MemoryBudget::Reservation> MemoryBudget::Reserve(size_t weights, size_t arena) {
  const size_t needed = weights + arena;
  absl::MutexLock lock(&mutex_);
  if (needed > total_ - used_) {
    std::string message = absl::StrCat("slice needs ", needed, " bytes (weights ", weights, ", arena ", arena,
                                       "), device ", device_, " has ", total_ - used_);
    if (used_ > 0) absl::StrAppend(&message, " left of ", total_);
    return absl::ResourceExhaustedError(message);
  }
  used_ += needed;
  return Reservation(shared_from_this(), needed);
}

MemoryBudget::Reservation::~Reservation() {
  if (budget_ == nullptr) return;
  absl::MutexLock lock(&budget_->mutex_);
  budget_->used_ -= bytes_;
}

}  // namespace omserve::cpu
