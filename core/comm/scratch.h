// Scratch: working memory of one rank, kept from call to call.
#ifndef OMSERVE_CORE_COMM_SCRATCH_H_
#define OMSERVE_CORE_COMM_SCRATCH_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <memory>

#include "core/base/checked.h"

namespace omserve {

// Grows to the largest size asked for, so that runs after the first allocate nothing. Not thread-safe.
class Scratch {
 public:
  // At least `bytes`, aligned to a cache line. Contents are lost when it grows. Valid until the next call.
  std::byte* Get(size_t bytes) {
    if (bytes > size_) {
      constexpr size_t kHugePage = size_t{2} << 20;
      // Huge pages where they pay: the first touch of fresh 4 KiB pages costs more than the communication.
      const size_t alignment = bytes >= kHugePage ? kHugePage : 64;
      memory_.reset();
      size_ = AlignUp(bytes, alignment);
      memory_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, size_)));
      if (memory_ == nullptr) std::abort();
      if (alignment == kHugePage) madvise(memory_.get(), size_, MADV_HUGEPAGE);
    }
    return memory_.get();
  }
  // What Get gave last.
  const std::byte* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  size_t size_ = 0;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_SCRATCH_H_
