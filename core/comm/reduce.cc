#include "core/comm/reduce.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace omserve {
namespace {

using Reduction = CollectiveBackend::Reduction;

// Elements combined at a time: what is intermediate stays in the first-level cache.
constexpr size_t kBlock = 1024;

// Integer arithmetic in an unsigned type of at least int's width: wraps instead of overflowing.
template <typename T>
using Wrapping = std::conditional_t<(sizeof(T) < sizeof(int)), unsigned, std::make_unsigned_t<T>>;

template <Reduction kReduction, typename T>
[[gnu::always_inline]] inline T Apply(T a, T b) {
  if constexpr (kReduction == Reduction::kMax) {
    return (a > b || a != a) ? a : b;
  } else if constexpr (kReduction == Reduction::kMin) {
    return (a < b || a != a) ? a : b;
  } else if constexpr (std::is_integral_v<T>) {
    const auto x = static_cast<Wrapping<T>>(a), y = static_cast<Wrapping<T>>(b);
    return static_cast<T>(kReduction == Reduction::kSum ? x + y : x * y);
  } else {
    return kReduction == Reduction::kSum ? a + b : a * b;
  }
}

template <Reduction kReduction, typename T>
[[gnu::always_inline]] inline void CombineLoop(const T* a, const T* b, T* out, size_t count) {
  // `out` may be `a` or `b`; element i depends on elements i alone.
#pragma GCC ivdep
  for (size_t i = 0; i < count; ++i) out[i] = Apply<kReduction, T>(a[i], b[i]);
}

template <Reduction kReduction, typename T>
void Combine(const T* a, const T* b, T* out, size_t count) {
  CombineLoop<kReduction, T>(a, b, out, count);
}

// float16 by integer arithmetic, for machines without the instructions.
float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
  // Moves the fields into place and corrects the exponent's bias by a multiplication, which normalises
  // subnormals.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | sign);
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
  if (magnitude >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);  // rounds to 65536 or above
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 makes the float unit round at the last bit of the half.
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(rounded) - 0x3f000000));
  }
  const uint32_t odd = magnitude >> 13 & 1;
  return static_cast<uint16_t>(sign | (magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

void WidenHalf(const uint16_t* in, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = HalfToFloat(in[i]);
}

void NarrowHalf(const float* in, uint16_t* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = FloatToHalf(in[i]);
}

void WidenBfloat(const uint16_t* in, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = std::bit_cast<float>(static_cast<uint32_t>(in[i]) << 16);
}

void NarrowBfloat(const float* in, uint16_t* out, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(in[i]);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    // Rounding could carry a NaN into infinity.
    out[i] = static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16 | 0x40) : rounded);
  }
}

#if defined(__x86_64__)
// The same again for AVX2 and F16C, chosen at run time: the build targets the architecture's baseline.
#define OMSERVE_AVX2 __attribute__((target("avx2,f16c")))

template <Reduction kReduction, typename T>
OMSERVE_AVX2 void CombineAvx2(const T* a, const T* b, T* out, size_t count) {
  CombineLoop<kReduction, T>(a, b, out, count);
}

OMSERVE_AVX2 void WidenHalfF16c(const uint16_t* in, float* out, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i))));
  }
  WidenHalf(in + i, out + i, count - i);
}

OMSERVE_AVX2 void NarrowHalfF16c(const float* in, uint16_t* out, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
  }
  NarrowHalf(in + i, out + i, count - i);
}

bool HasAvx2() {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
  return has;
}
#else
constexpr bool HasAvx2() { return false; }
#endif

template <typename T>
using CombineFunction = void (*)(const T*, const T*, T*, size_t);

template <Reduction kReduction, typename T>
CombineFunction<T> PickCombine() {
#if defined(__x86_64__)
  if (HasAvx2()) return &CombineAvx2<kReduction, T>;
#endif
  return &Combine<kReduction, T>;
}

template <typename T>
CombineFunction<T> CombineFor(Reduction reduction) {
  switch (reduction) {
    case Reduction::kSum:
      return PickCombine<Reduction::kSum, T>();
    case Reduction::kProd:
      return PickCombine<Reduction::kProd, T>();
    case Reduction::kMax:
      return PickCombine<Reduction::kMax, T>();
    case Reduction::kMin:
      return PickCombine<Reduction::kMin, T>();
  }
  return nullptr;
}

