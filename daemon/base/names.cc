#include "daemon/base/names.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace omserve {
namespace {

constexpr size_t kMaxName = 128;

absl::string_view TakeDigits(absl::string_view& text) {
  size_t count = 0;
  while (count < text.size() && absl::ascii_isdigit(text[count])) ++count;
  absl::string_view digits = text.substr(0, count);
  text.remove_prefix(count);
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  return digits;
}

}  // namespace

absl::Status CheckServiceName(absl::string_view kind, absl::string_view name) {
  const bool good = !name.empty() && name.size() <= kMaxName && name.front() != '.' && name.front() != '-' &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-' || c == ':';
                    });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(kind, " '", absl::CHexEscape(name.substr(0, kMaxName)), "' is not valid; expected 1 to ", kMaxName,
                   " letters, digits, '.', '_', '-' or ':', not beginning with '.' or '-'"));
}

absl::Status CheckRequestId(absl::string_view id) {
  if (id.size() <= kMaxName && std::all_of(id.begin(), id.end(), [](char c) { return absl::ascii_isprint(c); })) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("request_id is not valid; expected at most ", kMaxName, " printable ASCII characters"));
}

std::string RandomId() {
  std::random_device random;
  const uint64_t value = (static_cast<uint64_t>(random()) << 32) | random();
  return absl::StrCat(absl::Hex(value, absl::kZeroPad16));
}

bool NaturalLess(absl::string_view a, absl::string_view b) {
  while (!a.empty() && !b.empty()) {
    if (absl::ascii_isdigit(a.front()) && absl::ascii_isdigit(b.front())) {
      const absl::string_view x = TakeDigits(a);
      const absl::string_view y = TakeDigits(b);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
      continue;
    }
    if (a.front() != b.front()) return a.front() < b.front();
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.size() < b.size();
}

}  // namespace omserve
