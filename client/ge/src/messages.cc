#include "messages.h"

#include <mutex>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cann/errors.h"

namespace ge {
namespace {

// More than anybody reads; older texts give way.
constexpr size_t kMostBytes = 64 * 1024;

struct Texts {
  std::mutex mutex;
  std::string errors;
  std::string warnings;
};

// Threads of sessions may still report while the program ends: never destroyed.
Texts& TheTexts() {
  static auto* const texts = new Texts;
  return *texts;
}

void Append(std::string& all, absl::string_view text) {
  if (all.size() + text.size() > kMostBytes) all.clear();
  absl::StrAppend(&all, text, "\n");
}

std::string Take(std::string& all) {
  const std::lock_guard<std::mutex> lock(TheTexts().mutex);
  return std::exchange(all, std::string());
}

}  // namespace

Status Report(Status code, const absl::Status& status) {
  const std::string block = omserve::cann::FormatBlock(omserve::cann::ReportFor(status));
  const std::lock_guard<std::mutex> lock(TheTexts().mutex);
  Append(TheTexts().errors, absl::StripTrailingAsciiWhitespace(block));
  return code;
}

Status Report(Status code, absl::string_view error_code, absl::string_view text) {
  return Report(code, absl::UnknownError(absl::StrCat(error_code, ": ", text)));
}

void Warn(absl::string_view text) {
  const std::lock_guard<std::mutex> lock(TheTexts().mutex);
  Append(TheTexts().warnings, text);
}

std::string TakeErrors() { return Take(TheTexts().errors); }
std::string TakeWarnings() { return Take(TheTexts().warnings); }

}  // namespace ge
