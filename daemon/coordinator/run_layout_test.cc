#include "daemon/coordinator/run_layout.h"

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Tensor Iota(Shape shape, float first = 0) {
  std::vector<float> values(NumElements(shape));
  std::iota(values.begin(), values.end(), first);
  return Tensor::Of<float>(std::move(shape), values);
}

TEST(CopyBoxTest, EveryBoxOfASmallTensor) {
  const TensorDesc desc{DataType::kFloat, {2, 3, 4}};
  for (int64_t a = 0; a <= 2; ++a)
    for (int64_t a1 = a; a1 <= 2; ++a1)
      for (int64_t b = 0; b <= 3; ++b)
        for (int64_t b1 = b; b1 <= 3; ++b1)
          for (int64_t c = 0; c <= 4; ++c)
            for (int64_t c1 = c; c1 <= 4; ++c1) {
              const Shape extent{a1 - a, b1 - b, c1 - c};
              const Tensor source = Iota(extent, 1);
              std::vector<float> target(24, 0);
              CopyBox(source, {a, b, c}, desc, reinterpret_cast<std::byte*>(target.data()));
              float expected = 1;
              for (int64_t i = 0; i < 24; ++i) {
                const int64_t x = i / 12, y = i / 4 % 3, z = i % 4;
                const bool inside = x >= a && x < a1 && y >= b && y < b1 && z >= c && z < c1;
                ASSERT_EQ(target[i], inside ? expected : 0) << a << a1 << b << b1 << c << c1 << " at " << i;
                if (inside) ++expected;
              }
            }
}

TEST(CopyBoxTest, Scalar) {
  float target = 0;
  CopyBox(Tensor::Scalar<float>(7), {}, {DataType::kFloat, {}}, reinterpret_cast<std::byte*>(&target));
  EXPECT_EQ(target, 7);
}

class RunLayoutTest : public testing::Test {
 protected:
  RunLayoutTest() {
    model_.inputs = {{"a", {DataType::kFloat, {2}}}, {"b", {DataType::kFloat, {2}}}};
    model_.outputs = {{"cut", {DataType::kFloat, {2, 4}}}, {"whole", {DataType::kFloat, {2}}}};
    SliceInfo slice;
    slice.inputs = {1, 0, 1};
    slice.outputs = {{0, {0, 0}, {2, 2}}, {1, {0}, {2}}};
    model_.slices.push_back(slice);
    slice.inputs = {0};
    slice.outputs = {{1, {0}, {2}}, {0, {0, 2}, {2, 2}}, {0, {0, 0}, {2, 2}}};
    model_.slices.push_back(slice);
  }
  ModelInfo model_;
};

TEST_F(RunLayoutTest, InputsGoOncePerWorkerAndOutputsAreFetchedOnce) {
  const RunLayout layout(&model_, {0, 1});
  const std::vector<Tensor> inputs = {Iota({2}), Iota({2}, 10)};
  const ExecuteCall both = layout.CallFor({0, 1}, inputs);
  ASSERT_THAT(both.inputs, SizeIs(2));
  EXPECT_EQ(both.inputs[0].data(), inputs[1].data());
  EXPECT_THAT(both.slices[0].inputs, ElementsAre(0, 1, 0));
  EXPECT_THAT(both.slices[1].inputs, ElementsAre(1));
  EXPECT_THAT(both.slices[0].outputs, ElementsAre(0, 1));
  EXPECT_THAT(both.slices[1].outputs, ElementsAre(1));
  const ExecuteCall second = layout.CallFor({1}, inputs);
  ASSERT_THAT(second.inputs, SizeIs(1));
  EXPECT_EQ(second.inputs[0].data(), inputs[0].data());
}

TEST_F(RunLayoutTest, PiecesAreJoinedAndWholesPassUncopied) {
  const RunLayout layout(&model_, {1, 0});
  const Tensor whole = Iota({2}, 100);
  // Asked of slice 0: "whole" first, because it is wanted first.
  EXPECT_THAT(layout.CallFor({0}, {Iota({2}), Iota({2})}).slices[0].outputs, ElementsAre(1, 0));
  uint64_t copied = 0;
  auto outputs = layout.Assemble({{0, {whole, Iota({2, 2}, 0)}}, {1, {Iota({2, 2}, 10)}}}, &copied);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ((*outputs)[0].data(), whole.data());
  EXPECT_THAT((*outputs)[1].values<float>(), ElementsAre(0, 1, 10, 11, 2, 3, 12, 13));
  EXPECT_EQ(copied, 32u);
}

TEST_F(RunLayoutTest, NothingWantedIsNothingFetched) {
  const RunLayout layout(&model_, {});
  EXPECT_THAT(layout.CallFor({0}, {Iota({2}), Iota({2})}).slices[0].outputs, IsEmpty());
  uint64_t copied = 0;
  EXPECT_THAT(*layout.Assemble({}, &copied), IsEmpty());
}

TEST_F(RunLayoutTest, WrongAnswersAreInternalErrors) {
  const RunLayout layout(&model_, {0});
  uint64_t copied = 0;
  EXPECT_EQ(layout.Assemble({{0, {Iota({2, 2})}}}, &copied).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(layout.Assemble({{0, {Iota({4})}}, {1, {Iota({2, 2})}}}, &copied).status().code(),
            absl::StatusCode::kInternal);
  model_.slices[0].outputs.clear();
  model_.slices[1].outputs.clear();
  EXPECT_EQ(RunLayout(&model_, {0}).Assemble({}, &copied).status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace omserve
