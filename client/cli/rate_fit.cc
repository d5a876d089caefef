#include "client/cli/rate_fit.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace omserve::cli {
namespace {

using Moving = std::optional<CostCurve>;

double Predicted(const OperatorRates& rates, const MeasuredProduct& product, const Moving& moving) {
  const MeasuredOperator priced{.rates = rates, .by_bytes = moving};
  double seconds = 0;
  for (const OperatorWork& work : product.works) seconds += priced.Seconds(work, rates);
  return seconds;
}

// Errors beyond this count by their size, not its square: a measurement that something else disturbed bends little.
constexpr double kOddError = 0.2;

// Of log(predicted / measured). What takes long counts more: four times where it takes 256 times as long.
double Distance(const OperatorRates& rates, const std::vector<MeasuredProduct>& measured, const Moving& moving) {
  double sum = 0;
  for (const MeasuredProduct& product : measured) {
    const double error = std::abs(std::log(Predicted(rates, product, moving) / product.seconds));
    sum += std::pow(product.seconds, 0.25) * (error < kOddError ? error * error : kOddError * (2 * error - kOddError));
  }
  return sum;
}

// Saturation alone explains no peak far above what was reached: small products that are slow for other reasons would
// have it so.
constexpr double kMostAboveReached = 1.1;

// The logarithms of peak, half sizes, and what is added to the start.
using Logs = std::array<double, 5>;

OperatorRates With(OperatorRates rates, const Logs& logs) {
  rates.flops_per_second = std::exp(logs[0]);
  rates.half_rows = std::exp(logs[1]);
  rates.half_columns = std::exp(logs[2]);
  rates.half_inner = std::exp(logs[3]);
  rates.start_seconds += std::exp(logs[4]);
  return rates;
}

}  // namespace

OperatorRates FitProducts(OperatorRates rates, const std::vector<MeasuredProduct>& measured, const Moving& moving) {
  if (measured.empty()) return rates;
  double fastest = 0;
  for (const MeasuredProduct& product : measured) {
    double flops = 0;
    for (const OperatorWork& work : product.works) flops += work.flops;
    fastest = std::max(fastest, flops / product.seconds);
  }
  // Few parameters and a smooth valley: steps along each axis, halved when none helps.
  const double most = std::log(kMostAboveReached * fastest);
  Logs best{most, std::log(4), std::log(8), std::log(8), std::log(1e-8)};
  double least = Distance(With(rates, best), measured, moving);
  for (double step = 2; step > 1e-3;) {
    bool helped = false;
    for (size_t axis = 0; axis < best.size(); ++axis) {
      for (const double direction : {step, -step}) {
        Logs next = best;
        next[axis] += direction;
        next[0] = std::min(next[0], most);
        const double distance = Distance(With(rates, next), measured, moving);
        if (distance >= least) continue;
        least = distance;
        best = next;
        helped = true;
      }
    }
    if (!helped) step /= 2;
  }
  return With(rates, best);
}

double MeanError(const OperatorRates& rates, const std::vector<MeasuredProduct>& measured, const Moving& moving) {
  double sum = 0;
  for (const MeasuredProduct& product : measured) sum += std::abs(Predicted(rates, product, moving) / product.seconds - 1);
  return measured.empty() ? 0 : sum / static_cast<double>(measured.size());
}

}  // namespace omserve::cli
