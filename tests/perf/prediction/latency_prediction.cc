// How well the cost model predicts measured latencies of language models: its parameters are fitted on half of the rows
// of a table and judged on the other half.
//
//   latency_prediction TABLE [--judge TABLE] [--splits N] [--rows] [--write-costs FILE]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>
#include <set>
#include <string>

#include "CLI/CLI.hpp"
#include "core/base/file.h"
#include "core/base/status.h"
#include "tests/perf/prediction/gpt_model.h"

namespace omserve::prediction {
namespace {

absl::StatusOr<std::vector<LatencyRow>> ReadTable(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, size_t{1} << 20);
  if (!text.ok()) return text.status();
  return ParseLatencyTable(*text, path);
}

void PrintRows(const GptRates& rates, const std::vector<LatencyRow>& rows) {
  for (const LatencyRow& row : rows) {
    const double predicted = PredictSeconds(rates, row);
    std::printf("  %-12s %4d x %3d+%3d  measured %9.2f ms  predicted %9.2f ms  %+6.1f %%\n", row.Layout().c_str(),
                static_cast<int>(row.batch), static_cast<int>(row.in_length), static_cast<int>(row.out_length),
                row.seconds * 1e3, predicted * 1e3, 100 * (predicted / row.seconds - 1));
  }
}

absl::Status Run(const std::string& path, const std::string& judge, const std::string& costs, int splits,
                 bool print_rows) {
  ASSIGN_OR_RETURN(const std::vector<LatencyRow> rows, ReadTable(path));
  const GptRates all = FitRates(rows);
  std::printf("%zu rows, %zu parameters; fitted on all rows:\n", rows.size(), GptRates::Names().size());
  const std::vector<double> logs = all.ToLogs();
  for (size_t i = 0; i < logs.size(); ++i)
    std::printf("  %-20s %.4g\n", GptRates::Names()[i].c_str(), std::exp(logs[i]));
  std::printf("mean error on the rows of the fit: %.2f %%\n", 100 * MeanError(all, rows));
  if (!costs.empty()) RETURN_IF_ERROR(WriteFileAtomically(costs, all.ToCostFile().ToJson()));
  if (print_rows) PrintRows(all, rows);
  if (!judge.empty()) {
    ASSIGN_OR_RETURN(const std::vector<LatencyRow> others, ReadTable(judge));
    std::printf("mean error on %zu rows of %s, of which the fit saw none: %.2f %%\n", others.size(), judge.c_str(),
                100 * MeanError(all, others));
    PrintRows(all, others);
  }
  double held_out = 0, worst = 0;
  for (int seed = 0; seed < splits; ++seed) {
    std::vector<size_t> order(rows.size());
    std::iota(order.begin(), order.end(), size_t{0});
    // Not std::shuffle, whose order differs between libraries.
    std::mt19937 rng(static_cast<uint32_t>(seed));
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng() % i]);
    std::vector<LatencyRow> fitted, judged;
    for (size_t i = 0; i < order.size(); ++i) (i % 2 == 0 ? fitted : judged).push_back(rows[order[i]]);
    const double error = MeanError(FitRates(fitted), judged);
    held_out += error / splits;
    worst = std::max(worst, error);
  }
  if (splits > 0) {
    std::printf("held-out mean error, %d random halves: %.2f %% (worst half %.2f %%)\n", splits, 100 * held_out,
                100 * worst);
  }
  std::set<std::string> groups;
  for (const LatencyRow& row : rows) groups.insert(row.Layout());
  std::printf("held out by model and layout:\n");
  for (const std::string& group : groups) {
    std::vector<LatencyRow> fitted, judged;
    for (const LatencyRow& row : rows) (row.Layout() == group ? judged : fitted).push_back(row);
    if (fitted.empty()) continue;
    std::printf("  %-14s %3zu rows  %.2f %%\n", group.c_str(), judged.size(),
                100 * MeanError(FitRates(fitted), judged));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace omserve::prediction

int main(int argc, char** argv) {
  CLI::App app("Predicted against measured latencies of language models");
  std::string table, judge, costs;
  int splits = 20;
  bool rows = false;
  app.add_option("TABLE", table, "Measured latencies: CSV")->required()->check(CLI::ExistingFile);
  app.add_option("--judge", judge, "Further measured latencies, to judge the fit on all of TABLE by")
      ->check(CLI::ExistingFile);
  app.add_option("--write-costs", costs,
                 "Where to write what was fitted on all of TABLE, as a cost file of devices of type A100");
  app.add_option("--splits", splits, "Random halves to judge by")->check(CLI::Range(0, 1000));
  app.add_flag("--rows", rows, "Print every row");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = omserve::prediction::Run(table, judge, costs, splits, rows);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
