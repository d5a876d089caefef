// Softmax and its logarithm over one or several neighbouring dimensions.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/status.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"
#include "core/device/cpu/row_math.h"

namespace omserve::cpu {

namespace {

// The tensor seen as [outer, length, inner], normalised over `length`.
struct Extents {
  int64_t outer = 1;
  int64_t length = 1;
  int64_t inner = 1;
};

absl::StatusOr<Extents> ExtentsOf(const KernelRequest& request, std::vector<int64_t> axes) {
  const Shape& shape = request.input_shape(0);
  const int rank = static_cast<int>(shape.size());
  if (axes.empty()) axes.push_back(-1);
  Extents extents;
  if (rank == 0) return extents;
  for (int64_t& axis : axes) {
    ASSIGN_OR_RETURN(axis, NormalizeAxis(axis, rank));
  }
  std::sort(axes.begin(), axes.end());
  for (size_t i = 1; i < axes.size(); ++i) {
    if (axes[i] != axes[i - 1] + 1) return request.Unsupported("axes that are not neighbours");
  }
  for (int d = 0; d < rank; ++d) {
    (d < axes.front() ? extents.outer : d <= axes.back() ? extents.length : extents.inner) *= shape[d];
  }
  return extents;
}

OMSERVE_INLINE void SoftmaxRow(const float* x, float* y, int64_t n) {
  const float factor = 1.0f / RowExp(x, y, n, RowMax(x, n));
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] *= factor;
}

// Reads x again after the sum, so that y may be x.
OMSERVE_INLINE void LogSoftmaxRow(const float* x, float* y, int64_t n) {
  const float most = RowMax(x, n);
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += Exp(x[i] - most);
  const float shift = most + std::log(sum);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] - shift;
}

// kBlock neighbouring columns at once, `stride` elements between the rows.
constexpr int64_t kBlock = 64;

template <bool logarithm>
OMSERVE_INLINE void SoftmaxColumns(const float* x, float* y, int64_t n, int64_t stride, int64_t width) {
  float most[kBlock];
  float sum[kBlock];
  for (int64_t i = 0; i < width; ++i) {
    most[i] = -std::numeric_limits<float>::infinity();
    sum[i] = 0.0f;
  }
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t i = 0; i < width; ++i) most[i] = MaxOf(x[row * stride + i], most[i]);
  }
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t i = 0; i < width; ++i) sum[i] += Exp(x[row * stride + i] - most[i]);
  }
  for (int64_t i = 0; i < width; ++i) sum[i] = logarithm ? most[i] + std::log(sum[i]) : 1.0f / sum[i];
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t i = 0; i < width; ++i) {
      const float value = x[row * stride + i];
      y[row * stride + i] = logarithm ? value - sum[i] : Exp(value - most[i]) * sum[i];
    }
  }
}

template <bool logarithm>
class SoftmaxKernel : public Kernel {
 public:
  SoftmaxKernel(const KernelRequest& request, Extents extents) : extents_(extents), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const float* x = static_cast<const float*>(inputs[0]);
    float* y = static_cast<float*>(outputs[0]);
    const int64_t n = extents_.length, inner = extents_.inner;
    if (n == 0 || inner == 0) return absl::OkStatus();
    const int64_t grain = std::max<int64_t>(1, kElementGrain / 8 / (n * std::min(inner, kBlock)));
    if (inner == 1) {
      ParallelFor(threads_, extents_.outer, grain, [=](int64_t begin, int64_t end) {
        Simd([=]() OMSERVE_LOOP {
          for (int64_t row = begin; row < end; ++row) {
            if constexpr (logarithm) {
              LogSoftmaxRow(x + row * n, y + row * n, n);
            } else {
              SoftmaxRow(x + row * n, y + row * n, n);
            }
          }
        });
      });
      return absl::OkStatus();
    }
    const int64_t blocks = (inner + kBlock - 1) / kBlock;
    ParallelFor(threads_, extents_.outer * blocks, grain, [=](int64_t begin, int64_t end) {
      Simd([=]() OMSERVE_LOOP {
        for (int64_t part = begin; part < end; ++part) {
          const int64_t first = part % blocks * kBlock;
          const int64_t offset = part / blocks * n * inner + first;
          SoftmaxColumns<logarithm>(x + offset, y + offset, n, inner, std::min(kBlock, inner - first));
        }
      });
    });
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return true; }

 private:
  const Extents extents_;
  const int threads_;
};

template <bool logarithm>
absl::StatusOr<std::unique_ptr<Kernel>> MakeSoftmax(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kFloat) return request.UnsupportedType(0);
  ASSIGN_OR_RETURN(const Extents extents, ExtentsOf(request, request.Attr<std::vector<int64_t>>("axes")));
  return std::make_unique<SoftmaxKernel<logarithm>>(request, extents);
}

// 1 at the first maximum along `axis`, 0 elsewhere.
class HardMaxKernel : public Kernel {
 public:
  HardMaxKernel(const KernelRequest& request, Extents extents) : extents_(extents) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const float* x = static_cast<const float*>(inputs[0]);
    float* y = static_cast<float*>(outputs[0]);
    const int64_t n = extents_.length, inner = extents_.inner;
    for (int64_t outer = 0; outer < extents_.outer; ++outer) {
      for (int64_t i = 0; i < inner; ++i) {
        const int64_t base = outer * n * inner + i;
        int64_t best = 0;
        for (int64_t k = 1; k < n; ++k) {
          if (x[base + k * inner] > x[base + best * inner]) best = k;
        }
        for (int64_t k = 0; k < n; ++k) y[base + k * inner] = k == best ? 1.0f : 0.0f;
      }
    }
    return absl::OkStatus();
  }

 private:
  const Extents extents_;
};

absl::StatusOr<std::unique_ptr<Kernel>> MakeHardMax(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kFloat) return request.UnsupportedType(0);
  ASSIGN_OR_RETURN(const Extents extents, ExtentsOf(request, {request.Attr<int64_t>("axis")}));
  return std::make_unique<HardMaxKernel>(request, extents);
}

}  // namespace

void AddSoftmaxKernels(KernelTable& table) {
  table.Add({"SoftmaxV2"}, MakeSoftmax<false>);
  table.Add({"LogSoftmaxV2"}, MakeSoftmax<true>);
  table.Add({"HardMax"}, MakeHardMax);
}

}  // namespace omserve::cpu
