#include "core/base/file.h"

#include <unistd.h>

#include <filesystem>

#include "gtest/gtest.h"

namespace omserve {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() : folder_(testing::TempDir() + "file_test_" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~FileTest() override { std::filesystem::remove_all(folder_); }
  const std::string folder_;
};

TEST_F(FileTest, WritesReadsAndMaps) {
  auto writer = FileWriter::Create(folder_ + "/a");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->Append("hello world").ok());
  ASSERT_TRUE((*writer)->Append(std::string(3 << 20, 'x')).ok());
  ASSERT_TRUE((*writer)->OverwriteAt(0, "HELLO", 5).ok());
  EXPECT_FALSE((*writer)->OverwriteAt((*writer)->position(), "x", 1).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/a"));
  ASSERT_TRUE((*writer)->Commit().ok());
  auto mapped = MappedFile::Open(folder_ + "/a");
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ((*mapped)->view().substr(0, 11), "HELLO world");
  EXPECT_EQ((*mapped)->size(), 11u + (3 << 20));
  EXPECT_EQ(ReadFile(folder_ + "/a", 10).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(FileTest, UncommittedFileVanishes) {
  { ASSERT_TRUE(FileWriter::Create(folder_ + "/b").ok()); }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(FileTest, MissingFileSaysSo) {
  EXPECT_EQ(MappedFile::Open(folder_ + "/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(MappedFile::Open(folder_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(FileTest, PathsStayInsideTheirFolder) {
  EXPECT_TRUE(ResolveInside(folder_, "weights/w.bin").ok());
  EXPECT_TRUE(ResolveInside(folder_, "a/../b").ok());
  for (const char* bad : {"../x", "/etc/passwd", "a/../../x", ""}) {
    EXPECT_EQ(ResolveInside(folder_, bad).status().code(), absl::StatusCode::kPermissionDenied) << bad;
  }
  std::filesystem::create_directory_symlink("/etc", folder_ + "/link");
  EXPECT_EQ(ResolveInside(folder_, "link/passwd").status().code(), absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace omserve
