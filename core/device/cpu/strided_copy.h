// StridedCopy: moves a box of elements between two dense or strided layouts. What transposing, slicing, joining,
// splitting, broadcasting, tiling and padding come down to.
#ifndef OMSERVE_CORE_DEVICE_CPU_STRIDED_COPY_H_
#define OMSERVE_CORE_DEVICE_CPU_STRIDED_COPY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/tensor/shape.h"

namespace omserve::cpu {

class StridedCopy {
 public:
  // Element [i0, i1, ...] of `dims` is read at sum(i * from_strides) and written at sum(i * to_strides), in elements
  // of `element` bytes (1, 2, 4 or 8). A from stride of 0 repeats; negative strides are allowed. Dimensions should be
  // in the order of the destination, outermost first.
  StridedCopy(size_t element, const std::vector<int64_t>& dims, const std::vector<int64_t>& from_strides,
              const std::vector<int64_t>& to_strides);

  // `from` and `to` point to element [0, 0, ...]; they must not overlap.
  void Run(int threads, const void* from, void* to) const;

  // Whether source and destination are both one contiguous run, that is, the copy is a plain memcpy.
  bool is_contiguous() const { return dims_.empty() && run_bytes_ == total_bytes_; }
  int64_t total_bytes() const { return total_bytes_; }

 private:
  template <typename U>
  void RunStrided(int threads, const U* from, U* to) const;
  void RunRuns(int threads, const std::byte* from, std::byte* to) const;

  size_t element_;
  int64_t total_bytes_ = 0;
  int64_t run_bytes_ = 0;  // > 0: innermost part is contiguous on both sides; dims_ are those outside of it
  // Merged, without dimensions of 1; strides in elements.
  std::vector<int64_t> dims_, from_strides_, to_strides_;
  int tile_dim_ = -1;  // a dimension that is contiguous in the source while the innermost one is in the destination
};

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_STRIDED_COPY_H_
