#include "client/cli/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace omserve::cli {
namespace {

constexpr char kAddressFile[] = "address";
constexpr char kLogFile[] = "server.log";
constexpr size_t kLogTailBytes = 2000;

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

// glibc 2.36 declares its own without C linkage for C++, so it cannot be linked.
int PidFd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

std::string TailOf(const std::string& path) {
  std::string text = ReadFile(path).value_or("");
  if (text.size() > kLogTailBytes) text = absl::StrCat("…", text.substr(text.size() - kLogTailBytes));
  return std::string(absl::StripAsciiWhitespace(text));
}

// What remains between fork and exec; only async-signal-safe calls. Never returns.
[[noreturn]] void BecomeServer(const char* binary, char* const* argv, int log, pid_t parent) {
  // Signals may be blocked in this program's threads (see main.cc); the server wants them.
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // Ctrl-C reaches this program, which then ends the server in order.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);  // it ended before the line above
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(binary, argv);
  constexpr char kMessage[] = "cannot be executed\n";
  if (write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1) < 0) _exit(126);
  _exit(127);
}

// How long poll may wait; never past the deadline.
int MillisecondsUntil(absl::Time deadline) {
  const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now()) + 1;
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

}  // namespace

absl::StatusOr<std::string> FindServerBinary() {
  if (const char* set = std::getenv("OMSERVE_SERVER"); set != nullptr && *set != '\0') {
    if (access(set, X_OK) != 0) {
      return absl::NotFoundError(absl::StrCat("OMSERVE_SERVER is '", set, "', which is no program"));
    }
    return std::string(set);
  }
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string beside = (self.parent_path() / "omserved").string();
  if (error || access(beside.c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat("no server to start: there is no ", beside,
                     "; set OMSERVE_SERVER to omserved, or give --coordinator HOST:PORT"));
  }
  return beside;
}

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const std::string& binary,
                                                                    std::vector<std::string> arguments,
                                                                    absl::Duration timeout,
                                                                    const std::stop_token& stop) {
  if (access(binary.c_str(), X_OK) != 0)
    return absl::NotFoundError(absl::StrCat("there is no program ", binary));
  ASSIGN_OR_RETURN(std::unique_ptr<TemporaryFolder> folder, TemporaryFolder::Create("omctl-"));
  const Descriptor log(open(folder->File(kLogFile).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (log.get() < 0) return absl::ErrnoToStatus(errno, "cannot create the server's log file");

  arguments.insert(arguments.begin(), binary);
  arguments.insert(arguments.end(), {"--address-file", folder->File(kAddressFile)});
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "cannot start a process");
  if (pid == 0) BecomeServer(binary.c_str(), argv.data(), log.get(), parent);
  std::unique_ptr<ServerProcess> server(new ServerProcess(std::move(folder), pid, PidFd(pid)));
  RETURN_IF_ERROR(server->WaitForAddress(timeout, stop));
  return server;
}

absl::Status ServerProcess::WaitForAddress(absl::Duration timeout, const std::stop_token& stop) {
  const Descriptor watch(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const Descriptor stopped(eventfd(0, EFD_CLOEXEC));
  if (pid_fd_ < 0 || watch.get() < 0 || stopped.get() < 0 ||
      inotify_add_watch(watch.get(), folder_->path().c_str(), IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
    return absl::ErrnoToStatus(errno, "cannot watch the server that was started");
  }
  const std::stop_callback<std::function<void()>> on_stop(stop, [&] { eventfd_write(stopped.get(), 1); });

  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    // Looked for before each wait: the file may have been there before the watch was.
    const std::string content = ReadFile(folder_->File(kAddressFile)).value_or("");
    address_ = std::string(absl::StripAsciiWhitespace(content));
    if (!address_.empty()) return absl::OkStatus();

    pollfd events[] = {{pid_fd_, POLLIN, 0}, {watch.get(), POLLIN, 0}, {stopped.get(), POLLIN, 0}};
    if (poll(events, std::size(events), MillisecondsUntil(deadline)) < 0 && errno != EINTR) {
      return absl::ErrnoToStatus(errno, "cannot watch the server that was started");
    }
    if (events[0].revents != 0) return EndedEarly();
    if (events[2].revents != 0) return absl::CancelledError("stopped while the server was starting");
    char discarded[4096];
    while (read(watch.get(), discarded, sizeof(discarded)) > 0) {
    }
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("the server did not start within ",
                                                      absl::FormatDuration(timeout),
                                                      "; its log ends: ", TailOf(folder_->File(kLogFile))));
    }
  }
}

absl::Status ServerProcess::EndedEarly() {
  int status = 0;
  waitpid(std::exchange(pid_, 0), &status, 0);
  const std::string how = WIFSIGNALED(status) ? absl::StrCat("signal ", WTERMSIG(status))
                                              : absl::StrCat("exit code ", WEXITSTATUS(status));
  return absl::UnavailableError(absl::StrCat("the server ended while starting (", how,
                                             "); its log ends: ", TailOf(folder_->File(kLogFile))));
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    constexpr int kPatienceMilliseconds = 10'000;
    kill(pid_, SIGTERM);
    pollfd ended = {pid_fd_, POLLIN, 0};
    if (poll(&ended, 1, kPatienceMilliseconds) != 1) kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (pid_fd_ >= 0) close(pid_fd_);
}

}  // namespace omserve::cli
