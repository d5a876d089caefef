#include "core/cluster/operator_cost.h"

#include "core/cluster/cluster.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(OperatorCostTest, Roofline) {
  const OperatorRates rates{.flops_per_second = 1e12, .bytes_per_second = 1e11, .start_seconds = 2e-6};
  EXPECT_DOUBLE_EQ(rates.Seconds({.flops = 1e9, .bytes = 1e6}), 2e-6 + 1e-3);
  EXPECT_DOUBLE_EQ(rates.Seconds({.flops = 1e3, .bytes = 1e6}), 2e-6 + 1e-5);
  EXPECT_DOUBLE_EQ(rates.Seconds({}), 2e-6);
}

TEST(OperatorCostTest, PeaksAreReachedGradually) {
  const OperatorRates rates{.flops_per_second = 1e12,
                            .bytes_per_second = 1e15,
                            .start_seconds = 0,
                            .half_rows = 64,
                            .half_columns = 32,
                            .half_inner = 16};
  EXPECT_DOUBLE_EQ(rates.Seconds({.flops = 1e9, .rows = 64, .columns = 96, .inner = 48}), 1e-3 / (0.5 * 0.75 * 0.75));
  // What is no product of matrices has no such sizes.
  EXPECT_DOUBLE_EQ(rates.Seconds({.flops = 1e9}), 1e-3);
}

TEST(OperatorCostTest, WhatOverlapDoesNotHideIsAdded) {
  OperatorRates rates{.flops_per_second = 1e12, .bytes_per_second = 1e11, .start_seconds = 2e-6, .overlap = 0};
  EXPECT_DOUBLE_EQ(rates.Seconds({.flops = 1e9, .bytes = 1e6}), 2e-6 + 1e-3 + 1e-5);
  rates.overlap = 0.75;
  EXPECT_DOUBLE_EQ(rates.Seconds({.flops = 1e9, .bytes = 1e6}), 2e-6 + 1e-3 + 0.25e-5);
}

TEST(OperatorCostTest, MeasuredMovingGoesWithComputingAndPieces) {
  const OperatorRates device{.flops_per_second = 1e12, .bytes_per_second = 1e11};
  MeasuredOperator measured;
  measured.by_bytes = CostCurve::Make({{0, 1e-6}, {1000, 3e-6}}).value();
  measured.piece_seconds = 1e-8;
  EXPECT_DOUBLE_EQ(measured.Seconds({.flops = 1e9, .bytes = 500, .pieces = 10}, device), 2.1e-6);
  measured.piece_seconds = 0;
  measured.rates = OperatorRates{.flops_per_second = 1e9, .bytes_per_second = 1, .half_columns = 8};
  EXPECT_DOUBLE_EQ(measured.Seconds({.flops = 1e3, .bytes = 500, .columns = 8}, device), 2e-6);
  EXPECT_DOUBLE_EQ(measured.Seconds({.flops = 2e3, .bytes = 500, .columns = 8}, device), 4e-6);
  measured.rates->overlap = 0;
  EXPECT_DOUBLE_EQ(measured.Seconds({.flops = 2e3, .bytes = 500, .columns = 8}, device), 6e-6);
}

TEST(OperatorCostTest, WithoutMeasurementsTheDevicesRates) {
  const Cluster cluster = Cluster::Local(2);
  const ClusterDevice& device = cluster.devices()[1];
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(1, {.type = "MatMulV2", .flops = 1e9, .rows = 3, .columns = 2, .inner = 1}),
                   3e-6 + 1e9 / device.flops_per_second);
  EXPECT_DOUBLE_EQ(cluster.OperatorTime(1, {.type = "Add", .bytes = 1e9}), 3e-6 + 1e9 / device.bytes_per_second);
}

}  // namespace
}  // namespace omserve
