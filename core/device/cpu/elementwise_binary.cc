// Arithmetic on two tensors with numpy broadcasting, and on a tensor and a number.
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <type_traits>

#include "core/device/cpu/arithmetic.h"
#include "core/device/cpu/broadcast.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/simd.h"

namespace omserve::cpu {

namespace {

struct Add {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    return WrappingAdd(a, b);
  }
};

struct Sub {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    return WrappingSub(a, b);
  }
};

struct Mul {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    return WrappingMul(a, b);
  }
};

struct SquaredDifference {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    const T difference = WrappingSub(a, b);
    return WrappingMul(difference, difference);
  }
};

// NaN in either operand gives NaN.
struct Maximum {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) return a > b || a != a ? a : b;
    return a > b ? a : b;
  }
};

struct Minimum {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) return a < b || a != a ? a : b;
    return a < b ? a : b;
  }
};

// Integer divisors are not zero (checked before); min / -1 wraps.
struct TruncateDiv {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      if (b == -1) return WrappingSub(T{0}, a);
      return static_cast<T>(a / b);
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(a / b);
    } else {
      return std::trunc(a / b);
    }
  }
};

struct RealDiv {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) return TruncateDiv::Apply(a, b);
    return a / b;
  }
};

struct FloorDiv {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      const T quotient = TruncateDiv::Apply(a, b);
      const bool inexact = WrappingSub(a, WrappingMul(quotient, b)) != 0;
      return static_cast<T>(inexact && (a < 0) != (b < 0) ? quotient - 1 : quotient);
    } else {
      return std::floor(a / b);
    }
  }
};

// The remainder with the sign of the dividend.
struct Mod {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      return WrappingSub(a, WrappingMul(TruncateDiv::Apply(a, b), b));
    } else {
      return std::fmod(a, b);
    }
  }
};

// The remainder with the sign of the divisor.
struct FloorMod {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    const T remainder = Mod::Apply(a, b);
    return remainder != 0 && (remainder < 0) != (b < 0) ? WrappingAdd(remainder, b) : remainder;
  }
};

struct Power {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      if (b < 0) return a == 1 ? T{1} : a == static_cast<T>(-1) ? static_cast<T>(b % 2 == 0 ? 1 : -1) : T{0};
      T result = 1;
      for (T base = a; b > 0; b = static_cast<T>(b / 2), base = WrappingMul(base, base)) {
        if (b % 2 != 0) result = WrappingMul(result, base);
      }
      return result;
    } else {
      return std::pow(a, b);
    }
  }
};

template <typename Op>
inline constexpr bool kDivides = std::is_same_v<Op, TruncateDiv> || std::is_same_v<Op, RealDiv> ||
                                 std::is_same_v<Op, FloorDiv> || std::is_same_v<Op, Mod> ||
                                 std::is_same_v<Op, FloorMod>;

// One row: each operand contiguous or a single element.
template <typename Op, typename T>
void Row(const T* a, int64_t a_step, const T* b, int64_t b_step, T* y, int64_t n) {
  if (a_step != 0 && b_step != 0) {
    Simd([=]() OMSERVE_LOOP {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) y[i] = Op::Apply(a[i], b[i]);
    });
  } else if (a_step != 0) {
    const T right = *b;
    Simd([=]() OMSERVE_LOOP {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) y[i] = Op::Apply(a[i], right);
    });
  } else {
    const T left = *a;
    Simd([=]() OMSERVE_LOOP {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) y[i] = Op::Apply(left, b[b_step * i]);
    });
  }
}

template <typename Op, typename T>
class BinaryKernel : public Kernel {
 public:
  explicit BinaryKernel(const KernelRequest& request)
      : broadcast_(request.output_shape(), {&request.input_shape(0), &request.input_shape(1)}),
        whole_{request.input_shape(0) == request.output_shape(), request.input_shape(1) == request.output_shape()},
        divisors_(NumElements(request.input_shape(1))),
        layouts_(request),
        threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* a = static_cast<const T*>(inputs[0]);
    const T* b = static_cast<const T*>(inputs[1]);
    T* y = static_cast<T*>(outputs[0]);
    if constexpr (kDivides<Op> && std::is_integral_v<T>) {
      for (int64_t i = 0; i < divisors_; ++i) {
        if (b[i] == 0) return absl::InvalidArgumentError("integer division by zero");
      }
    }
    broadcast_.ForEachRow(threads_, [&](int64_t to, const std::array<int64_t, 2>& from, int64_t count) {
      Row<Op, T>(a + from[0], broadcast_.step(0), b + from[1], broadcast_.step(1), y + to, count);
    });
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return whole_[input]; }
  std::optional<Layout> InputLayout(int input) const override { return layouts_.Input(input); }
  std::optional<Layout> OutputLayout() const override { return layouts_.Output(); }

 private:
  const Broadcast<2> broadcast_;
  const bool whole_[2];
  const int64_t divisors_;
  const ElementwiseLayouts layouts_;
  const int threads_;
};

