// Standalone: a coordinator and CPU devices inside this process, for programs that want no service beside them.
//
//   ASSIGN_OR_RETURN(auto standalone, omserve::Standalone::Start({.devices = 2}));
//   ASSIGN_OR_RETURN(auto client, omserve::Client::Connect(standalone->address()));
//
// It listens on 127.0.0.1 at a port of its own, handles no signals and writes only what `log_level` asks for to standard
// error. Devices wait for each other by sleeping only when the environment says OMP_WAIT_POLICY=passive from the start
// of the process: nothing is changed here, and nothing is started again.
#ifndef OMSERVE_STANDALONE_H_
#define OMSERVE_STANDALONE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace omserve {

struct StandaloneOptions {
  int devices = 1;                  // CPU devices, 1 to 64; they share the machine's cores and memory
  std::string log_level = "error";  // "debug", "info", "warning", "error"
};

// Thread-safe.
class Standalone {
 public:
  // INVALID_ARGUMENT for a number of devices or a log level that cannot be; else the errors of listening and folders.
  static absl::StatusOr<std::unique_ptr<Standalone>> Start(const StandaloneOptions& options);
  // Ends runs under way; models and builds go with it.
  ~Standalone();
  Standalone(const Standalone&) = delete;
  Standalone& operator=(const Standalone&) = delete;

  // "127.0.0.1:PORT".
  const std::string& address() const;

 private:
  struct Parts;
  explicit Standalone(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

}  // namespace omserve

#endif  // OMSERVE_STANDALONE_H_
