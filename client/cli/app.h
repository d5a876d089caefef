// The command line of omctl.
#ifndef OMSERVE_CLIENT_CLI_APP_H_
#define OMSERVE_CLIENT_CLI_APP_H_

#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "client/cli/session.h"

namespace omserve::cli {

// Exit codes: 0 done, 1 failed, 2 a command line that cannot be understood.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

struct ParsedCommand {
  GlobalOptions options;
  std::function<absl::StatusOr<int>(Session&)> run;
};

// Nothing when there is nothing to run: help was printed (`*exit_code` 0), or what is wrong with the line
// (2).
std::optional<ParsedCommand> ParseCommandLine(int argc, char** argv, int* exit_code);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_APP_H_
