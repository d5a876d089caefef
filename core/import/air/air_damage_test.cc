// Damaged AIR files: every truncation and every flipped bit gives a clean error or a valid graph.
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "core/base/file.h"
#include "core/import/air/air_importer.h"
#include "core/om/ge_ir.h"
#include "core/om/om_testing.h"
#include "gmock/gmock.h"
#include "google/protobuf/stubs/logging.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;

class AirDamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    google::protobuf::SetLogHandler(nullptr);  // it reports every text that is no UTF-8
    ge::proto::ModelDef model;
    model.set_name("mlp");
    ASSERT_TRUE(GraphToGe(testing::ColumnCut(1).graphs[0], {}, model.add_graph()).ok());
    bytes_ = model.SerializeAsString();
    ASSERT_TRUE(WriteFileAtomically(path_, bytes_).ok());
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd_, 0);
  }
  void TearDown() override { ::close(fd_); }

  void Put(size_t offset, char byte) { ASSERT_EQ(::pwrite(fd_, &byte, 1, static_cast<off_t>(offset)), 1); }

  // Imports; whether it succeeded.
  bool Survives() {
    absl::StatusOr<Graph> graph = ImportAir(path_);
    if (graph.ok()) {
      EXPECT_TRUE(Verify(*graph).ok()) << Verify(*graph);
      testing::Fingerprint(*graph);  // reads all constants
      return true;
    }
    EXPECT_TRUE(graph.status().code() == absl::StatusCode::kInvalidArgument ||
                graph.status().code() == absl::StatusCode::kUnimplemented)
        << graph.status();
    EXPECT_FALSE(graph.status().message().empty());
    return false;
  }

  testing::TemporaryFolder folder_;
  const std::string path_ = folder_ / "m.air";
  std::string bytes_;
  int fd_ = -1;
};

TEST_F(AirDamageTest, TruncationAtEveryOffsetIsRefused) {
  ASSERT_TRUE(Survives());
  for (size_t size = bytes_.size(); size-- > 0;) {
    ASSERT_EQ(::ftruncate(fd_, static_cast<off_t>(size)), 0);
    EXPECT_FALSE(Survives()) << size;
  }
  EXPECT_THAT(std::string(ImportAir(path_).status().message()), HasSubstr("not an AIR file"));
}

TEST_F(AirDamageTest, EveryBitFlipped) {
  size_t refused = 0;
  for (size_t bit = 0; bit < 8 * bytes_.size(); ++bit) {
    Put(bit / 8, static_cast<char>(bytes_[bit / 8] ^ (1 << bit % 8)));
    refused += !Survives();
    Put(bit / 8, bytes_[bit / 8]);
  }
  EXPECT_GT(refused, bytes_.size());
  EXPECT_TRUE(Survives());
}

}  // namespace
}  // namespace omserve
