// Elementary functions, rounding, tests for NaN and infinity.
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "core/base/status.h"
#include "core/device/cpu/arithmetic.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/unary.h"
#include "core/device/cpu/vector_math.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;

// Registers F, a functor with a templated operator(), for float and double.
template <typename F, int cost>
Made MakeFloating(const KernelRequest& request) {
  std::unique_ptr<Kernel> kernel;
  DispatchFloating(request.inputs[0].type, [&](auto tag) {
    kernel = MakeUnary<typename decltype(tag)::type>(request, F{}, cost);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// As MakeFloating, for integers too.
template <typename F>
Made MakeNumeric(const KernelRequest& request) {
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    kernel = MakeUnary<typename decltype(tag)::type>(request, F{});
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// Functions of <cmath>: exact to the last digit, not vectorised, rare in models.
#define OMSERVE_CMATH(Name, function)                \
  struct Name {                                      \
    template <typename T>                            \
    OMSERVE_INLINE T operator()(T x) const {         \
      return std::function(x);                       \
    }                                                \
  };
OMSERVE_CMATH(SqrtOf, sqrt)
OMSERVE_CMATH(SinOf, sin)
OMSERVE_CMATH(CosOf, cos)
OMSERVE_CMATH(TanOf, tan)
OMSERVE_CMATH(AsinOf, asin)
OMSERVE_CMATH(AcosOf, acos)
OMSERVE_CMATH(AtanOf, atan)
OMSERVE_CMATH(SinhOf, sinh)
OMSERVE_CMATH(CoshOf, cosh)
OMSERVE_CMATH(AsinhOf, asinh)
OMSERVE_CMATH(AcoshOf, acosh)
OMSERVE_CMATH(AtanhOf, atanh)
OMSERVE_CMATH(Expm1Of, expm1)
OMSERVE_CMATH(Log1pOf, log1p)
OMSERVE_CMATH(CeilOf, ceil)
OMSERVE_CMATH(FloorOf, floor)
#undef OMSERVE_CMATH

struct RsqrtOf {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return T{1} / std::sqrt(x);
  }
};
struct ReciprocalOf {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return T{1} / x;
  }
};
struct TanhOf {
  OMSERVE_INLINE float operator()(float x) const { return Tanh(x); }
  OMSERVE_INLINE double operator()(double x) const { return std::tanh(x); }
};
struct ErfOf {
  OMSERVE_INLINE float operator()(float x) const { return Erf(x); }
  OMSERVE_INLINE double operator()(double x) const { return std::erf(x); }
};

// Integers wrap: -min is min.
struct NegOf {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    if constexpr (std::is_integral_v<T>) return WrappingSub(T{0}, x);
    else return -x;
  }
};
struct AbsOf {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    if constexpr (std::is_unsigned_v<T>) return x;
    else if constexpr (std::is_integral_v<T>) return x < 0 ? NegOf{}(x) : x;
    else return std::fabs(x);
  }
};
struct SignOf {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      if (x != x) return x;
    }
    return static_cast<T>(static_cast<int>(x > T{0}) - static_cast<int>(x < T{0}));
  }
};
struct SquareOf {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return WrappingMul(x, x);
  }
};
struct InvertOf {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return static_cast<T>(~x);
  }
};

// Exp and Log carry base, scale and shift: base^(scale x + shift), log_base(scale x + shift); base -1 is e.
struct ExpOf {
  double scale, shift;
  OMSERVE_INLINE float operator()(float x) const {
    return Exp(x * static_cast<float>(scale) + static_cast<float>(shift));
  }
  OMSERVE_INLINE double operator()(double x) const { return std::exp(x * scale + shift); }
};
struct LogOf {
  double scale, shift, factor;
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return std::log(x * static_cast<T>(scale) + static_cast<T>(shift)) * static_cast<T>(factor);
  }
};

// log(base) for the attribute `base`; INVALID_ARGUMENT unless it is -1 or positive.
absl::StatusOr<double> LogOfBase(const KernelRequest& request) {
  const float base = request.Attr<float>("base");
  if (base == -1.0f) return 1.0;
  if (!(base > 0.0f)) {
    return absl::InvalidArgumentError(absl::StrCat("attribute 'base' is ", base, ", expected -1 or a positive number"));
  }
  return std::log(static_cast<double>(base));
}

template <bool exponential>
Made MakeExpOrLog(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const double log_base, LogOfBase(request));
  const double scale = request.Attr<float>("scale");
  const double shift = request.Attr<float>("shift");
  std::unique_ptr<Kernel> kernel;
  DispatchFloating(request.inputs[0].type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (exponential) {
      kernel = MakeUnary<T>(request, ExpOf{scale * log_base, shift * log_base}, 8);
    } else {
      kernel = MakeUnary<T>(request, LogOf{scale, shift, 1.0 / log_base}, 16);
    }
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// To the nearest, halves to even (the default rounding mode), at `decimals` decimal places.
struct RoundOf {
  double factor;
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return factor == 1.0 ? std::nearbyint(x)
                         : static_cast<T>(std::nearbyint(x * static_cast<T>(factor)) / static_cast<T>(factor));
  }
};

