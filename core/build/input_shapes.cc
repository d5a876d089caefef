// ParseInputShapes of build.h, apart from the compiler: text from outside, with a fuzz target of its own.
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/build/build.h"

namespace omserve {

absl::StatusOr<InputShapes> ParseInputShapes(absl::string_view text) {
  InputShapes shapes;
  for (absl::string_view part : absl::StrSplit(text, ';', absl::SkipWhitespace())) {
    // Names may contain ':'; the shape comes after the last one.
    const size_t colon = part.rfind(':');
    const std::string name(absl::StripAsciiWhitespace(part.substr(0, colon)));
    if (colon == absl::string_view::npos || name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("input shape '", part, "' is not of the form name:d0,d1,... such as input_ids:1,128"));
    }
    Shape shape;
    const absl::string_view dims = absl::StripAsciiWhitespace(part.substr(colon + 1));
    if (!dims.empty()) {  // "x:" is a scalar
      for (absl::string_view dim : absl::StrSplit(dims, ',')) {
        int64_t value = 0;
        if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(dim), &value) || value < 0) {
          return absl::InvalidArgumentError(
              absl::StrCat("input shape '", part, "': dimension '", dim, "' is not a whole number >= 0"));
        }
        shape.push_back(value);
      }
    }
    if (!shapes.emplace(name, std::move(shape)).second) {
      return absl::InvalidArgumentError(absl::StrCat("input shape of '", name, "' is given twice"));
    }
  }
  return shapes;
}

}  // namespace omserve
