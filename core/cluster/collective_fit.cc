#include "core/cluster/collective_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "core/cluster/cholesky.h"

namespace omserve {
namespace {

// What is believed before anything is seen. Dimensionless, so that it holds for links of any speed; the deviations are
// in log(seconds), 0.1 being about 10 %.
constexpr double kFloorDeviation = 0.3, kByteDeviation = 0.5, kFillDeviation = 0.06;  // among the curves
constexpr double kCommonDeviation = 3;                                                // of all floors, of all rates
constexpr double kCommonFillDeviation = 0.3, kFillPlaceDeviation = 0.3;               // around CollectiveShape
// What nothing else tells of a sample. Student's t: a few are far off all that is known, and must not bend the rest.
constexpr double kOwnDeviation = 0.04, kOwnFreedom = 2;
constexpr double kOwnLength = 0.3;  // in log(bytes): how far around its sample it holds

// How alike two curves are.
struct Likeness {
  double kinds;         // other kind
  double loose_kinds;   // one of the two an exchange of pairs, which works in another way
  double log2_ranks;    // at this distance much less alike
};
constexpr double kMostAlike = 0.999;  // two curves: close ones must not make the covariance singular
constexpr Likeness kFormulaLikeness{0.8, 0.1, 1.7};
constexpr Likeness kRestLikeness{0.8, 0.1, 3.0};
constexpr double kRestDeviation = 0.08, kRestLength = 0.8;  // of the Gaussian process; length in log(bytes)

bool IsLoose(CollectiveKind kind) {
  return kind == CollectiveKind::kAllToAll || kind == CollectiveKind::kSendReceive;
}

double Covariance(const std::pair<CollectiveKind, int>& a, const std::pair<CollectiveKind, int>& b,
                  const Likeness& likeness) {
  if (a == b) return 1;
  double alike = kMostAlike;
  if (a.first != b.first) alike *= IsLoose(a.first) || IsLoose(b.first) ? likeness.loose_kinds : likeness.kinds;
  const double distance = (std::log2(a.second) - std::log2(b.second)) / likeness.log2_ranks;
  return alike * std::exp(-0.5 * distance * distance);
}

double RestCovariance(double log_bytes, double other) {
  const double distance = (log_bytes - other) / kRestLength;
  return kRestDeviation * kRestDeviation * std::exp(-0.5 * distance * distance);
}

// Of the parameters: each kind of them has one mean of all curves.
std::vector<double> Centre(std::vector<double> parameters, size_t curves) {
  for (size_t block = 0; block < 3; ++block) {
    const auto begin = parameters.begin() + static_cast<std::ptrdiff_t>(block * curves),
               end = begin + static_cast<std::ptrdiff_t>(curves);
    std::fill(begin, end, std::accumulate(begin, end, 0.0) / static_cast<double>(curves));
  }
  return parameters;
}

// Inverse of the covariance of the parameters.
std::vector<double> PriorPrecision(const std::vector<std::pair<CollectiveKind, int>>& curves) {
  constexpr double kOwn[] = {kFloorDeviation, kByteDeviation, kFillDeviation};
  constexpr double kCommon[] = {kCommonDeviation, kCommonDeviation, kCommonFillDeviation};
  const size_t count = curves.size(), unknowns = 3 * count + 1;
  std::vector<double> precision(unknowns * unknowns, 0);
  for (size_t block = 0; block < 3; ++block) {
    std::vector<double> prior(count * count);
    for (size_t i = 0; i < count; ++i) {
      for (size_t j = 0; j < count; ++j) {
        prior[i * count + j] = kOwn[block] * kOwn[block] * Covariance(curves[i], curves[j], kFormulaLikeness) +
                               kCommon[block] * kCommon[block];
      }
    }
    prior = Cholesky(std::move(prior), count).Inverse();
    for (size_t i = 0; i < count; ++i) {
      for (size_t j = 0; j < count; ++j) {
        precision[(block * count + i) * unknowns + block * count + j] = prior[i * count + j];
      }
    }
  }
  precision.back() = 1 / (kFillPlaceDeviation * kFillPlaceDeviation);
  return precision;
}

double Logistic(double x) { return 1 / (1 + std::exp(-x)); }

std::vector<double> Times(const std::vector<double>& matrix, const std::vector<double>& vector) {
  const size_t n = vector.size();
  std::vector<double> product(n, 0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) product[i] += matrix[i * n + j] * vector[j];
  }
  return product;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

size_t CollectiveFit::IndexOf(const Curve& curve) const {
  return static_cast<size_t>(std::lower_bound(curves_.begin(), curves_.end(), curve) - curves_.begin());
}

double CollectiveFit::LogFormula(size_t curve, double log_bytes, double* gradient) const {
  const size_t count = curves_.size();
  const double log_a = parameters_[curve], log_b = parameters_[count + curve];
  const double log_g = log_a + parameters_[2 * count + curve];
  const double ratio = log_b + log_bytes - log_a;
  const double place = parameters_[3 * count] + shape_.fill_place_per_ranks * std::log(curves_[curve].second / 4.0);
  const double risen = Logistic(ratio - shape_.floor_rise_place);
  const double filled = Logistic(shape_.fill_steepness * (ratio - place));
  const double floor = std::exp(log_a + shape_.floor_rise * risen), bytes = std::exp(log_b + log_bytes),
               fill = std::exp(log_g) * filled;
  const double sum = floor + bytes + fill;
  if (gradient != nullptr) {
    const double rising = shape_.floor_rise * risen * (1 - risen), filling = shape_.fill_steepness * (1 - filled);
    gradient[0] = (floor * (1 - rising) + fill * (1 - filling)) / sum;
    gradient[1] = (floor * rising + bytes + fill * filling) / sum;
    gradient[2] = fill / sum;
    gradient[3] = -fill * filling / sum;
  }
  return std::log(sum);
}

// Where the formula starts; the means are the centre of the prior. Floors from the smallest sizes, rates from the largest.
void CollectiveFit::Start() {
  const size_t count = curves_.size();
  parameters_.assign(3 * count + 1, 0);
  std::vector<const CollectiveSample*> smallest(count, nullptr), largest(count, nullptr);
  for (size_t i = 0; i < samples_.size(); ++i) {
    const CollectiveSample*& low = smallest[curve_of_[i]];
    const CollectiveSample*& high = largest[curve_of_[i]];
    if (low == nullptr || samples_[i].bytes < low->bytes) low = &samples_[i];
    if (high == nullptr || samples_[i].bytes > high->bytes) high = &samples_[i];
  }
  for (size_t c = 0; c < count; ++c) {
    parameters_[c] = std::log(smallest[c]->seconds) - 0.2;
    parameters_[count + c] = std::log(largest[c]->seconds / largest[c]->bytes);
    parameters_[2 * count + c] = shape_.fill;
  }
  parameters_[3 * count] = shape_.fill_place;
}

// Levenberg–Marquardt on the generalised least squares of samples, of that weight, and prior. Returns what remains.
std::vector<double> CollectiveFit::Descend(const std::vector<double>& weight, const std::vector<double>& centre,
                                           const std::vector<double>& precision) {
  const size_t count = curves_.size(), unknowns = parameters_.size(), n = samples_.size();
  std::vector<double> jacobian(n * unknowns), rest(n);
  const auto evaluate = [&] {
    std::fill(jacobian.begin(), jacobian.end(), 0);
    for (size_t i = 0; i < n; ++i) {
      double gradient[4];
      rest[i] = std::log(samples_[i].seconds) - LogFormula(curve_of_[i], std::log(samples_[i].bytes), gradient);
      for (size_t block = 0; block < 3; ++block) jacobian[i * unknowns + block * count + curve_of_[i]] = gradient[block];
      jacobian[i * unknowns + unknowns - 1] = gradient[3];
    }
    std::vector<double> off(unknowns);
    for (size_t k = 0; k < unknowns; ++k) off[k] = parameters_[k] - centre[k];
    return Dot(rest, Times(weight, rest)) + Dot(off, Times(precision, off));
  };
  double error = evaluate(), damping = 1e-3;
  constexpr int kMostSteps = 60;
  for (int round = 0; round < kMostSteps; ++round) {
    std::vector<double> normal = precision, off(unknowns), weighted(n * unknowns, 0);
    for (size_t k = 0; k < unknowns; ++k) off[k] = centre[k] - parameters_[k];
    std::vector<double> right = Times(precision, off);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        const double w = weight[i * n + j];
        const auto add = [&](size_t k) { weighted[i * unknowns + k] += w * jacobian[j * unknowns + k]; };
        for (size_t block = 0; block < 3; ++block) add(block * count + curve_of_[j]);
        add(unknowns - 1);
      }
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < unknowns; ++k) {
        const double slope = jacobian[i * unknowns + k];
        if (slope == 0) continue;
        for (size_t l = 0; l < unknowns; ++l) normal[k * unknowns + l] += slope * weighted[i * unknowns + l];
      }
      for (size_t k = 0; k < unknowns; ++k) right[k] += weighted[i * unknowns + k] * rest[i];
    }
    const std::vector<double> before = parameters_;
    double next = error;
    for (; damping < 1e8; damping *= 5) {
      std::vector<double> damped = normal;
      for (size_t k = 0; k < unknowns; ++k) damped[k * unknowns + k] *= 1 + damping;
      const std::vector<double> step = Cholesky(std::move(damped), unknowns).Solve(right);
      for (size_t k = 0; k < unknowns; ++k) parameters_[k] = before[k] + step[k];
      next = evaluate();
      if (next <= error) break;
    }
    if (!(next <= error)) {
      parameters_ = before;
      break;
    }
    const bool settled = error - next <= 1e-9 * error;
    error = next;
    damping = std::max(damping / 5, 1e-9);
    if (settled) break;
  }
  evaluate();
  return rest;
}

