// Loops over one row of floats: sums and maxima with enough partial results to run at full width.
#ifndef OMSERVE_CORE_DEVICE_CPU_ROW_MATH_H_
#define OMSERVE_CORE_DEVICE_CPU_ROW_MATH_H_

#include <cstdint>
#include <limits>

#include "core/device/cpu/simd.h"
#include "core/device/cpu/vector_math.h"

namespace omserve::cpu {

OMSERVE_INLINE float RowSum(const float* x, int64_t n) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  return sum;
}

// Sum of (x - center)^2.
OMSERVE_INLINE float RowSquares(const float* x, int64_t n, float center) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += (x[i] - center) * (x[i] - center);
  return sum;
}

// -infinity for an empty row. NaN elements may be passed over.
OMSERVE_INLINE float RowMax(const float* x, int64_t n) {
  float most = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : most)
  for (int64_t i = 0; i < n; ++i) most = x[i] > most ? x[i] : most;
  return most;
}

// y = e^(x - shift), returning the sum; y may be x.
OMSERVE_INLINE float RowExp(const float* x, float* y, int64_t n, float shift) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    const float e = ExpOfShare(x[i] - shift);
    y[i] = e;
    sum += e;
  }
  return sum;
}

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_ROW_MATH_H_
