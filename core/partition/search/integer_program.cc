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

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/partition/search/dual.h"
#include "core/partition/search/flat.h"
#include "core/partition/search/polytope.h"
#include "core/partition/search/prover.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kMostNodes = 100'000;  // of the proof

// Rows that are in the program from the start: those with a price, the dearest when they are many, or all when few.
std::vector<int> FirstRows(const CostNetwork& network, std::vector<double>& prices) {
  constexpr size_t kMostRows = 200;
  std::vector<double> sorted = prices;
  std::sort(sorted.rbegin(), sorted.rend());
  const double least_price = sorted.size() > kMostRows ? std::max(sorted[kMostRows], 0.0) : 0;
  std::vector<int> rows;
  for (size_t row = 0; row < prices.size(); ++row) {
    prices[row] = prices[row] > least_price ? prices[row] : 0;
    if (prices[row] > 0 || network.row_limit.size() <= kMostRows) rows.push_back(static_cast<int>(row));
  }
  return rows;
}

std::unique_ptr<Cbc_Model, void (*)(Cbc_Model*)> RunCbc(const Polytope& polytope, const std::vector<int>& incumbent, double cutoff,
                                                        double seconds) {
  std::unique_ptr<Cbc_Model, void (*)(Cbc_Model*)> model(Cbc_newModel(), &Cbc_deleteModel);
  Cbc_loadProblem(model.get(), polytope.columns(), polytope.row_count(), polytope.start.data(), polytope.index.data(),
                  polytope.value.data(), polytope.column_lower.data(), polytope.column_upper.data(), polytope.objective.data(),
                  polytope.row_lower.data(), polytope.row_upper.data());
  for (int column = 0; column < polytope.value_columns; ++column) Cbc_setInteger(model.get(), column);
  Cbc_setLogLevel(model.get(), 0);
  Cbc_setParameter(model.get(), "logLevel", "0");
  Cbc_setParameter(model.get(), "timeMode", "elapsed");
  Cbc_setParameter(model.get(), "sec", absl::StrCat(seconds).c_str());
  Cbc_setParameter(model.get(), "ratio", "0");
  Cbc_setParameter(model.get(), "allow", "1e-7");
  if (!incumbent.empty()) {
    std::vector<int> column;
    for (size_t v = 0; v < incumbent.size(); ++v) column.push_back(polytope.first_column[v] + incumbent[v]);
    const std::vector<double> one(column.size(), 1);
    Cbc_setMIPStartI(model.get(), static_cast<int>(column.size()), column.data(), one.data());
  }
  Cbc_setParameter(model.get(), "cutoff", absl::StrCat(cutoff).c_str());
  Cbc_solve(model.get());
  return model;
}

// The cheapest choice CBC finds below the upper bound; empty when none. The costs it sees are what a dual has left: none is
// larger than the gap. (Large costs that cancel would drown the answer in its tolerances.)
std::vector<int> Choose(const IntegerProgram& task) {
  const CostNetwork& network = task.network;
  std::vector<double> prices = task.prices;
  std::vector<int> rows = FirstRows(network, prices);
  const FlatNetwork flat(network);
  Dual dual(flat);
  dual.SetPrices(prices);
  for (int i = 0; i < 200 && absl::Now() < task.deadline; ++i) dual.Settle();
  prices = dual.prices();
  double constant = 0;
  CostNetwork left = dual.Reparametrised(network, constant);
  // All terms are >= 0: one that is above the bound by itself is in nothing better.
  const double upper = task.upper_bound - constant;
  const double most = upper * (1 + 1e-9) + 1e-6;
  for (auto& unary : left.unary) {
    // Values stay columns, however dear: the program has no place for a forbidden one.
    for (double& cost : unary) cost = std::min(cost, 2 * most);
  }
  for (auto& edge : left.edges) {
    for (double& cost : edge.cost) cost = cost > most ? kInfinity : cost;
  }
  std::vector<int> incumbent = task.incumbent;
  if (!incumbent.empty() && left.CostOf(incumbent) == kInfinity) incumbent.clear();
  // The solver's tolerances are absolute: the range that matters is brought to at most a million.
  const double scale = std::min(1.0, 1e6 / std::max(upper, 1.0));
  while (true) {
    const double seconds = absl::ToDoubleSeconds(task.deadline - absl::Now());
    if (seconds < 0.05) return {};
    const Polytope polytope(left, prices, rows, scale);
    const auto model = RunCbc(polytope, incumbent, upper * scale, seconds);
    const double* solution = Cbc_bestSolution(model.get());
    if (Cbc_isProvenInfeasible(model.get()) || solution == nullptr) return {};
    std::vector<int> choice;
    for (size_t v = 0; v < network.unary.size(); ++v) {
      const double* own = solution + polytope.first_column[v];
      choice.push_back(static_cast<int>(std::max_element(own, own + network.unary[v].size()) - own));
    }
    if (network.ExcessOf(choice).row < 0) return choice;
    const size_t before = rows.size();
    AddBroken(network, network.RowUse(choice), rows);
    if (rows.size() == before) return {};  // broken only by the solver's own tolerance
  }
}

