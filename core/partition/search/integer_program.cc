#include "core/partition/search/integer_program.h"

#include <coin/Cbc_C_Interface.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Columns of the program, in compressed form.
struct Matrix {
  std::vector<int> start = {0}, index;
  std::vector<double> value, objective;
  void Put(int row, double coefficient) {
    index.push_back(row);
    value.push_back(coefficient);
  }
  void EndColumn(double cost) {
    objective.push_back(cost);
    start.push_back(static_cast<int>(index.size()));
  }
  int columns() const { return static_cast<int>(objective.size()); }
};

class Program {
 public:
  Program(const CostNetwork& network, const std::vector<double>& prices, double scale)
      : network_(network), prices_(prices), scale_(scale) {
    int next = 0;
    for (const auto& unary : network.unary) {
      first_column_.push_back(next);
      next += static_cast<int>(unary.size());
    }
    values_ = next;
    edges_of_.resize(network.unary.size());
    int row = static_cast<int>(network.unary.size());
    for (size_t e = 0; e < network.edges.size(); ++e) {
      const CostNetwork::Edge& edge = network.edges[e];
      row_of_edge_.push_back(row);
      row += static_cast<int>(network.unary[edge.a].size() + network.unary[edge.b].size());
      edges_of_[edge.a].push_back(static_cast<int>(e));
      edges_of_[edge.b].push_back(static_cast<int>(e));
    }
    structural_rows_ = row;
    usages_of_.resize(network.unary.size());
    for (size_t u = 0; u < network.usages.size(); ++u) usages_of_[network.usages[u].variable].push_back(static_cast<int>(u));
  }

  int columns() const { return values_; }

  // Makes and solves the program with the memory rows `rows`.
  Cbc_Model* Solve(const std::vector<int>& rows, const std::vector<int>& incumbent, double cutoff, double seconds) const {
    Matrix matrix;
    for (size_t v = 0; v < network_.unary.size(); ++v) {
      for (size_t k = 0; k < network_.unary[v].size(); ++k) {
        matrix.Put(static_cast<int>(v), 1);
        for (int e : edges_of_[v]) {
          const CostNetwork::Edge& edge = network_.edges[static_cast<size_t>(e)];
          const size_t place = edge.a == static_cast<int>(v) ? k : network_.unary[edge.a].size() + k;
          matrix.Put(row_of_edge_[static_cast<size_t>(e)] + static_cast<int>(place), -1);
        }
        for (size_t r = 0; r < rows.size(); ++r) {
          double amount = 0;
          for (int u : usages_of_[v]) {
            const CostNetwork::Usage& usage = network_.usages[static_cast<size_t>(u)];
            if (usage.first_row <= rows[r] && rows[r] < usage.end_row) amount += usage.amount[k];
          }
          if (amount != 0) matrix.Put(structural_rows_ + static_cast<int>(r), amount / RowScale(rows[r]));
        }
        matrix.EndColumn(network_.unary[v][k] * scale_);
      }
    }
    for (size_t e = 0; e < network_.edges.size(); ++e) {
      const CostNetwork::Edge& edge = network_.edges[e];
      const size_t ka = network_.unary[edge.a].size(), kb = network_.unary[edge.b].size();
      for (size_t k = 0; k < ka; ++k) {
        for (size_t l = 0; l < kb; ++l) {
          const double cost = edge.cost[k * kb + l];
          if (cost == kInfinity) continue;
          matrix.Put(row_of_edge_[e] + static_cast<int>(k), 1);
          matrix.Put(row_of_edge_[e] + static_cast<int>(ka + l), 1);
          matrix.EndColumn(cost * scale_);
        }
      }
    }
    // What a priced row leaves free costs its price.
    for (size_t r = 0; r < rows.size(); ++r) {
      const double price = prices_[static_cast<size_t>(rows[r])];
      if (price == 0) continue;
      matrix.Put(structural_rows_ + static_cast<int>(r), 1);
      matrix.EndColumn(price * RowScale(rows[r]) * scale_);
    }
    const size_t n_rows = static_cast<size_t>(structural_rows_) + rows.size();
    std::vector<double> lower(n_rows, 0), upper(n_rows, 0);
    for (size_t v = 0; v < network_.unary.size(); ++v) lower[v] = upper[v] = 1;
    for (size_t r = 0; r < rows.size(); ++r) {
      const size_t at = static_cast<size_t>(structural_rows_) + r;
      upper[at] = network_.row_limit[static_cast<size_t>(rows[r])] / RowScale(rows[r]);
      lower[at] = prices_[static_cast<size_t>(rows[r])] == 0 ? -1e30 : upper[at];
    }
    std::vector<double> column_lower(static_cast<size_t>(matrix.columns()), 0), column_upper(static_cast<size_t>(matrix.columns()), 1e30);
    Cbc_Model* model = Cbc_newModel();
    Cbc_loadProblem(model, matrix.columns(), static_cast<int>(n_rows), matrix.start.data(), matrix.index.data(), matrix.value.data(),
                    column_lower.data(), column_upper.data(), matrix.objective.data(), lower.data(), upper.data());
    for (int column = 0; column < values_; ++column) Cbc_setInteger(model, column);
    Cbc_setLogLevel(model, 0);
    Cbc_setParameter(model, "logLevel", "0");
    Cbc_setParameter(model, "timeMode", "elapsed");
    Cbc_setParameter(model, "sec", absl::StrCat(seconds).c_str());
    Cbc_setParameter(model, "ratio", "0");
    Cbc_setParameter(model, "allow", "1e-7");
    if (!incumbent.empty()) {
      std::vector<int> column;
      std::vector<double> one;
      for (size_t v = 0; v < incumbent.size(); ++v) {
        column.push_back(first_column_[v] + incumbent[v]);
        one.push_back(1);
      }
      Cbc_setMIPStartI(model, static_cast<int>(column.size()), column.data(), one.data());
    }
    if (cutoff < kInfinity) Cbc_setParameter(model, "cutoff", absl::StrCat(cutoff * scale_).c_str());
    Cbc_solve(model);
    return model;
  }

