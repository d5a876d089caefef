// Logging: one line per event, a message and named fields, as text for people or JSON for collectors.
//
//   log.Info("run failed", {{"request_id", id}, {"model", name}, {"cause", status.ToString()}});
//
//   2026-11-22T15:42:01.123Z W coordinator run failed request_id=7f3a model=bert cause="UNAVAILABLE: …"
//   {"time":"2026-11-22T15:42:01.123Z","level":"warning","role":"coordinator","message":"run failed",…}
#ifndef OMSERVE_DAEMON_TELEMETRY_LOG_H_
#define OMSERVE_DAEMON_TELEMETRY_LOG_H_

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spdlog {
class logger;
}

namespace omserve {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// "debug", "info", "warning", "error"; INVALID_ARGUMENT lists them.
absl::StatusOr<LogLevel> LogLevelFromName(absl::string_view name);

using LogField = std::pair<absl::string_view, std::string>;

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  bool json = false;
  std::string role;  // "coordinator", "worker"; on every line
};

// Thread-safe. Injected, never global, so that tests see the lines they cause.
class Log {
 public:
  // Writes to standard error.
  explicit Log(LogOptions options);
  // Appends lines to `*lines`, which must outlive the log; for tests (which read it when all is quiet).
  Log(LogOptions options, std::string* lines);
  ~Log();

  bool enabled(LogLevel level) const { return level >= options_.level; }
  void Write(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields) const;
  void Debug(absl::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kDebug, message, fields);
  }
  void Info(absl::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kInfo, message, fields);
  }
  void Warning(absl::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kWarning, message, fields);
  }
  void Error(absl::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kError, message, fields);
  }

 private:
  const LogOptions options_;
  const std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TELEMETRY_LOG_H_
