#include "client/cli/compare.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

template <typename T>
Comparison CompareValues(const std::vector<T>& expected, const std::vector<T>& actual,
                         Tolerances tolerances = {}) {
  const Shape shape = {static_cast<int64_t>(expected.size())};
  auto comparison = Compare(Tensor::Of<T>(shape, expected), Tensor::Of<T>(shape, actual), tolerances);
  EXPECT_TRUE(comparison.ok()) << comparison.status();
  return comparison.value_or(Comparison{.mismatch = "error"});
}

TEST(CompareTest, EqualValuesAreExact) {
  const Comparison c = CompareValues<float>({1, kNan, kInf, -kInf, 0}, {1, kNan, kInf, -kInf, -0.0f});
  EXPECT_TRUE(c.passed());
  EXPECT_EQ(c.worst_absolute, 0);
  EXPECT_EQ(c.worst_relative, 0);
  EXPECT_TRUE(c.worst_index.empty());
}

TEST(CompareTest, ToleranceIsAbsolutePlusRelativeOfTheExpected) {
  const Tolerances tolerances{.relative = 0.1, .absolute = 1};
  EXPECT_TRUE(CompareValues<double>({100}, {110.9}, tolerances).passed());
  EXPECT_FALSE(CompareValues<double>({100}, {111.1}, tolerances).passed());
  // Of the expected, not of the actual.
  EXPECT_FALSE(CompareValues<double>({0}, {1.05}, tolerances).passed());
}

TEST(CompareTest, SpecialValuesAgainstOthersDiffer) {
  for (const auto& [expected, actual] : std::initializer_list<std::pair<float, float>>{
           {kNan, 0}, {0, kNan}, {kInf, -kInf}, {kInf, 1e38f}, {1, kInf}, {kNan, kInf}}) {
    const Comparison c = CompareValues<float>({0, expected}, {0, actual}, {.relative = 1e9, .absolute = 1e9});
    EXPECT_EQ(c.differing, 1) << expected << " " << actual;
    EXPECT_TRUE(std::isinf(c.worst_absolute));
    EXPECT_THAT(c.worst_index, ElementsAre(1));
  }
}

TEST(CompareTest, WorstElementIsTheOneFurthestOutOfTolerance) {
  // Absolutely the first is further off, by its tolerance the last.
  auto c = Compare(Tensor::Of<float>({2, 2}, {1000, 1, 1, 0}),
                   Tensor::Of<float>({2, 2}, {1000.5f, 1, 1, 0.25f}), {.relative = 1e-3, .absolute = 1e-4});
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->worst_absolute, 0.5);
  EXPECT_DOUBLE_EQ(c->worst_relative, 0.5 / 1000);
  EXPECT_THAT(c->worst_index, ElementsAre(1, 1));
  EXPECT_EQ(c->expected_there, 0);
  EXPECT_EQ(c->actual_there, 0.25);
  EXPECT_EQ(c->differing, 1);
  EXPECT_EQ(c->elements, 4);
}

TEST(CompareTest, WorstElementIsReportedWithinToleranceToo) {
  const Comparison c = CompareValues<float>({1, 2}, {1, 2.0001f});
  EXPECT_TRUE(c.passed());
  EXPECT_THAT(c.worst_index, ElementsAre(1));
}

TEST(CompareTest, IntegersAreExactWhateverTheTolerance) {
  const Tolerances loose{.relative = 10, .absolute = 10};
  EXPECT_TRUE(CompareValues<int64_t>({5}, {5}, loose).passed());
  EXPECT_EQ(CompareValues<int64_t>({5}, {6}, loose).differing, 1);
  EXPECT_EQ(CompareValues<uint8_t>({0}, {255}, loose).worst_absolute, 255);
  // Neighbours that one double cannot tell apart.
  const int64_t large = (int64_t{1} << 53) + 1;
  EXPECT_FALSE(CompareValues<int64_t>({large}, {large - 1}, loose).passed());
}

TEST(CompareTest, ZeroToleranceMeansExact) {
  EXPECT_FALSE(CompareValues<float>({0}, {1e-30f}, {.relative = 0, .absolute = 0}).passed());
}

TEST(CompareTest, TypeAndShapeMustBeTheSame) {
  const auto c = Compare(Tensor::Of<float>({2}, {1, 2}), Tensor::Of<float>({1, 2}, {1, 2}), {});
  ASSERT_TRUE(c.ok());
  EXPECT_FALSE(c->passed());
  EXPECT_EQ(c->mismatch, "expected float32[2], found float32[1,2]");
  const auto types = Compare(Tensor::Of<float>({1}, {1}), Tensor::Of<int32_t>({1}, {1}), {});
  ASSERT_TRUE(types.ok());
  EXPECT_THAT(types->mismatch, HasSubstr("found int32[1]"));
}

TEST(CompareTest, EmptyTensorsAreEqual) { EXPECT_TRUE(CompareValues<float>({}, {}).passed()); }

Tensor Bits(DataType type, const std::vector<uint16_t>& bits) {
  std::byte* writable = nullptr;
  Tensor tensor = Tensor::Allocate({type, {static_cast<int64_t>(bits.size())}}, &writable);
  std::memcpy(writable, bits.data(), bits.size() * 2);
  return tensor;
}

TEST(CompareTest, SixteenBitTypesAreComparedByValue) {
  // 1, the next above 1, the smallest subnormal, infinity, NaN.
  const std::vector<uint16_t> half = {0x3c00, 0x3c01, 0x0001, 0x7c00, 0x7e00};
  auto c = Compare(Bits(DataType::kFloat16, half),
                   Bits(DataType::kFloat16, {0x3c00, 0x3c00, 0x0000, 0x7c00, 0x7e01}),
                   {.relative = 0, .absolute = 0});
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->differing, 2);
  EXPECT_EQ(c->worst_absolute, std::ldexp(1.0, -10));
  EXPECT_EQ(c->worst_relative, 1);

  c = Compare(Bits(DataType::kBfloat16, {0x3f80, 0xc000}), Bits(DataType::kBfloat16, {0x3f80, 0xc040}),
              {.relative = 0, .absolute = 0});
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->expected_there, -2);
  EXPECT_EQ(c->actual_there, -3);
}

}  // namespace
}  // namespace omserve::cli
