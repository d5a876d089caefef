#include "core/base/json.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace omserve {
namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kMaxBytes = size_t{64} << 20;

std::string Excerpt(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > 60) text = absl::StrCat(text.substr(0, 57), "...");
  return text;
}

// "line 3, column 14" of byte `offset` (1-based, as nlohmann counts).
std::string Location(absl::string_view text, size_t offset) {
  size_t line = 1, column = 0;
  for (size_t i = 0; i < std::min(offset, text.size()); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 0;
    } else {
      ++column;
    }
  }
  if (offset > text.size()) ++column;  // the end is a place too
  return absl::StrCat("line ", line, ", column ", column);
}

}  // namespace

JsonPlace JsonPlace::Field(absl::string_view name) const {
  std::string path = absl::StrCat(path_, ".", name);
  if (value_ == nullptr || !value_->is_object()) return JsonPlace(nullptr, std::move(path));
  auto it = value_->find(std::string(name));
  return JsonPlace(it == value_->end() ? nullptr : &*it, std::move(path));
}

absl::Status JsonPlace::Error(absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": ", what));
}

absl::Status JsonPlace::Expected(absl::string_view kind) const {
  if (value_ == nullptr) return Error(absl::StrCat("missing; expected ", kind));
  return Error(absl::StrCat("expected ", kind, ", found ", Excerpt(*value_)));
}

absl::StatusOr<int64_t> JsonPlace::Int() const {
  if (value_ == nullptr || !value_->is_number_integer()) return Expected("an integer");
  if (value_->is_number_unsigned() && value_->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    return Expected("an integer below 2^63");
  }
  return value_->get<int64_t>();
}

absl::StatusOr<int64_t> JsonPlace::IntInRange(int64_t low, int64_t high) const {
  ASSIGN_OR_RETURN(int64_t value, Int());
  if (value < low || value > high) return Expected(absl::StrCat("an integer from ", low, " to ", high));
  return value;
}

absl::StatusOr<bool> JsonPlace::Bool() const {
  if (value_ == nullptr || !value_->is_boolean()) return Expected("true or false");
  return value_->get<bool>();
}

absl::StatusOr<std::string> JsonPlace::String() const {
  if (value_ == nullptr || !value_->is_string()) return Expected("a string");
  return value_->get<std::string>();
}

absl::StatusOr<std::vector<JsonPlace>> JsonPlace::Array() const {
  if (value_ == nullptr || !value_->is_array()) return Expected("an array");
  std::vector<JsonPlace> items;
  items.reserve(value_->size());
  for (size_t i = 0; i < value_->size(); ++i) items.emplace_back(&(*value_)[i], absl::StrCat(path_, "[", i, "]"));
  return items;
}

absl::Status JsonPlace::CheckObject() const {
  if (value_ == nullptr || !value_->is_object()) return Expected("an object");
  return absl::OkStatus();
}

absl::Status JsonPlace::CheckFields(std::initializer_list<absl::string_view> known) const {
  RETURN_IF_ERROR(CheckObject());
  for (auto it = value_->begin(); it != value_->end(); ++it) {
    if (std::find(known.begin(), known.end(), absl::string_view(it.key())) == known.end()) {
      return Error(absl::StrCat("unknown key '", it.key(), "'; known are ", absl::StrJoin(known, ", ")));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<JsonDocument> JsonDocument::Parse(absl::string_view text, absl::string_view source) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": larger than ", kMaxBytes, " bytes"));
  }
  // The parser keeps an explicit stack, but the tree it builds is destroyed recursively: bound the depth first.
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) {
        return absl::InvalidArgumentError(absl::StrCat(source, ": nested deeper than ", kMaxDepth, " levels at ",
                                                       Location(text, i + 1)));
      }
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  try {
    auto value = std::make_unique<const nlohmann::json>(
        nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/true,
                              /*ignore_comments=*/true));
    return JsonDocument(std::string(source), std::move(value));
  } catch (const nlohmann::json::parse_error& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: what it is"
    const std::pair<absl::string_view, absl::string_view> what = absl::StrSplit(error.what(), absl::MaxSplits(": ", 1));
    return absl::InvalidArgumentError(absl::StrCat(source, text.empty() ? ": the file is empty; not valid JSON at " : ": not valid JSON at ",
                                                   Location(text, error.byte), ": ",
                                                   what.second.empty() ? what.first : what.second));
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": not valid JSON: ", error.what()));
  }
}

absl::StatusOr<JsonDocument> JsonDocument::ReadFile(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ::omserve::ReadFile(path, kMaxBytes));
  return Parse(text, path);
}

}  // namespace omserve
