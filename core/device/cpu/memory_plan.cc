#include "core/device/cpu/memory_plan.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/checked.h"

namespace omserve::cpu {

MemoryPlan PlanMemory(absl::Span<const MemoryRequest> requests) {
  MemoryPlan plan;
  plan.offsets.assign(requests.size(), 0);
  std::vector<int> order(requests.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return requests[a].bytes > requests[b].bytes; });
  std::vector<int> placed;  // by offset
  for (int r : order) {
    const MemoryRequest& request = requests[r];
    if (request.bytes == 0) continue;
    const size_t size = AlignUp(request.bytes, kArenaAlignment);
    size_t best = std::numeric_limits<size_t>::max();
    size_t best_gap = std::numeric_limits<size_t>::max();
    size_t end = 0;  // of everything placed so far that lives at the same time
    for (int other : placed) {
      if (requests[other].last < request.first || request.last < requests[other].first) continue;
      const size_t begin = plan.offsets[other];
      if (begin > end && begin - end >= size && begin - end < best_gap) {
        best = end;
        best_gap = begin - end;
      }
      end = std::max(end, begin + AlignUp(requests[other].bytes, kArenaAlignment));
    }
    plan.offsets[r] = best == std::numeric_limits<size_t>::max() ? end : best;
    plan.total = std::max(plan.total, plan.offsets[r] + size);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), r,
                                   [&](int a, int b) { return plan.offsets[a] < plan.offsets[b]; }),
                  r);
  }
  return plan;
}

absl::StatusOr<Arena> Arena::Create(size_t bytes) {
  Arena arena;
  if (bytes == 0) return arena;
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t size = AlignUp(bytes, bytes >= kHugePage ? kHugePage : size_t{4096});
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError(absl::StrCat("the system has no ", size, " bytes for an arena"));
  }
  // Advice only: without huge pages it merely costs more page faults, now and not later.
  madvise(memory, size, MADV_HUGEPAGE);
  arena.data_ = static_cast<std::byte*>(memory);
  arena.size_ = size;
  std::memset(memory, 0, size);
  return arena;
}

Arena::Arena(Arena&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Arena::~Arena() {
  if (data_ != nullptr) munmap(data_, size_);
}

}  // namespace omserve::cpu
