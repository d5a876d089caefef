// Broadcast: the iteration space of an operator whose inputs broadcast to its output (numpy rules), with as few
// dimensions as possible.
#ifndef OMSERVE_CORE_DEVICE_CPU_BROADCAST_H_
#define OMSERVE_CORE_DEVICE_CPU_BROADCAST_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/device/cpu/parallel.h"
#include "core/tensor/shape.h"

namespace omserve::cpu {

// Rows of `inner` consecutive output elements. In a row, each of the N operands is either contiguous or one element.
template <int N>
class Broadcast {
 public:
  // The shapes broadcast to `output` (the caller's shape rules made sure).
  Broadcast(const Shape& output, const std::array<const Shape*, N>& operands) {
    const int rank = static_cast<int>(output.size());
    std::array<std::vector<int64_t>, N> strides;
    for (int o = 0; o < N; ++o) {
      const Shape& shape = *operands[o];
      const int lead = rank - static_cast<int>(shape.size());
      const std::vector<int64_t> dense = RowMajorStrides(shape);
      strides[o].assign(rank, 0);
      for (int d = std::max(0, lead); d < rank; ++d) {
        if (shape[d - lead] != 1) strides[o][d] = dense[d - lead];
      }
    }
    // Merge what steps alike in all operands; dimensions of 1 vanish.
    for (int d = 0; d < rank; ++d) {
      if (output[d] == 1) continue;
      bool merge = !dims_.empty();
      for (int o = 0; o < N && merge; ++o) merge = strides_[o].back() == strides[o][d] * output[d];
      if (merge) {
        dims_.back() *= output[d];
        for (int o = 0; o < N; ++o) strides_[o].back() = strides[o][d];
      } else {
        dims_.push_back(output[d]);
        for (int o = 0; o < N; ++o) strides_[o].push_back(strides[o][d]);
      }
    }
    inner_ = dims_.empty() ? 1 : dims_.back();
    for (int o = 0; o < N; ++o) step_[o] = dims_.empty() ? 0 : strides_[o].back();
    if (!dims_.empty()) dims_.pop_back();
    rows_ = 1;
    for (int64_t dim : dims_) rows_ *= dim;
  }

  // 1 where operand `o` is contiguous in a row, 0 where it is one element.
  int64_t step(int o) const { return step_[o]; }

  // Calls run(output offset, operand offsets, count) for all rows (or parts of rows) on up to `threads` threads.
  template <typename Run>
  void ForEachRow(int threads, const Run& run) const {
    if (rows_ == 1) {
      ParallelFor(threads, inner_, kElementGrain, [&](int64_t begin, int64_t end) {
        std::array<int64_t, N> offsets;
        for (int o = 0; o < N; ++o) offsets[o] = begin * step_[o];
        run(begin, offsets, end - begin);
      });
      return;
    }
    const int64_t grain = std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, inner_));
    ParallelFor(threads, rows_, grain, [&](int64_t begin, int64_t end) {
      std::array<int64_t, kMaxRank> index{};
      std::array<int64_t, N> offsets{};
      int64_t rest = begin;
      for (int d = static_cast<int>(dims_.size()) - 1; d >= 0; --d) {
        index[d] = rest % dims_[d];
        rest /= dims_[d];
        for (int o = 0; o < N; ++o) offsets[o] += index[d] * strides_[o][d];
      }
      for (int64_t row = begin; row < end; ++row) {
        run(row * inner_, offsets, inner_);
        for (int d = static_cast<int>(dims_.size()) - 1; d >= 0; --d) {
          for (int o = 0; o < N; ++o) offsets[o] += strides_[o][d];
          if (++index[d] < dims_[d]) break;
          for (int o = 0; o < N; ++o) offsets[o] -= index[d] * strides_[o][d];
          index[d] = 0;
        }
      }
    });
  }

 private:
  std::vector<int64_t> dims_;  // outside a row
  std::array<std::vector<int64_t>, N> strides_;
  std::array<int64_t, N> step_{};
  int64_t rows_ = 1;
  int64_t inner_ = 1;
};

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_BROADCAST_H_
