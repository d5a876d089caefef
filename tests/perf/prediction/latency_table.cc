#include "tests/perf/prediction/latency_table.h"

#include <map>
#include <optional>
#include <regex>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace omserve::prediction {
namespace {

struct Model {
  int64_t heads = 0, head_size = 0, layers = 0;
};

// The layout of a column: "TP8PP3", "TP4", "ft_ms".
std::optional<std::pair<int, int>> LayoutOf(const std::string& column) {
  static const std::regex kLayout("TP([0-9]{1,4})(?:[-_ ]?PP([0-9]{1,4}))?(?:_ms)?");
  std::smatch match;
  if (std::regex_match(column, match, kLayout)) {
    return std::pair<int, int>(std::stoi(match[1]), match[2].matched ? std::stoi(match[2]) : 1);
  }
  if (column == "ft_ms" || column == "ms") return std::pair<int, int>(1, 1);
  return std::nullopt;
}

}  // namespace

std::string LatencyRow::Layout() const {
  return absl::StrCat(model, " TP", tensor_parallel, pipeline > 1 ? absl::StrCat("PP", pipeline) : "");
}

absl::StatusOr<std::vector<LatencyRow>> ParseLatencyTable(absl::string_view text, absl::string_view source) {
  static const std::regex kModel(R"(([0-9.]+[MBT]) ?\(([0-9]+),([0-9]+),([0-9]+)\))");
  static const std::regex kHeading(R"(#.*?([0-9.]+[MBT])\b.*?: *batch,in_len,out_len,([^ ]+).*)");
  std::map<std::string, Model> models;
  std::string model;
  std::vector<std::pair<int, int>> layouts;
  std::vector<LatencyRow> rows;
  int number = 0;
  for (absl::string_view raw : absl::StrSplit(text, '\n')) {
    ++number;
    const std::string line(absl::StripAsciiWhitespace(raw));
    auto error = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat(source, ":", number, ": ", what));
    };
    if (line.empty()) continue;
    if (line[0] == '#') {
      for (std::sregex_iterator it(line.begin(), line.end(), kModel), end; it != end; ++it) {
        Model& known = models[(*it)[1]];
        if (!absl::SimpleAtoi((*it)[2].str(), &known.heads) || !absl::SimpleAtoi((*it)[3].str(), &known.head_size) ||
            !absl::SimpleAtoi((*it)[4].str(), &known.layers)) {
          return error(absl::StrCat("the sizes of model ", (*it)[1].str(), " are too large"));
        }
      }
      std::smatch heading;
      if (std::regex_match(line, heading, kHeading)) {
        model = heading[1];
        layouts.clear();
        for (absl::string_view column : absl::StrSplit(heading[2].str(), ',')) {
          const std::optional<std::pair<int, int>> layout = LayoutOf(std::string(column));
          if (!layout || layout->first < 1 || layout->second < 1) {
            return error(absl::StrCat("column '", column, "': expected a layout such as TP8PP3, or ft_ms"));
          }
          layouts.push_back(*layout);
        }
      }
      continue;
    }
    if (layouts.empty()) return error("a row before any heading with batch,in_len,out_len and the layouts");
    if (!models.contains(model))
      return error(absl::StrCat("heads, head size and layers of model ", model, " are not given"));
    const std::vector<std::string> cells = absl::StrSplit(line, ',');
    if (cells.size() != 3 + layouts.size()) {
      return error(absl::StrCat("expected ", 3 + layouts.size(), " cells, found ", cells.size()));
    }
    const Model& sizes = models[model];
    LatencyRow row{model, sizes.heads, sizes.head_size, sizes.layers};
    if (!absl::SimpleAtoi(cells[0], &row.batch) || !absl::SimpleAtoi(cells[1], &row.in_length) ||
        !absl::SimpleAtoi(cells[2], &row.out_length) || row.batch < 1 || row.in_length < 1 || row.out_length < 1) {
      return error("batch, in_len and out_len are whole numbers from 1");
    }
    for (size_t i = 0; i < layouts.size(); ++i) {
      if (cells[3 + i].empty()) continue;  // did not fit
      double milliseconds = 0;
      if (!absl::SimpleAtod(cells[3 + i], &milliseconds) || !(milliseconds > 0)) {
        return error(absl::StrCat("'", cells[3 + i], "' is no time in ms"));
      }
      row.tensor_parallel = layouts[i].first;
      row.pipeline = layouts[i].second;
      row.seconds = milliseconds * 1e-3;
      rows.push_back(row);
    }
  }
  return rows;
}

}  // namespace omserve::prediction
