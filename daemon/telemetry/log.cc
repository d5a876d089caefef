#include "daemon/telemetry/log.h"

#include <algorithm>
#include <mutex>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "spdlog/logger.h"
#include "spdlog/sinks/base_sink.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace omserve {
namespace {

class StringSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit StringSink(std::string* lines) : lines_(lines) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    lines_->append(message.payload.data(), message.payload.size());
    lines_->push_back('\n');
  }
  void flush_() override {}

 private:
  std::string* const lines_;
};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "info";
}

std::shared_ptr<spdlog::logger> MakeLogger(const LogOptions& options, spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>(options.role, std::move(sink));
  logger->set_pattern("%v");  // lines are made here
  logger->set_level(ToSpdlog(options.level));
  logger->flush_on(spdlog::level::debug);
  return logger;
}

std::string Timestamp() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
}

// Nothing from outside can begin a new line or end a quoted value.
std::string Escaped(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      escaped += {'\\', c};
    } else if (c == '\n') {
      escaped += "\\n";
    } else if (absl::ascii_iscntrl(c)) {
      absl::StrAppend(&escaped, "\\x", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// Bare when it can be told from its surroundings, else quoted.
std::string TextValue(absl::string_view value) {
  const bool bare = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isgraph(c) && c != '"' && c != '=' && c != '\\';
  });
  return bare ? std::string(value) : absl::StrCat("\"", Escaped(value), "\"");
}

}  // namespace

absl::StatusOr<LogLevel> LogLevelFromName(absl::string_view name) {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (name == absl::string_view(LevelName(level).data(), LevelName(level).size())) return level;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("log level '", name, "' is not known; expected debug, info, warning or error"));
}

Log::Log(LogOptions options)
    : options_(std::move(options)),
      logger_(MakeLogger(options_, std::make_shared<spdlog::sinks::stderr_sink_mt>())) {}

Log::Log(LogOptions options, std::string* lines)
    : options_(std::move(options)), logger_(MakeLogger(options_, std::make_shared<StringSink>(lines))) {}

Log::~Log() = default;

void Log::Write(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields) const {
  if (!enabled(level)) return;
  std::string line;
  if (options_.json) {
    nlohmann::ordered_json object;
    object["time"] = Timestamp();
    object["level"] = LevelName(level);
    object["role"] = options_.role;
    object["message"] = std::string(message);
    for (const auto& [name, value] : fields) object[std::string(name)] = value;
    line = object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  } else {
    const char letter = absl::ascii_toupper(LevelName(level).front());
    line = absl::StrCat(Timestamp(), " ", absl::string_view(&letter, 1), " ", options_.role, " ",
                        Escaped(message));
    for (const auto& [name, value] : fields) absl::StrAppend(&line, " ", name, "=", TextValue(value));
  }
  logger_->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace omserve
