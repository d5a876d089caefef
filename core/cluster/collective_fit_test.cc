#include "core/cluster/collective_fit.h"

#include <algorithm>
#include <cmath>

#include "core/cluster/cluster.h"
#include "core/cluster/cost_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

constexpr CollectiveKind kKinds[] = {CollectiveKind::kAllReduce, CollectiveKind::kAllGather, CollectiveKind::kAllToAll};
constexpr int kRanks[] = {2, 4, 8};

// A system with two protocols: one of low latency, and one of four times the latency and twenty times the bandwidth.
double TwoProtocols(CollectiveKind kind, int ranks, double bytes) {
  const double moved = bytes * (kind == CollectiveKind::kAllReduce ? 2.0 : 1.0) * (ranks - 1) / ranks;
  const double steps = std::log2(ranks) + 1;
  return std::min(4e-6 * steps + moved / 10e9, 16e-6 * steps + moved / 200e9);
}

std::vector<CollectiveSample> Samples(double first, double factor, double last) {
  std::vector<CollectiveSample> samples;
  for (CollectiveKind kind : kKinds) {
    for (int ranks : kRanks) {
      for (double bytes = first; bytes <= last; bytes *= factor) {
        samples.push_back({kind, ranks, bytes, TwoProtocols(kind, ranks, bytes)});
      }
    }
  }
  return samples;
}

double MeanError(const CollectiveFit& fit, const std::vector<CollectiveSample>& samples) {
  double sum = 0;
  for (const CollectiveSample& sample : samples) {
    sum += std::abs(fit.Seconds(sample.kind, sample.ranks, sample.bytes) / sample.seconds - 1);
  }
  return sum / static_cast<double>(samples.size());
}

TEST(CollectiveFitTest, SizesBetweenTheMeasuredOnes) {
  const CollectiveFit fit = CollectiveFit::Make(Samples(4096, 16, 1 << 28)).value();
  EXPECT_LT(MeanError(fit, Samples(4096, 16, 1 << 28)), 0.03);
  EXPECT_LT(MeanError(fit, Samples(16384, 16, 1 << 28)), 0.15);
}

TEST(CollectiveFitTest, WhatOneCurveLacksOthersShow) {
  // Of the all-reduces on 4 ranks only the smallest and the largest size are known.
  std::vector<CollectiveSample> known = Samples(4096, 4, 1 << 28), lacking;
  auto is_lacking = [](const CollectiveSample& sample) {
    return sample.kind == CollectiveKind::kAllReduce && sample.ranks == 4 && sample.bytes > 4096 && sample.bytes < (1 << 28);
  };
  std::copy_if(known.begin(), known.end(), std::back_inserter(lacking), is_lacking);
  std::erase_if(known, is_lacking);
  EXPECT_LT(MeanError(CollectiveFit::Make(known).value(), lacking), 0.1);
  // With that curve alone there is nothing to show where the protocols change.
  std::erase_if(known, [](const CollectiveSample& s) { return s.kind != CollectiveKind::kAllReduce || s.ranks != 4; });
  EXPECT_GT(MeanError(CollectiveFit::Make(known).value(), lacking), 0.1);
}

TEST(CollectiveFitTest, AnOddSampleBendsOnlyItsSurroundings) {
  const std::vector<CollectiveSample> all = Samples(4096, 16, 1 << 28);
  std::vector<CollectiveSample> odd = all;
  CollectiveSample& outlier = odd[odd.size() / 2 + 1];
  outlier.seconds *= 1.6;
  const CollectiveFit fit = CollectiveFit::Make(all).value(), bent = CollectiveFit::Make(odd).value();
  // What was measured is believed of that size, and of no other.
  EXPECT_NEAR(bent.Seconds(outlier.kind, outlier.ranks, outlier.bytes), outlier.seconds, 0.1 * outlier.seconds);
  for (const CollectiveSample& sample : all) {
    const double before = fit.Seconds(sample.kind, sample.ranks, 4 * sample.bytes);
    EXPECT_NEAR(bent.Seconds(sample.kind, sample.ranks, 4 * sample.bytes), before, 0.06 * before)
        << sample.ranks << " ranks, " << 4 * sample.bytes << " bytes";
  }
}

TEST(CollectiveFitTest, TheFormFillsWhatWasNotMeasured) {
  const std::vector<CollectiveSample> ends = {{CollectiveKind::kAllReduce, 4, 4096, 10e-6},
                                              {CollectiveKind::kAllReduce, 4, 1 << 28, 2e-3}};
  const auto middle = [&](const CollectiveShape& shape) {
    return CollectiveFit::Make(ends, shape).value().Seconds(CollectiveKind::kAllReduce, 4, 1 << 22);
  };
  EXPECT_GT(middle({.fill = 1.5}), 1.1 * middle({.fill = 0.7}));
}

TEST(CollectiveFitTest, CurvesGoIntoACostFile) {
  CostFile file;
  const CollectiveFit fit = CollectiveFit::Make(Samples(4096, 4, 1 << 28)).value();
  file.intra_node.collectives = fit.Curves(1024, 1 << 28);
  ASSERT_EQ(file.intra_node.collectives.size(), 9u);
  Cluster cluster = Cluster::Local(8);
  ASSERT_TRUE(cluster.ApplyCosts(file.ToJson(), "fitted").ok());
  for (double bytes : {5000.0, 70000.0, 3e6, 1e8}) {
    const CollectivePrice price = cluster.PriceCollective(CollectiveKind::kAllGather, {0, 1, 2, 3}, bytes);
    EXPECT_EQ(price.algorithm, "measured");
    EXPECT_NEAR(price.seconds, fit.Seconds(CollectiveKind::kAllGather, 4, bytes), 0.02 * price.seconds);
    // Six ranks were not measured.
    const double six = cluster.CollectiveTime(CollectiveKind::kAllGather, {0, 1, 2, 3, 4, 5}, bytes);
    EXPECT_NEAR(six, TwoProtocols(CollectiveKind::kAllGather, 6, bytes), 0.25 * six);
  }
}

TEST(CollectiveFitTest, OneSampleIsEnough) {
  const CollectiveFit fit = CollectiveFit::Make({{CollectiveKind::kBroadcast, 2, 1e6, 1e-3}}).value();
  EXPECT_NEAR(fit.Seconds(CollectiveKind::kBroadcast, 2, 1e6), 1e-3, 1e-4);
  EXPECT_LT(fit.Seconds(CollectiveKind::kBroadcast, 2, 1), 1e-3);
  EXPECT_GT(fit.Seconds(CollectiveKind::kBroadcast, 2, 1e9), 0.1);
}

TEST(CollectiveFitTest, RefusesWhatIsNoMeasurement) {
  const auto error = [](std::vector<CollectiveSample> samples) {
    return std::string(CollectiveFit::Make(std::move(samples)).status().message());
  };
  EXPECT_THAT(error({}), testing::HasSubstr("at least one measurement"));
  EXPECT_THAT(error({{CollectiveKind::kAllReduce, 1, 8, 1}}), testing::HasSubstr("all_reduce of 8 bytes on 1 ranks"));
  EXPECT_THAT(error({{CollectiveKind::kAllReduce, 2, 0, 1}}), testing::HasSubstr("of 0 bytes"));
  EXPECT_THAT(error({{CollectiveKind::kAllReduce, 2, 8, -1}}), testing::HasSubstr("in -1 seconds"));
}

}  // namespace
}  // namespace omserve
