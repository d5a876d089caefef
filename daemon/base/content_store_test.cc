#include "daemon/base/content_store.h"
#include "core/base/temporary_folder.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;

class ContentStoreTest : public testing::Test {
 protected:
  ContentStoreTest() : folder_(TemporaryFolder::Create("store-test-").value()) {}

  std::unique_ptr<ContentStore> Open(uint64_t limit = 1 << 20) {
    absl::StatusOr<std::unique_ptr<ContentStore>> store = ContentStore::Open(folder_->path() + "/s", limit);
    EXPECT_TRUE(store.ok()) << store.status();
    return std::move(store).value();
  }

  static absl::StatusOr<std::shared_ptr<const StoredFile>> Put(ContentStore& store, const std::string& content) {
    auto writer = store.NewWriter(Sha256::Of(content), content.size());
    if (!writer.ok()) return writer.status();
    if (absl::Status status = (*writer)->Append(content); !status.ok()) return status;
    return (*writer)->Commit();
  }

  int FilesOnDisk() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_->path() + "/s")) {
      if (entry.path().filename() != "lock") ++count;
    }
    return count;
  }

  const std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(ContentStoreTest, KeepsWhatWasCommitted) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "weights").ok());
  auto file = store->Find(Sha256::Of("weights"));
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(ReadFile(file->path).value(), "weights");
  EXPECT_EQ(file->size, 7u);
  EXPECT_EQ(store->bytes(), 7u);
  EXPECT_EQ(store->Find(Sha256::Of("others")), nullptr);
}

TEST_F(ContentStoreTest, WrongContentIsDataLossNamingBothDigestsAndLeavesNothing) {
  auto store = Open();
  auto writer = store->NewWriter(Sha256::Of("good"), 4).value();
  ASSERT_TRUE(writer->Append("evil").ok());
  absl::Status status = writer->Commit().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(Sha256::Of("good")));
  EXPECT_THAT(std::string(status.message()), HasSubstr(Sha256::Of("evil")));
  writer.reset();
  EXPECT_EQ(FilesOnDisk(), 0);
  EXPECT_EQ(store->Find(Sha256::Of("good")), nullptr);
}

TEST_F(ContentStoreTest, SizeIsHeldToTheAnnouncement) {
  auto store = Open();
  auto writer = store->NewWriter(Sha256::Of("abc"), 3).value();
  ASSERT_TRUE(writer->Append("ab").ok());
  EXPECT_EQ(writer->Append("cd").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(writer->Commit().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ContentStoreTest, OnlyDigestsAreNames) {
  auto store = Open();
  for (const char* name : {"", "../../etc/passwd", "ABCDEF", "lock"}) {
    EXPECT_EQ(store->NewWriter(name, 1).status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(store->Find(name), nullptr);
  }
}

TEST_F(ContentStoreTest, AnotherProcessLifeFindsTheFilesAndDropsHalves) {
  Put(*Open(), "kept").value();
  ASSERT_TRUE(WriteFileAtomically(folder_->path() + "/s/" + Sha256::Of("x") + ".part-1", "half").ok());
  ASSERT_TRUE(std::filesystem::create_directories(folder_->path() + "/s/folder-abc/models"));
  auto store = Open();
  EXPECT_NE(store->Find(Sha256::Of("kept")), nullptr);
  EXPECT_EQ(FilesOnDisk(), 1);
}

TEST_F(ContentStoreTest, DamagedFileOfAnEarlierLifeIsNotServed) {
  const std::string path = Put(*Open(), "kept").value()->path;
  ASSERT_TRUE(WriteFileAtomically(path, "kepf").ok());
  auto store = Open();
  EXPECT_EQ(store->Find(Sha256::Of("kept")), nullptr);
  EXPECT_EQ(store->bytes(), 0u);
  EXPECT_EQ(FilesOnDisk(), 0);
}

TEST_F(ContentStoreTest, EvictsLeastRecentlyUsedThatNobodyHolds) {
  auto store = Open(10);
  auto held = Put(*store, "aaaa").value();
  ASSERT_TRUE(Put(*store, "bbbb").ok());
  ASSERT_TRUE(Put(*store, "cccc").ok());  // does not fit beside both
  EXPECT_EQ(store->Find(Sha256::Of("bbbb")), nullptr);
  EXPECT_NE(store->Find(Sha256::Of("aaaa")), nullptr);
  auto also_held = store->Find(Sha256::Of("cccc"));
  absl::Status full = Put(*store, "dddd").status();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("need 4 bytes, have 2 of 10"));
  EXPECT_EQ(Put(*store, "eleven bytes").status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ContentStoreTest, OneProcessPerFolder) {
  auto store = Open();
  EXPECT_EQ(ContentStore::Open(folder_->path() + "/s", 10).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace omserve
