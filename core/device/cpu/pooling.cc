// Pools over the spatial dimensions of NCHW images.
#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"
#include "core/device/cpu/row_math.h"
#include "core/device/cpu/simd.h"
#include "core/ops/window.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;

// One spatial dimension of a pool.
struct Extent {
  int64_t in = 1, out = 1;
  int64_t kernel = 1, stride = 1, pad_begin = 0, pad_end = 0;

  int64_t begin(int64_t position) const { return position * stride - pad_begin; }
  // Taps [first, last) of a position that lie in the image.
  int64_t first(int64_t position) const { return std::max<int64_t>(0, begin(position)); }
  int64_t last(int64_t position) const { return std::min(in, begin(position) + kernel); }
  // Taps that lie in the image or its padding: what counts when padding is included.
  int64_t padded(int64_t position) const { return std::min(in + pad_end, begin(position) + kernel) - begin(position); }
};

struct Pool {
  int64_t planes = 0;
  Extent rows, columns;
  bool exclusive = true;
  int64_t divisor = 0;  // 0: by the number of taps
};

enum class Kind { kMax, kAverage };

// Each output row gathers whole input rows, tap by tap, so that the inner loop runs along the row.
template <Kind kind>
class PoolKernel : public Kernel {
 public:
  PoolKernel(const KernelRequest& request, const Pool& pool) : pool_(pool), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const float* x = static_cast<const float*>(inputs[0]);
    float* y = static_cast<float*>(outputs[0]);
    const Pool& pool = pool_;
    const int64_t work = pool.columns.out * pool.rows.kernel * pool.columns.kernel;
    ParallelFor(threads_, pool.planes * pool.rows.out, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, work)),
                [&](int64_t begin, int64_t end) {
                  for (int64_t row = begin; row < end; ++row) {
                    const int64_t plane = row / pool.rows.out;
                    OneRow(x + plane * pool.rows.in * pool.columns.in, y + row * pool.columns.out,
                           row % pool.rows.out);
                  }
                });
    return absl::OkStatus();
  }

 private:
  void OneRow(const float* plane, float* to, int64_t out_row) const {
    const Extent &rows = pool_.rows, &columns = pool_.columns;
    const float start = kind == Kind::kMax ? -std::numeric_limits<float>::infinity() : 0.0f;
    std::fill_n(to, columns.out, start);
    for (int64_t row = rows.first(out_row); row < rows.last(out_row); ++row) {
      const float* from = plane + row * columns.in;
      for (int64_t tap = 0; tap < columns.kernel; ++tap) {
        // Positions whose tap falls in the image: 0 <= i * stride - pad + tap < in.
        const int64_t shift = tap - columns.pad_begin, stride = columns.stride;
        const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
        const int64_t last = shift >= columns.in ? 0 : std::min(columns.out, (columns.in - 1 - shift) / stride + 1);
        Simd([=]() OMSERVE_LOOP {
          if (stride == 1) {
#pragma GCC ivdep
            for (int64_t i = first; i < last; ++i) to[i] = Combine(to[i], from[i + shift]);
          } else {
#pragma GCC ivdep
            for (int64_t i = first; i < last; ++i) to[i] = Combine(to[i], from[i * stride + shift]);
          }
        });
      }
    }
    if (kind != Kind::kAverage) return;
    const int64_t row_taps = pool_.exclusive ? rows.last(out_row) - rows.first(out_row) : rows.padded(out_row);
    for (int64_t i = 0; i < columns.out; ++i) {
      const int64_t column_taps = pool_.exclusive ? columns.last(i) - columns.first(i) : columns.padded(i);
      const int64_t taps = pool_.divisor != 0 ? pool_.divisor : row_taps * column_taps;
      to[i] = taps <= 0 ? 0.0f : to[i] / static_cast<float>(taps);
    }
  }
  static OMSERVE_INLINE float Combine(float so_far, float value) {
    if (kind == Kind::kAverage) return so_far + value;
    return value > so_far || value != value ? value : so_far;
  }

  const Pool pool_;
  const int threads_;
};

// The mean of each plane.
class PlaneMeanKernel : public Kernel {
 public:
  explicit PlaneMeanKernel(const KernelRequest& request) : threads_(request.threads) {
    const absl::Span<const int64_t> shape = request.input_shape(0);
    planes_ = NumElements(shape.first(2));
    size_ = NumElements(shape.subspan(2));
  }
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const float* x = static_cast<const float*>(inputs[0]);
    float* y = static_cast<float*>(outputs[0]);
    const int64_t size = size_;
    ParallelFor(threads_, planes_, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, size)),
                [=](int64_t begin, int64_t end) {
                  Simd([=]() OMSERVE_LOOP {
                    for (int64_t i = begin; i < end; ++i) y[i] = RowSum(x + i * size, size) / static_cast<float>(size);
                  });
                });
    return absl::OkStatus();
  }

 private:
  const int threads_;
  int64_t planes_, size_;
};