  std::vector<int> ChoiceOf(const double* solution) const {
    std::vector<int> choice;
    for (size_t v = 0; v < network_.unary.size(); ++v) {
      const double* own = solution + first_column_[v];
      choice.push_back(static_cast<int>(std::max_element(own, own + network_.unary[v].size()) - own));
    }
    return choice;
  }

 private:
  double RowScale(int row) const { return std::max(1.0, std::abs(network_.row_limit[static_cast<size_t>(row)]) * 1e-3); }

  const CostNetwork& network_;
  const std::vector<double>& prices_;
  const double scale_;
  std::vector<int> first_column_, row_of_edge_;
  std::vector<std::vector<int>> edges_of_, usages_of_;
  int values_ = 0, structural_rows_ = 0;
};

// The fullest row of each stretch of rows that break.
void AddBroken(const CostNetwork& network, const std::vector<double>& use, std::set<int>& rows) {
  int worst = -1;
  for (int row = 0; row <= static_cast<int>(use.size()); ++row) {
    const bool broken = row < static_cast<int>(use.size()) && use[row] > network.row_limit[row];
    if (!broken) {
      if (worst >= 0) rows.insert(worst);
      worst = -1;
    } else if (worst < 0 || use[row] - network.row_limit[row] > use[worst] - network.row_limit[worst]) {
      worst = row;
    }
  }
}

}  // namespace

