#include "daemon/base/names.h"

#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(NamesTest, AcceptsAndRefuses) {
  for (const char* name : {"m", "bert-base_v1.2", "host:8080", "7b"}) {
    EXPECT_TRUE(CheckServiceName("model name", name).ok()) << name;
  }
  for (const std::string& name : {std::string(), std::string("../x"), std::string("-x"), std::string("a b"),
                                  std::string("a\nb"), std::string("ü"), std::string(129, 'x'), std::string("a\0b", 3)}) {
    EXPECT_EQ(CheckServiceName("model name", name).code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

TEST(NamesTest, RequestIdMayBeEmptyButNotBinary) {
  EXPECT_TRUE(CheckRequestId("").ok());
  EXPECT_TRUE(CheckRequestId("trace 1/2").ok());
  EXPECT_FALSE(CheckRequestId("a\nb").ok());
  EXPECT_FALSE(CheckRequestId(std::string(129, 'x')).ok());
}

TEST(NamesTest, RandomIdsDiffer) {
  EXPECT_EQ(RandomId().size(), 16u);
  EXPECT_NE(RandomId(), RandomId());
}

TEST(NamesTest, NaturalOrder) {
  EXPECT_TRUE(NaturalLess("w2", "w10"));
  EXPECT_FALSE(NaturalLess("w10", "w2"));
  EXPECT_TRUE(NaturalLess("a", "b"));
  EXPECT_TRUE(NaturalLess("w", "w1"));
  EXPECT_TRUE(NaturalLess("w1a", "w1b"));
  EXPECT_FALSE(NaturalLess("w1", "w1"));
}

}  // namespace
}  // namespace omserve
