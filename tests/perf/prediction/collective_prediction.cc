// How well collectives are predicted at sizes that were not measured: the model is fitted to half of the sizes of each
// system of a table, and judged by the other half.
//
//   collective_prediction TABLE [--splits N] [--rows]
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

struct Errors {
  double sum = 0;
  int count = 0;
  void Add(double error) {
    sum += std::abs(error);
    ++count;
  }
  double Percent() const { return count == 0 ? 0 : 100 * sum / count; }
};

// Whether the fit sees a sample.
using Sees = std::function<bool(size_t sample)>;

class Judge {
 public:
  explicit Judge(bool print_rows) : print_rows_(print_rows) {}

  absl::Status Try(const std::string& split, const SystemTable& system, const Sees& sees) {
    std::vector<CollectiveSample> known, asked;
    for (size_t i = 0; i < system.samples.size(); ++i) (sees(i) ? known : asked).push_back(system.samples[i]);
    if (known.empty() || asked.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<double> predicted, PredictCollectives(known, asked));
    for (size_t i = 0; i < asked.size(); ++i) {
      const double error = predicted[i] / asked[i].seconds - 1;
      by_split_[split].Add(error);
      by_operation_[absl::StrCat(system.system, " ", ToString(asked[i].kind))].Add(error);
      by_size_[asked[i].bytes].Add(error);
      all_.Add(error);
      if (!print_rows_) continue;
      std::printf("%s: %s %s %d ranks %.0f bytes: measured %.1f us, predicted %.1f us, %+.1f %%\n", split.c_str(),
                  system.system.c_str(), std::string(ToString(asked[i].kind)).c_str(), asked[i].ranks, asked[i].bytes,
                  asked[i].seconds * 1e6, predicted[i] * 1e6, 100 * error);
    }
    return absl::OkStatus();
  }

  void Print() const {
    std::printf("held-out mean error by split:\n");
    for (const auto& [split, errors] : by_split_) std::printf("  %-44s %6.2f %%\n", split.c_str(), errors.Percent());
    std::printf("by system and operation:\n");
    for (const auto& [name, errors] : by_operation_) std::printf("  %-44s %6.2f %%\n", name.c_str(), errors.Percent());
    std::printf("by size:\n");
    for (const auto& [size, errors] : by_size_) std::printf("  %-44.0f %6.2f %%\n", size, errors.Percent());
    std::printf("overall: %.2f %% of %d predictions\n", all_.Percent(), all_.count);
  }

 private:
  const bool print_rows_;
  std::map<std::string, Errors> by_split_, by_operation_;
  std::map<double, Errors> by_size_;
  Errors all_;
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

absl::Status Run(const std::string& path, int splits, bool print_rows) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, size_t{1} << 20));
  ASSIGN_OR_RETURN(const CollectiveTable table, ParseCollectiveTable(text, path));
  Judge judge(print_rows);
  for (const SystemTable& system : table.systems) {
    for (size_t first : {size_t{0}, size_t{1}}) {
      RETURN_IF_ERROR(judge.Try(first == 0 ? "every second size, the first known" : "every second size, the second known",
                                system, [&](size_t i) { return system.column[i] % 2 == first; }));
    }
    for (int seed = 0; seed < splits; ++seed) {
      std::mt19937 rng(static_cast<uint32_t>(seed));
      // The same sizes of all operations: no curve shows what another lacks.
      const std::vector<bool> sizes = RandomHalf(table.sizes.size(), rng);
      RETURN_IF_ERROR(judge.Try("random half of the sizes", system, [&](size_t i) { return sizes[system.column[i]]; }));
      // Of each row other sizes.
      std::vector<bool> seen(system.samples.size());
      for (size_t begin = 0; begin < seen.size();) {
        size_t end = begin + 1;
        while (end < seen.size() && system.column[end] > system.column[end - 1]) ++end;
        const std::vector<bool> half = RandomHalf(end - begin, rng);
        std::copy(half.begin(), half.end(), seen.begin() + static_cast<std::ptrdiff_t>(begin));
        begin = end;
      }
      RETURN_IF_ERROR(judge.Try("random half of the sizes of each row", system, [&](size_t i) { return seen[i]; }));
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
  bool rows = false;
  app.add_option("TABLE", table, "Measured times: CSV")->required()->check(CLI::ExistingFile);
  app.add_option("--splits", splits, "Random halves to judge by")->check(CLI::Range(0, 1000));
  app.add_flag("--rows", rows, "Print every prediction");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = omserve::prediction::Run(table, splits, rows);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
