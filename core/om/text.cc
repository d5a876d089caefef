#include "core/om/text.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace omserve {

bool IsUtf8(absl::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const uint8_t first = static_cast<uint8_t>(text[i]);
    if (first < 0x80) {
      ++i;
      continue;
    }
    // Number of continuation bytes, and the least code point that needs that many.
    int more = 0;
    uint32_t code = 0, least = 0;
    if ((first & 0xE0) == 0xC0) {
      more = 1, code = first & 0x1F, least = 0x80;
    } else if ((first & 0xF0) == 0xE0) {
      more = 2, code = first & 0x0F, least = 0x800;
    } else if ((first & 0xF8) == 0xF0) {
      more = 3, code = first & 0x07, least = 0x10000;
    } else {
      return false;
    }
    if (text.size() - i <= static_cast<size_t>(more)) return false;
    for (int k = 1; k <= more; ++k) {
      const uint8_t next = static_cast<uint8_t>(text[i + static_cast<size_t>(k)]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 6 | (next & 0x3F);
    }
    if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    i += static_cast<size_t>(more) + 1;
  }
  return true;
}

absl::Status CheckName(absl::string_view what, absl::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError(absl::StrCat(what, " is empty"));
  if (!IsUtf8(name)) {
    return absl::InvalidArgumentError(absl::StrCat(what, " '", absl::CHexEscape(name), "' is not UTF-8"));
  }
  return absl::OkStatus();
}

}  // namespace omserve
