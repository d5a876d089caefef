#include "core/base/sha256.h"

#include "gtest/gtest.h"

namespace omserve {
namespace {

TEST(Sha256Test, KnownDigests) {
  EXPECT_EQ(Sha256::Of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 sha;
  sha.Update("a");
  sha.Update("bc");
  const std::string digest = sha.Finish();
  EXPECT_EQ(digest, Sha256::Of("abc"));
  EXPECT_TRUE(Sha256::IsDigest(digest));
  EXPECT_FALSE(Sha256::IsDigest("../../etc/passwd"));
}

}  // namespace
}  // namespace omserve
