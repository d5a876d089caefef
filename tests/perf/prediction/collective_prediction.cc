// How well collectives are predicted at sizes that were not measured: the model is fitted to half of the sizes of each
// system of a table, and judged by the other half.
//
//   collective_prediction TABLE [--splits N] [--rows] [--across]
//
// The form that the model expects of curves (CollectiveShape) was set with measurements of NCCL in view. --across judges
// without that: the form is chosen anew, from a plain one, by the errors on one system, and judged on the others.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "tests/perf/prediction/collective_table.h"

namespace omserve::prediction {
namespace {

constexpr char kEverySecond[] = "every second size";

struct Errors {
  double sum = 0;
  int count = 0;
  void Add(double error) {
    sum += std::abs(error);
    ++count;
  }
  double Percent() const { return count == 0 ? 0 : 100 * sum / count; }
};

struct Split {
  std::string name;
  std::vector<bool> seen;  // which samples the fit sees
};

class Judge {
 public:
  explicit Judge(bool print_rows) : print_rows_(print_rows) {}

  absl::Status Try(const Split& split, const SystemTable& system, const CollectiveShape& shape) {
    std::vector<CollectiveSample> known, asked;
    for (size_t i = 0; i < system.samples.size(); ++i) (split.seen[i] ? known : asked).push_back(system.samples[i]);
    if (known.empty() || asked.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<double> predicted, PredictCollectives(known, asked, shape));
    for (size_t i = 0; i < asked.size(); ++i) {
      const double error = predicted[i] / asked[i].seconds - 1;
      by_split_[split.name].Add(error);
      by_operation_[absl::StrCat(system.system, " ", ToString(asked[i].kind))].Add(error);
      by_size_[asked[i].bytes].Add(error);
      all_.Add(error);
      if (split.name.starts_with(kEverySecond)) every_second_.Add(error);
      if (!print_rows_) continue;
      std::printf("%s: %s %s %d ranks %.0f bytes: measured %.1f us, predicted %.1f us, %+.1f %%\n", split.name.c_str(),
                  system.system.c_str(), std::string(ToString(asked[i].kind)).c_str(), asked[i].ranks, asked[i].bytes,
                  asked[i].seconds * 1e6, predicted[i] * 1e6, 100 * error);
    }
    return absl::OkStatus();
  }

  void Print() const {
    std::printf("held-out mean error by split:\n");
    for (const auto& [split, errors] : by_split_) std::printf("  %-44s %6.2f %%\n", split.c_str(), errors.Percent());
    std::printf("  %-44s %6.2f %%\n", "every second size, both ways together", every_second_.Percent());
    std::printf("by system and operation:\n");
    for (const auto& [name, errors] : by_operation_) std::printf("  %-44s %6.2f %%\n", name.c_str(), errors.Percent());
    std::printf("by size:\n");
    for (const auto& [size, errors] : by_size_) std::printf("  %-44.0f %6.2f %%\n", size, errors.Percent());
    std::printf("overall: %.2f %% of %d predictions\n", all_.Percent(), all_.count);
  }

  double Percent() const { return all_.Percent(); }

 private:
  const bool print_rows_;
  std::map<std::string, Errors> by_split_, by_operation_;
  std::map<double, Errors> by_size_;
  Errors all_, every_second_;
};

// Which half of `count` things is seen. Not std::shuffle, whose order differs between libraries.
std::vector<bool> RandomHalf(size_t count, std::mt19937& rng) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = count; i > 1; --i) std::swap(order[i - 1], order[rng() % i]);
  std::vector<bool> seen(count, false);
  for (size_t i = 0; i < (count + 1) / 2; ++i) seen[order[i]] = true;
  return seen;
}

