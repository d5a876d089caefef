#include "client/cli/session.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"

namespace omserve::cli {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
constexpr absl::Duration kStartTimeout = absl::Seconds(60);

// Text from outside may not be UTF-8; it is shown as well as it can be.
std::string Dump(const nlohmann::ordered_json& document, int indent) {
  return document.dump(indent, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

Session::Session(const GlobalOptions& options, std::stop_token stop)
    : options_(options),
      stop_(std::move(stop)),
      deadline_(options.timeout_seconds > 0 ? absl::Now() + absl::Seconds(options.timeout_seconds)
                                            : absl::InfiniteFuture()),
      progress_(stderr, isatty(STDERR_FILENO) == 1) {}

absl::Duration Session::Remaining() const {
  return deadline_ == absl::InfiniteFuture() ? absl::InfiniteDuration() : deadline_ - absl::Now();
}

absl::StatusOr<client::Client*> Session::ConnectTo(const std::string& address) {
  ASSIGN_OR_RETURN(client_, client::Client::Connect(
                                address, {.timeout = std::min(kConnectTimeout, Remaining()), .stop = stop_}));
  return client_.get();
}

absl::StatusOr<client::Client*> Session::Connect() {
  if (client_ != nullptr) return client_.get();
  return ConnectTo(options_.coordinator);
}

absl::StatusOr<client::Client*> Session::ConnectOrStart(int devices) {
  if (client_ != nullptr || !options_.coordinator.empty()) return Connect();
  ASSIGN_OR_RETURN(const std::string binary, FindServerBinary());
  ASSIGN_OR_RETURN(server_, ServerProcess::Start(binary,
                                                 {"standalone", "--devices", absl::StrCat("cpu:", devices),
                                                  "--listen", "127.0.0.1:0"},
                                                 std::min(kStartTimeout, Remaining()), stop_));
  return ConnectTo(server_->address());
}

client::ProgressCallback Session::progress() {
  return [this](const client::Progress& progress) { progress_.Show(progress); };
}

void Session::Print(const std::string& text) {
  progress_.Finish();
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void Session::PrintJson(const nlohmann::ordered_json& document) { Print(Dump(document, 2) + "\n"); }

void Session::PrintError(const absl::Status& status) {
  progress_.Finish();
  const std::string code = absl::StatusCodeToString(status.code());
  const std::string message(status.message());
  if (options_.json) {
    const nlohmann::ordered_json document = {{"error", {{"code", code}, {"message", message}}}};
    std::fprintf(stderr, "%s\n", Dump(document, -1).c_str());
  } else {
    std::fprintf(stderr, "omctl: %s: %s\n", code.c_str(), message.c_str());
  }
}

}  // namespace omserve::cli