void CollectiveFit::FitAll() {
  const size_t n = samples_.size();
  Start();
  const std::vector<double> centre = Centre(parameters_, curves_.size()), precision = PriorPrecision(curves_);
  // Student's t is a normal distribution of unknown variance: those of the samples are found in turn with all else.
  std::vector<double> variance(n, kOwnDeviation * kOwnDeviation), covariance(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      covariance[i * n + j] = Covariance(curves_[curve_of_[i]], curves_[curve_of_[j]], kRestLikeness) *
                              RestCovariance(std::log(samples_[i].bytes), std::log(samples_[j].bytes));
    }
  }
  own_.assign(n, 0);
  constexpr int kRounds = 8;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> all = covariance;
    for (size_t i = 0; i < n; ++i) all[i * n + i] += variance[i];
    const std::vector<double> weight = Cholesky(std::move(all), n).Inverse();
    weights_ = Times(weight, Descend(weight, centre, precision));
    for (size_t i = 0; i < n; ++i) {
      own_[i] = variance[i] * weights_[i];
      const double square = own_[i] * own_[i] + variance[i] * (1 - variance[i] * weight[i * n + i]);
      variance[i] = (kOwnFreedom * kOwnDeviation * kOwnDeviation + square) / (kOwnFreedom + 1);
    }
  }
}

