#include "messages.h"

#include <mutex>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

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

size_t FindCode(absl::string_view text) {
  for (size_t at = 0; at + 7 < text.size(); ++at) {
    if (text[at] != 'E' || text[at + 6] != ':' || (at > 0 && text[at - 1] != ' ')) continue;
    bool code = absl::ascii_isupper(text[at + 1]) || absl::ascii_isdigit(text[at + 1]);
    for (size_t i = at + 2; i < at + 6; ++i) code = code && absl::ascii_isalnum(text[i]);
    if (code) return at;
  }
  return absl::string_view::npos;
}

Status Report(Status code, const absl::Status& status) {
  const absl::string_view text = status.message();
  const size_t at = FindCode(text);
  if (at == absl::string_view::npos) return Report(code, "E19999", text);
  return Report(code, text.substr(at, 6), absl::StrCat(text.substr(0, at), text.substr(at + 8)));
}

Status Report(Status code, absl::string_view error_code, absl::string_view text) {
  const std::lock_guard<std::mutex> lock(TheTexts().mutex);
  Append(TheTexts().errors, absl::StrCat(error_code, ": ", text));
  return code;
}

void Warn(absl::string_view text) {
  const std::lock_guard<std::mutex> lock(TheTexts().mutex);
  Append(TheTexts().warnings, text);
}

std::string TakeErrors() { return Take(TheTexts().errors); }
std::string TakeWarnings() { return Take(TheTexts().warnings); }

}  // namespace ge
