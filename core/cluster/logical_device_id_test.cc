#include "core/cluster/cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

std::string Parsed(absl::string_view text) {
  auto id = LogicalDeviceId::Parse(text);
  return id.ok() ? id->ToString() : std::string(id.status().message());
}

std::string ParsedList(absl::string_view text) {
  auto ids = LogicalDeviceId::ParseList(text);
  if (!ids.ok()) return std::string(ids.status().message());
  std::string joined;
  for (const LogicalDeviceId& id : *ids) joined += id.ToString() + " ";
  return joined;
}

TEST(LogicalDeviceIdTest, ThreeFieldsMeanChipZero) {
  EXPECT_EQ(Parsed("0:1:2"), "0:1:2:0");
  EXPECT_EQ(Parsed(" [ 0:1:2:3 ] "), "0:1:2:3");
}

TEST(LogicalDeviceIdTest, RefusesOtherTexts) {
  for (const char* text : {"", "0", "0:1", "0:1:2:3:4", "0:1:x", "0:1:-1", "0:1:", "0:1:99999999999",
                           "0:1:32768", "0:0:0~1", "[0:0:0", "0:0:+1", "0:0:0,0:0:1"}) {
    EXPECT_THAT(Parsed(text), HasSubstr("is no logical device id; expected cluster:node:item")) << text;
  }
}

TEST(LogicalDeviceIdTest, Lists) {
  EXPECT_EQ(ParsedList("0:0:0~1,0:1:0"), "0:0:0:0 0:0:1:0 0:1:0:0 ");
  EXPECT_EQ(ParsedList("[0:0:0, 0:0:0, 0:0:1]"), "0:0:0:0 0:0:1:0 ");
  EXPECT_EQ(ParsedList("0:0:0~1:0~1"), "0:0:0:0 0:0:0:1 0:0:1:0 0:0:1:1 ");
  EXPECT_THAT(ParsedList("0:0:1~0"), HasSubstr("is no logical device id"));
  EXPECT_THAT(ParsedList("0:0:0,"), HasSubstr("is no logical device id"));
  EXPECT_THAT(ParsedList("0:0~32767:0~32767"), HasSubstr("at most 65535"));
  EXPECT_THAT(ParsedList("0~32767:0~32767:0~32767:0~32767"), HasSubstr("at most 65535"));
  // Found by fuzzing: a list that repeats itself must not take time without end.
  EXPECT_THAT(ParsedList("0:0:0~32766,0:0:0~32766,0:0:0~32766"), HasSubstr("'0:0:0~32766' names 32767 devices after 65534"));
}

}  // namespace
}  // namespace omserve
