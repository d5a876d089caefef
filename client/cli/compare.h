// Whether a computed tensor is the expected one.
#ifndef OMSERVE_CLIENT_CLI_COMPARE_H_
#define OMSERVE_CLIENT_CLI_COMPARE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/tensor/tensor.h"

namespace omserve::cli {

struct Tolerances {
  double relative = 1e-3;
  double absolute = 1e-4;
};

struct Comparison {
  std::string mismatch;  // of type or shape, when the values cannot be compared; else empty
  int64_t elements = 0;
  int64_t differing = 0;  // elements out of tolerance
  // The largest |actual - expected|, and the largest of it divided by |expected| where that is not zero.
  // Infinite where one side alone is NaN or infinite.
  double worst_absolute = 0;
  double worst_relative = 0;
  // The element that comes closest to its tolerance, or passes it furthest; nothing when all are equal.
  std::vector<int64_t> worst_index;
  double expected_there = 0;
  double actual_there = 0;

  bool passed() const { return mismatch.empty() && differing == 0; }
};

// Floating-point elements are equal within |actual - expected| <= absolute + relative * |expected|; NaN
// equals NaN, an infinity its equal. Integers and bools are equal when they are the same. UNIMPLEMENTED for
// strings.
absl::StatusOr<Comparison> Compare(const Tensor& expected, const Tensor& actual,
                                   const Tolerances& tolerances);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_COMPARE_H_
