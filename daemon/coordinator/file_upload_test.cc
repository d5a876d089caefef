#include "daemon/coordinator/file_upload.h"

#include "core/base/sha256.h"
#include "core/base/temporary_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FileUploadTest : public testing::Test {
 protected:
  static UploadedFile File(std::string name, const std::string& content) {
    return {std::move(name), content.size(), Sha256::Of(content)};
  }
  absl::Status Send(FileUpload& upload, const UploadedFile& file, const std::string& content) {
    if (absl::Status status = upload.Begin(file); !status.ok()) return status;
    return upload.Append(content);
  }
  const std::unique_ptr<TemporaryFolder> folder_ = TemporaryFolder::Create("upload-test-").value();
  const std::unique_ptr<ContentStore> store_ = ContentStore::Open(folder_->path() + "/store", 1000).value();
};

TEST_F(FileUploadTest, LaysOutWhatCame) {
  FileUpload upload(store_.get());
  ASSERT_TRUE(Send(upload, File("m.onnx", "graph"), "graph").ok());
  ASSERT_TRUE(Send(upload, File("data/weights.bin", "weights"), "weights").ok());
  ASSERT_TRUE(upload.Finish().ok());
  EXPECT_EQ(upload.bytes_received(), 12u);
  auto out = store_->NewFolder().value();
  ASSERT_TRUE(upload.LayOut(out->path()).ok());
  EXPECT_EQ(ReadFile(out->path() + "/m.onnx").value(), "graph");
  EXPECT_EQ(ReadFile(out->path() + "/data/weights.bin").value(), "weights");
}

TEST_F(FileUploadTest, OnlyMissingFilesNeedToCome) {
  FileUpload first(store_.get());
  ASSERT_TRUE(first.Announce({File("a", "same"), File("b", "same"), File("c", "other")}).ok());
  EXPECT_THAT(first.Missing(), ElementsAre(Sha256::Of("same"), Sha256::Of("other")));
  ASSERT_TRUE(Send(first, File("a", "same"), "same").ok());
  EXPECT_THAT(std::string(first.Finish().message()), HasSubstr("file 'c'"));
  ASSERT_TRUE(Send(first, File("c", "other"), "other").ok());
  ASSERT_TRUE(first.Finish().ok());
  FileUpload second(store_.get());
  ASSERT_TRUE(second.Announce({File("a", "same")}).ok());
  EXPECT_THAT(second.Missing(), IsEmpty());
  EXPECT_TRUE(second.Finish().ok());
}

TEST_F(FileUploadTest, HostileInputIsRefused) {
  FileUpload upload(store_.get());
  EXPECT_EQ(upload.Append("x").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(upload.Finish().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(upload.Begin({"", 1, Sha256::Of("x")}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(upload.Begin({std::string("a\0b", 3), 1, Sha256::Of("x")}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(upload.Begin({"x", 1, "../../etc"}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(upload.Begin({"x", 1001, Sha256::Of("x")}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Send(upload, File("x", "abc"), "abcd").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(FileUploadTest, WrongContentIsDataLoss) {
  FileUpload upload(store_.get());
  ASSERT_TRUE(Send(upload, File("x", "abc"), "abd").ok());
  EXPECT_EQ(upload.Finish().code(), absl::StatusCode::kDataLoss);
  FileUpload cut(store_.get());
  ASSERT_TRUE(Send(cut, File("x", "abc"), "ab").ok());
  EXPECT_EQ(cut.Begin(File("y", "z")).code(), absl::StatusCode::kDataLoss);
}

TEST_F(FileUploadTest, NamesStayInTheFolderAndDiffer) {
  for (const char* name : {"../evil", "/etc/passwd", "a/../../evil", "."}) {
    FileUpload upload(store_.get());
    ASSERT_TRUE(Send(upload, File(name, "x"), "x").ok());
    ASSERT_TRUE(upload.Finish().ok());
    auto out = store_->NewFolder().value();
    EXPECT_FALSE(upload.LayOut(out->path()).ok()) << name;
  }
  FileUpload twice(store_.get());
  ASSERT_TRUE(twice.Announce({File("a", "x"), File("b/../a", "y")}).ok());
  ASSERT_TRUE(Send(twice, File("a", "x"), "x").ok());
  ASSERT_TRUE(Send(twice, File("b/../a", "y"), "y").ok());
  ASSERT_TRUE(twice.Finish().ok());
  auto out = store_->NewFolder().value();
  EXPECT_EQ(twice.LayOut(out->path()).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace omserve
