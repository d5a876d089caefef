#include "core/base/json.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

TEST(JsonTest, ErrorsNameThePlace) {
  auto doc = JsonDocument::Parse(R"({"a": [{"b": "x"}] // comment
  })", "c.json");
  ASSERT_TRUE(doc.ok()) << doc.status();
  auto items = doc->root().Field("a").Array();
  ASSERT_TRUE(items.ok());
  EXPECT_EQ((*items)[0].Field("b").Int().status().message(), "c.json.a[0].b: expected an integer, found \"x\"");
  EXPECT_EQ((*items)[0].Field("c").Bool().status().message(), "c.json.a[0].c: missing; expected true or false");
  EXPECT_THAT(std::string((*items)[0].CheckFields({"d"}).message()), HasSubstr("unknown key 'b'; known are d"));
  EXPECT_FALSE(doc->root().Field("a").Field("b").present());
}

TEST(JsonTest, BadTextIsLocated) {
  auto doc = JsonDocument::Parse("{\n \"a\": 1\n \"b\": 2}", "p.json");
  EXPECT_EQ(doc.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(doc.status().message()), HasSubstr("line 3"));
  EXPECT_FALSE(JsonDocument::Parse(std::string(100000, '['), "deep").ok());
  EXPECT_THAT(std::string(JsonDocument::Parse("", "f").status().message()), HasSubstr("f: the file is empty"));
  EXPECT_THAT(std::string(JsonDocument::Parse("[1,", "f").status().message()),
              HasSubstr("f: not valid JSON at line 1, column 4: syntax error"));
}

TEST(JsonTest, Ranges) {
  auto doc = JsonDocument::Parse(R"({"p": 70000, "u": 18446744073709551615, "f": 1.5})", "r");
  ASSERT_TRUE(doc.ok());
  EXPECT_FALSE(doc->root().Field("p").IntInRange(0, 65535).ok());
  EXPECT_FALSE(doc->root().Field("u").Int().ok());
  EXPECT_FALSE(doc->root().Field("f").Int().ok());
}

}  // namespace
}  // namespace omserve