template <typename Op>
absl::StatusOr<std::unique_ptr<Kernel>> MakeBinary(const KernelRequest& request) {
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernel = std::make_unique<BinaryKernel<Op, T>>(request);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// y = f(x, number): Muls, Adds, and powers with a small constant exponent.
template <typename Op, typename T>
class NumberKernel : public Kernel {
 public:
  NumberKernel(const KernelRequest& request, T number)
      : number_(number), count_(NumElements(request.output_shape())), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* x = static_cast<const T*>(inputs[0]);
    T* y = static_cast<T*>(outputs[0]);
    ParallelFor(threads_, count_, kElementGrain, [&](int64_t begin, int64_t end) {
      Row<Op, T>(x + begin, 1, &number_, 0, y + begin, end - begin);
    });
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return input == 0; }
  std::optional<Layout> InputLayout(int) const override { return std::nullopt; }
  std::optional<Layout> OutputLayout() const override { return std::nullopt; }

 private:
  const T number_;
  const int64_t count_;
  const int threads_;
};

template <typename Op>
absl::StatusOr<std::unique_ptr<Kernel>> MakeNumber(const KernelRequest& request) {
  const float value = request.Attr<float>("value");
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernel = std::make_unique<NumberKernel<Op, T>>(request, static_cast<T>(value));
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

struct SquareOf {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T) {
    return a * a;
  }
};
struct CubeOf {
  template <typename T>
  static OMSERVE_INLINE T Apply(T a, T) {
    return a * a * a;
  }
};

template <typename T>
absl::StatusOr<std::unique_ptr<Kernel>> MakeFloatingPow(const KernelRequest& request) {
  // Powers written as Pow(x, 2) are common (variance, tanh gelu); std::pow is a hundred times slower.
  const Tensor* exponent = request.constant(1);
  if (exponent != nullptr && exponent->num_elements() == 1 &&
      NumElements(request.output_shape()) == NumElements(request.input_shape(0))) {
    const T value = exponent->values<T>()[0];
    if (value == 1) return MakeView(0);
    if (value == 2) return std::make_unique<NumberKernel<SquareOf, T>>(request, value);
    if (value == 3) return std::make_unique<NumberKernel<CubeOf, T>>(request, value);
  }
  return std::make_unique<BinaryKernel<Power, T>>(request);
}

absl::StatusOr<std::unique_ptr<Kernel>> MakePow(const KernelRequest& request) {
  if (request.inputs[1].type != request.inputs[0].type) return request.UnsupportedType(1);
  if (request.inputs[0].type == DataType::kFloat) return MakeFloatingPow<float>(request);
  if (request.inputs[0].type == DataType::kDouble) return MakeFloatingPow<double>(request);
  return MakeBinary<Power>(request);
}

// AddN, AccumulateNV2: the sum of any number of tensors of one shape.
template <typename T>
class SumKernel : public Kernel {
 public:
  explicit SumKernel(const KernelRequest& request)
      : terms_(request.num_inputs()), count_(NumElements(request.output_shape())), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    T* y = static_cast<T*>(outputs[0]);
    ParallelFor(threads_, count_, kElementGrain, [&](int64_t begin, int64_t end) {
      const T* first = static_cast<const T*>(inputs[0]) + begin;
      for (int i = 1; i < terms_; ++i) {
        Row<Add, T>(i == 1 ? first : y + begin, 1, static_cast<const T*>(inputs[i]) + begin, 1, y + begin,
                    end - begin);
      }
    });
    return absl::OkStatus();
  }

 private:
  const int terms_;
  const int64_t count_;
  const int threads_;
};