IntegerProgramResult SolveIntegerProgram(const CostNetwork& network, double lower_bound, double upper_bound,
                                         const std::vector<int>& incumbent, const std::vector<double>& prices,
                                         absl::Time deadline) {
  IntegerProgramResult result;
  result.bound = lower_bound;
  // The solver's tolerances are absolute: the range that matters is brought to at most a million.
  const double range = std::max(upper_bound - lower_bound, 1.0);
  const double scale = upper_bound == kInfinity ? 1.0 : std::min(1.0, 1e6 / range);
  const Program program(network, prices, scale);
  std::set<int> rows;
  for (int row = 0; row < static_cast<int>(prices.size()); ++row) {
    if (prices[row] > 0) rows.insert(row);
  }
  constexpr size_t kFewRows = 200;
  if (network.row_limit.size() <= kFewRows) {
    for (int row = 0; row < static_cast<int>(network.row_limit.size()); ++row) rows.insert(row);
  }
  while (true) {
    const double seconds = absl::ToDoubleSeconds(deadline - absl::Now());
    if (seconds < 0.05) return result;
    const std::unique_ptr<Cbc_Model, void (*)(Cbc_Model*)> model(
        program.Solve({rows.begin(), rows.end()}, incumbent, upper_bound, seconds), &Cbc_deleteModel);
    const double slack = 1e-6 * std::max(1.0, scale * range);  // what the solver's tolerances can hide
    if (Cbc_isProvenInfeasible(model.get())) {
      // Nothing below the cutoff.
      result.bound = std::max(result.bound, upper_bound - slack / scale);
      return result;
    }
    const double possible = (Cbc_getBestPossibleObjValue(model.get()) - slack) / scale;
    const bool optimal = Cbc_isProvenOptimal(model.get());
    if (!Cbc_isContinuousUnbounded(model.get()) && std::abs(possible) < 1e29) {
      result.bound = std::max(result.bound, std::min(possible, upper_bound));
    }
    const double* solution = Cbc_bestSolution(model.get());
    if (solution == nullptr) return result;
    std::vector<int> choice = program.ChoiceOf(solution);
    const std::vector<double> use = network.RowUse(choice);
    const size_t before = rows.size();
    AddBroken(network, use, rows);
    if (network.ExcessOf(choice).row < 0) {
      if (optimal) result.bound = std::max(result.bound, (Cbc_getObjValue(model.get()) - slack) / scale);
      result.choice = std::move(choice);
      return result;
    }
    if (rows.size() == before) return result;  // broken only by the solver's own tolerance
  }
}

std::unique_ptr<IntegerProgramTask> IntegerProgramTask::Start(const CostNetwork& network, double lower_bound, double upper_bound,
                                                              const std::vector<int>& incumbent,
                                                              const std::vector<double>& prices, absl::Time deadline) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return nullptr;
  const pid_t process = fork();
  if (process < 0) {
    close(ends[0]);
    close(ends[1]);
    return nullptr;
  }
  if (process == 0) {
    // Only the solver and memory from here on; nothing of the parent's threads, files or handlers is touched. What the
    // parent has not flushed yet must not be written a second time when the solver flushes.
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0) _exit(1);
    const IntegerProgramResult result = SolveIntegerProgram(network, lower_bound, upper_bound, incumbent, prices, deadline);
    std::vector<double> message = {result.bound};
    message.insert(message.end(), result.choice.begin(), result.choice.end());
    const char* bytes = reinterpret_cast<const char*>(message.data());
    size_t left = message.size() * sizeof(double);
    while (left > 0) {
      const ssize_t written = write(ends[1], bytes, left);
      if (written <= 0) break;
      bytes += written;
      left -= static_cast<size_t>(written);
    }
    _exit(0);
  }
  close(ends[1]);
  return std::unique_ptr<IntegerProgramTask>(new IntegerProgramTask(process, ends[0], lower_bound));
}

IntegerProgramTask::~IntegerProgramTask() { Stop(); }

void IntegerProgramTask::Stop() {
  if (process_ <= 0) return;
  kill(process_, SIGKILL);
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  close(pipe_);
  process_ = 0;
}

bool IntegerProgramTask::Ended(absl::Duration wait) {
  while (process_ > 0) {
    pollfd ready{pipe_, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(wait))) <= 0) return false;
    char buffer[65536];
    const ssize_t got = read(pipe_, buffer, sizeof(buffer));
    if (got > 0) {
      received_.insert(received_.end(), buffer, buffer + got);
      continue;
    }
    Stop();
    // A solver that died has sent nothing, or a part: then it has proven nothing.
    if (received_.size() < sizeof(double) || received_.size() % sizeof(double) != 0) break;
    std::vector<double> message(received_.size() / sizeof(double));
    std::memcpy(message.data(), received_.data(), received_.size());
    result_.bound = message[0];
    for (size_t i = 1; i < message.size(); ++i) result_.choice.push_back(static_cast<int>(message[i]));
  }
  return true;
}

}  // namespace omserve
