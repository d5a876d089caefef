#include "omserve/tensor.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(TensorTest, OfCopiesValues) {
  std::vector<int64_t> values = {1, 2, 3};
  const Tensor tensor = Tensor::Of<int64_t>("ids", {1, 3}, values);
  values[0] = 99;
  EXPECT_EQ(tensor.name(), "ids");
  EXPECT_EQ(ToString(tensor.desc()), "int64[1,3]");
  ASSERT_TRUE(tensor.As<int64_t>().ok());
  EXPECT_THAT(*tensor.As<int64_t>(), ElementsAre(1, 2, 3));
}

TEST(TensorTest, AsRefusesAnotherTypeNamingBoth) {
  const std::vector<float> values = {1, 2};
  const auto wrong = Tensor::Of<float>("x", {2}, values).As<int32_t>();
  EXPECT_EQ(wrong.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("'x' is float32[2], not of int32"));
}

TEST(TensorTest, AsRefusesBrokenBytes) {
  EXPECT_EQ(Tensor::Owned({"x", "float32", {1}}, "abc").As<float>().status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(TensorTest, CopiesShareTheOwner) {
  auto owner = std::make_shared<std::vector<float>>(4, 1.0f);
  Tensor tensor = Tensor::Shared({"x", "float32", {4}}, owner, owner->data(), 16);
  const Tensor copy = tensor.Renamed("y");
  tensor = Tensor();
  EXPECT_EQ(copy.name(), "y");
  EXPECT_EQ(copy.data(), owner->data());
  EXPECT_EQ(owner.use_count(), 2);
}

TEST(TensorTest, EmptyTensorHasNoElements) {
  const Tensor tensor = Tensor::Owned({"past", "float32", {1, 4, 0, 8}}, "");
  ASSERT_TRUE(tensor.As<float>().ok());
  EXPECT_TRUE(tensor.As<float>()->empty());
}

TEST(TensorTest, UnknownDimensionPrintsAsQuestionMark) {
  EXPECT_EQ(ToString(TensorDesc{"x", "float32", {-1, 3}}), "float32[?,3]");
}

}  // namespace
}  // namespace omserve::client
