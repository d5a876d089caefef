#include "core/cluster/collective_algorithms.h"

#include <cmath>

#include "gtest/gtest.h"

namespace omserve {
namespace {

constexpr double kAlpha = 1e-6, kBeta = 1e-9, kGamma = 1e-11;

CollectiveGroup Group(int size) {
  return {.size = size, .ring = {kAlpha, kBeta}, .any = {kAlpha, kBeta}, .gamma = kGamma};
}

// A case of each formula, where it is the cheapest.
TEST(CollectiveAlgorithmsTest, AllReduce) {
  const double big = 1e9, small = 100;
  // No power of two: halving-doubling would send the whole buffer twice more.
  CollectivePrice price = Group(6).Price(CollectiveKind::kAllReduce, big);
  EXPECT_EQ(price.algorithm, "ring");
  EXPECT_DOUBLE_EQ(price.seconds, 10 * kAlpha + 2 * (5 / 6.0) * big * kBeta + 5 / 6.0 * big * kGamma);
  price = Group(8).Price(CollectiveKind::kAllReduce, big);
  EXPECT_EQ(price.algorithm, "halving-doubling");
  EXPECT_DOUBLE_EQ(price.seconds, 6 * kAlpha + 2 * (7 / 8.0) * big * kBeta + 7 / 8.0 * big * kGamma);
  price = Group(8).Price(CollectiveKind::kAllReduce, small);
  EXPECT_EQ(price.algorithm, "recursive doubling");
  EXPECT_DOUBLE_EQ(price.seconds, 3 * (kAlpha + small * kBeta + small * kGamma));
  price = Group(100).Price(CollectiveKind::kAllReduce, 50000);
  EXPECT_EQ(price.algorithm, "double tree");
  EXPECT_DOUBLE_EQ(price.seconds, 14 * kAlpha + 2 * 50000 * kBeta + 50000 * kGamma);
}

TEST(CollectiveAlgorithmsTest, FullMesh) {
  CollectiveGroup mesh = Group(8);
  mesh.full_mesh = true;
  const double n = 8e6;
  CollectivePrice price = mesh.Price(CollectiveKind::kAllReduce, n);
  EXPECT_EQ(price.algorithm, "full mesh, two shots");
  EXPECT_DOUBLE_EQ(price.seconds, 2 * kAlpha + 2 * (n / 8) * kBeta + 7 / 8.0 * n * kGamma);
  price = mesh.Price(CollectiveKind::kAllReduce, 64);
  EXPECT_EQ(price.algorithm, "full mesh, one shot");
  EXPECT_DOUBLE_EQ(price.seconds, kAlpha + 64 * kBeta + 7 * 64 * kGamma);
  EXPECT_DOUBLE_EQ(mesh.Price(CollectiveKind::kAllGather, n).seconds, kAlpha + n / 8 * kBeta);
  EXPECT_DOUBLE_EQ(mesh.Price(CollectiveKind::kReduceScatter, n).seconds, kAlpha + n / 8 * kBeta + 7 / 8.0 * n * kGamma);
  EXPECT_DOUBLE_EQ(mesh.Price(CollectiveKind::kAllToAll, n).seconds, kAlpha + n / 8 * kBeta);
  EXPECT_DOUBLE_EQ(mesh.Price(CollectiveKind::kBroadcast, n).seconds, 2 * kAlpha + 2 * (n / 8) * kBeta);
  EXPECT_DOUBLE_EQ(mesh.Price(CollectiveKind::kBroadcast, 64).seconds, kAlpha + 64 * kBeta);
}

TEST(CollectiveAlgorithmsTest, GatherScatterExchangeBroadcast) {
  const double n = 6e6;
  CollectiveGroup near_ring = Group(6);
  near_ring.any.beta_seconds_per_byte = 2 * kBeta;
  CollectivePrice price = near_ring.Price(CollectiveKind::kAllGather, n);
  EXPECT_EQ(price.algorithm, "ring");
  EXPECT_DOUBLE_EQ(price.seconds, 5 * kAlpha + 5 / 6.0 * n * kBeta);
  price = Group(6).Price(CollectiveKind::kAllGather, n);
  EXPECT_EQ(price.algorithm, "Bruck");
  EXPECT_DOUBLE_EQ(price.seconds, 3 * kAlpha + 5 / 6.0 * n * kBeta);
  price = Group(8).Price(CollectiveKind::kReduceScatter, n);
  EXPECT_EQ(price.algorithm, "recursive halving");
  EXPECT_DOUBLE_EQ(price.seconds, 3 * kAlpha + 7 / 8.0 * n * (kBeta + kGamma));
  price = Group(8).Price(CollectiveKind::kAllToAll, n);
  EXPECT_EQ(price.algorithm, "pairwise");
  EXPECT_DOUBLE_EQ(price.seconds, 7 * kAlpha + 7 / 8.0 * n * kBeta);
  price = Group(8).Price(CollectiveKind::kAllToAll, 80);
  EXPECT_EQ(price.algorithm, "Bruck");
  EXPECT_DOUBLE_EQ(price.seconds, 3 * (kAlpha + 40 * kBeta));
  price = Group(8).Price(CollectiveKind::kBroadcast, n);
  EXPECT_EQ(price.algorithm, "scatter, all-gather");
  EXPECT_DOUBLE_EQ(price.seconds, 10 * kAlpha + 2 * (7 / 8.0) * n * kBeta);
  price = Group(8).Price(CollectiveKind::kBroadcast, 80);
  EXPECT_EQ(price.algorithm, "tree");
  EXPECT_DOUBLE_EQ(price.seconds, 3 * (kAlpha + 80 * kBeta));
}

TEST(CollectiveAlgorithmsTest, MeasuredCurvesGoFirst) {
  CollectiveCurves curves;
  curves.emplace(std::pair(CollectiveKind::kAllReduce, 2), CostCurve::Make({{1000, 5e-6}, {2000, 6e-6}}).value());
  curves.emplace(std::pair(CollectiveKind::kAllReduce, 8), CostCurve::Make({{1000, 20e-6}, {2000, 24e-6}}).value());
  CollectiveGroup group = Group(2);
  group.measured = &curves;
  const auto seconds = [&](int size, double bytes) {
    group.size = size;
    return group.Price(CollectiveKind::kAllReduce, bytes).seconds;
  };
  EXPECT_EQ(group.Price(CollectiveKind::kAllReduce, 1500).algorithm, "measured");
  EXPECT_DOUBLE_EQ(seconds(2, 1500), 5.5e-6);
  EXPECT_DOUBLE_EQ(seconds(8, 2000), 24e-6);
  // Between: the formula times what was measured over the formula, here half way in log(ranks).
  const auto formula = [](int size, double bytes) { return Group(size).Price(CollectiveKind::kAllReduce, bytes).seconds; };
  EXPECT_NEAR(seconds(4, 2000), formula(4, 2000) * std::sqrt(6e-6 / formula(2, 2000) * 24e-6 / formula(8, 2000)), 1e-15);
  EXPECT_GT(seconds(4, 2000), 6e-6);
  EXPECT_LT(seconds(4, 2000), 24e-6);
  EXPECT_NEAR(seconds(16, 2000), 24e-6 * formula(16, 2000) / formula(8, 2000), 1e-15);
  // Shared links: as if there were more bytes.
  group.measured_load = 2;
  EXPECT_DOUBLE_EQ(seconds(2, 750), 5.5e-6);
  // Other kinds were not measured.
  EXPECT_NE(group.Price(CollectiveKind::kAllToAll, 1500).algorithm, "measured");
}

}  // namespace
}  // namespace omserve
