#include <algorithm>
#include <array>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"
#include "core/cluster/cluster.h"

namespace omserve {
namespace {

// Limits of the documented device lists.
constexpr int kMaxField = 32767;
constexpr size_t kMaxDevices = 65535;

struct FieldRange {
  int low = 0;
  int high = 0;
};

// The text without blanks and without one pair of brackets around it.
std::string Bare(absl::string_view text) {
  std::string bare;
  for (char c : text) {
    if (!absl::ascii_isspace(static_cast<unsigned char>(c))) bare.push_back(c);
  }
  if (bare.size() >= 2 && bare.front() == '[' && bare.back() == ']') bare = bare.substr(1, bare.size() - 2);
  return bare;
}

// At most five digits: no sign, no overflow.
bool ParseNumber(absl::string_view text, int* value) {
  if (text.empty() || text.size() > 5) return false;
  if (!std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); }))
    return false;
  return absl::SimpleAtoi(text, value) && *value <= kMaxField;
}

absl::StatusOr<std::array<FieldRange, 4>> ParseFields(absl::string_view text, bool ranges) {
  auto error = [&] {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text,
        "' is no logical device id; expected cluster:node:item or cluster:node:item:chip, each from 0 to ",
        kMaxField, ranges ? " or a range a~b" : ""));
  };
  const std::vector<absl::string_view> fields = absl::StrSplit(text, ':');
  if (fields.size() != 3 && fields.size() != 4) return error();
  std::array<FieldRange, 4> parsed;
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::vector<absl::string_view> ends = absl::StrSplit(fields[i], '~');
    if (ends.size() > (ranges ? 2u : 1u)) return error();
    if (!ParseNumber(ends.front(), &parsed[i].low) || !ParseNumber(ends.back(), &parsed[i].high))
      return error();
    if (parsed[i].low > parsed[i].high) return error();
  }
  return parsed;
}

}  // namespace

absl::StatusOr<LogicalDeviceId> LogicalDeviceId::Parse(absl::string_view text) {
  ASSIGN_OR_RETURN(auto fields, ParseFields(Bare(text), /*ranges=*/false));
  return LogicalDeviceId{fields[0].low, fields[1].low, fields[2].low, fields[3].low};
}

absl::StatusOr<std::vector<LogicalDeviceId>> LogicalDeviceId::ParseList(absl::string_view text) {
  std::vector<LogicalDeviceId> ids;
  std::set<LogicalDeviceId> seen;
  uint64_t named = 0;  // repetitions included: they cost as much time
  const std::string bare = Bare(text);
  for (absl::string_view part : absl::StrSplit(bare, ',')) {
    ASSIGN_OR_RETURN(auto fields, ParseFields(part, /*ranges=*/true));
    // The product is bounded before it is expanded: each factor is at most 2^15, so 2^60 cannot overflow.
    uint64_t count = 1;
    for (const FieldRange& field : fields) count *= static_cast<uint64_t>(field.high - field.low + 1);
    if (named + count > kMaxDevices) {
      return absl::InvalidArgumentError(absl::StrCat("'", part, "' names ", count, " devices after ", named,
                                                     "; a list may name at most ", kMaxDevices));
    }
    named += count;
    for (int cluster = fields[0].low; cluster <= fields[0].high; ++cluster) {
      for (int node = fields[1].low; node <= fields[1].high; ++node) {
        for (int item = fields[2].low; item <= fields[2].high; ++item) {
          for (int chip = fields[3].low; chip <= fields[3].high; ++chip) {
            const LogicalDeviceId id{cluster, node, item, chip};
            if (seen.insert(id).second) ids.push_back(id);
          }
        }
      }
    }
  }
  return ids;
}

std::string LogicalDeviceId::ToString() const {
  return absl::StrCat(cluster, ":", node, ":", item, ":", chip);
}

}  // namespace omserve
