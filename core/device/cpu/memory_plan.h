// MemoryPlan: where the intermediate values of a slice lie in one arena, so that values which live at different times
// share bytes. Pure function, decided at compile time.
#ifndef OMSERVE_CORE_DEVICE_CPU_MEMORY_PLAN_H_
#define OMSERVE_CORE_DEVICE_CPU_MEMORY_PLAN_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace omserve::cpu {

inline constexpr size_t kArenaAlignment = 64;

// Bytes that are in use in steps [first, last].
struct MemoryRequest {
  size_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct MemoryPlan {
  std::vector<size_t> offsets;  // one per request, multiples of kArenaAlignment
  size_t total = 0;             // size of the arena
};

// Greedy by size: the largest request first, each into the smallest gap that fits between those already placed and
// live at the same time. Requests of 0 bytes get offset 0.
MemoryPlan PlanMemory(absl::Span<const MemoryRequest> requests);

// Memory on huge pages where the system has them, touched once so that runs take no page faults.
class Arena {
 public:
  // RESOURCE_EXHAUSTED when the system refuses.
  static absl::StatusOr<Arena> Create(size_t bytes);
  Arena() = default;
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_MEMORY_PLAN_H_
