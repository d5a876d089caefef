#include "core/device/cpu/vector_math.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace omserve::cpu {
namespace {

// The largest error over a range, relative to the value or (below `floor`) to `floor`.
double WorstError(float (*function)(float), double (*exact)(double), float low, float high, double floor) {
  double worst = 0;
  constexpr int kSteps = 200000;
  for (int i = 0; i <= kSteps; ++i) {
    const float x = low + (high - low) * static_cast<float>(i) / kSteps;
    const double want = exact(x);
    worst = std::max(worst, std::abs(function(x) - want) / std::max(floor, std::abs(want)));
  }
  return worst;
}

TEST(VectorMath, Accuracy) {
  EXPECT_LT(WorstError([](float x) { return Exp(x); }, std::exp, -87.0f, 88.0f, 0.0), 3e-7);
  EXPECT_LT(WorstError([](float x) { return Tanh(x); }, std::tanh, -20.0f, 20.0f, 0.0), 1e-6);
  EXPECT_LT(WorstError([](float x) { return Tanh(x); }, std::tanh, -0.01f, 0.01f, 1e-30), 1e-6);
  EXPECT_LT(WorstError([](float x) { return Erf(x); }, std::erf, -6.0f, 6.0f, 1.0), 5e-7);
  EXPECT_LT(WorstError([](float x) { return Erf(x); }, std::erf, -0.01f, 0.01f, 1e-30), 1e-6);
  EXPECT_LT(WorstError([](float x) { return Sigmoid(x); }, [](double x) { return 1 / (1 + std::exp(-x)); }, -80.0f, 80.0f, 0.0),
            5e-7);
}

TEST(VectorMath, Edges) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Exp(0.0f), 1.0f);
  EXPECT_EQ(Exp(-inf), 0.0f);
  EXPECT_EQ(Exp(inf), inf);
  EXPECT_TRUE(std::isnan(Exp(NAN)));
  EXPECT_EQ(Tanh(inf), 1.0f);
  EXPECT_EQ(Tanh(-inf), -1.0f);
  EXPECT_TRUE(std::isnan(Tanh(NAN)));
  EXPECT_EQ(Tanh(0.0f), 0.0f);
  EXPECT_EQ(Sigmoid(-inf), 0.0f);
  EXPECT_EQ(Sigmoid(inf), 1.0f);
}

TEST(VectorMathTest, SharesOfASumAreNeverDenormal) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float x : {-87.5f, -104.0f, -1e9f, -infinity}) EXPECT_EQ(ExpOfShare(x), 0.0f) << x;
  for (const float x : {0.0f, -1.0f, -80.0f, -87.0f}) {
    EXPECT_EQ(ExpOfShare(x), Exp(x)) << x;
    EXPECT_TRUE(std::isnormal(ExpOfShare(x))) << x;
  }
  EXPECT_TRUE(std::isnan(ExpOfShare(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace omserve::cpu