Made MakeRound(const KernelRequest& request) {
  const double factor = std::pow(10.0, static_cast<double>(request.Attr<int64_t>("decimals")));
  std::unique_ptr<Kernel> kernel;
  DispatchFloating(request.inputs[0].type, [&](auto tag) {
    kernel = MakeUnary<typename decltype(tag)::type>(request, RoundOf{factor});
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

struct IsNanOf {
  template <typename T>
  OMSERVE_INLINE uint8_t operator()(T x) const {
    return x != x;
  }
};
struct IsInfOf {
  bool positive, negative;
  template <typename T>
  OMSERVE_INLINE uint8_t operator()(T x) const {
    constexpr T kInfinity = static_cast<T>(__builtin_inf());
    return (positive && x == kInfinity) || (negative && x == -kInfinity);
  }
};
struct IsFiniteOf {
  template <typename T>
  OMSERVE_INLINE uint8_t operator()(T x) const {
    return x - x == T{0};
  }
};

template <typename F>
Made MakeTest(const KernelRequest& request) {
  F test{};
  if constexpr (std::is_same_v<F, IsInfOf>) {
    // Attributes of ONNX's IsInf, kept by the importer; Ascend IR has none.
    test.positive = request.view.node().template AttrOr<int64_t>("detect_positive", 1) != 0;
    test.negative = request.view.node().template AttrOr<int64_t>("detect_negative", 1) != 0;
  }
  std::unique_ptr<Kernel> kernel;
  DispatchFloating(request.inputs[0].type, [&](auto tag) {
    kernel = MakeUnary<typename decltype(tag)::type, uint8_t>(request, test);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

struct NotOf {
  OMSERVE_INLINE uint8_t operator()(uint8_t x) const { return x == 0; }
};

Made MakeNot(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kBool) return request.UnsupportedType(0);
  return MakeUnary<uint8_t>(request, NotOf{});
}

Made MakeInvert(const KernelRequest& request) {
  std::unique_ptr<Kernel> kernel;
  Dispatch<int8_t, int16_t, int32_t, int64_t, uint8_t>(request.inputs[0].type, [&](auto tag) {
    kernel = MakeUnary<typename decltype(tag)::type>(request, InvertOf{});
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

}  // namespace

void AddElementwiseUnaryKernels(KernelTable& table) {
  table.Add({"Sqrt"}, MakeFloating<SqrtOf, 2>);
  table.Add({"Rsqrt"}, MakeFloating<RsqrtOf, 2>);
  table.Add({"Reciprocal"}, MakeFloating<ReciprocalOf, 2>);
  table.Add({"Sin"}, MakeFloating<SinOf, 16>);
  table.Add({"Cos"}, MakeFloating<CosOf, 16>);
  table.Add({"Tan"}, MakeFloating<TanOf, 16>);
  table.Add({"Asin"}, MakeFloating<AsinOf, 16>);
  table.Add({"Acos"}, MakeFloating<AcosOf, 16>);
  table.Add({"Atan"}, MakeFloating<AtanOf, 16>);
  table.Add({"Sinh"}, MakeFloating<SinhOf, 16>);
  table.Add({"Cosh"}, MakeFloating<CoshOf, 16>);
  table.Add({"Asinh"}, MakeFloating<AsinhOf, 16>);
  table.Add({"Acosh"}, MakeFloating<AcoshOf, 16>);
  table.Add({"Atanh"}, MakeFloating<AtanhOf, 16>);
  table.Add({"Expm1"}, MakeFloating<Expm1Of, 16>);
  table.Add({"Log1p"}, MakeFloating<Log1pOf, 16>);
  table.Add({"Tanh"}, MakeFloating<TanhOf, 8>);
  table.Add({"Erf"}, MakeFloating<ErfOf, 8>);
  table.Add({"Ceil"}, MakeFloating<CeilOf, 1>);
  table.Add({"Floor"}, MakeFloating<FloorOf, 1>);
  table.Add({"Round"}, MakeRound);
  table.Add({"Exp"}, MakeExpOrLog<true>);
  table.Add({"Log"}, MakeExpOrLog<false>);
  table.Add({"Neg"}, MakeNumeric<NegOf>);
  table.Add({"Abs"}, MakeNumeric<AbsOf>);
  table.Add({"Sign"}, MakeNumeric<SignOf>);
  table.Add({"Square"}, MakeNumeric<SquareOf>);
  table.Add({"IsNan"}, MakeTest<IsNanOf>);
  table.Add({"IsInf"}, MakeTest<IsInfOf>);
  table.Add({"IsFinite"}, MakeTest<IsFiniteOf>);
  table.Add({"LogicalNot"}, MakeNot);
  table.Add({"Invert"}, MakeInvert);
}

}  // namespace omserve::cpu
