// A server of one's own: omserved as a child process, for commands that were given no coordinator.
#ifndef OMSERVE_CLIENT_CLI_SERVER_PROCESS_H_
#define OMSERVE_CLIENT_CLI_SERVER_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/temporary_folder.h"

namespace omserve::cli {

// $OMSERVE_SERVER, else the omserved that lies beside this program. NOT_FOUND says where it looked.
absl::StatusOr<std::string> FindServerBinary();

// Dies with this process in every case: stopped by the destructor, or by the kernel when this process is
// killed.
class ServerProcess {
 public:
  // Starts `binary` with `arguments` and "--address-file FILE" and waits for the address there. The child's
  // output goes to a file whose last lines are in the error when it ends instead. Errors: NOT_FOUND;
  // UNAVAILABLE when it ends; DEADLINE_EXCEEDED; CANCELLED.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const std::string& binary,
                                                              std::vector<std::string> arguments,
                                                              absl::Duration timeout,
                                                              const std::stop_token& stop);
  // Asks it to end (SIGTERM) and waits; after ten seconds kills it.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address() const { return address_; }
  pid_t pid() const { return pid_; }

 private:
  ServerProcess(std::unique_ptr<TemporaryFolder> folder, pid_t pid, int pid_fd)
      : folder_(std::move(folder)), pid_(pid), pid_fd_(pid_fd) {}
  absl::Status WaitForAddress(absl::Duration timeout, const std::stop_token& stop);
  absl::Status EndedEarly();

  const std::unique_ptr<TemporaryFolder> folder_;
  pid_t pid_;         // 0 once it has been waited for
  const int pid_fd_;  // becomes readable when the process ends
  std::string address_;
};

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_SERVER_PROCESS_H_
