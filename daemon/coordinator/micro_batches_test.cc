#include "daemon/coordinator/micro_batches.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;

ModelInfo TwoRowsAtATime() {
  ModelInfo model;
  model.inputs = {{"x", {DataType::kFloat, {2, 2}}}, {"scale", {DataType::kFloat, {}}}};
  model.micro_batches = 3;
  return model;
}

TEST(MicroBatchesTest, SplitsWithoutCopying) {
  const Tensor x = Tensor::Of<float>({6, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const Tensor scale = Tensor::Scalar<float>(2);
  const auto runs = SplitRequest(TwoRowsAtATime(), {x, scale});
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[1][0].desc(), (TensorDesc{DataType::kFloat, {2, 2}}));
  EXPECT_THAT(runs[1][0].values<float>(), ElementsAre(5, 6, 7, 8));
  EXPECT_EQ(runs[2][0].data(), x.data() + 8 * sizeof(float));
  EXPECT_EQ(runs[2][1].data(), scale.data());
}

TEST(MicroBatchesTest, JoinsInOrderWhateverTheOrderOfAnswers) {
  int calls = 0;
  absl::StatusOr<std::vector<Tensor>> joined;
  uint64_t copied = 0;
  MicroBatchAnswers answers(3, [&](absl::StatusOr<std::vector<Tensor>> result, uint64_t bytes) {
    ++calls;
    joined = std::move(result);
    copied = bytes;
  });
  answers.Answer(2, std::vector<Tensor>{Tensor::Of<float>({1, 2}, {5, 6})});
  answers.Answer(0, std::vector<Tensor>{Tensor::Of<float>({1, 2}, {1, 2})});
  EXPECT_EQ(calls, 0);
  answers.Answer(1, std::vector<Tensor>{Tensor::Of<float>({1, 2}, {3, 4})});
  EXPECT_EQ(calls, 1);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ((*joined)[0].desc(), (TensorDesc{DataType::kFloat, {3, 2}}));
  EXPECT_THAT((*joined)[0].values<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(copied, 24u);
}

TEST(MicroBatchesTest, TheFirstErrorIsTheAnswerOnceAllHaveEnded) {
  int calls = 0;
  absl::Status status;
  MicroBatchAnswers answers(3, [&](absl::StatusOr<std::vector<Tensor>> result, uint64_t) {
    ++calls;
    status = result.status();
  });
  answers.Answer(1, absl::DeadlineExceededError("late"));
  answers.Answer(0, std::vector<Tensor>{});
  EXPECT_EQ(calls, 0);
  answers.Answer(2, absl::UnavailableError("lost"));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(status, absl::DeadlineExceededError("late"));
}

}  // namespace
}  // namespace omserve
