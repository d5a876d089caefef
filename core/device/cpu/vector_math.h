// Branch-free elementary functions on float that compilers vectorise inside a loop (simd.h). Relative error about
// 1e-6 or better unless said; infinities and NaN behave as in <cmath>.
#ifndef OMSERVE_CORE_DEVICE_CPU_VECTOR_MATH_H_
#define OMSERVE_CORE_DEVICE_CPU_VECTOR_MATH_H_

#include <cstdint>

#include "core/device/cpu/simd.h"

namespace omserve::cpu {

// Bit casts as builtins: std::bit_cast is not always inlined into loops of another instruction set.
OMSERVE_INLINE float FloatOfBits(int32_t bits) { return __builtin_bit_cast(float, bits); }
OMSERVE_INLINE int32_t BitsOfFloat(float value) { return __builtin_bit_cast(int32_t, value); }

OMSERVE_INLINE float MinOf(float a, float b) { return a < b ? a : b; }
OMSERVE_INLINE float MaxOf(float a, float b) { return a > b ? a : b; }
// x limited to [low, high]; NaN stays NaN.
OMSERVE_INLINE float Clamp(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

// e^x. x = n ln 2 + r with |r| <= ln2/2, a polynomial for e^r (coefficients of Cephes expf), then scaled by 2^n in two
// steps, so that results near the ends of the range neither overflow early nor flush early.
OMSERVE_INLINE float Exp(float x) {
  const float limited = Clamp(x, -104.0f, 89.0f);
  const float shifted = limited * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23 rounds to an integer
  const float n = shifted - 12582912.0f;
  const float r = (limited - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * r) * r + r + 1.0f;
  // NaN would convert to an integer without meaning; it is put back below.
  const int32_t exponent = x == x ? static_cast<int32_t>(n) : 0;
  const int32_t half = exponent >> 1;
  const float scaled = p * FloatOfBits((half + 127) << 23) * FloatOfBits((exponent - half + 127) << 23);
  return x == x ? scaled : x;
}

// e^x for a share of a sum whose largest term is 1: 0 where it would be denormal, arithmetic with which takes a hundred times as
// long. What a mask hides is there.
OMSERVE_INLINE float ExpOfShare(float x) {
  constexpr float kLeast = -87.0f;
  const float e = Exp(x < kLeast ? kLeast : x);
  return x < kLeast ? 0.0f : e;
}

OMSERVE_INLINE float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

// A rational approximation on [-9, 9] (the one of Eigen's ptanh), beyond which tanh is +-1 in float.
OMSERVE_INLINE float Tanh(float x) {
  const float y = Clamp(x, -7.90531110763549805f, 7.90531110763549805f);
  const float y2 = y * y;
  float p = -2.76076847742355e-16f;
  p = p * y2 + 2.00018790482477e-13f;
  p = p * y2 + -8.60467152213735e-11f;
  p = p * y2 + 5.12229709037114e-08f;
  p = p * y2 + 1.48572235717979e-05f;
  p = p * y2 + 6.37261928875436e-04f;
  p = p * y2 + 4.89352455891786e-03f;
  float q = 1.19825839466702e-06f;
  q = q * y2 + 1.18534705686654e-04f;
  q = q * y2 + 2.26843463243900e-03f;
  q = q * y2 + 4.89352518554385e-03f;
  const float rational = y * p / q;
  return x > -4e-4f && x < 4e-4f ? x : rational;
}

// erf, absolute error below 5e-7: a rational approximation on [-4, 4] (that of Eigen's perf), +-1 beyond.
OMSERVE_INLINE float Erf(float x) {
  const float y = Clamp(x, -4.0f, 4.0f);
  const float y2 = y * y;
  float p = -2.72614225801306e-10f;
  p = p * y2 + 2.77068142495902e-08f;
  p = p * y2 + -2.10102402082508e-06f;
  p = p * y2 + -5.69250639462346e-05f;
  p = p * y2 + -7.34990630326855e-04f;
  p = p * y2 + -2.95459980854025e-03f;
  p = p * y2 + -1.60960333262415e-02f;
  float q = -1.45660718464996e-05f;
  q = q * y2 + -2.13374055278905e-04f;
  q = q * y2 + -1.68282697438203e-03f;
  q = q * y2 + -7.37332916720468e-03f;
  q = q * y2 + -1.42647390514189e-02f;
  return y * p / q;
}

// x Phi(x), the exact form (by erf) and the tanh form.
OMSERVE_INLINE float GeluErf(float x) { return 0.5f * x * (1.0f + Erf(x * 0.70710678118654752f)); }
OMSERVE_INLINE float GeluTanh(float x) {
  return 0.5f * x * (1.0f + Tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
}
OMSERVE_INLINE float Swish(float x, float scale) { return x / (1.0f + Exp(-scale * x)); }

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_VECTOR_MATH_H_