void Write(int pipe, const IntegerProgramResult& result, size_t variables) {
  std::vector<double> message = {result.bound, result.closed ? 1.0 : 0.0, result.choice.empty() ? 0.0 : 1.0};
  message.insert(message.end(), result.choice.begin(), result.choice.end());
  message.resize(3 + variables, 0);
  const char* bytes = reinterpret_cast<const char*>(message.data());
  for (size_t left = message.size() * sizeof(double); left > 0;) {
    const ssize_t written = write(pipe, bytes, left);
    if (written <= 0) _exit(1);
    bytes += written;
    left -= static_cast<size_t>(written);
  }
}

}  // namespace

void SolveIntegerProgram(const IntegerProgram& task, const std::function<void(const IntegerProgramResult&)>& report) {
  IntegerProgramResult result;
  IntegerProgram open = task;
  const auto prove = [&](int64_t nodes) {
    const ProverResult proof = Prove(open.network, {.upper_bound = open.upper_bound, .integral = open.integral, .prices = open.prices,
                                                    .max_nodes = nodes, .deadline = open.deadline});
    result.bound = std::max(result.bound, proof.bound);
    result.closed = proof.closed;
    if (!proof.choice.empty()) result.choice = open.incumbent = proof.choice;
    open.upper_bound = proof.cost;
    report(result);
    return proof.closed;
  };
  result.bound = -kInfinity;
  if (prove(1)) return;
  const std::vector<int> choice = Choose(open);
  if (!choice.empty() && task.network.CostOf(choice) < open.upper_bound) {
    result.choice = open.incumbent = choice;
    open.upper_bound = task.network.CostOf(choice);
    report(result);
  }
  prove(kMostNodes);
}

std::unique_ptr<IntegerProgramTask> IntegerProgramTask::Start(const IntegerProgram& program) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return nullptr;
  const pid_t process = fork();
  if (process < 0) {
    close(ends[0]);
    close(ends[1]);
    return nullptr;
  }
  const size_t variables = program.network.unary.size();
  if (process == 0) {
    // Only the solver and memory from here on; nothing of the parent's threads, files or handlers is touched. What the
    // parent has not flushed yet must not be written a second time when the solver flushes.
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0) _exit(1);
    SolveIntegerProgram(program, [&](const IntegerProgramResult& result) { Write(ends[1], result, variables); });
    _exit(0);
  }
  close(ends[1]);
  auto task = std::unique_ptr<IntegerProgramTask>(new IntegerProgramTask(process, ends[0], variables));
  task->result_.bound = -kInfinity;
  return task;
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
    if (got <= 0) {
      Stop();
      return true;
    }
    received_.insert(received_.end(), buffer, buffer + got);
    // A report cut short (a solver that died) counts for nothing.
    const size_t length = (3 + variables_) * sizeof(double);
    for (; received_.size() >= length; received_.erase(received_.begin(), received_.begin() + static_cast<ptrdiff_t>(length))) {
      std::vector<double> message(3 + variables_);
      std::memcpy(message.data(), received_.data(), length);
      result_ = {message[2] != 0 ? std::vector<int>(message.begin() + 3, message.end()) : std::vector<int>(), message[0], message[1] != 0};
    }
  }
  return true;
}

}  // namespace omserve