std::vector<Split> Splits(size_t sizes, const SystemTable& system, int random) {
  std::vector<Split> splits;
  const auto by_size = [&](std::string name, const std::function<bool(size_t size)>& seen) {
    Split& split = splits.emplace_back(Split{std::move(name), {}});
    for (size_t column : system.column) split.seen.push_back(seen(column));
  };
  by_size(absl::StrCat(kEverySecond, ", the first known"), [](size_t size) { return size % 2 == 0; });
  by_size(absl::StrCat(kEverySecond, ", the second known"), [](size_t size) { return size % 2 == 1; });
  for (int seed = 0; seed < random; ++seed) {
    std::mt19937 rng(static_cast<uint32_t>(seed));
    // The same sizes of all operations: no curve shows what another lacks.
    const std::vector<bool> half = RandomHalf(sizes, rng);
    by_size("random half of the sizes", [&](size_t size) { return half[size]; });
    // Of each row other sizes.
    Split& rows = splits.emplace_back(Split{"random half of the sizes of each row", {}});
    for (size_t begin = 0; begin < system.samples.size();) {
      size_t end = begin + 1;
      while (end < system.samples.size() && system.column[end] > system.column[end - 1]) ++end;
      const std::vector<bool> of_row = RandomHalf(end - begin, rng);
      rows.seen.insert(rows.seen.end(), of_row.begin(), of_row.end());
      begin = end;
    }
  }
  return splits;
}

// The form of least held-out error on a system: one number after the other is moved up or down where that helps.
absl::StatusOr<CollectiveShape> ChooseShape(const SystemTable& system, const std::vector<Split>& splits) {
  CollectiveShape shape{.fill = 0.7,
                        .fill_place = 0,
                        .fill_place_per_ranks = 0.2,
                        .fill_steepness = 1,
                        .floor_rise = 0.3,
                        .floor_rise_place = -4.6};
  const auto error = [&]() -> absl::StatusOr<double> {
    Judge judge(/*print_rows=*/false);
    for (const Split& split : splits) RETURN_IF_ERROR(judge.Try(split, system, shape));
    return judge.Percent();
  };
  const std::pair<double*, double> steps[] = {{&shape.fill, 0.5},           {&shape.fill_place, 0.5},
                                              {&shape.fill_steepness, 0.3}, {&shape.floor_rise, 0.2},
                                              {&shape.floor_rise_place, 1.5}, {&shape.fill_place_per_ranks, 0.3}};
  constexpr double kWorthwhile = 0.05;  // percentage points; less is as likely to be chance
  ASSIGN_OR_RETURN(double best, error());
  for (double scale : {1.0, 0.6, 0.36}) {
    for (const auto& [number, step] : steps) {
      for (double sign : {1.0, -1.0}) {
        const double before = *number;
        *number += sign * scale * step;
        ASSIGN_OR_RETURN(const double found, error());
        if (found < best - kWorthwhile) {
          best = found;
          break;
        }
        *number = before;
      }
    }
  }
  return shape;
}

absl::Status Run(const std::string& path, int random, bool print_rows, bool across) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, size_t{1} << 20));
  ASSIGN_OR_RETURN(const CollectiveTable table, ParseCollectiveTable(text, path));
  if (across && table.systems.size() < 2) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": --across needs two systems, found one"));
  }
  Judge judge(print_rows);
  for (const SystemTable& chosen_on : table.systems) {
    CollectiveShape shape;
    if (across) {
      ASSIGN_OR_RETURN(shape, ChooseShape(chosen_on, Splits(table.sizes.size(), chosen_on, random)));
    }
    for (const SystemTable& system : table.systems) {
      const bool same = &system == &chosen_on;
      if (same == across) continue;  // without --across each system once, and nothing chosen
      for (const Split& split : Splits(table.sizes.size(), system, random)) {
        RETURN_IF_ERROR(judge.Try(split, system, shape));
      }
    }
  }
  judge.Print();
  return absl::OkStatus();
}

}  // namespace
}  // namespace omserve::prediction

int main(int argc, char** argv) {
  CLI::App app("Predicted against measured times of collectives");
  std::string table;
  int splits = 10;
  bool rows = false, across = false;
  app.add_option("TABLE", table, "Measured times: CSV")->required()->check(CLI::ExistingFile);
  app.add_option("--splits", splits, "Random halves to judge by")->check(CLI::Range(0, 1000));
  app.add_flag("--rows", rows, "Print every prediction");
  app.add_flag("--across", across, "Choose the form of curves on one system and judge the others");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = omserve::prediction::Run(table, splits, rows, across);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
