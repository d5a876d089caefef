#include "core/om/container.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;

std::string Sample() {
  std::string om = EncodeOmHead(
      OmModelType::kSlice, "name",
      {{OmPartitionType::kModelDef, 3}, {OmPartitionType::kWeightsData, 0}, {OmPartitionType::kTaskInfo, 2}});
  return om + "abcde";
}

TEST(ContainerTest, RoundTrip) {
  const std::string om = Sample();
  auto container = ParseOmContainer(om);
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_EQ(container->name, "name");
  ASSERT_EQ(container->partitions.size(), 3u);
  EXPECT_EQ(om.substr(container->partitions[0].offset, 3), "abc");
  EXPECT_EQ(container->Find(OmPartitionType::kTaskInfo)->offset, OmHeadBytes(3) + 3);
  EXPECT_EQ(container->Find(OmPartitionType::kFlowModel), nullptr);
}

TEST(ContainerTest, LongNamesAreCutBetweenCharacters) {
  // 30 letters and a character of two bytes: 31 would cut it in half.
  const std::string name = std::string(30, 'n') + "\xc3\xa4";
  auto container =
      ParseOmContainer(EncodeOmHead(OmModelType::kSlice, name, {{OmPartitionType::kModelDef, 0}}));
  ASSERT_TRUE(container.ok());
  EXPECT_EQ(container->name, std::string(30, 'n'));
}

struct Damage {
  size_t offset;
  std::string bytes;
  absl::StatusCode code;
  const char* message;
};

TEST(ContainerTest, DamageIsNamed) {
  const std::string u32_max(4, '\xff');
  for (const Damage& damage : {
           Damage{0, "X", absl::StatusCode::kDataLoss, "does not begin with \"IMOD\""},
           Damage{4, "\x01", absl::StatusCode::kDataLoss, "header of 257 bytes"},
           Damage{11, "\x30", absl::StatusCode::kUnimplemented, "format version 0x30000000"},
           Damage{11, "\x10", absl::StatusCode::kUnimplemented, "format version 0x10000000"},
           Damage{80, "\x01", absl::StatusCode::kUnimplemented, "encrypted"},
           Damage{82, "\x05", absl::StatusCode::kUnimplemented, "model type 5"},
           Damage{156, "\x02", absl::StatusCode::kUnimplemented, "holds 2 models"},
           Damage{184, "\x01", absl::StatusCode::kDataLoss, "its header states"},
           Damage{184, std::string(8, '\0'), absl::StatusCode::kUnimplemented, "32-bit partition table"},
           Damage{256, std::string(4, '\0'), absl::StatusCode::kDataLoss, "states 0 partitions"},
           Damage{256, u32_max, absl::StatusCode::kDataLoss, "expected 1 to 8"},
           Damage{256, "\x08", absl::StatusCode::kDataLoss, "the partition table at byte 256"},
           Damage{260, "\x01", absl::StatusCode::kDataLoss, "the partition table at byte 256"},
           Damage{256, "\x02", absl::StatusCode::kDataLoss, "partitions end at byte"},
           Damage{268, "\x01", absl::StatusCode::kDataLoss,
                  "entry 0 of the partition table (byte 264) is damaged: its padding"},
           Damage{272, "\x01", absl::StatusCode::kDataLoss,
                  "its offset is 1; partitions lie back to back, so it must be 0"},
           Damage{280, "\x04", absl::StatusCode::kDataLoss, "entry 1 of the partition table"},
           Damage{280, std::string(8, '\xff'), absl::StatusCode::kDataLoss,
                  "its size is 18446744073709551615"},
           Damage{328, "\x03", absl::StatusCode::kDataLoss, "its size is 3; 2 bytes are left"},
           Damage{328, "\x01", absl::StatusCode::kDataLoss, "the partitions end at byte"},
       }) {
    std::string om = Sample();
    om.replace(damage.offset, damage.bytes.size(), damage.bytes);
    const absl::Status status = ParseOmContainer(om).status();
    EXPECT_EQ(status.code(), damage.code) << damage.message << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(damage.message));
  }
}

TEST(ContainerTest, EveryTruncationIsRefused) {
  const std::string om = Sample();
  for (size_t size = 0; size < om.size(); ++size) {
    EXPECT_FALSE(ParseOmContainer(std::string_view(om).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseOmContainer(om + "x").ok());
}

}  // namespace
}  // namespace omserve
