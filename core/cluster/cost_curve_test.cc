#include "core/cluster/cost_curve.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(CostCurveTest, StraightBetweenPointsAndBeyondTheLast) {
  const CostCurve curve = CostCurve::Make({{100, 5e-6}, {200, 6e-6}, {1000, 10e-6}}).value();
  EXPECT_DOUBLE_EQ(curve.At(0), 5e-6);
  EXPECT_DOUBLE_EQ(curve.At(100), 5e-6);
  EXPECT_DOUBLE_EQ(curve.At(150), 5.5e-6);
  EXPECT_DOUBLE_EQ(curve.At(200), 6e-6);
  EXPECT_DOUBLE_EQ(curve.At(600), 8e-6);
  EXPECT_DOUBLE_EQ(curve.At(1000), 10e-6);
  EXPECT_DOUBLE_EQ(curve.At(1800), 14e-6);
}

TEST(CostCurveTest, OnePointIsProportional) {
  const CostCurve curve = CostCurve::Make({{100, 1e-6}}).value();
  EXPECT_DOUBLE_EQ(curve.At(10), 1e-6);
  EXPECT_DOUBLE_EQ(curve.At(400), 4e-6);
}

TEST(CostCurveTest, RefusesWhatIsNoCurve) {
  const auto error = [](std::vector<CostCurve::Point> points) {
    return std::string(CostCurve::Make(std::move(points)).status().message());
  };
  EXPECT_THAT(error({}), testing::HasSubstr("at least one point"));
  EXPECT_THAT(error({{-1, 1}}), testing::HasSubstr("point 0: size -1"));
  EXPECT_THAT(error({{1, 1}, {1, 2}}), testing::HasSubstr("point 1: size 1; sizes must increase"));
  EXPECT_THAT(error({{1, 0}}), testing::HasSubstr("point 0: 0 seconds"));
  EXPECT_THAT(error({{1, 2}, {2, 1}}), testing::HasSubstr("point 1: 1 seconds"));
}

}  // namespace
}  // namespace omserve