absl::StatusOr<CollectiveFit> CollectiveFit::Make(std::vector<CollectiveSample> samples, const CollectiveShape& shape) {
  if (samples.empty()) return absl::InvalidArgumentError("expected at least one measurement of a collective");
  CollectiveFit fit;
  fit.shape_ = shape;
  for (const CollectiveSample& sample : samples) {
    if (sample.ranks < 2 || !(sample.bytes >= 1) || !(sample.seconds > 0) || !std::isfinite(sample.bytes) ||
        !std::isfinite(sample.seconds)) {
      return absl::InvalidArgumentError(absl::StrCat(ToString(sample.kind), " of ", sample.bytes, " bytes on ", sample.ranks,
                                                     " ranks in ", sample.seconds,
                                                     " seconds: expected 2 ranks, 1 byte and more than 0 seconds at least"));
    }
    fit.curves_.emplace_back(sample.kind, sample.ranks);
  }
  std::sort(fit.curves_.begin(), fit.curves_.end());
  fit.curves_.erase(std::unique(fit.curves_.begin(), fit.curves_.end()), fit.curves_.end());
  fit.samples_ = std::move(samples);
  for (const CollectiveSample& sample : fit.samples_) fit.curve_of_.push_back(fit.IndexOf({sample.kind, sample.ranks}));
  fit.FitAll();
  return fit;
}

double CollectiveFit::Seconds(CollectiveKind kind, int ranks, double bytes) const {
  const size_t curve = IndexOf({kind, ranks});
  const double log_bytes = std::log(std::max(bytes, 1.0));
  double log_seconds = LogFormula(curve, log_bytes, nullptr), own = 0, near = 0;
  for (size_t i = 0; i < samples_.size(); ++i) {
    const double log_sample = std::log(samples_[i].bytes);
    log_seconds += weights_[i] * Covariance(curves_[curve], curves_[curve_of_[i]], kRestLikeness) *
                   RestCovariance(log_bytes, log_sample);
    if (curve_of_[i] != curve) continue;
    const double distance = (log_bytes - log_sample) / kOwnLength, share = std::exp(-0.5 * distance * distance);
    own += share * own_[i];
    near += share;
  }
  return std::exp(log_seconds + own / std::max(near, 1.0));
}

CollectiveCurves CollectiveFit::Curves(double smallest, double largest) const {
  CollectiveCurves curves;
  const double step = std::sqrt(2.0);
  for (const Curve& curve : curves_) {
    std::vector<CostCurve::Point> points;
    for (double bytes = smallest; bytes < largest * step; bytes *= step) {
      const double seconds = Seconds(curve.first, curve.second, bytes);
      points.emplace_back(bytes, points.empty() ? seconds : std::max(seconds, points.back().second));
    }
    curves.emplace(curve, CostCurve::Make(std::move(points)).value());
  }
  return curves;
}

}  // namespace omserve
