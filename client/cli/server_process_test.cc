#include "client/cli/server_process.h"

#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Stands in for omserved: shell scripts, called with the arguments of the test and "--address-file FILE" at
// the end.
class ServerProcessTest : public testing::Test {
 protected:
  void SetUp() override { folder_ = *TemporaryFolder::Create("omctl-"); }

  std::string Script(const std::string& body) {
    const std::string path = folder_->File("server");
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    chmod(path.c_str(), 0755);
    return path;
  }

  std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(ServerProcessTest, GivesTheAddressAndEndsTheServer) {
  const std::string script = Script(absl::StrCat("trap 'kill $sleeper; echo ended > ", folder_->File("trace"),
                                                 "; exit 0' TERM\n"
                                                 "echo $1 $2 > ",
                                                 folder_->File("arguments"),
                                                 "\n"
                                                 "sleep 1000 & sleeper=$!\n"
                                                 "for last; do :; done\n"
                                                 "echo 127.0.0.1:4242 > $last.new; mv $last.new $last\n"
                                                 "wait"));
  pid_t pid = 0;
  {
    const auto server = ServerProcess::Start(script, {"standalone", "--devices"}, absl::Seconds(60), {});
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_EQ((*server)->address(), "127.0.0.1:4242");
    pid = (*server)->pid();
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1);
  std::string text;
  std::getline(std::ifstream(folder_->File("arguments")), text);
  EXPECT_EQ(text, "standalone --devices");
  std::getline(std::ifstream(folder_->File("trace")), text);
  EXPECT_EQ(text, "ended");
}

TEST_F(ServerProcessTest, EndingEarlyTellsWhy) {
  const auto server =
      ServerProcess::Start(Script("echo 'no such device: gpu' >&2; exit 3"), {}, absl::Seconds(60), {});
  EXPECT_EQ(server.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(server.status().message()),
              AllOf(HasSubstr("exit code 3"), HasSubstr("no such device: gpu")));
}

TEST_F(ServerProcessTest, SilenceEndsAtTheTimeout) {
  const auto server = ServerProcess::Start(Script("exec sleep 1000"), {}, absl::Milliseconds(100), {});
  EXPECT_EQ(server.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ServerProcessTest, StopEndsTheWait) {
  std::stop_source stop;
  stop.request_stop();
  const auto server =
      ServerProcess::Start(Script("exec sleep 1000"), {}, absl::Minutes(10), stop.get_token());
  EXPECT_EQ(server.status().code(), absl::StatusCode::kCancelled);
}

TEST_F(ServerProcessTest, MissingBinaryIsNamed) {
  const auto server = ServerProcess::Start(folder_->File("absent"), {}, absl::Seconds(1), {});
  EXPECT_EQ(server.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("absent"));
}

TEST_F(ServerProcessTest, EnvironmentNamesTheBinary) {
  const std::string script = Script("exit 0");
  setenv("OMSERVE_SERVER", script.c_str(), 1);
  EXPECT_EQ(FindServerBinary().value_or(""), script);
  setenv("OMSERVE_SERVER", "/nowhere/omserved", 1);
  EXPECT_EQ(FindServerBinary().status().code(), absl::StatusCode::kNotFound);
  unsetenv("OMSERVE_SERVER");
}

}  // namespace
}  // namespace omserve::cli
