// Cast between element types.
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>

#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;

// Conversions as in C where those are defined: floats truncate, integers wrap, anything but 0 is true. A float beyond
// the integer's range saturates and NaN gives 0, which C leaves open.
template <typename From, typename To>
struct Convert {
  To operator()(From x) const {
    if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
      // The limits as From: max rounds up to a power of two for wide integers, hence >=.
      constexpr From kLow = static_cast<From>(std::numeric_limits<To>::min());
      constexpr From kHigh = static_cast<From>(std::numeric_limits<To>::max());
      if (x != x) return 0;
      if (x <= kLow) return std::numeric_limits<To>::min();
      if (x >= kHigh) return std::numeric_limits<To>::max();
    }
    return static_cast<To>(x);
  }
};

template <typename From>
struct ToBool {
  uint8_t operator()(From x) const { return x != From{0}; }
};

float FromHalf(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  uint32_t mantissa = bits & 0x3ffu;
  uint32_t result;
  if (exponent == 0x1f) {
    result = sign | 0x7f800000u | (mantissa << 13);
  } else if (exponent != 0) {
    result = sign | ((exponent + 112) << 23) | (mantissa << 13);
  } else if (mantissa == 0) {
    result = sign;
  } else {
    // A subnormal half is a normal float.
    int shift = 0;
    while ((mantissa & 0x400u) == 0) {
      mantissa <<= 1;
      ++shift;
    }
    result = sign | (static_cast<uint32_t>(113 - shift) << 23) | ((mantissa & 0x3ffu) << 13);
  }
  return __builtin_bit_cast(float, result);
}

// Rounds to nearest even.
uint16_t ToHalf(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;  // NaN
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // rounds to 65536 or more
  if (magnitude < 0x38800000u) {
    // Subnormal or zero: adding 0.5 puts the result's bits at the end of the mantissa, rounded.
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    return sign | static_cast<uint16_t>(__builtin_bit_cast(uint32_t, shifted) - 0x3f000000u);
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return sign | static_cast<uint16_t>((rounded - 0x38000000u) >> 13);
}

struct HalfToFloat {
  float operator()(uint16_t x) const { return FromHalf(x); }
};
struct FloatToHalf {
  uint16_t operator()(float x) const { return ToHalf(x); }
};
struct BfloatToFloat {
  float operator()(uint16_t x) const { return __builtin_bit_cast(float, static_cast<uint32_t>(x) << 16); }
};
struct FloatToBfloat {
  uint16_t operator()(float x) const {
    const uint32_t bits = __builtin_bit_cast(uint32_t, x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);  // stays NaN
    return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  }
};

// Not compiled per instruction set as UnaryKernel is: a hundred pairs of types, all bound by memory.
template <typename F, typename From, typename To>
class CastKernel : public Kernel {
 public:
  explicit CastKernel(const KernelRequest& request)
      : count_(NumElements(request.output_shape())), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const From* x = static_cast<const From*>(inputs[0]);
    To* y = static_cast<To*>(outputs[0]);
    ParallelFor(threads_, count_, kElementGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = F{}(x[i]);
    });
    return absl::OkStatus();
  }

 private:
  const int64_t count_;
  const int threads_;
};

template <typename Visit>
bool DispatchCast(DataType type, const Visit& visit) {
  return Dispatch<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>(type, visit);
}

Made MakeCast(const KernelRequest& request) {
  const DataType from = request.inputs[0].type;
  const DataType to = request.outputs[0].type;
  if (from == to) return MakeView(0);
  if (from == DataType::kFloat16 && to == DataType::kFloat) {
    return std::make_unique<CastKernel<HalfToFloat, uint16_t, float>>(request);
  }
  if (from == DataType::kFloat && to == DataType::kFloat16) {
    return std::make_unique<CastKernel<FloatToHalf, float, uint16_t>>(request);
  }
  if (from == DataType::kBfloat16 && to == DataType::kFloat) {
    return std::make_unique<CastKernel<BfloatToFloat, uint16_t, float>>(request);
  }
  if (from == DataType::kFloat && to == DataType::kBfloat16) {
    return std::make_unique<CastKernel<FloatToBfloat, float, uint16_t>>(request);
  }
  std::unique_ptr<Kernel> kernel;
  // A bool is a byte of 0 or 1, so it is read as uint8.
  DispatchCast(from == DataType::kBool ? DataType::kUint8 : from, [&](auto from_tag) {
    using From = typename decltype(from_tag)::type;
    if (to == DataType::kBool) {
      kernel = std::make_unique<CastKernel<ToBool<From>, From, uint8_t>>(request);
      return;
    }
    DispatchCast(to, [&](auto to_tag) {
      using To = typename decltype(to_tag)::type;
      kernel = std::make_unique<CastKernel<Convert<From, To>, From, To>>(request);
    });
  });
  if (kernel == nullptr) {
    const auto text = [](DataType type) { return std::string(Name(type)); };
    return request.Unsupported(text(from) + " to " + text(to));
  }
  return kernel;
}

}  // namespace

void AddCastKernels(KernelTable& table) { table.Add({"Cast"}, MakeCast); }

}  // namespace omserve::cpu
