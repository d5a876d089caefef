#include "omserve/standalone.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "daemon/roles/coordinator_process.h"
#include "daemon/telemetry/log.h"

namespace omserve {

struct Standalone::Parts {
  explicit Parts(LogOptions options) : log(std::move(options)) {}
  const Log log;
  std::unique_ptr<CoordinatorProcess> process;
};

absl::StatusOr<std::unique_ptr<Standalone>> Standalone::Start(const StandaloneOptions& options) {
  ASSIGN_OR_RETURN(const LogLevel level, LogLevelFromName(options.log_level));
  auto parts = std::make_unique<Parts>(LogOptions{.level = level, .role = "standalone"});
  CoordinatorProcessOptions process;
  process.server.listen = "127.0.0.1:0";
  process.coordinator.registry.version = OMSERVE_VERSION;
  process.devices = DeviceOptions{.devices = absl::StrCat("cpu:", options.devices)};
  ASSIGN_OR_RETURN(parts->process, CoordinatorProcess::Start(process, &parts->log));
  return std::unique_ptr<Standalone>(new Standalone(std::move(parts)));
}

Standalone::Standalone(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Standalone::~Standalone() { parts_->process->Drain(absl::ZeroDuration()); }

const std::string& Standalone::address() const { return parts_->process->address(); }

}  // namespace omserve