// Windows that divide the image evenly where they can and overlap by one where they cannot.
class AdaptiveMeanKernel : public Kernel {
 public:
  explicit AdaptiveMeanKernel(const KernelRequest& request) : in_(request.input_shape(0)), out_(request.output_shape()) {}
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const float* x = static_cast<const float*>(inputs[0]);
    float* y = static_cast<float*>(outputs[0]);
    for (int64_t plane = 0; plane < in_[0] * in_[1]; ++plane, x += in_[2] * in_[3]) {
      for (int64_t i = 0; i < out_[2]; ++i) {
        for (int64_t j = 0; j < out_[3]; ++j) {
          const int64_t top = i * in_[2] / out_[2], bottom = ((i + 1) * in_[2] + out_[2] - 1) / out_[2];
          const int64_t left = j * in_[3] / out_[3], right = ((j + 1) * in_[3] + out_[3] - 1) / out_[3];
          float sum = 0.0f;
          for (int64_t row = top; row < bottom; ++row) {
            for (int64_t column = left; column < right; ++column) sum += x[row * in_[3] + column];
          }
          *y++ = sum / static_cast<float>((bottom - top) * (right - left));
        }
      }
    }
    return absl::OkStatus();
  }

 private:
  const Shape in_, out_;
};

absl::StatusOr<Pool> PoolOf(const KernelRequest& request) {
  const Shape& shape = request.input_shape(0);
  Pool pool;
  pool.planes = shape[0] * shape[1];
  std::vector<Window> windows(2);
  const bool global = request.Attr<bool>("global_pooling");
  const std::string mode = request.Attr<std::string>("padding_mode");
  if (!global && mode == "CALCULATED") RETURN_IF_ERROR(ReadPads(request.view, "pads", windows));
  Extent* extents[2] = {&pool.rows, &pool.columns};
  std::vector<int64_t> kernel, strides;
  if (!global) {
    ASSIGN_OR_RETURN(kernel, SpatialAttr(request.view, "ksize", 2));
    ASSIGN_OR_RETURN(strides, SpatialAttr(request.view, "strides", 2));
  }
  for (int d = 0; d < 2; ++d) {
    Extent& extent = *extents[d];
    extent.in = shape[2 + d];
    extent.out = request.output_shape()[2 + d];
    extent.kernel = global ? extent.in : kernel[d];
    extent.stride = global ? 1 : strides[d];
    extent.pad_begin = windows[d].pad_begin;
    extent.pad_end = windows[d].pad_end;
    if (!global && mode == "SAME") {
      // As many positions as strides fit, the odd element of padding at the end.
      const int64_t total = std::max<int64_t>(0, (extent.out - 1) * extent.stride + extent.kernel - extent.in);
      extent.pad_begin = total / 2;
      extent.pad_end = total - total / 2;
    }
  }
  return pool;
}

Made MakeMaxPool(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kFloat) return request.UnsupportedType(0);
  ASSIGN_OR_RETURN(const Pool pool, PoolOf(request));
  return std::make_unique<PoolKernel<Kind::kMax>>(request, pool);
}

Made MakeAvgPool(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kFloat) return request.UnsupportedType(0);
  if (request.Attr<bool>("global_pooling")) return std::make_unique<PlaneMeanKernel>(request);
  ASSIGN_OR_RETURN(Pool pool, PoolOf(request));
  pool.exclusive = request.Attr<bool>("exclusive");
  pool.divisor = request.Attr<int64_t>("divisor_override");
  return std::make_unique<PoolKernel<Kind::kAverage>>(request, pool);
}

Made MakeGlobalAverage(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kFloat) return request.UnsupportedType(0);
  return std::make_unique<PlaneMeanKernel>(request);
}

Made MakeAdaptive(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kFloat) return request.UnsupportedType(0);
  return std::make_unique<AdaptiveMeanKernel>(request);
}

}  // namespace

void AddPoolingKernels(KernelTable& table) {
  table.Add({"MaxPoolV3"}, MakeMaxPool);
  table.Add({"AvgPoolV2"}, MakeAvgPool);
  table.Add({"GlobalAveragePool"}, MakeGlobalAverage);
  table.Add({"AdaptiveAvgPool2d"}, MakeAdaptive);
}

}  // namespace omserve::cpu
