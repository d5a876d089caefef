// Activations: functions of one element, and the gated ones (SwiGlu, GeGluV2) of two halves of a dimension.
#include <algorithm>
#include <cmath>
#include <string>

#include "core/base/status.h"
#include "core/device/cpu/broadcast.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/unary.h"
#include "core/device/cpu/vector_math.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;

OMSERVE_INLINE float ExpOf(float x) { return Exp(x); }
OMSERVE_INLINE double ExpOf(double x) { return std::exp(x); }
OMSERVE_INLINE float TanhOf(float x) { return Tanh(x); }
OMSERVE_INLINE double TanhOf(double x) { return std::tanh(x); }

// max(x, 0) that keeps NaN.
struct Relu {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return x < T{0} ? T{0} : x;
  }
};
struct Relu6 {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    x = x < T{0} ? T{0} : x;
    return x > T{6} ? T{6} : x;
  }
};
struct LeakyRelu {
  double slope;
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return x < T{0} ? x * static_cast<T>(slope) : x;
  }
};
// scale * (x > 0 ? x : alpha (e^(input_scale x) - 1)): Elu, Celu and Selu.
struct Elu {
  double alpha, scale, input_scale;
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    const T negative = static_cast<T>(alpha) * (ExpOf(static_cast<T>(input_scale) * (x < T{0} ? x : T{0})) - T{1});
    return static_cast<T>(scale) * (x > T{0} ? x : negative);
  }
};
struct SigmoidOf {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return T{1} / (T{1} + ExpOf(-x));
  }
};
struct HardSigmoid {
  double alpha, beta;
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    const T y = x * static_cast<T>(alpha) + static_cast<T>(beta);
    const T low = y < T{0} ? T{0} : y;
    return low > T{1} ? T{1} : low;
  }
};
struct HardSwish {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return x * HardSigmoid{1.0 / 6.0, 0.5}(x);
  }
};
// log(1 + e^x), without overflow for large x.
struct Softplus {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return (x > T{0} ? x : T{0}) + std::log1p(ExpOf(-std::fabs(x)));
  }
};
struct Softsign {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return x / (T{1} + std::fabs(x));
  }
};
struct Mish {
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return x * TanhOf(Softplus{}(x));
  }
};
struct SwishOf {
  double scale;
  template <typename T>
  OMSERVE_INLINE T operator()(T x) const {
    return x / (T{1} + ExpOf(-static_cast<T>(scale) * x));
  }
};
struct Gelu {
  OMSERVE_INLINE float operator()(float x) const { return GeluErf(x); }
  OMSERVE_INLINE double operator()(double x) const { return 0.5 * x * (1.0 + std::erf(x * M_SQRT1_2)); }
};
struct GeluByTanh {
  OMSERVE_INLINE float operator()(float x) const { return GeluTanh(x); }
  OMSERVE_INLINE double operator()(double x) const {
    return 0.5 * x * (1.0 + std::tanh(std::sqrt(M_2_PI) * (x + 0.044715 * x * x * x)));
  }
};

