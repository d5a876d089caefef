#include "core/comm/reduce.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace omserve {
namespace {

using Reduction = CollectiveBackend::Reduction;

template <typename T>
std::vector<T> Reduced(const std::vector<std::vector<T>>& inputs, DataType type, Reduction reduction) {
  std::vector<const void*> pointers;
  for (const auto& input : inputs) pointers.push_back(input.data());
  std::vector<T> output(inputs[0].size());
  Reduce(pointers, output.data(), output.size(), type, reduction);
  return output;
}

TEST(ReduceTest, GoesFromLeftToRight) {
  // (1e8 + 1) - 1e8 is 0 in float32; 1 + (1e8 - 1e8) would be 1.
  const std::vector<std::vector<float>> inputs = {{1e8f}, {1.0f}, {-1e8f}};
  EXPECT_EQ(Reduced(inputs, DataType::kFloat, Reduction::kSum)[0], 0.0f);
}

TEST(ReduceTest, OutputMayBeAnyInput) {
  for (size_t target = 0; target < 4; ++target) {
    std::vector<std::vector<int32_t>> inputs(4, std::vector<int32_t>(3001));
    for (size_t r = 0; r < 4; ++r) {
      for (size_t i = 0; i < 3001; ++i) inputs[r][i] = static_cast<int32_t>(i * (r + 1));
    }
    const std::vector<const void*> pointers = {inputs[0].data(), inputs[1].data(), inputs[2].data(),
                                               inputs[3].data()};
    Reduce(pointers, inputs[target].data(), 3001, DataType::kInt32, Reduction::kSum);
    for (size_t i = 0; i < 3001; ++i) ASSERT_EQ(inputs[target][i], static_cast<int32_t>(i * 10)) << target;
  }
}

TEST(ReduceTest, IntegersWrap) {
  EXPECT_EQ(Reduced<int8_t>({{100}, {100}}, DataType::kInt8, Reduction::kSum)[0], static_cast<int8_t>(200));
  EXPECT_EQ(Reduced<uint16_t>({{65535}, {65535}}, DataType::kUint16, Reduction::kProd)[0], 1);
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Reduced<int64_t>({{kMax}, {1}}, DataType::kInt64, Reduction::kSum)[0],
            std::numeric_limits<int64_t>::min());
}

TEST(ReduceTest, NaNWins) {
  const float nan = std::nanf("");
  for (const Reduction reduction : {Reduction::kMax, Reduction::kMin}) {
    const auto result = Reduced<float>({{nan, 1, 2}, {1, nan, 3}}, DataType::kFloat, reduction);
    EXPECT_TRUE(std::isnan(result[0]));
    EXPECT_TRUE(std::isnan(result[1]));
    EXPECT_EQ(result[2], reduction == Reduction::kMax ? 3 : 2);
  }
}

TEST(ReduceTest, BoolAndStringAreNotReducible) {
  EXPECT_FALSE(IsReducible(DataType::kBool));
  EXPECT_FALSE(IsReducible(DataType::kString));
  EXPECT_FALSE(IsReducible(DataType::kUndefined));
  EXPECT_TRUE(IsReducible(DataType::kBfloat16));
}

// The compiler's own float16 is the reference, for every value and for roundings half-way between two of
// them.
TEST(ReduceTest, Float16AgreesWithTheCompilers) {
  std::vector<uint16_t> all(65536), ones(65536), zeros(65536, 0x8000);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  for (size_t i = 0; i < all.size(); ++i) ones[i] = static_cast<uint16_t>(i * 40503);
  // Odd sizes leave a tail that is done without vector instructions: begin at different offsets.
  for (const size_t begin : {0, 1, 5}) {
    const std::vector<uint16_t> a(all.begin() + begin, all.end()), b(ones.begin() + begin, ones.end());
    const std::vector<uint16_t> sum = Reduced<uint16_t>({a, b}, DataType::kFloat16, Reduction::kSum);
    for (size_t i = 0; i < a.size(); ++i) {
      const float expected = static_cast<float>(std::bit_cast<_Float16>(a[i])) +
                             static_cast<float>(std::bit_cast<_Float16>(b[i]));
      const auto rounded = static_cast<_Float16>(expected);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(static_cast<float>(std::bit_cast<_Float16>(sum[i])))) << a[i] << " " << b[i];
      } else {
        ASSERT_EQ(sum[i], std::bit_cast<uint16_t>(rounded)) << a[i] << " " << b[i];
      }
    }
  }
  // Seven elements go without vector instructions altogether.
  for (size_t i = 0; i + 7 <= all.size(); i += 7) {
    const std::vector<uint16_t> a(all.begin() + i, all.begin() + i + 7), b(zeros.begin(), zeros.begin() + 7);
    const std::vector<uint16_t> same = Reduced<uint16_t>({a, b}, DataType::kFloat16, Reduction::kSum);
    for (size_t j = 0; j < 7; ++j) {
      const bool nan = (a[j] & 0x7fff) > 0x7c00;
      if (nan) {
        ASSERT_GT(same[j] & 0x7fff, 0x7c00);
      } else {
        ASSERT_EQ(same[j], a[j]);
      }
    }
  }
}

TEST(ReduceTest, SixteenBitFloatsAreRoundedOnce) {
  // 1 + 2^-8 + 2^-8: each addition alone would be lost to bfloat16's 8 bits, both together are not.
  const auto bfloat = [](float value) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16); };
  const auto sum = Reduced<uint16_t>({{bfloat(1.0f)}, {bfloat(0x1p-8f)}, {bfloat(0x1p-8f)}},
                                     DataType::kBfloat16, Reduction::kSum);
  EXPECT_EQ(sum[0], bfloat(1.0f + 0x1p-7f));
  // Rounds to nearest even, and NaN stays NaN.
  EXPECT_EQ(Reduced<uint16_t>({{bfloat(1.0f)}, {bfloat(0x1p-8f)}}, DataType::kBfloat16, Reduction::kSum)[0],
            bfloat(1.0f));
  EXPECT_GT(Reduced<uint16_t>({{0x7f81}, {0}}, DataType::kBfloat16, Reduction::kSum)[0] & 0x7fff, 0x7f80);
}

}  // namespace
}  // namespace omserve
