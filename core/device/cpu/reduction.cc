// Reductions over any set of dimensions, and running sums.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "core/base/status.h"
#include "core/device/cpu/arithmetic.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"
#include "core/device/cpu/simd.h"
#include "core/device/cpu/vector_math.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;

// A reduction: result = Finish(Combine over Map(x), from First), all on T.
struct Plain {
  template <typename T>
  static OMSERVE_INLINE T Map(T x) { return x; }
  template <typename T>
  static OMSERVE_INLINE T Finish(T total, int64_t) { return total; }
};
struct Total : Plain {
  template <typename T>
  static constexpr T First() { return T{0}; }
  template <typename T>
  static OMSERVE_INLINE T Combine(T a, T b) { return WrappingAdd(a, b); }
};
struct Mean : Total {
  // The mean of nothing is NaN for floats, 0 for integers (numpy warns and gives the same).
  template <typename T>
  static OMSERVE_INLINE T Finish(T total, int64_t count) {
    if constexpr (std::is_floating_point_v<T>) return total / static_cast<T>(count);
    else return count == 0 ? T{0} : static_cast<T>(static_cast<int64_t>(total) / count);
  }
};
struct Product : Plain {
  template <typename T>
  static constexpr T First() { return T{1}; }
  template <typename T>
  static OMSERVE_INLINE T Combine(T a, T b) { return WrappingMul(a, b); }
};
// NaN wins, as in numpy.
struct Largest : Plain {
  template <typename T>
  static constexpr T First() {
    return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  }
  template <typename T>
  static OMSERVE_INLINE T Combine(T a, T b) { return b > a || b != b ? b : a; }
};
struct Smallest : Plain {
  template <typename T>
  static constexpr T First() {
    return std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  }
  template <typename T>
  static OMSERVE_INLINE T Combine(T a, T b) { return b < a || b != b ? b : a; }
};
struct SumSquare : Total {
  template <typename T>
  static OMSERVE_INLINE T Map(T x) { return WrappingMul(x, x); }
};
struct SumAbs : Total {
  template <typename T>
  static OMSERVE_INLINE T Map(T x) { return x < T{0} ? WrappingSub(T{0}, x) : x; }
};
struct Norm2 : SumSquare {
  template <typename T>
  static OMSERVE_INLINE T Finish(T total, int64_t) { return static_cast<T>(std::sqrt(total)); }
};
struct LogTotal : Total {
  template <typename T>
  static OMSERVE_INLINE T Finish(T total, int64_t) { return static_cast<T>(std::log(total)); }
};
struct All : Plain {
  template <typename T>
  static constexpr T First() { return T{1}; }
  template <typename T>
  static OMSERVE_INLINE T Combine(T a, T b) { return a != 0 && b != 0; }
};
struct Any : Plain {
  template <typename T>
  static constexpr T First() { return T{0}; }
  template <typename T>
  static OMSERVE_INLINE T Combine(T a, T b) { return a != 0 || b != 0; }
};

// The input as alternating kept and reduced runs of dimensions. Most are [outer, reduced, inner]; what is more mixed
// keeps a list of the offsets within.
struct ReducePlan {
  int64_t outer = 1;
  int64_t reduced = 1;  // elements combined into one
  int64_t inner = 1;
  bool mixed = false;
  std::vector<int64_t> kept_dims, kept_strides, reduced_dims, reduced_strides;
};

ReducePlan PlanFor(const Shape& shape, const std::vector<bool>& is_reduced) {
  ReducePlan plan;
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  int stage = 0;  // 0 in outer, 1 in reduced, 2 in inner
  for (size_t d = 0; d < shape.size(); ++d) {
    const bool reduced = is_reduced[d];
    (reduced ? plan.reduced_dims : plan.kept_dims).push_back(shape[d]);
    (reduced ? plan.reduced_strides : plan.kept_strides).push_back(strides[d]);
    if (shape[d] == 1) continue;
    if (reduced && stage == 0) stage = 1;
    if (!reduced && stage == 1) stage = 2;
    if (reduced && stage == 2) plan.mixed = true;
    if (!reduced) (stage == 0 ? plan.outer : plan.inner) *= shape[d];
    if (reduced) plan.reduced *= shape[d];
  }
  return plan;
}

// Offset of the index-th element of a box.
int64_t OffsetOf(int64_t index, const std::vector<int64_t>& dims, const std::vector<int64_t>& strides) {
  int64_t offset = 0;
  for (size_t d = dims.size(); d-- > 0;) {
    offset += index % dims[d] * strides[d];
    index /= dims[d];
  }
  return offset;
}

