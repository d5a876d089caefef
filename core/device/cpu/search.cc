// Searching: positions of maxima, the k largest, positions of what is not zero.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/status.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;

// [outer, n, inner] around an axis.
struct Extents {
  int64_t outer = 1;
  int64_t n = 1;
  int64_t inner = 1;
};

Extents ExtentsOf(const Shape& shape, int axis) {
  const absl::Span<const int64_t> dims = shape;
  return {NumElements(dims.first(axis)), dims[axis], NumElements(dims.subspan(axis + 1))};
}

template <typename T>
bool IsNan(T x) {
  return x != x;
}

// The first position of the largest (smallest) element; NaN counts as most extreme, as in numpy.
template <typename T, typename Index>
class ArgKernel : public Kernel {
 public:
  ArgKernel(const KernelRequest& request, Extents extents, bool largest)
      : extents_(extents), largest_(largest), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* x = static_cast<const T*>(inputs[0]);
    Index* y = static_cast<Index*>(outputs[0]);
    const Extents& e = extents_;
    ParallelFor(threads_, e.outer * e.inner, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, e.n)),
                [=, this](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    const T* from = x + i / e.inner * e.n * e.inner + i % e.inner;
                    int64_t best = 0;
                    for (int64_t k = 1; k < e.n; ++k) {
                      const T value = from[k * e.inner], so_far = from[best * e.inner];
                      const bool better = largest_ ? value > so_far : value < so_far;
                      if (better || (IsNan(value) && !IsNan(so_far))) best = k;
                    }
                    y[i] = static_cast<Index>(best);
                  }
                });
    return absl::OkStatus();
  }

 private:
  const Extents extents_;
  const bool largest_;
  const int threads_;
};

template <bool largest>
Made MakeArg(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> dimension, request.ConstantInts(1));
  if (dimension.size() != 1) return absl::InvalidArgumentError("expected one dimension");
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(dimension[0], static_cast<int>(request.input_shape(0).size())));
  const Extents extents = ExtentsOf(request.input_shape(0), axis);
  if (extents.n == 0) return absl::InvalidArgumentError("an empty dimension has no extreme element");
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (request.outputs[0].type == DataType::kInt64) {
      kernel = std::make_unique<ArgKernel<T, int64_t>>(request, extents, largest);
    } else if (request.outputs[0].type == DataType::kInt32) {
      kernel = std::make_unique<ArgKernel<T, int32_t>>(request, extents, largest);
    }
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// The k largest (smallest) elements along an axis, in order, ties by position.
template <typename T, typename Index>
class TopKKernel : public Kernel {
 public:
  TopKKernel(const KernelRequest& request, Extents extents, int64_t k, bool largest)
      : extents_(extents), k_(k), largest_(largest) {}

  size_t scratch_bytes() const override { return static_cast<size_t>(extents_.n) * sizeof(int64_t); }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    const T* x = static_cast<const T*>(inputs[0]);
    T* values = static_cast<T*>(outputs[0]);
    Index* indices = static_cast<Index*>(outputs[1]);
    int64_t* order = reinterpret_cast<int64_t*>(context.scratch);
    const Extents& e = extents_;
    for (int64_t i = 0; i < e.outer * e.inner; ++i) {
      const T* from = x + i / e.inner * e.n * e.inner + i % e.inner;
      for (int64_t j = 0; j < e.n; ++j) order[j] = j;
      // A total order, NaN first among the largest: std::partial_sort demands one.
      const auto before = [&](int64_t a, int64_t b) {
        const T left = from[a * e.inner], right = from[b * e.inner];
        if (IsNan(left) != IsNan(right)) return IsNan(left) == largest_;
        if (left != right && !IsNan(left)) return largest_ ? left > right : left < right;
        return a < b;
      };
      std::partial_sort(order, order + k_, order + e.n, before);
      for (int64_t j = 0; j < k_; ++j) {
        const int64_t to = (i / e.inner * k_ + j) * e.inner + i % e.inner;
        values[to] = from[order[j] * e.inner];
        indices[to] = static_cast<Index>(order[j]);
      }
    }
    return absl::OkStatus();
  }

 private:
  const Extents extents_;
  const int64_t k_;
  const bool largest_;
};

Made MakeTopK(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const int axis,
                   NormalizeAxis(request.Attr<int64_t>("dim"), static_cast<int>(request.input_shape(0).size())));
  const Extents extents = ExtentsOf(request.input_shape(0), axis);
  const int64_t k = request.output_shape()[axis];
  if (k < 0 || k > extents.n) {
    return absl::InvalidArgumentError(absl::StrCat("k is ", k, ", the dimension has ", extents.n, " elements"));
  }
  const bool largest = request.Attr<bool>("largest");
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (request.outputs[1].type == DataType::kInt64) {
      kernel = std::make_unique<TopKKernel<T, int64_t>>(request, extents, k, largest);
    } else if (request.outputs[1].type == DataType::kInt32) {
      kernel = std::make_unique<TopKKernel<T, int32_t>>(request, extents, k, largest);
    }
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// Coordinates of the elements that are not zero, [count, rank] or (transpose) [rank, count]. Their number is part of
// the output's shape, so it must have been known when the shapes were inferred.
template <typename T, typename Index>
class NonZeroKernel : public Kernel {
 public:
  NonZeroKernel(const KernelRequest& request, bool transpose)
      : shape_(request.input_shape(0)), transpose_(transpose),
        count_(request.output_shape()[transpose ? 1 : 0]) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* x = static_cast<const T*>(inputs[0]);
    Index* y = static_cast<Index*>(outputs[0]);
    const int64_t elements = NumElements(shape_);
    const int64_t rank = static_cast<int64_t>(shape_.size());
    int64_t found = 0;
    for (int64_t i = 0; i < elements; ++i) {
      if (x[i] == T{0}) continue;
      if (found < count_) {
        int64_t rest = i;
        for (int64_t d = rank - 1; d >= 0; --d) {
          y[transpose_ ? d * count_ + found : found * rank + d] = static_cast<Index>(rest % shape_[d]);
          rest /= shape_[d];
        }
      }
      ++found;
    }
    if (found != count_) {
      return absl::InvalidArgumentError(
          absl::StrCat(found, " elements are not zero, the graph was built for ", count_));
    }
    return absl::OkStatus();
  }

 private:
  const Shape shape_;
  const bool transpose_;
  const int64_t count_;
};

Made MakeNonZero(const KernelRequest& request) {
  const bool transpose = request.type() == "NonZero" && request.Attr<bool>("transpose");
  std::unique_ptr<Kernel> kernel;
  const DataType type = request.inputs[0].type == DataType::kBool ? DataType::kUint8 : request.inputs[0].type;
  DispatchNumeric(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (request.outputs[0].type == DataType::kInt64) {
      kernel = std::make_unique<NonZeroKernel<T, int64_t>>(request, transpose);
    } else if (request.outputs[0].type == DataType::kInt32) {
      kernel = std::make_unique<NonZeroKernel<T, int32_t>>(request, transpose);
    }
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

}  // namespace

void AddSearchKernels(KernelTable& table) {
  table.Add({"ArgMaxV2"}, MakeArg<true>);
  table.Add({"ArgMin"}, MakeArg<false>);
  table.Add({"TopK", "TopKV2"}, MakeTopK);
  table.Add({"NonZero", "Where"}, MakeNonZero);
}

}  // namespace omserve::cpu
