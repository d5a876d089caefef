#include "client/cli/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "absl/strings/str_cat.h"

namespace omserve::cli {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Bit patterns of the two 16-bit types, told apart by their C++ type.
struct Half {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};

double ToDouble(Half half) {
  const int exponent = half.bits >> 10 & 0x1f;
  const int mantissa = half.bits & 0x3ff;
  const double sign = half.bits >> 15 ? -1.0 : 1.0;
  if (exponent == 0x1f) return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * kInfinity;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(mantissa + 0x400, exponent - 25);
}

double ToDouble(Bfloat16 value) {
  const uint32_t bits = uint32_t{value.bits} << 16;
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

template <typename T>
double ToDouble(T value) {
  return static_cast<double>(value);
}

// How far two elements are apart, and how much of the tolerance that is: above 1 they differ.
struct Distance {
  double absolute = 0;
  double share = 0;
};

template <typename T>
Distance DistanceOf(T expected, T actual, const Tolerances& tolerances) {
  if constexpr (std::is_integral_v<T>) {
    if (expected == actual) return {};
    // Subtracted as integers: large neighbours are the same double.
    using Unsigned = std::make_unsigned_t<T>;
    const auto low = static_cast<Unsigned>(std::min(expected, actual));
    const auto high = static_cast<Unsigned>(std::max(expected, actual));
    return {ToDouble(static_cast<Unsigned>(high - low)), kInfinity};
  } else {
    const double e = ToDouble(expected);
    const double a = ToDouble(actual);
    if (e == a || (std::isnan(e) && std::isnan(a))) return {};
    if (!std::isfinite(e) || !std::isfinite(a)) return {kInfinity, kInfinity};
    const double absolute = std::abs(a - e);
    const double allowed = tolerances.absolute + tolerances.relative * std::abs(e);
    return {absolute, allowed > 0 ? absolute / allowed : kInfinity};
  }
}

std::vector<int64_t> IndexOf(int64_t position, const Shape& shape) {
  std::vector<int64_t> index(shape.size());
  for (size_t d = shape.size(); d-- > 0;) {
    index[d] = position % shape[d];
    position /= shape[d];
  }
  return index;
}

template <typename T>
Comparison CompareAs(const Tensor& expected, const Tensor& actual, const Tolerances& tolerances) {
  Comparison result;
  result.elements = expected.num_elements();
  double worst_share = 0;
  for (int64_t i = 0; i < result.elements; ++i) {
    T e;
    T a;
    std::memcpy(&e, expected.data() + i * sizeof(T), sizeof(T));
    std::memcpy(&a, actual.data() + i * sizeof(T), sizeof(T));
    const Distance distance = DistanceOf(e, a, tolerances);
    if (distance.absolute == 0) continue;
    result.differing += distance.share > 1;
    result.worst_absolute = std::max(result.worst_absolute, distance.absolute);
    if (ToDouble(e) != 0) {
      // An infinite error stays infinite, whatever it is divided by.
      const double relative =
          std::isinf(distance.absolute) ? kInfinity : distance.absolute / std::abs(ToDouble(e));
      result.worst_relative = std::max(result.worst_relative, relative);
    }
    // Infinite shares are all as bad; the first is reported.
    if (distance.share > worst_share) {
      worst_share = distance.share;
      result.worst_index = IndexOf(i, expected.shape());
      result.expected_there = ToDouble(e);
      result.actual_there = ToDouble(a);
    }
  }
  return result;
}

}  // namespace

absl::StatusOr<Comparison> Compare(const Tensor& expected, const Tensor& actual,
                                   const Tolerances& tolerances) {
  if (expected.desc() != actual.desc()) {
    return Comparison{.mismatch = absl::StrCat("expected ", ToString(expected.desc()), ", found ",
                                               ToString(actual.desc()))};
  }
  switch (expected.type()) {
    case DataType::kFloat:
      return CompareAs<float>(expected, actual, tolerances);
    case DataType::kDouble:
      return CompareAs<double>(expected, actual, tolerances);
    case DataType::kFloat16:
      return CompareAs<Half>(expected, actual, tolerances);
    case DataType::kBfloat16:
      return CompareAs<Bfloat16>(expected, actual, tolerances);
    case DataType::kInt8:
      return CompareAs<int8_t>(expected, actual, tolerances);
    case DataType::kInt16:
      return CompareAs<int16_t>(expected, actual, tolerances);
    case DataType::kInt32:
      return CompareAs<int32_t>(expected, actual, tolerances);
    case DataType::kInt64:
      return CompareAs<int64_t>(expected, actual, tolerances);
    case DataType::kUint8:
    case DataType::kBool:
      return CompareAs<uint8_t>(expected, actual, tolerances);
    case DataType::kUint16:
      return CompareAs<uint16_t>(expected, actual, tolerances);
    case DataType::kUint32:
      return CompareAs<uint32_t>(expected, actual, tolerances);
    case DataType::kUint64:
      return CompareAs<uint64_t>(expected, actual, tolerances);
    case DataType::kString:
    case DataType::kUndefined:
      break;
  }
  return absl::UnimplementedError(
      absl::StrCat("values of type ", std::string(Name(expected.type())), " cannot be compared"));
}

}  // namespace omserve::cli
