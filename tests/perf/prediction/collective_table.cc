#include "tests/perf/prediction/collective_table.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/base/status.h"
#include "core/cluster/cluster.h"
#include "core/cluster/cost_file.h"

namespace omserve::prediction {
namespace {

// "64KiB"
std::optional<double> ParseSize(absl::string_view text) {
  constexpr std::pair<absl::string_view, double> kUnits[] = {{"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  for (const auto& [unit, factor] : kUnits) {
    absl::string_view number = text;
    double value = 0;
    if (absl::ConsumeSuffix(&number, unit) && absl::SimpleAtod(number, &value) && value > 0) return value * factor;
  }
  return std::nullopt;
}

std::vector<double> SizesIn(absl::string_view comment) {
  std::vector<double> sizes;
  for (absl::string_view word : absl::StrSplit(comment, absl::ByAnyChar(", ()"))) {
    if (const std::optional<double> size = ParseSize(word)) sizes.push_back(*size);
  }
  return sizes;
}

}  // namespace

absl::StatusOr<CollectiveTable> ParseCollectiveTable(absl::string_view text, absl::string_view source) {
  CollectiveTable table;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripTrailingAsciiWhitespace(line);
    const auto error = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat(source, ":", number, ": ", what));
    };
    if (line.empty()) continue;
    if (line.front() == '#') {
      std::vector<double> sizes = SizesIn(line);
      if (!sizes.empty()) table.sizes = std::move(sizes);
      continue;
    }
    if (table.sizes.empty()) return error("expected a comment with the sizes (\"4KiB,64KiB\") before the first row");
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    if (fields.size() != 3 + table.sizes.size()) {
      return error(absl::StrCat("expected system, operation, ranks and ", table.sizes.size(), " times, found ", fields.size(),
                                " fields"));
    }
    const std::optional<CollectiveKind> kind = CollectiveKindOf(fields[1] == "alltoall" ? "all_to_all" : fields[1]);
    if (!kind) return error(absl::StrCat("unknown operation '", fields[1], "'"));
    int ranks = 0;
    constexpr int kMostRanks = 65535;
    if (!absl::SimpleAtoi(fields[2], &ranks) || ranks < 2 || ranks > kMostRanks) {
      return error(absl::StrCat("expected 2 ranks or more, found '", fields[2], "'"));
    }
    auto system = std::find_if(table.systems.begin(), table.systems.end(),
                               [&](const SystemTable& known) { return known.system == fields[0]; });
    if (system == table.systems.end()) system = table.systems.insert(system, {fields[0], {}, {}});
    for (size_t i = 0; i < table.sizes.size(); ++i) {
      if (fields[3 + i].empty()) continue;
      double microseconds = 0;
      if (!absl::SimpleAtod(fields[3 + i], &microseconds) || !(microseconds > 0 && microseconds < 1e12)) {
        return error(absl::StrCat("expected microseconds above 0, found '", fields[3 + i], "'"));
      }
      system->samples.push_back({*kind, ranks, table.sizes[i], microseconds * 1e-6});
      system->column.push_back(i);
    }
  }
  if (table.systems.empty()) return absl::InvalidArgumentError(absl::StrCat(source, ": no rows"));
  return table;
}

absl::StatusOr<std::vector<double>> PredictCollectives(const std::vector<CollectiveSample>& known,
                                                       const std::vector<CollectiveSample>& asked,
                                                       const CollectiveShape& shape) {
  ASSIGN_OR_RETURN(const CollectiveFit fit, CollectiveFit::Make(known, shape));
  double smallest = known[0].bytes, largest = known[0].bytes;
  int ranks = 2;
  for (const std::vector<CollectiveSample>* samples : {&known, &asked}) {
    for (const CollectiveSample& sample : *samples) {
      smallest = std::min(smallest, sample.bytes);
      largest = std::max(largest, sample.bytes);
      ranks = std::max(ranks, sample.ranks);
    }
  }
  CostFile file;
  file.intra_node.collectives = fit.Curves(smallest, largest);
  Cluster cluster = Cluster::Local(ranks);
  RETURN_IF_ERROR(cluster.ApplyCosts(file.ToJson(), "fitted costs"));
  std::vector<double> predicted;
  for (const CollectiveSample& sample : asked) {
    std::vector<int> positions(static_cast<size_t>(sample.ranks));
    std::iota(positions.begin(), positions.end(), 0);
    predicted.push_back(cluster.CollectiveTime(sample.kind, positions, sample.bytes));
  }
  return predicted;
}

}  // namespace omserve::prediction