template <typename T>
void ReduceAs(absl::Span<const void* const> inputs, void* output, size_t count, Reduction reduction) {
  const CombineFunction<T> combine = CombineFor<T>(reduction);
  const auto input = [&](size_t i) { return static_cast<const T*>(inputs[i]); };
  T* const out = static_cast<T*>(output);
  if (inputs.size() == 1) {
    if (output != inputs[0] && count > 0) std::memcpy(output, inputs[0], count * sizeof(T));
    return;
  }
  if (inputs.size() == 2) return combine(input(0), input(1), out, count);
  // Not straight into `output`, which may be an input whose turn has not come.
  alignas(64) T block[kBlock];
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t size = std::min(kBlock, count - begin);
    combine(input(0) + begin, input(1) + begin, block, size);
    size_t i = 2;
    for (; i + 1 < inputs.size(); ++i) combine(block, input(i) + begin, block, size);
    combine(block, input(i) + begin, out + begin, size);
  }
}

void Reduce16(absl::Span<const void* const> inputs, void* output, size_t count, Reduction reduction,
              void (*widen)(const uint16_t*, float*, size_t),
              void (*narrow)(const float*, uint16_t*, size_t)) {
  const CombineFunction<float> combine = CombineFor<float>(reduction);
  const auto input = [&](size_t i) { return static_cast<const uint16_t*>(inputs[i]); };
  alignas(64) float sum[kBlock];
  alignas(64) float next[kBlock];
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t size = std::min(kBlock, count - begin);
    widen(input(0) + begin, sum, size);
    for (size_t i = 1; i < inputs.size(); ++i) {
      widen(input(i) + begin, next, size);
      combine(sum, next, sum, size);
    }
    narrow(sum, static_cast<uint16_t*>(output) + begin, size);
  }
}

void ReduceHalf(absl::Span<const void* const> inputs, void* output, size_t count, Reduction reduction) {
#if defined(__x86_64__)
  if (HasAvx2()) return Reduce16(inputs, output, count, reduction, &WidenHalfF16c, &NarrowHalfF16c);
#endif
  Reduce16(inputs, output, count, reduction, &WidenHalf, &NarrowHalf);
}

}  // namespace

bool IsReducible(DataType type) {
  switch (type) {
    case DataType::kBool:
    case DataType::kString:
    case DataType::kUndefined:
      return false;
    default:
      return SizeOf(type) > 0;
  }
}

void Reduce(absl::Span<const void* const> inputs, void* output, size_t count, DataType type,
            Reduction reduction) {
  switch (type) {
    case DataType::kFloat:
      return ReduceAs<float>(inputs, output, count, reduction);
    case DataType::kDouble:
      return ReduceAs<double>(inputs, output, count, reduction);
    case DataType::kFloat16:
      return ReduceHalf(inputs, output, count, reduction);
    case DataType::kBfloat16:
      return Reduce16(inputs, output, count, reduction, &WidenBfloat, &NarrowBfloat);
    case DataType::kInt8:
      return ReduceAs<int8_t>(inputs, output, count, reduction);
    case DataType::kInt16:
      return ReduceAs<int16_t>(inputs, output, count, reduction);
    case DataType::kInt32:
      return ReduceAs<int32_t>(inputs, output, count, reduction);
    case DataType::kInt64:
      return ReduceAs<int64_t>(inputs, output, count, reduction);
    case DataType::kUint8:
      return ReduceAs<uint8_t>(inputs, output, count, reduction);
    case DataType::kUint16:
      return ReduceAs<uint16_t>(inputs, output, count, reduction);
    case DataType::kUint32:
      return ReduceAs<uint32_t>(inputs, output, count, reduction);
    case DataType::kUint64:
      return ReduceAs<uint64_t>(inputs, output, count, reduction);
    case DataType::kBool:
    case DataType::kString:
    case DataType::kUndefined:
      break;
  }
}

}  // namespace omserve
