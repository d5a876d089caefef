// Arithmetic that is defined for all values: integers wrap around, as on the devices these models come from.
#ifndef OMSERVE_CORE_DEVICE_CPU_ARITHMETIC_H_
#define OMSERVE_CORE_DEVICE_CPU_ARITHMETIC_H_

#include <cstdint>
#include <type_traits>

#include "core/device/cpu/simd.h"

namespace omserve::cpu {

// The unsigned type in which integer arithmetic is done; floating types stay themselves. Narrow integers are computed
// in 32 bits, because promotion to int would make them signed again.
template <typename T>
using Wrapping =
    typename std::conditional_t<!std::is_integral_v<T>, std::type_identity<T>,
                                std::type_identity<std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>>>::type;

template <typename T>
OMSERVE_INLINE T WrappingAdd(T a, T b) {
  using U = Wrapping<T>;
  return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
}
template <typename T>
OMSERVE_INLINE T WrappingSub(T a, T b) {
  using U = Wrapping<T>;
  return static_cast<T>(static_cast<U>(a) - static_cast<U>(b));
}
template <typename T>
OMSERVE_INLINE T WrappingMul(T a, T b) {
  using U = Wrapping<T>;
  return static_cast<T>(static_cast<U>(a) * static_cast<U>(b));
}

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_ARITHMETIC_H_
