#include "tests/perf/prediction/least_squares.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace omserve::prediction {
namespace {

using Matrix = std::vector<std::vector<double>>;

double SumOfSquares(const std::vector<double>& values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

// Gaussian elimination with row exchanges; a is square and small.
std::vector<double> SolveLinear(Matrix a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i][k]) > std::abs(a[pivot][k])) pivot = i;
    }
    std::swap(a[k], a[pivot]);
    std::swap(b[k], b[pivot]);
    if (a[k][k] == 0) continue;
    for (size_t i = k + 1; i < n; ++i) {
      const double factor = a[i][k] / a[k][k];
      for (size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
      b[i] -= factor * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] = a[k][k] == 0 ? 0 : b[k] / a[k][k];
  }
  return b;
}

}  // namespace

std::vector<double> LeastSquares(const Residuals& residuals, std::vector<double> start, int most_steps) {
  constexpr double kDifference = 1e-5;
  std::vector<double> at = std::move(start);
  std::vector<double> now = residuals(at);
  double sum = SumOfSquares(now), damping = 1e-3;
  const size_t n = at.size();
  for (int step = 0; step < most_steps; ++step) {
    Matrix jacobian(n);  // by parameter
    for (size_t i = 0; i < n; ++i) {
      std::vector<double> moved = at;
      moved[i] += kDifference;
      jacobian[i] = residuals(moved);
      for (size_t k = 0; k < now.size(); ++k) jacobian[i][k] = (jacobian[i][k] - now[k]) / kDifference;
    }
    Matrix normal(n, std::vector<double>(n));
    std::vector<double> gradient(n);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        normal[i][j] = std::inner_product(jacobian[i].begin(), jacobian[i].end(), jacobian[j].begin(), 0.0);
      }
      gradient[i] = -std::inner_product(jacobian[i].begin(), jacobian[i].end(), now.begin(), 0.0);
    }
    bool improved = false;
    for (; damping < 1e9 && !improved; damping *= 4) {
      Matrix damped = normal;
      for (size_t i = 0; i < n; ++i) damped[i][i] += damping * (normal[i][i] + 1e-9);
      const std::vector<double> change = SolveLinear(std::move(damped), gradient);
      std::vector<double> next = at;
      for (size_t i = 0; i < n; ++i) next[i] += std::clamp(change[i], -1.0, 1.0);
      std::vector<double> there = residuals(next);
      const double next_sum = SumOfSquares(there);
      if (!(next_sum < sum * (1 - 1e-6))) continue;
      improved = true;
      at = std::move(next);
      now = std::move(there);
      sum = next_sum;
      damping /= 64;
    }
    if (!improved) break;
    damping = std::max(damping, 1e-9);
  }
  return at;
}

}  // namespace omserve::prediction
