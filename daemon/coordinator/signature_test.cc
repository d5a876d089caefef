#include "daemon/coordinator/signature.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;

class SignatureTest : public testing::Test {
 protected:
  SignatureTest() {
    model_.name = "m";
    model_.inputs = {{"ids", {DataType::kInt64, {1, 2}}}, {"mask", {DataType::kFloat, {2}}}};
    model_.outputs = {{"y", {DataType::kFloat, {2}}}, {"z", {DataType::kFloat, {}}}};
  }
  std::string Error(std::vector<NamedTensor> inputs) const {
    absl::Status status = BindInputs(model_, std::move(inputs)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  }
  ModelInfo model_;
  const NamedTensor ids_{"ids", Tensor::Of<int64_t>({1, 2}, {1, 2})};
  const NamedTensor mask_{"mask", Tensor::Of<float>({2}, {1, 1})};
};

TEST_F(SignatureTest, AnyOrder) {
  auto bound = BindInputs(model_, {mask_, ids_});
  ASSERT_TRUE(bound.ok());
  EXPECT_EQ((*bound)[0].data(), ids_.tensor.data());
  EXPECT_EQ((*bound)[1].data(), mask_.tensor.data());
}

TEST_F(SignatureTest, ErrorsNameTheInputAndWhatIsExpected) {
  EXPECT_EQ(Error({ids_}), "input 'mask' is missing; the model takes 'ids' int64[1,2], 'mask' float32[2]");
  EXPECT_EQ(Error({ids_, mask_, {"x\n", mask_.tensor}}),
            "model 'm' has no input 'x\\n'; it takes 'ids' int64[1,2], 'mask' float32[2]");
  EXPECT_EQ(Error({ids_, ids_}), "input 'ids' is given twice");
  EXPECT_EQ(Error({{"ids", Tensor::Of<int32_t>({1, 2}, {1, 2})}}),
            "input 'ids' is int32[1,2]; expected int64[1,2]");
  EXPECT_EQ(Error({{"ids", Tensor::Of<int64_t>({2}, {1, 2})}}), "input 'ids' is int64[2]; expected int64[1,2]");
}

TEST_F(SignatureTest, Outputs) {
  EXPECT_THAT(*BindOutputs(model_, {}), ElementsAre(0, 1));
  EXPECT_THAT(*BindOutputs(model_, {"z"}), ElementsAre(1));
  EXPECT_EQ(BindOutputs(model_, {"q"}).status().message(),
            "model 'm' has no output 'q'; it gives 'y' float32[2], 'z' float32[]");
  EXPECT_EQ(BindOutputs(model_, {"z", "z"}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace omserve
