// Damaged files: every truncation and a flipped bit in every byte is noticed, and nothing crashes.
#include <fcntl.h>
#include <unistd.h>

#include "core/om/om_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;

// A file that can be changed in place between openings.
class Victim {
 public:
  explicit Victim(const std::string& path)
      : fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC)), bytes_(*ReadFile(path)) {}
  ~Victim() { ::close(fd_); }
  const std::string& bytes() const { return bytes_; }
  void Put(size_t offset, char byte) { ASSERT_EQ(::pwrite(fd_, &byte, 1, static_cast<off_t>(offset)), 1); }
  void Restore(size_t offset) { Put(offset, bytes_[offset]); }
  void Truncate(size_t size) { ASSERT_EQ(::ftruncate(fd_, static_cast<off_t>(size)), 0); }

 private:
  const int fd_;
  const std::string bytes_;
};

// Opens, reads all slices and verifies; the first error.
absl::Status ReadAll(const std::string& path) {
  auto om = OmFile::Open(path);
  if (!om.ok()) return om.status();
  for (size_t i = 0; i < (*om)->submodels().size(); ++i) testing::ReadSlice(**om, i).status().IgnoreError();
  return (*om)->VerifyDigests();
}

bool IsCleanError(const absl::Status& status) {
  return status.code() == absl::StatusCode::kDataLoss ||
         status.code() == absl::StatusCode::kFailedPrecondition ||
         status.code() == absl::StatusCode::kUnimplemented;
}

TEST(OmDamageTest, AFlipInAnyByteIsNoticed) {
  testing::TemporaryFolder folder;
  const std::string path = folder / "m.om";
  ASSERT_TRUE(WriteOm(testing::ColumnCut(1), path).ok());
  ASSERT_TRUE(ReadAll(path).ok());
  Victim victim(path);
  for (size_t i = 0; i < victim.bytes().size(); ++i) {
    victim.Put(i, static_cast<char>(victim.bytes()[i] ^ (1 << (i % 8))));
    const absl::Status status = ReadAll(path);
    EXPECT_TRUE(IsCleanError(status)) << "byte " << i << ": " << status;
    victim.Restore(i);
  }
  EXPECT_TRUE(ReadAll(path).ok());
}

TEST(OmDamageTest, AFlipOutsideTheNestedOmsIsNoticedAtOpen) {
  testing::TemporaryFolder folder;
  const std::string path = folder / "m.om";
  ASSERT_TRUE(WriteOm(testing::ColumnCut(2), path).ok());
  auto om = OmFile::Open(path);
  ASSERT_TRUE(om.ok());
  Victim victim(path);
  size_t frame = 0;
  for (size_t i = 0; i < victim.bytes().size(); ++i) {
    for (const OmSubmodel& submodel : (*om)->submodels()) {
      if (i == submodel.offset) i += submodel.size;
    }
    victim.Put(i, static_cast<char>(victim.bytes()[i] ^ 0x80));
    EXPECT_TRUE(IsCleanError(OmFile::Open(path).status())) << "byte " << i;
    victim.Restore(i);
    ++frame;
  }
  EXPECT_GT(frame, 1000u);
}

TEST(OmDamageTest, AFlipInAFileBesideIsNoticed) {
  testing::TemporaryFolder folder;
  const std::string path = folder / "m.om";
  OmWriteOptions options;
  options.max_embedded_bytes = 0;
  ASSERT_TRUE(WriteOm(testing::ColumnCut(1), path, options).ok());
  for (const char* name : {"m.om", "m/mlp_rank0.om"}) {
    Victim victim(folder / name);
    for (size_t i = 0; i < victim.bytes().size(); ++i) {
      victim.Put(i, static_cast<char>(victim.bytes()[i] ^ (1 << (i % 8))));
      EXPECT_TRUE(IsCleanError(ReadAll(path))) << name << ", byte " << i;
      victim.Restore(i);
    }
  }
  EXPECT_TRUE(ReadAll(path).ok());
}

TEST(OmDamageTest, EveryTruncationIsNoticedAtOpen) {
  testing::TemporaryFolder folder;
  const std::string path = folder / "m.om";
  ASSERT_TRUE(WriteOm(testing::ColumnCut(2), path).ok());
  Victim victim(path);
  for (size_t size = victim.bytes().size(); size-- > 0;) {
    victim.Truncate(size);
    EXPECT_EQ(OmFile::Open(path).status().code(), absl::StatusCode::kDataLoss) << size;
  }
}

TEST(OmDamageTest, ASliceOmDoesNotCrash) {
  testing::TemporaryFolder folder;
  ASSERT_TRUE(WriteOm(testing::ColumnCut(2), folder / "m.om").ok());
  auto om = OmFile::Open(folder / "m.om");
  ASSERT_TRUE(om.ok());
  const OmSubmodel& submodel = (*om)->submodels()[0];
  std::string bytes(submodel.file->view().substr(submodel.offset, submodel.size));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ReadSliceOm(Buffer::CopyOf(bytes.data(), size)).ok()) << size;
  }
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 8)));
    if (auto graph = ReadSliceOm(Buffer::CopyOf(bytes.data(), bytes.size())); graph.ok())
      testing::Fingerprint(*graph);
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 8)));
  }
}

TEST(OmDamageTest, MessagesNamePartAndDigests) {
  testing::TemporaryFolder folder;
  const std::string path = folder / "m.om";
  ASSERT_TRUE(WriteOm(testing::ColumnCut(2), path).ok());
  auto om = OmFile::Open(path);
  ASSERT_TRUE(om.ok());
  const OmSubmodel& submodel = (*om)->submodels()[1];
  Victim victim(path);
  const size_t weight = submodel.offset + submodel.size - 600;
  victim.Put(weight, static_cast<char>(~victim.bytes()[weight]));
  const absl::Status status = (*om)->VerifyDigests();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("submodel 'mlp_rank1' is damaged: its sha-256 is "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("stated is " + submodel.digest));
}

}  // namespace
}  // namespace omserve
