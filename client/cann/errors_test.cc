#include "client/cann/errors.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::cann {
namespace {

using ::testing::HasSubstr;

TEST(SplitCode, FindsACodeBehindPhases) {
  const auto coded = SplitCode("plan: EF1012: tensor_parallel_size 3 must equal 2");
  ASSERT_TRUE(coded.has_value());
  EXPECT_EQ(coded->code, "EF1012");
  EXPECT_EQ(coded->text, "plan: tensor_parallel_size 3 must equal 2");
  EXPECT_EQ(SplitCode("E10032: x.json")->text, "x.json");
}

TEST(SplitCode, TakesOnlyCodes) {
  for (const char* text : {"", "E10032", "xE10032: a", "E1003: a", "Errors: a", "node E10032 fails", "ERRORS: a"}) {
    EXPECT_FALSE(SplitCode(text).has_value()) << text;
  }
}

TEST(ReportFor, KindsWithoutACode) {
  EXPECT_EQ(ReportFor(absl::UnimplementedError("import: operator 'Foo' (node 'n') is not supported")).code, "E10501");
  EXPECT_EQ(ReportFor(absl::UnimplementedError("a newer format")).code, "E10055");
  EXPECT_EQ(ReportFor(absl::NotFoundError("open x.onnx")).code, "E10410");
  EXPECT_EQ(ReportFor(absl::ResourceExhaustedError("plan: device needs")).code, "E19022");
  EXPECT_EQ(ReportFor(absl::UnavailableError("connect")).code, "E19027");
  EXPECT_EQ(ReportFor(absl::InvalidArgumentError("import: not an ONNX file")).code, "E19005");
  EXPECT_EQ(ReportFor(absl::InternalError("")).code, "E19999");
}

TEST(FormatBlock, IndentsWhatFollows) {
  const std::string block = FormatBlock(ReportFor(absl::InvalidArgumentError("E10006: value '2'\nof --mode")));
  EXPECT_THAT(block, HasSubstr("E10006: value '2'\n        of --mode\n"));
  EXPECT_THAT(block, HasSubstr("\n        Possible Cause: The option is a switch of 0 and 1.\n"));
  EXPECT_THAT(block, HasSubstr("\n        Solution: Set it to 0 or 1.\n"));
  EXPECT_EQ(FormatBlock({.code = "E19999", .message = "x"}), "E19999: x\n");
}

}  // namespace
}  // namespace omserve::cann
