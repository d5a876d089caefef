#include "daemon/coordinator/build_runner.h"

#include <filesystem>

#include "absl/synchronization/notification.h"
#include "core/base/sha256.h"
#include "daemon/testing/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class BuildRunnerTest : public testing::Test {
 protected:
  BuildRunnerTest() { std::filesystem::create_directories(folder_->path() + "/tmp"); }

  std::unique_ptr<BuildRunner> Runner(BuildFunction build) {
    return std::make_unique<BuildRunner>(BuildRunnerOptions{.folder = folder_->path() + "/tmp"}, std::move(build),
                                         OpenFakeModel, &log_,
                                         std::make_shared<Metrics>(std::make_shared<prometheus::Registry>()));
  }
  static std::unique_ptr<BuildSession> Upload(BuildRunner& runner, const std::string& name = "net.onnx") {
    std::unique_ptr<BuildSession> session = runner.Begin().value();
    EXPECT_TRUE(session->upload().Begin({name, 5, Sha256::Of("graph")}).ok());
    EXPECT_TRUE(session->upload().Append("graph").ok());
    EXPECT_TRUE(session->upload().Finish().ok());
    return session;
  }
  static absl::Status WriteFake(const std::string& model_path, const std::string& om_path, const BuildCall& call,
                                const ProgressFunction& progress, const WaitLimit& limit) {
    EXPECT_EQ(ReadFile(model_path).value(), "graph");
    progress({"plan", 0.5, ""});
    return WriteFileAtomically(om_path, FakeOm({.name = "built"}));
  }
  void Note(const LongCallProgress& progress) {
    absl::MutexLock lock(&mutex_);
    phases_.push_back(progress.phase);
  }

  const std::unique_ptr<TemporaryFolder> folder_ = TemporaryFolder::Create("build-test-").value();
  std::string lines_;
  const Log log_{{.role = "coordinator"}, &lines_};
  absl::Mutex mutex_;
  std::vector<std::string> phases_;
};

TEST_F(BuildRunnerTest, BuildsAndLeavesNothing) {
  auto runner = Runner(WriteFake);
  auto session = Upload(*runner);
  ASSERT_TRUE(runner->Build(*session, {.model_file = "net.onnx"}, [&](const auto& p) { Note(p); }, {}).ok());
  EXPECT_EQ(session->content().info.name, "built");
  ASSERT_THAT(session->files(), SizeIs(1));
  EXPECT_EQ(session->files()[0].name, "net.om");
  EXPECT_EQ(session->files()[0].sha256, Sha256::Of(FakeOm({.name = "built"})));
  EXPECT_THAT(phases_, ElementsAre("plan"));
  EXPECT_THAT(lines_, HasSubstr("model built model=built file=net.onnx"));
  session.reset();
  EXPECT_TRUE(std::filesystem::is_empty(folder_->path() + "/tmp"));
}

TEST_F(BuildRunnerTest, ErrorsOfTheBuildPassAsTheyAre) {
  auto runner = Runner([](const auto&...) { return absl::UnimplementedError("import: node 'n': operator 'Strange'"); });
  auto session = Upload(*runner);
  EXPECT_EQ(runner->Build(*session, {.model_file = "net.onnx"}, [](const auto&) {}, {}),
            absl::UnimplementedError("import: node 'n': operator 'Strange'"));
}

TEST_F(BuildRunnerTest, ModelFileMustBeAmongTheFiles) {
  auto runner = Runner(WriteFake);
  auto session = Upload(*runner);
  EXPECT_EQ(runner->Build(*session, {.model_file = "other"}, [](const auto&) {}, {}).code(),
            absl::StatusCode::kInvalidArgument);
  session = Upload(*runner);
  EXPECT_EQ(runner->Build(*session, {.model_file = "../../x"}, [](const auto&) {}, {}).code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(BuildRunnerTest, BuildsTakeTurnsAndAWaitingOneCanLeave) {
  absl::Notification started, finish;
  auto runner = Runner([&](const std::string& model, const std::string& om, const BuildCall& call,
                           const ProgressFunction& progress, const WaitLimit& limit) {
    started.Notify();
    finish.WaitForNotification();
    return WriteFake(model, om, call, progress, limit);
  });
  std::thread first([&] {
    auto session = Upload(*runner);
    EXPECT_TRUE(runner->Build(*session, {.model_file = "net.onnx"}, [](const auto&) {}, {}).ok());
  });
  started.WaitForNotification();
  auto session = Upload(*runner);
  Cancellation left;
  absl::Status status = runner->Build(
      *session, {.model_file = "net.onnx"},
      [&](const LongCallProgress& progress) {
        EXPECT_EQ(progress.phase, "waiting");
        left.Cancel(absl::CancelledError("client left"));
      },
      {.run = &left});
  EXPECT_EQ(status, absl::CancelledError("client left"));
  finish.Notify();
  first.join();
}

}  // namespace
}  // namespace omserve
