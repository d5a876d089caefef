#include "protos/support/grpc_status.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(GrpcStatusTest, EveryCodeSurvivesTheRoundTrip) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "the cause");
    const grpc::Status wire = ToGrpc(status);
    EXPECT_EQ(wire.error_code(), code);
    EXPECT_EQ(FromGrpc(wire), status);
  }
}

TEST(GrpcStatusTest, UnknownNumberIsNamed) {
  const absl::Status status = FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(20), "what"));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(status.message(), "status code 20: what");
}

TEST(GrpcStatusTest, LongMessageIsCutToFitTheTrailers) {
  const std::string message = ToGrpc(absl::InternalError(std::string(10000, 'x'))).error_message();
  EXPECT_LE(message.size(), kMaxEncodedStatusMessage);
  EXPECT_GT(message.size(), kMaxEncodedStatusMessage - 100);
  EXPECT_THAT(message, testing::HasSubstr("more bytes)"));
}

TEST(GrpcStatusTest, CutFallsBetweenCharacters) {
  std::string long_text;
  for (int i = 0; i < 4000; ++i) long_text += "é";  // three encoded bytes for each of its two
  const std::string message = ToGrpc(absl::InternalError(long_text)).error_message();
  EXPECT_LE(message.size() * 3, kMaxEncodedStatusMessage + 100);
  const size_t kept = message.find("…");
  ASSERT_NE(kept, std::string::npos);
  EXPECT_EQ(kept % 2, 0u);
  EXPECT_EQ(message.substr(0, kept), long_text.substr(0, kept));
}

TEST(GrpcStatusTest, ShortMessageWithPercentIsKept) {
  EXPECT_EQ(ToGrpc(absl::NotFoundError("100% gone")).error_message(), "100% gone");
}

}  // namespace
}  // namespace omserve
