// Levenberg–Marquardt for small problems: parameters that minimise the sum of squares of residuals.
#ifndef OMSERVE_TESTS_PERF_PREDICTION_LEAST_SQUARES_H_
#define OMSERVE_TESTS_PERF_PREDICTION_LEAST_SQUARES_H_

#include <functional>
#include <vector>

namespace omserve::prediction {

using Residuals = std::function<std::vector<double>(const std::vector<double>& parameters)>;

// From `start`, by forward differences. Stops when no step improves the sum by a millionth, or after `most_steps`.
std::vector<double> LeastSquares(const Residuals& residuals, std::vector<double> start, int most_steps = 100);

}  // namespace omserve::prediction

#endif  // OMSERVE_TESTS_PERF_PREDICTION_LEAST_SQUARES_H_
