// iopddl: solves contest instances within the contest's time and compares with what others reached.
//
//   iopddl --table table.csv [--timeout S] [--threads 2] [--seed 1] [--solutions DIR] A.json.gz…
#include <sys/resource.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "core/partition/search/solve.h"
#include "tests/perf/iopddl/contest.h"

namespace omserve::iopddl {
namespace {

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

struct Flags {
  std::vector<std::string> files;
  std::string table, solutions;
  double timeout = 0;
  int threads = 2;
  uint64_t seed = 1;
  bool o1 = false;
};

struct Totals {
  int solved = 0, compared = 0;
  double score = 0, winner_score = 0;
};

absl::Status SolveOne(const std::string& path, const Flags& flags, Totals& totals) {
  const std::string file = std::filesystem::path(path).filename().string();
  const std::string letter = file.substr(0, file.find('.'));
  Record record;
  if (!flags.table.empty()) {
    auto found = FindRecord(flags.table, letter);
    if (!found.ok()) return found.status();
    record = *found;
  }
  const double timeout = flags.timeout > 0 ? flags.timeout : record.timeout_s > 0 ? record.timeout_s : 60;
  const absl::Time start = absl::Now();
  const double cpu_start = CpuSeconds();
  auto instance = ReadInstance(path);
  if (!instance.ok()) return instance.status();
  const double read_seconds = absl::ToDoubleSeconds(absl::Now() - start);
  SolveOptions options;
  options.level = flags.o1 ? SearchLevel::kO1 : SearchLevel::kO2;
  // Reading counts: the whole thing has to fit. A little is kept for writing the answer.
  options.time_budget = absl::Seconds(timeout * 0.99 - read_seconds - 0.2);
  options.threads = flags.threads;
  options.seed = flags.seed;
  auto solution = Solve(instance->network, options);
  if (!solution.ok()) return solution.status();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  const double cpu = CpuSeconds() - cpu_start;
  if (!flags.solutions.empty()) {
    // The contest's form: one list with the value of each node.
    std::ofstream(std::filesystem::path(flags.solutions) / (letter + ".json"))
        << "[" << absl::StrJoin(solution->choice, ", ") << "]\n";
  }
  auto verdict = Check(path, solution->choice);
  if (!verdict.ok()) return verdict.status();
  const SearchStatistics& s = solution->statistics;
  const double cost = static_cast<double>(verdict->cost);
  const bool valid = verdict->valid && cost == solution->cost;
  std::printf("%-8s %16.0f %16.0f %7.3f%% %7.1f %7.1f  %-38s", letter.c_str(), solution->cost, solution->lower_bound,
              100 * solution->Gap(), seconds, cpu, solution->engine.c_str());
  if (!valid) {
    std::printf("  INVALID: %s\n", verdict->valid ? "the checker finds another cost" : verdict->problem.c_str());
    return absl::InternalError(letter + " was not solved");
  }
  ++totals.solved;
  if (record.best_known > 0) {
    ++totals.compared;
    totals.score += record.best_known / cost;
    std::printf("  %.4f", record.best_known / cost);
    if (record.winner_solver > 0) {
      totals.winner_score += record.best_known / record.winner_solver;
      std::printf("  %.5f", cost / record.winner_solver);
    }
  }
  std::printf("\n         %d -> %d variables, %lld -> %lld entries, %d rows, width %d, %lld sweeps, %lld moves%s\n", s.variables,
              s.core_variables, static_cast<long long>(s.edge_entries), static_cast<long long>(s.core_edge_entries), s.core_rows,
              s.width, static_cast<long long>(s.sweeps), static_cast<long long>(s.moves), solution->exact ? ", proven" : "");
  std::fflush(stdout);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Solves IOPDDL contest instances and compares with what others reached.");
  app.add_option("files", flags.files, "instances: NAME.json or NAME.json.gz")->required();
  app.add_option("--table", flags.table, "table.csv: time-outs and known costs");
  app.add_option("--timeout", flags.timeout, "seconds per instance; by default the contest's own, 60 when it is not known");
  app.add_option("--threads", flags.threads, "threads of the search");
  app.add_option("--seed", flags.seed, "seed of the search");
  app.add_option("--solutions", flags.solutions, "folder to write NAME.json to, in the contest's form");
  app.add_flag("--o1", flags.o1, "search at level O1");
  CLI11_PARSE(app, argc, argv);
  std::printf("%-8s %16s %16s %8s %7s %7s  %-38s  %s  %s\n", "instance", "cost", "bound", "gap", "s", "cpu-s", "engine", "score",
              "cost/winners' solver");
  Totals totals;
  int failures = 0;
  for (const std::string& file : flags.files) {
    if (absl::Status status = SolveOne(file, flags, totals); !status.ok()) {
      std::printf("%s: %s\n", file.c_str(), status.ToString().c_str());
      ++failures;
    }
  }
  std::printf("score %.4f on %d instances (winners' solver %.4f)\n", totals.score, totals.compared, totals.winner_score);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace omserve::iopddl

int main(int argc, char** argv) { return omserve::iopddl::Main(argc, argv); }
