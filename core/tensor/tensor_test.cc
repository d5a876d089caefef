#include "core/tensor/tensor.h"

#include <limits>
#include <numeric>

#include "gtest/gtest.h"

namespace omserve {
namespace {

Tensor Iota(Shape shape) {
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  std::iota(values.begin(), values.end(), 0.0f);
  return Tensor::Of<float>(std::move(shape), values);
}

TEST(DataTypeTest, NumberingsRoundTrip) {
  for (DataType type : {DataType::kFloat, DataType::kInt64, DataType::kInt32, DataType::kBool, DataType::kBfloat16}) {
    EXPECT_EQ(*DataTypeFromProtoNumber(ToProtoNumber(type)), type);
    EXPECT_EQ(*DataTypeFromAclNumber(ToAclNumber(type)), type);
    EXPECT_EQ(*DataTypeFromOnnxNumber(ToOnnxNumber(type)), type);
    EXPECT_EQ(*DataTypeFromName(std::string(Name(type))), type);
  }
  EXPECT_EQ(ToProtoNumber(DataType::kInt32), 7);
  EXPECT_EQ(ToAclNumber(DataType::kInt32), 3);
  EXPECT_FALSE(DataTypeFromOnnxNumber(99).ok());
  EXPECT_FALSE(DataTypeFromName("float33").ok());
}

TEST(ShapeTest, Broadcast) {
  EXPECT_EQ(*BroadcastShapes({2, 1, 3}, {4, 1}), (Shape{2, 4, 3}));
  EXPECT_EQ(*BroadcastShapes({-1, 3}, {1}), (Shape{-1, 3}));
  EXPECT_EQ(*BroadcastShapes({0}, {1}), (Shape{0}));
  EXPECT_FALSE(BroadcastShapes({2}, {3}).ok());
}

TEST(ShapeTest, HostileSizesAreRefused) {
  EXPECT_FALSE(CheckedNumElements({int64_t{1} << 40, int64_t{1} << 40}).ok());
  EXPECT_FALSE(CheckedNumElements({-1, 2}).ok());
  EXPECT_EQ(*CheckedNumElements({0, int64_t{1} << 62}), 0);
  EXPECT_FALSE(CheckedByteSize({DataType::kDouble, {int64_t{1} << 61}}).ok());
  EXPECT_FALSE(Tensor::Create({DataType::kFloat, {2}}, Buffer::CopyOf("abc", 3)).ok());
}

TEST(TensorSliceTest, RunsAndMaterialize) {
  const Tensor source = Iota({4, 3, 2});
  auto rows = TensorSlice::Create(source, {1, 0, 0}, {2, 3, 2});
  ASSERT_TRUE(rows.ok());
  const Tensor dense = rows->Materialize();
  EXPECT_EQ(dense.data(), source.data() + 6 * sizeof(float));  // contiguous: no copy
  auto columns = TensorSlice::Create(source, {0, 1, 0}, {4, 1, 2});
  ASSERT_TRUE(columns.ok());
  const Tensor copied = columns->Materialize();
  EXPECT_EQ(std::vector<float>(copied.values<float>().begin(), copied.values<float>().end()),
            (std::vector<float>{2, 3, 8, 9, 14, 15, 20, 21}));
  auto nested = columns->Slice({2, 0, 1}, {2, 1, 1});
  ASSERT_TRUE(nested.ok());
  const Tensor inner = nested->Materialize();
  EXPECT_EQ(inner.values<float>()[0], 15);
  EXPECT_EQ(inner.values<float>()[1], 21);
  EXPECT_FALSE(TensorSlice::Create(source, {-1, 0, 0}, {2, 3, 2}).ok());
  EXPECT_FALSE(TensorSlice::Create(source, {1, 0}, {2, 3}).ok());
  EXPECT_FALSE(TensorSlice::Create(source, {0, 0, 0}, {std::numeric_limits<int64_t>::max() / 2, 3, 2}).ok());
  EXPECT_FALSE(columns->Slice({0, 1, 0}, {1, 1, 1}).ok());
}

std::vector<float> ValuesOf(const TensorSlice& slice) {
  const Tensor dense = slice.Materialize();
  EXPECT_EQ(dense.desc(), slice.desc());
  return {dense.values<float>().begin(), dense.values<float>().end()};
}

TEST(TensorSliceTest, BeyondTheEndsThereAreZeros) {
  const Tensor source = Iota({3, 2});
  auto rows = TensorSlice::Create(source, {0, 0}, {5, 2});
  ASSERT_TRUE(rows.ok());
  EXPECT_FALSE(rows->is_whole());
  EXPECT_EQ(ValuesOf(*rows), (std::vector<float>{0, 1, 2, 3, 4, 5, 0, 0, 0, 0}));
  auto columns = TensorSlice::Create(source, {0, 0}, {3, 4});
  ASSERT_TRUE(columns.ok());
  EXPECT_EQ(ValuesOf(*columns), (std::vector<float>{0, 1, 0, 0, 2, 3, 0, 0, 4, 5, 0, 0}));
  auto both = TensorSlice::Create(source, {1, 1}, {3, 2});
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(ValuesOf(*both), (std::vector<float>{3, 0, 5, 0, 0, 0}));
  // Parts inside the source are views, parts in the padding are zeros, and none leaves the padded box.
  EXPECT_EQ(rows->Slice({1, 0}, {2, 2})->Materialize().data(), source.data() + 2 * sizeof(float));
  EXPECT_EQ(ValuesOf(*rows->Slice({2, 0}, {2, 2})), (std::vector<float>{4, 5, 0, 0}));
  EXPECT_EQ(ValuesOf(*rows->Slice({3, 1}, {2, 1})), (std::vector<float>{0, 0}));
  EXPECT_EQ(ValuesOf(*rows->Slice({2, 0}, {3, 2})), (std::vector<float>{4, 5, 0, 0, 0, 0}));  // the source's shape
  EXPECT_FALSE(rows->Slice({4, 0}, {2, 2}).ok());
}

TEST(TensorSliceTest, PaddingOfAnyBoxIsWhatElementsSay) {
  const Tensor source = Iota({3, 2, 4});
  for (int64_t a = 0; a < 5; ++a) {
    for (int64_t b = 0; b < 4; ++b) {
      for (int64_t c = 0; c < 6; ++c) {
        const Shape extent{4, 3, 5};
        auto box = TensorSlice::Create(source, {a, b, c}, extent);
        ASSERT_TRUE(box.ok());
        std::vector<float> expected;
        for (int64_t i = a; i < a + 4; ++i) {
          for (int64_t j = b; j < b + 3; ++j) {
            for (int64_t k = c; k < c + 5; ++k) {
              expected.push_back(i < 3 && j < 2 && k < 4 ? static_cast<float>((i * 2 + j) * 4 + k) : 0);
            }
          }
        }
        EXPECT_EQ(ValuesOf(*box), expected) << a << " " << b << " " << c;
      }
    }
  }
}

TEST(TensorSliceTest, ScalarsAndEmpties) {
  EXPECT_EQ(TensorSlice(Tensor::Scalar<float>(7)).Materialize().values<float>()[0], 7);
  auto empty = TensorSlice::Create(Iota({4, 2}), {4, 0}, {0, 2});
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->Materialize().byte_size(), 0u);
}

}  // namespace
}  // namespace omserve
