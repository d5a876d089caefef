// Small dense symmetric systems.
#ifndef OMSERVE_CORE_CLUSTER_CHOLESKY_H_
#define OMSERVE_CORE_CLUSTER_CHOLESKY_H_

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace omserve {

// Factor of a positive definite matrix of `size` rows, row-major. A pivot that rounding has made negative is taken as tiny.
class Cholesky {
 public:
  Cholesky(std::vector<double> matrix, size_t size) : factor_(std::move(matrix)), size_(size) {
    for (size_t i = 0; i < size_; ++i) {
      for (size_t j = 0; j <= i; ++j) {
        double sum = factor_[i * size_ + j];
        for (size_t k = 0; k < j; ++k) sum -= factor_[i * size_ + k] * factor_[j * size_ + k];
        factor_[i * size_ + j] = i == j ? std::sqrt(std::fmax(sum, 1e-300)) : sum / factor_[j * size_ + j];
      }
    }
  }

  std::vector<double> Solve(std::vector<double> right) const {
    for (size_t i = 0; i < size_; ++i) {
      for (size_t k = 0; k < i; ++k) right[i] -= factor_[i * size_ + k] * right[k];
      right[i] /= factor_[i * size_ + i];
    }
    for (size_t i = size_; i-- > 0;) {
      for (size_t k = i + 1; k < size_; ++k) right[i] -= factor_[k * size_ + i] * right[k];
      right[i] /= factor_[i * size_ + i];
    }
    return right;
  }

  std::vector<double> Inverse() const {
    std::vector<double> inverse(size_ * size_);
    for (size_t column = 0; column < size_; ++column) {
      std::vector<double> unit(size_, 0);
      unit[column] = 1;
      unit = Solve(std::move(unit));
      for (size_t row = 0; row < size_; ++row) inverse[row * size_ + column] = unit[row];
    }
    return inverse;
  }

 private:
  std::vector<double> factor_;
  size_t size_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_CLUSTER_CHOLESKY_H_
