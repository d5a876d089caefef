// Runs the tests where the work happens in this process; with OMSERVE_GE_TEST_SERVICE, the path of omserved, on a service
// that it starts for them.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace {

// A process that is asked to end, and waited for, at the end of the tests.
class ServiceProcess : public ::testing::Environment {
 public:
  explicit ServiceProcess(std::string program) : program_(std::move(program)) {}

  void SetUp() override {
    std::string folder = (std::filesystem::temp_directory_path() / "omserve-ge-test-XXXXXX").string();
    folder_ = ::mkdtemp(folder.data());
    const std::string file = folder_ + "/address";
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execl(program_.c_str(), program_.c_str(), "standalone", "--listen", "127.0.0.1:0", "--address-file", file.c_str(),
              "--devices", "cpu:2", "--log-level", "error", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    std::string address;
    // The file appears when the service listens.
    while (address.empty()) {
      ASSERT_EQ(::waitpid(pid_, nullptr, WNOHANG), 0) << program_ << " ended at once";
      std::ifstream(file) >> address;
      std::this_thread::yield();
    }
    ::setenv("OMSERVE_ADDRESS", address.c_str(), 1);
  }

  void TearDown() override {
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_EQ(status, 0) << "the service did not end in order";
    std::filesystem::remove_all(folder_);
  }

 private:
  const std::string program_;
  std::string folder_;
  pid_t pid_ = -1;
};

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::unsetenv("OMSERVE_ADDRESS");
  ::unsetenv("RESOURCE_CONFIG_PATH");
  if (const char* program = std::getenv("OMSERVE_GE_TEST_SERVICE")) {
    ::testing::AddGlobalTestEnvironment(new ServiceProcess(program));
  }
  return RUN_ALL_TESTS();
}