template <typename F>
Made MakeFloating(const KernelRequest& request, F function, int cost) {
  std::unique_ptr<Kernel> kernel;
  DispatchFloating(request.inputs[0].type, [&](auto tag) {
    kernel = MakeUnary<typename decltype(tag)::type>(request, function, cost);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

template <typename F, int cost>
Made MakePlain(const KernelRequest& request) {
  return MakeFloating(request, F{}, cost);
}

Made MakeRelu(const KernelRequest& request) {
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    kernel = MakeUnary<typename decltype(tag)::type>(request, Relu{});
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

Made MakeLeakyRelu(const KernelRequest& request) {
  return MakeFloating(request, LeakyRelu{request.Attr<float>("negative_slope")}, 1);
}

Made MakeElu(const KernelRequest& request) {
  return MakeFloating(
      request, Elu{request.Attr<float>("alpha"), request.Attr<float>("scale"), request.Attr<float>("input_scale")}, 8);
}

// max(0, x) + min(0, alpha (e^(x / alpha) - 1)); Ascend has three alphas, of which ONNX sets the first (all alike).
Made MakeCelu(const KernelRequest& request) {
  const double scale = request.Attr<float>("alpha1");
  const double divisor = request.Attr<float>("alpha2");
  const double positive = request.Attr<float>("alpha3");
  if (positive == 0.0 || divisor == 0.0) return absl::InvalidArgumentError("attributes alpha2 and alpha3 must not be 0");
  return MakeFloating(request, Elu{scale / positive, positive, 1.0 / divisor}, 8);
}

Made MakeSelu(const KernelRequest& request) {
  return MakeFloating(request, Elu{1.67326324235437728481, 1.05070098735548049341, 1.0}, 8);
}

Made MakeHardSigmoid(const KernelRequest& request) {
  return MakeFloating(request, HardSigmoid{request.Attr<float>("alpha"), request.Attr<float>("beta")}, 2);
}

Made MakeSwish(const KernelRequest& request) {
  return MakeFloating(request, SwishOf{request.Attr<float>("scale")}, 8);
}

Made MakeFastGelu(const KernelRequest& request) { return MakeFloating(request, SwishOf{1.702}, 8); }

Made MakeGeluV2(const KernelRequest& request) {
  const std::string form = request.Attr<std::string>("approximate");
  if (form == "none" || form.empty()) return MakeFloating(request, Gelu{}, 8);
  if (form == "tanh") return MakeFloating(request, GeluByTanh{}, 8);
  return absl::InvalidArgumentError(absl::StrCat("attribute 'approximate' is '", form, "', expected none or tanh"));
}

// x < 0 ? weight x : x; the weight broadcasts, or has one element per channel (dimension 1).
template <typename T>
class PReluKernel : public Kernel {
 public:
  PReluKernel(const KernelRequest& request, const Shape& weight)
      : broadcast_(request.output_shape(), {&request.input_shape(0), &weight}), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* x = static_cast<const T*>(inputs[0]);
    const T* weight = static_cast<const T*>(inputs[1]);
    T* y = static_cast<T*>(outputs[0]);
    broadcast_.ForEachRow(threads_, [&](int64_t to, const std::array<int64_t, 2>& from, int64_t count) {
      const int64_t x_step = broadcast_.step(0), w_step = broadcast_.step(1);
      for (int64_t i = 0; i < count; ++i) {
        const T value = x[from[0] + i * x_step];
        y[to + i] = value < T{0} ? value * weight[from[1] + i * w_step] : value;
      }
    });
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return input == 0; }

 private:
  const Broadcast<2> broadcast_;
  const int threads_;
};

Made MakePRelu(const KernelRequest& request) {
  const Shape& x = request.input_shape(0);
  Shape weight = request.input_shape(1);
  const int64_t elements = NumElements(weight);
  if (weight.size() == 1 && x.size() > 2 && elements == x[1] && elements != 1) {
    weight.assign(x.size() - 1, 1);
    weight[0] = elements;
  }
  std::unique_ptr<Kernel> kernel;
  DispatchFloating(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<PReluKernel<typename decltype(tag)::type>>(request, weight);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// y = act(first half) * second half along `dim`; GeGluV2 also gives act(half), and may activate either half.
template <typename F>
class GatedKernel : public Kernel {
 public:
  GatedKernel(const KernelRequest& request, F function, int dim, bool activate_left)
      : function_(function), activate_left_(activate_left), threads_(request.threads) {
    const Shape& shape = request.input_shape(0);
    outer_ = NumElements(absl::MakeConstSpan(shape).first(dim));
    half_ = NumElements(absl::MakeConstSpan(shape).subspan(dim)) / 2;
  }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const float* x = static_cast<const float*>(inputs[0]);
    float* y = static_cast<float*>(outputs[0]);
    float* activated = gives_activation_ ? static_cast<float*>(outputs[1]) : nullptr;
    ParallelFor(threads_, outer_, std::max<int64_t>(1, kElementGrain / 8 / std::max<int64_t>(1, half_)),
                [&](int64_t begin, int64_t end) {
                  for (int64_t row = begin; row < end; ++row) {
                    const float* left = x + row * 2 * half_;
                    const float* right = left + half_;
                    const float* active = activate_left_ ? left : right;
                    const float* gate = activate_left_ ? right : left;
                    float* to = y + row * half_;
                    const int64_t n = half_;
                    Simd([=, function = function_]() OMSERVE_LOOP {
#pragma GCC ivdep
                      for (int64_t i = 0; i < n; ++i) to[i] = function(active[i]) * gate[i];
                    });
                    if (activated != nullptr) {
                      float* also = activated + row * half_;
                      Simd([=, function = function_]() OMSERVE_LOOP {
#pragma GCC ivdep
                        for (int64_t i = 0; i < n; ++i) also[i] = function(active[i]);
                      });
                    }
                  }
                });
    return absl::OkStatus();
  }
  void GiveActivation() { gives_activation_ = true; }

 private:
  const F function_;
  const bool activate_left_;
  const int threads_;
  int64_t outer_, half_;
  bool gives_activation_ = false;
};

template <typename F>
Made MakeGated(const KernelRequest& request, F function, bool activate_left, bool gives_activation) {
  if (request.inputs[0].type != DataType::kFloat) return request.UnsupportedType(0);
  ASSIGN_OR_RETURN(const int dim, NormalizeAxis(request.Attr<int64_t>("dim"),
                                                static_cast<int>(request.input_shape(0).size())));
  auto kernel = std::make_unique<GatedKernel<F>>(request, function, dim, activate_left);
  if (gives_activation) kernel->GiveActivation();
  return kernel;
}

Made MakeSwiGlu(const KernelRequest& request) { return MakeGated(request, SwishOf{1.0}, true, false); }

Made MakeGeGlu(const KernelRequest& request) {
  const bool left = request.Attr<bool>("activate_left");
  const bool gives = request.outputs.size() > 1;
  if (request.Attr<int64_t>("approximate") == 0) return MakeGated(request, Gelu{}, left, gives);
  return MakeGated(request, GeluByTanh{}, left, gives);
}

}  // namespace

void AddActivationKernels(KernelTable& table) {
  table.Add({"Relu"}, MakeRelu);
  table.Add({"Relu6"}, MakePlain<Relu6, 1>);
  table.Add({"LeakyRelu"}, MakeLeakyRelu);
  table.Add({"PRelu"}, MakePRelu);
  table.Add({"Elu"}, MakeElu);
  table.Add({"Celu"}, MakeCelu);
  table.Add({"Selu"}, MakeSelu);
  table.Add({"Sigmoid"}, MakePlain<SigmoidOf, 8>);
  table.Add({"HardSigmoid"}, MakeHardSigmoid);
  table.Add({"HardSwish"}, MakePlain<HardSwish, 2>);
  table.Add({"Softplus"}, MakePlain<Softplus, 24>);
  table.Add({"Softsign"}, MakePlain<Softsign, 2>);
  table.Add({"Mish"}, MakePlain<Mish, 32>);
  table.Add({"Swish"}, MakeSwish);
  table.Add({"FastGelu"}, MakeFastGelu);
  table.Add({"Gelu"}, MakePlain<Gelu, 8>);
  table.Add({"GeluV2"}, MakeGeluV2);
  table.Add({"SwiGlu"}, MakeSwiGlu);
  table.Add({"GeGluV2"}, MakeGeGlu);
}

}  // namespace omserve::cpu
