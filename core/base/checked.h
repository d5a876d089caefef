// Arithmetic that sizes an allocation or an offset: it reports overflow instead of wrapping.
#ifndef OMSERVE_CORE_BASE_CHECKED_H_
#define OMSERVE_CORE_BASE_CHECKED_H_

#include <optional>

namespace omserve {

template <typename T>
std::optional<T> CheckedMul(T a, T b) {
  T result;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <typename T>
std::optional<T> CheckedAdd(T a, T b) {
  T result;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

// Rounds `value` >= 0 up to a multiple of `alignment` > 0.
template <typename T>
constexpr T AlignUp(T value, T alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace omserve

#endif  // OMSERVE_CORE_BASE_CHECKED_H_