absl::StatusOr<std::unique_ptr<Kernel>> MakeSum(const KernelRequest& request) {
  if (request.num_inputs() == 1) return MakeView(0);
  for (const TensorDesc& input : request.inputs) {
    if (input.shape != request.output_shape()) return request.Unsupported("terms of different shapes");
  }
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<SumKernel<typename decltype(tag)::type>>(request);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// x limited to [min, max], all broadcast. A minimum above the maximum gives the maximum.
template <typename T>
class ClipKernel : public Kernel {
 public:
  explicit ClipKernel(const KernelRequest& request)
      : broadcast_(request.output_shape(),
                   {&request.input_shape(0), &request.input_shape(1), &request.input_shape(2)}),
        layouts_(request),
        threads_(request.threads),
        whole_(request.input_shape(0) == request.output_shape()) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* x = static_cast<const T*>(inputs[0]);
    const T* low = static_cast<const T*>(inputs[1]);
    const T* high = static_cast<const T*>(inputs[2]);
    T* y = static_cast<T*>(outputs[0]);
    broadcast_.ForEachRow(threads_, [&](int64_t to, const std::array<int64_t, 3>& from, int64_t count) {
      const T* a = x + from[0];
      const T* b = low + from[1];
      const T* c = high + from[2];
      T* r = y + to;
      const int64_t sa = broadcast_.step(0), sb = broadcast_.step(1), sc = broadcast_.step(2);
      if (sa == 1 && sb == 0 && sc == 0) {
        const T least = *b, most = *c;
        Simd([=]() OMSERVE_LOOP {
#pragma GCC ivdep
          for (int64_t i = 0; i < count; ++i) r[i] = Limit(a[i], least, most);
        });
      } else {
        for (int64_t i = 0; i < count; ++i) r[i] = Limit(a[i * sa], b[i * sb], c[i * sc]);
      }
    });
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return input == 0 && whole_; }
  std::optional<Layout> InputLayout(int input) const override { return layouts_.Input(input); }
  std::optional<Layout> OutputLayout() const override { return layouts_.Output(); }

 private:
  static OMSERVE_INLINE T Limit(T x, T low, T high) {
    x = x < low ? low : x;
    return x > high ? high : x;
  }
  const Broadcast<3> broadcast_;
  const ElementwiseLayouts layouts_;
  const int threads_;
  const bool whole_;
};

absl::StatusOr<std::unique_ptr<Kernel>> MakeClip(const KernelRequest& request) {
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<ClipKernel<typename decltype(tag)::type>>(request);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// y = x1 + alpha * x2, broadcast.
class AxpyKernel : public Kernel {
 public:
  explicit AxpyKernel(const KernelRequest& request)
      : broadcast_(request.output_shape(), {&request.input_shape(0), &request.input_shape(1)}),
        alpha_(request.Attr<float>("alpha")), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const float* a = static_cast<const float*>(inputs[0]);
    const float* b = static_cast<const float*>(inputs[1]);
    float* y = static_cast<float*>(outputs[0]);
    const int64_t a_step = broadcast_.step(0), b_step = broadcast_.step(1);
    broadcast_.ForEachRow(threads_, [&](int64_t to, const std::array<int64_t, 2>& from, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        y[to + i] = a[from[0] + i * a_step] + alpha_ * b[from[1] + i * b_step];
      }
    });
    return absl::OkStatus();
  }

 private:
  const Broadcast<2> broadcast_;
  const float alpha_;
  const int threads_;
};

absl::StatusOr<std::unique_ptr<Kernel>> MakeAxpy(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kFloat) return request.UnsupportedType(0);
  return std::make_unique<AxpyKernel>(request);
}

// BiasAdd: an addition whose second operand lies along the channels.
absl::StatusOr<std::unique_ptr<Kernel>> MakeBiasAdd(const KernelRequest& request) {
  KernelRequest aligned = request;
  const int64_t rank = static_cast<int64_t>(request.input_shape(0).size());
  if (request.Attr<std::string>("data_format") == "NCHW" && rank > 2) {
    aligned.inputs[1].shape.resize(static_cast<size_t>(rank - 1), 1);
  }
  return MakeBinary<Add>(aligned);
}

}  // namespace

void AddElementwiseBinaryKernels(KernelTable& table) {
  table.Add({"Add", "AddV2"}, MakeBinary<Add>);
  table.Add({"Sub"}, MakeBinary<Sub>);
  table.Add({"Mul"}, MakeBinary<Mul>);
  table.Add({"RealDiv", "Div"}, MakeBinary<RealDiv>);
  table.Add({"TruncateDiv"}, MakeBinary<TruncateDiv>);
  table.Add({"FloorDiv"}, MakeBinary<FloorDiv>);
  table.Add({"Mod"}, MakeBinary<Mod>);
  table.Add({"FloorMod"}, MakeBinary<FloorMod>);
  table.Add({"Maximum"}, MakeBinary<Maximum>);
  table.Add({"Minimum"}, MakeBinary<Minimum>);
  table.Add({"SquaredDifference"}, MakeBinary<SquaredDifference>);
  table.Add({"Pow"}, MakePow);
  table.Add({"Axpy"}, MakeAxpy);
  table.Add({"BiasAdd"}, MakeBiasAdd);
  table.Add({"Muls"}, MakeNumber<Mul>);
  table.Add({"Adds"}, MakeNumber<Add>);
  table.Add({"AddN", "AccumulateNV2"}, MakeSum);
  table.Add({"ClipByValue"}, MakeClip);
}

}  // namespace omserve::cpu
