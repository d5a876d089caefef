#include "client/cli/rate_fit.h"

#include <cmath>
#include <random>

#include "gtest/gtest.h"

namespace omserve::cli {
namespace {

std::vector<MeasuredProduct> Measure(const OperatorRates& truth, double noise) {
  std::mt19937 rng(1);
  std::normal_distribution<double> error(0, noise);
  std::vector<MeasuredProduct> measured;
  for (const int64_t rows : {1, 8, 64, 1024}) {
    for (const int64_t inner : {64, 256, 768}) {
      for (const int64_t columns : {inner / 4, inner}) {
        const OperatorWork work{.type = "MatMulV2",
                                .flops = 2.0 * static_cast<double>(rows * columns * inner),
                                .bytes = 4.0 * static_cast<double>(rows * inner + inner * columns + rows * columns),
                                .rows = rows,
                                .columns = columns,
                                .inner = inner};
        measured.push_back({{work}, truth.Seconds(work) * std::exp(error(rng))});
      }
    }
  }
  return measured;
}

TEST(RateFitTest, FindsTheRatesThatMadeTheTimes) {
  OperatorRates truth{.flops_per_second = 5e10, .bytes_per_second = 1e10, .start_seconds = 1e-6};
  truth.half_rows = 12;
  truth.half_columns = truth.half_inner = 30;
  OperatorRates start = truth;
  start.flops_per_second = 1e9;
  start.half_rows = start.half_columns = start.half_inner = 0;
  const OperatorRates fitted = FitProducts(start, Measure(truth, 0));
  EXPECT_NEAR(fitted.flops_per_second / truth.flops_per_second, 1, 0.02);
  EXPECT_NEAR(fitted.half_rows, 12, 0.5);
  EXPECT_NEAR(fitted.half_inner, 30, 1);
  EXPECT_NEAR(fitted.start_seconds / truth.start_seconds, 1, 0.05);
  EXPECT_LT(MeanError(fitted, Measure(truth, 0)), 0.01);
  // Noise of 5 % does not lead it astray.
  EXPECT_LT(MeanError(FitProducts(start, Measure(truth, 0.05)), Measure(truth, 0)), 0.05);
}

TEST(RateFitTest, WhatMovingTakesIsAddedToComputing) {
  OperatorRates truth{.flops_per_second = 5e10, .bytes_per_second = 1, .overlap = 0};
  truth.half_columns = 30;
  const std::optional<CostCurve> moving = CostCurve::Make({{0, 1e-6}, {1e6, 1e-4}}).value();
  const MeasuredOperator priced{.rates = truth, .by_bytes = moving};
  std::vector<MeasuredProduct> measured;
  for (const int64_t columns : {8, 32, 256}) {
    for (const double bytes : {1e4, 3e5}) {
      const OperatorWork there{.flops = 2e4 * static_cast<double>(columns), .bytes = bytes, .columns = columns};
      OperatorWork back = there;
      back.columns = 512;
      measured.push_back({{there, back}, priced.Seconds(there, truth) + priced.Seconds(back, truth)});
    }
  }
  OperatorRates start = truth;
  start.flops_per_second = 1e9;
  start.half_columns = 0;
  EXPECT_LT(MeanError(FitProducts(start, measured, moving), measured, moving), 0.03);
  EXPECT_GT(MeanError(start, measured, moving), 0.5);
}

TEST(RateFitTest, NothingMeasuredChangesNothing) {
  const OperatorRates rates{.flops_per_second = 1, .bytes_per_second = 2};
  EXPECT_EQ(FitProducts(rates, {}).flops_per_second, 1);
}

}  // namespace
}  // namespace omserve::cli
