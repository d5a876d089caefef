#include "core/om/wire.h"

#include "core/om/private_data.h"
#include "core/om/text.h"
#include "ge/ge_ir.pb.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(WireTest, ReadsWhatItWrites) {
  std::string message;
  AppendField(3, "payload", &message);
  AppendVarint(4 << 3 | 0, &message);
  AppendVarint(uint64_t{1} << 63, &message);
  AppendMapEntry(7, "key", "value", &message);
  WireReader reader(message);
  auto first = reader.Next();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->number, 3u);
  EXPECT_EQ(first->bytes, "payload");
  EXPECT_EQ(first->offset, 2u);
  auto second = reader.Next();
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->number, 4u);
  EXPECT_FALSE(second->has_bytes);
  auto third = reader.Next();
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(third->bytes, "\x0a\x03key\x12\x05value");
  EXPECT_TRUE(reader.done());
}

TEST(WireTest, RefusesMalformedFields) {
  for (std::string message :
       {std::string("\x1a"),
        std::string("\x1a\x05"
                    "abc"),
        std::string("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), std::string("\x1b"),
        std::string("\x02\x00", 2),
        std::string("\x1d"
                    "abc"),
        std::string("\x19"
                    "abcdefg"),
        std::string("\x80"), std::string("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        std::string("\xff\xff\xff\xff\x7f\x00", 6)}) {
    WireReader reader(message);
    EXPECT_EQ(reader.Next().status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(WireTest, PaddingAlwaysFits) {
  for (uint64_t position = 0; position < 1024; ++position) {
    for (uint64_t after : {0, 3, 6}) {
      EXPECT_EQ((position + ModelPadding(position, after, 512).size() + after) % 512, 0u);
      EXPECT_EQ((position + SubmodelPadding(position, after, 512).size() + after) % 512, 0u);
    }
  }
}

TEST(WireTest, EntriesAreOrdinaryAttributes) {
  ge::proto::ModelDef model;
  model.set_name("m");
  std::string bytes =
      model.SerializeAsString() + ModelPadding(100, 0, 512) + DigestEntry(std::string(64, 'a'));
  ASSERT_TRUE(model.ParseFromString(bytes));
  EXPECT_EQ(model.attr().at(kDigestAttr).s(), std::string(64, 'a'));
  EXPECT_EQ(model.attr().at(kPaddingAttr).s().find_first_not_of(' '), std::string::npos);
  std::string digest;
  size_t offset = 0;
  ASSERT_TRUE(FindDigest(bytes, &digest, &offset));
  EXPECT_EQ(digest, std::string(64, 'a'));
  EXPECT_EQ(offset, bytes.size() - 64);
  EXPECT_FALSE(FindDigest(bytes + "x", &digest, &offset));
  EXPECT_FALSE(FindDigest("", &digest, &offset));
}

TEST(WireTest, Utf8) {
  EXPECT_TRUE(IsUtf8("plain, \xc3\xa4, \xe4\xb8\xad, \xf0\x9f\x98\x80"));
  for (const char* text : {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                           "\xff", "\xc3(", "\xe4\xb8"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
}

}  // namespace
}  // namespace omserve
