#include "core/device/cpu/strided_copy.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/device/cpu/parallel.h"

namespace omserve::cpu {

namespace {

// Walks the offsets of the first `rank` dimensions from the begin-th element on.
struct Walker {
  Walker(const std::vector<int64_t>& dims, const std::vector<int64_t>& from_strides,
         const std::vector<int64_t>& to_strides, int rank, int64_t begin)
      : dims(dims), from_strides(from_strides), to_strides(to_strides), rank(rank) {
    for (int d = rank - 1; d >= 0; --d) {
      index[d] = begin % dims[d];
      begin /= dims[d];
      from += index[d] * from_strides[d];
      to += index[d] * to_strides[d];
    }
  }
  void Next() {
    for (int d = rank - 1; d >= 0; --d) {
      from += from_strides[d];
      to += to_strides[d];
      if (++index[d] < dims[d]) return;
      from -= dims[d] * from_strides[d];
      to -= dims[d] * to_strides[d];
      index[d] = 0;
    }
  }
  const std::vector<int64_t>&dims, &from_strides, &to_strides;
  const int rank;
  // Twice the rank of a tensor: blocks (depth to space) and tiles split dimensions in two.
  std::array<int64_t, 2 * kMaxRank> index{};
  int64_t from = 0, to = 0;
};

int64_t Product(const std::vector<int64_t>& dims, size_t count) {
  int64_t product = 1;
  for (size_t d = 0; d < count; ++d) product *= dims[d];
  return product;
}

}  // namespace

StridedCopy::StridedCopy(size_t element, const std::vector<int64_t>& dims, const std::vector<int64_t>& from_strides,
                         const std::vector<int64_t>& to_strides)
    : element_(element) {
  total_bytes_ = Product(dims, dims.size()) * static_cast<int64_t>(element);
  if (total_bytes_ == 0) return;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1) continue;
    if (!dims_.empty() && from_strides_.back() == from_strides[d] * dims[d] &&
        to_strides_.back() == to_strides[d] * dims[d]) {
      dims_.back() *= dims[d];
      from_strides_.back() = from_strides[d];
      to_strides_.back() = to_strides[d];
    } else {
      dims_.push_back(dims[d]);
      from_strides_.push_back(from_strides[d]);
      to_strides_.push_back(to_strides[d]);
    }
  }
  if (dims_.empty()) {
    run_bytes_ = static_cast<int64_t>(element);
  } else if (from_strides_.back() == 1 && to_strides_.back() == 1) {
    run_bytes_ = dims_.back() * static_cast<int64_t>(element);
    dims_.pop_back();
    from_strides_.pop_back();
    to_strides_.pop_back();
  } else if (to_strides_.back() == 1) {
    for (size_t d = 0; d + 1 < dims_.size(); ++d) {
      if (from_strides_[d] == 1 && dims_[d] > 4) tile_dim_ = static_cast<int>(d);
    }
    if (tile_dim_ >= 0) {
      // The tiled dimension goes just outside the innermost one.
      const auto to_end = [&](std::vector<int64_t>& list) {
        std::rotate(list.begin() + tile_dim_, list.begin() + tile_dim_ + 1, list.end() - 1);
      };
      to_end(dims_);
      to_end(from_strides_);
      to_end(to_strides_);
      tile_dim_ = static_cast<int>(dims_.size()) - 2;
    }
  }
}

void StridedCopy::Run(int threads, const void* from, void* to) const {
  if (total_bytes_ == 0) return;
  if (run_bytes_ > 0) {
    RunRuns(threads, static_cast<const std::byte*>(from), static_cast<std::byte*>(to));
    return;
  }
  switch (element_) {
    case 1: return RunStrided(threads, static_cast<const uint8_t*>(from), static_cast<uint8_t*>(to));
    case 2: return RunStrided(threads, static_cast<const uint16_t*>(from), static_cast<uint16_t*>(to));
    case 4: return RunStrided(threads, static_cast<const uint32_t*>(from), static_cast<uint32_t*>(to));
    default: return RunStrided(threads, static_cast<const uint64_t*>(from), static_cast<uint64_t*>(to));
  }
}

void StridedCopy::RunRuns(int threads, const std::byte* from, std::byte* to) const {
  constexpr int64_t kGrainBytes = kElementGrain * 4;
  if (dims_.empty()) {
    ParallelFor(threads, run_bytes_, kGrainBytes, [=](int64_t begin, int64_t end) {
      std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin));
    });
    return;
  }
  const int rank = static_cast<int>(dims_.size());
  const int64_t element = static_cast<int64_t>(element_);
  ParallelFor(threads, Product(dims_, dims_.size()), std::max<int64_t>(1, kGrainBytes / run_bytes_),
              [&, from, to](int64_t begin, int64_t end) {
                Walker walker(dims_, from_strides_, to_strides_, rank, begin);
                for (int64_t i = begin; i < end; ++i, walker.Next()) {
                  std::memcpy(to + walker.to * element, from + walker.from * element,
                              static_cast<size_t>(run_bytes_));
                }
              });
}

template <typename U>
void StridedCopy::RunStrided(int threads, const U* from, U* to) const {
  const int inner = static_cast<int>(dims_.size()) - 1;
  const int64_t n = dims_[inner], from_step = from_strides_[inner], to_step = to_strides_[inner];
  if (tile_dim_ < 0) {
    ParallelFor(threads, Product(dims_, static_cast<size_t>(inner)), std::max<int64_t>(1, kElementGrain / n),
                [&, from, to](int64_t begin, int64_t end) {
                  Walker walker(dims_, from_strides_, to_strides_, inner, begin);
                  for (int64_t row = begin; row < end; ++row, walker.Next()) {
                    const U* source = from + walker.from;
                    U* target = to + walker.to;
                    if (from_step == 0 && to_step == 1) {
                      std::fill_n(target, n, *source);
                    } else {
                      for (int64_t i = 0; i < n; ++i) target[i * to_step] = source[i * from_step];
                    }
                  }
                });
    return;
  }
  // Square tiles, so that both sides use whole cache lines.
  constexpr int64_t kTile = 16;
  const int64_t m = dims_[tile_dim_], to_row = to_strides_[tile_dim_];
  const int64_t strips = (m + kTile - 1) / kTile;
  ParallelFor(threads, Product(dims_, static_cast<size_t>(tile_dim_)) * strips,
              std::max<int64_t>(1, kElementGrain / (n * kTile)), [&, from, to](int64_t begin, int64_t end) {
                Walker walker(dims_, from_strides_, to_strides_, tile_dim_, begin / strips);
                for (int64_t part = begin; part < end; ++part) {
                  const int64_t first = part % strips * kTile;
                  const int64_t last = std::min(m, first + kTile);
                  const U* source = from + walker.from;
                  U* target = to + walker.to;
                  for (int64_t column = 0; column < n; column += kTile) {
                    const int64_t column_end = std::min(n, column + kTile);
                    for (int64_t row = first; row < last; ++row) {
                      for (int64_t i = column; i < column_end; ++i) {
                        target[row * to_row + i] = source[row + i * from_step];
                      }
                    }
                  }
                  if (part % strips == strips - 1) walker.Next();
                }
              });
}

}  // namespace omserve::cpu
