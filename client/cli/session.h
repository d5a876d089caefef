// What all commands share: the options before the command, the connection, and the output.
#ifndef OMSERVE_CLIENT_CLI_SESSION_H_
#define OMSERVE_CLIENT_CLI_SESSION_H_

#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/progress.h"
#include "client/cli/server_process.h"
#include "nlohmann/json.hpp"
#include "omserve/client.h"

namespace omserve::cli {

struct GlobalOptions {
  std::string coordinator;  // empty: none given
  bool json = false;
  double timeout_seconds = 0;  // of the whole command; 0: none
};

class Session {
 public:
  // The timeout counts from here; `stop` ends every call.
  Session(const GlobalOptions& options, std::stop_token stop);

  // A client of the coordinator that was given.
  absl::StatusOr<client::Client*> Connect();
  // As Connect; without a coordinator, of a standalone with `devices` devices that lives as long as the
  // session.
  absl::StatusOr<client::Client*> ConnectOrStart(int devices);

  // Fills in the timeout (what is left of it) and the stop.
  template <typename Options>
  Options Bounded(Options options) const {
    options.timeout = Remaining();
    options.stop = stop_;
    return options;
  }
  // Options of a call that cleans up, made even after the command was stopped.
  client::CallOptions ForCleanup() const { return {.timeout = absl::Seconds(10), .stop = {}}; }

  bool json() const { return options_.json; }
  client::ProgressCallback progress();

  // Results go to standard output: as text for people, or as one JSON document.
  void Print(const std::string& text);
  void PrintJson(const nlohmann::ordered_json& document);
  // To standard error, in the form that was asked for.
  void PrintError(const absl::Status& status);

 private:
  absl::Duration Remaining() const;
  absl::StatusOr<client::Client*> ConnectTo(const std::string& address);

  const GlobalOptions options_;
  const std::stop_token stop_;
  const absl::Time deadline_;
  ProgressPrinter progress_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<client::Client> client_;  // ends before its server
};

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_SESSION_H_