// One contiguous row: partial results in as many lanes as the widest registers hold, so that the loop vectorises.
template <typename R, typename T>
OMSERVE_INLINE T ReduceRow(const T* x, int64_t n) {
  constexpr int kLanes = 128 / sizeof(T) < 32 ? 128 / sizeof(T) : 32;
  T lanes[kLanes];
  for (int j = 0; j < kLanes; ++j) lanes[j] = R::template First<T>();
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] = R::Combine(lanes[j], R::Map(x[i + j]));
  }
  T total = R::template First<T>();
  for (int j = 0; j < kLanes; ++j) total = R::Combine(total, lanes[j]);
  for (; i < n; ++i) total = R::Combine(total, R::Map(x[i]));
  return total;
}

template <typename R, typename T>
class ReduceKernel : public Kernel {
 public:
  ReduceKernel(const KernelRequest& request, ReducePlan plan)
      : plan_(std::move(plan)), count_(NumElements(request.output_shape())), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* x = static_cast<const T*>(inputs[0]);
    T* y = static_cast<T*>(outputs[0]);
    const int64_t reduced = plan_.reduced, inner = plan_.inner;
    if (plan_.mixed) {
      ParallelFor(threads_, count_, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, reduced)),
                  [=, this](int64_t begin, int64_t end) { Mixed(x, y, begin, end); });
      return absl::OkStatus();
    }
    const int64_t grain = std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, reduced * inner));
    if (inner == 1) {
      ParallelFor(threads_, plan_.outer, grain, [=](int64_t begin, int64_t end) {
        Simd([=]() OMSERVE_LOOP {
          for (int64_t row = begin; row < end; ++row) {
            y[row] = R::Finish(ReduceRow<R, T>(x + row * reduced, reduced), reduced);
          }
        });
      });
      return absl::OkStatus();
    }
    ParallelFor(threads_, plan_.outer, grain, [=](int64_t begin, int64_t end) {
      Simd([=]() OMSERVE_LOOP {
        for (int64_t outer = begin; outer < end; ++outer) {
          T* to = y + outer * inner;
          for (int64_t i = 0; i < inner; ++i) to[i] = R::template First<T>();
          for (int64_t k = 0; k < reduced; ++k) {
            const T* from = x + (outer * reduced + k) * inner;
#pragma GCC ivdep
            for (int64_t i = 0; i < inner; ++i) to[i] = R::Combine(to[i], R::Map(from[i]));
          }
          for (int64_t i = 0; i < inner; ++i) to[i] = R::Finish(to[i], reduced);
        }
      });
    });
    return absl::OkStatus();
  }

 private:
  void Mixed(const T* x, T* y, int64_t begin, int64_t end) const {
    for (int64_t i = begin; i < end; ++i) {
      const T* from = x + OffsetOf(i, plan_.kept_dims, plan_.kept_strides);
      T total = R::template First<T>();
      for (int64_t k = 0; k < plan_.reduced; ++k) {
        total = R::Combine(total, R::Map(from[OffsetOf(k, plan_.reduced_dims, plan_.reduced_strides)]));
      }
      y[i] = R::Finish(total, plan_.reduced);
    }
  }

  const ReducePlan plan_;
  const int64_t count_;
  const int threads_;
};

// log(sum(e^x)), from the maximum on so that it does not overflow.
template <typename T>
class LogSumExpKernel : public Kernel {
 public:
  LogSumExpKernel(const KernelRequest& request, ReducePlan plan)
      : plan_(std::move(plan)), count_(NumElements(request.output_shape())), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* x = static_cast<const T*>(inputs[0]);
    T* y = static_cast<T*>(outputs[0]);
    ParallelFor(threads_, count_, std::max<int64_t>(1, kElementGrain / 16 / std::max<int64_t>(1, plan_.reduced)),
                [=, this](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) y[i] = One(x + OffsetOf(i, plan_.kept_dims, plan_.kept_strides));
                });
    return absl::OkStatus();
  }

 private:
  T One(const T* from) const {
    T most = Largest::First<T>();
    for (int64_t k = 0; k < plan_.reduced; ++k) {
      most = Largest::Combine(most, from[OffsetOf(k, plan_.reduced_dims, plan_.reduced_strides)]);
    }
    if (!std::isfinite(most)) return most;
    T sum = 0;
    for (int64_t k = 0; k < plan_.reduced; ++k) {
      sum += std::exp(from[OffsetOf(k, plan_.reduced_dims, plan_.reduced_strides)] - most);
    }
    return most + std::log(sum);
  }
  const ReducePlan plan_;
  const int64_t count_;
  const int threads_;
};

// The axes of a Reduce node: an input, or an attribute of the ...D forms. None means all of them, or none at all when
// the operator says so; the inferred output tells which.
absl::StatusOr<ReducePlan> PlanOf(const KernelRequest& request) {
  const Shape& shape = request.input_shape(0);
  std::vector<int64_t> axes;
  if (request.has_input(1)) {
    ASSIGN_OR_RETURN(axes, request.ConstantInts(1));
  } else {
    for (const char* name : {"axes", "axis"}) {
      if (const auto* list = request.view.node().FindAttr<std::vector<int64_t>>(name)) axes = *list;
    }
  }
  std::vector<bool> is_reduced(shape.size(), false);
  if (axes.empty()) {
    is_reduced.assign(shape.size(), NumElements(request.output_shape()) != NumElements(shape));
    // An empty input has an empty output when nothing is reduced.
    if (NumElements(shape) == 0) is_reduced.assign(shape.size(), request.output_shape() != shape);
  }
  for (int64_t axis : axes) {
    ASSIGN_OR_RETURN(const int d, NormalizeAxis(axis, static_cast<int>(shape.size())));
    is_reduced[d] = true;
  }
  return PlanFor(shape, is_reduced);
}

template <typename R>
Made MakeReduce(const KernelRequest& request) {
  ASSIGN_OR_RETURN(ReducePlan plan, PlanOf(request));
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<ReduceKernel<R, typename decltype(tag)::type>>(request, std::move(plan));
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

template <typename R>
Made MakeFloatingReduce(const KernelRequest& request) {
  ASSIGN_OR_RETURN(ReducePlan plan, PlanOf(request));
  std::unique_ptr<Kernel> kernel;
  DispatchFloating(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<ReduceKernel<R, typename decltype(tag)::type>>(request, std::move(plan));
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

template <typename R>
Made MakeLogicReduce(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kBool) return request.UnsupportedType(0);
  ASSIGN_OR_RETURN(ReducePlan plan, PlanOf(request));
  return std::make_unique<ReduceKernel<R, uint8_t>>(request, std::move(plan));
}

Made MakeLogSumExp(const KernelRequest& request) {
  ASSIGN_OR_RETURN(ReducePlan plan, PlanOf(request));
  std::unique_ptr<Kernel> kernel;
  DispatchFloating(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<LogSumExpKernel<typename decltype(tag)::type>>(request, std::move(plan));
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// p 1 and 2 are ONNX's ReduceL1 and ReduceL2.
Made MakeLpNorm(const KernelRequest& request) {
  const float p = request.Attr<float>("p");
  if (p == 1.0f) return MakeReduce<SumAbs>(request);
  if (p == 2.0f) return MakeFloatingReduce<Norm2>(request);
  return request.Unsupported(absl::StrCat("p = ", p));
}

// Running sums along an axis of [outer, n, inner].
template <typename T>
class CumsumKernel : public Kernel {
 public:
  CumsumKernel(const KernelRequest& request, int axis)
      : exclusive_(request.Attr<bool>("exclusive")), reverse_(request.Attr<bool>("reverse")) {
    const absl::Span<const int64_t> shape = request.input_shape(0);
    outer_ = NumElements(shape.first(axis));
    n_ = shape[axis];
    inner_ = NumElements(shape.subspan(axis + 1));
  }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* x = static_cast<const T*>(inputs[0]);
    T* y = static_cast<T*>(outputs[0]);
    for (int64_t outer = 0; outer < outer_; ++outer) {
      for (int64_t i = 0; i < inner_; ++i) {
        T total{0};
        for (int64_t k = 0; k < n_; ++k) {
          const int64_t at = (outer * n_ + (reverse_ ? n_ - 1 - k : k)) * inner_ + i;
          const T next = WrappingAdd(total, x[at]);
          y[at] = exclusive_ ? total : next;
          total = next;
        }
      }
    }
    return absl::OkStatus();
  }

 private:
  const bool exclusive_, reverse_;
  int64_t outer_, n_, inner_;
};

Made MakeCumsum(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> axis, request.ConstantInts(1));
  if (axis.size() != 1) return absl::InvalidArgumentError("Cumsum needs one axis");
  ASSIGN_OR_RETURN(const int d, NormalizeAxis(axis[0], static_cast<int>(request.input_shape(0).size())));
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<CumsumKernel<typename decltype(tag)::type>>(request, d);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

}  // namespace

void AddReductionKernels(KernelTable& table) {
  table.Add({"ReduceSum", "ReduceSumD"}, MakeReduce<Total>);
  table.Add({"ReduceMean", "ReduceMeanD"}, MakeReduce<Mean>);
  table.Add({"ReduceProd", "ReduceProdD"}, MakeReduce<Product>);
  table.Add({"ReduceMax", "ReduceMaxD"}, MakeReduce<Largest>);
  table.Add({"ReduceMin", "ReduceMinD"}, MakeReduce<Smallest>);
  table.Add({"SquareSumV1"}, MakeReduce<SumSquare>);
  table.Add({"ReduceLogSum", "ReduceLogSumD"}, MakeFloatingReduce<LogTotal>);
  table.Add({"ReduceLogSumExp", "ReduceLogSumExpD"}, MakeLogSumExp);
  table.Add({"ReduceAll"}, MakeLogicReduce<All>);
  table.Add({"ReduceAny"}, MakeLogicReduce<Any>);
  table.Add({"LpNormV2"}, MakeLpNorm);
  table.Add({"Cumsum"}, MakeCumsum);
}

}  // namespace omserve::cpu
