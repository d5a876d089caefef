#include "core/partition/fold.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMostEntries = 2e7;

// An edge into a variable: how far back its other end is, and its table.
using InEdge = std::pair<int, const std::vector<double>*>;

// What makes a variable a copy of another: its own costs and its edges to what lies before.
struct Look {
  const std::vector<double>* unary = nullptr;
  std::vector<InEdge> in;
  bool operator==(const Look&) const = default;
  auto operator<=>(const Look&) const = default;
};

// Edges of variables without a choice say nothing about structure: an attention mask is read from anywhere.
std::vector<int> LookNumbers(const SharedNetwork& network) {
  std::vector<Look> looks(network.unary.size());
  for (size_t v = 0; v < looks.size(); ++v) looks[v].unary = network.unary[v];
  for (const SharedNetwork::Edge& edge : network.edges) {
    const bool fixed = network.unary[static_cast<size_t>(edge.a)]->size() == 1;
    looks[static_cast<size_t>(edge.b)].in.emplace_back(fixed ? 0 : edge.b - edge.a, edge.cost);
  }
  std::map<Look, int> known;
  std::vector<int> numbers;
  for (Look& look : looks) {
    std::sort(look.in.begin(), look.in.end());
    numbers.push_back(known.try_emplace(look, static_cast<int>(known.size())).first->second);
  }
  return numbers;
}

class RunFinder {
 public:
  explicit RunFinder(const SharedNetwork& network)
      : network_(network), numbers_(LookNumbers(network)), out_(numbers_.size()) {
    for (const SharedNetwork::Edge& edge : network.edges) {
      if (network.unary[static_cast<size_t>(edge.a)]->size() > 1)
        out_[static_cast<size_t>(edge.a)].push_back(edge.b);
    }
  }

  std::vector<RepeatedRun> Find() {
    std::vector<RepeatedRun> runs;
    FindIn(0, static_cast<int>(numbers_.size()), &runs);
    std::sort(runs.begin(), runs.end(),
              [](const RepeatedRun& a, const RepeatedRun& b) { return a.begin < b.begin; });
    return runs;
  }

 private:
  void FindIn(int begin, int end, std::vector<RepeatedRun>* runs) {
    std::optional<RepeatedRun> best;
    for (int period : Periods(begin, end)) {
      for (int i = begin; i + period < end;) {
        int j = i;
        while (j + period < end &&
               numbers_[static_cast<size_t>(j)] == numbers_[static_cast<size_t>(j + period)])
          ++j;
        if (j > i) {
          std::optional<RepeatedRun> run = Align(i, j + period, begin, period);
          if (run && (!best || (run->blocks - 1) * run->period > (best->blocks - 1) * best->period))
            best = run;
        }
        i = j + 1;
      }
    }
    if (!best) return;
    runs->push_back(*best);
    // The entry belongs to what lies before.
    FindIn(begin, best->begin, runs);
    FindIn(best->begin + best->blocks * best->period, end, runs);
  }

  // The commonest distances between equal looks.
  std::vector<int> Periods(int begin, int end) const {
    std::map<int, int> last, times;
    for (int i = begin; i < end; ++i) {
      auto [it, fresh] = last.try_emplace(numbers_[static_cast<size_t>(i)], i);
      if (!fresh) {
        ++times[i - it->second];
        it->second = i;
      }
    }
    std::vector<std::pair<int, int>> order;
    for (const auto& [period, count] : times) order.emplace_back(-count, period);
    std::sort(order.begin(), order.end());
    std::vector<int> periods;
    for (size_t i = 0; i < order.size() && i < 6; ++i) periods.push_back(order[i].second);
    return periods;
  }

  // Blocks within [from, to), which repeats with `period`, such that one variable leaves each.
  std::optional<RepeatedRun> Align(int from, int to, int lowest, int period) const {
    for (int phase = 0; phase < period; ++phase) {
      RepeatedRun run;
      run.begin = from + phase;
      run.period = period;
      run.blocks = (to - run.begin) / period;
      // The last block may be read by anything at its exit, and only there.
      while (run.blocks >= 3) {
        const std::optional<int> exit = ExitOf(run, lowest);
        if (exit) {
          run.exit = *exit;
          run.entry = run.begin + run.exit - period;
          return run;
        }
        --run.blocks;
        if ((run.blocks + 1) * period > to - run.begin - period) continue;
        break;
      }
    }
    return std::nullopt;
  }

  std::optional<int> ExitOf(const RepeatedRun& run, int lowest) const {
    int exit = -1;
    for (int k = 0; k < run.blocks; ++k) {
      const int begin = run.begin + k * run.period, end = begin + run.period;
      for (int v = begin; v < end; ++v) {
        for (int reader : out_[static_cast<size_t>(v)]) {
          if (reader < end) continue;
          if (exit >= 0 && v - begin != exit) return std::nullopt;
          // Inside the run only the next block may read it.
          if (k + 1 < run.blocks && reader >= end + run.period) return std::nullopt;
          exit = v - begin;
        }
      }
    }
    if (exit < 0) return std::nullopt;
    // What the first block reads from before must be the one variable that stands where an exit would.
    const int entry = run.begin + exit - run.period;
    if (entry < lowest) return std::nullopt;
    for (const SharedNetwork::Edge& edge : network_.edges) {
      if (edge.b < run.begin || edge.b >= run.begin + run.period || edge.a >= run.begin) continue;
      if (edge.a != entry && network_.unary[static_cast<size_t>(edge.a)]->size() > 1) return std::nullopt;
    }
    if (network_.unary[static_cast<size_t>(entry)]->size() !=
        network_.unary[static_cast<size_t>(run.begin + exit)]->size()) {
      return std::nullopt;
    }
    return exit;
  }

  const SharedNetwork& network_;
  const std::vector<int> numbers_;
  std::vector<std::vector<int>> out_;  // readers of each variable that has a choice
};

// Eliminates the inside of a block, keeping entry and exit.
class BlockSolver {
 public:
  // Variables 0 … n-1 of which the last two are kept: entry, then exit.
  explicit BlockSolver(std::vector<int> sizes) : sizes_(std::move(sizes)) {}

  void AddFactor(std::vector<int> scope, std::vector<double> table) {
    // Ascending scopes; tables are row-major over them.
    if (scope.size() == 2 && scope[0] > scope[1]) {
      const size_t rows = static_cast<size_t>(sizes_[static_cast<size_t>(scope[0])]),
                   columns = static_cast<size_t>(sizes_[static_cast<size_t>(scope[1])]);
      std::vector<double> turned(table.size());
      for (size_t i = 0; i < rows; ++i) {
        for (size_t j = 0; j < columns; ++j) turned[j * rows + i] = table[i * columns + j];
      }
      std::swap(scope[0], scope[1]);
      table = std::move(turned);
    }
    for (Factor& factor : factors_) {
      if (factor.scope != scope) continue;
      for (size_t i = 0; i < table.size(); ++i) factor.table[i] += table[i];
      return;
    }
    factors_.push_back({std::move(scope), std::move(table)});
  }

  // False when a table would become too large.
  bool Eliminate() {
    const int inside = static_cast<int>(sizes_.size()) - 2;
    std::vector<bool> done(static_cast<size_t>(inside), false);
    for (int step = 0; step < inside; ++step) {
      int best = -1;
      double least = kInfinity;
      for (int v = 0; v < inside; ++v) {
        if (done[static_cast<size_t>(v)]) continue;
        double entries = sizes_[static_cast<size_t>(v)];
        for (int u : ScopeAround(v)) entries *= sizes_[static_cast<size_t>(u)];
        if (entries < least) {
          least = entries;
          best = v;
        }
      }
      if (least > kMostEntries) return false;
      done[static_cast<size_t>(best)] = true;
      EliminateOne(best);
    }
    return true;
  }

  // Row-major over (entry, exit), without the entry's own cost.
  std::vector<double> Table() const {
    const int entry = static_cast<int>(sizes_.size()) - 2, exit = entry + 1;
    const size_t columns = static_cast<size_t>(sizes_[static_cast<size_t>(exit)]);
    std::vector<double> table(static_cast<size_t>(sizes_[static_cast<size_t>(entry)]) * columns, 0);
    for (const Factor& factor : factors_) {
      for (size_t i = 0; i < table.size(); ++i) {
        size_t index = 0;
        for (int v : factor.scope) {
          index = index * static_cast<size_t>(sizes_[static_cast<size_t>(v)]) +
                  (v == entry ? i / columns : i % columns);
        }
        table[i] += factor.table[index];
      }
    }
    return table;
  }

  // Values of all variables, given those of entry and exit.
  std::vector<int> Decode(int entry_value, int exit_value) const {
    std::vector<int> value(sizes_.size(), 0);
    value[sizes_.size() - 2] = entry_value;
    value[sizes_.size() - 1] = exit_value;
    for (auto it = trail_.rbegin(); it != trail_.rend(); ++it) {
      size_t index = 0;
      for (int u : it->scope)
        index = index * static_cast<size_t>(sizes_[static_cast<size_t>(u)]) +
                static_cast<size_t>(value[static_cast<size_t>(u)]);
      value[static_cast<size_t>(it->variable)] = it->choice[index];
    }
    return value;
  }

 private:
  struct Factor {
    std::vector<int> scope;
    std::vector<double> table;
  };
  struct Eliminated {
    int variable = 0;
    std::vector<int> scope;
    std::vector<int> choice;
  };

  std::vector<int> ScopeAround(int v) const {
    std::vector<int> scope;
    for (const Factor& factor : factors_) {
      if (std::find(factor.scope.begin(), factor.scope.end(), v) == factor.scope.end()) continue;
      for (int u : factor.scope) {
        if (u != v) scope.push_back(u);
      }
    }
    std::sort(scope.begin(), scope.end());
    scope.erase(std::unique(scope.begin(), scope.end()), scope.end());
    return scope;
  }

  void EliminateOne(int v) {
    Eliminated eliminated{v, ScopeAround(v), {}};
    const std::vector<int>& scope = eliminated.scope;
    std::vector<Factor> mine;
    for (size_t f = 0; f < factors_.size();) {
      if (std::find(factors_[f].scope.begin(), factors_[f].scope.end(), v) == factors_[f].scope.end()) {
        ++f;
        continue;
      }
      mine.push_back(std::move(factors_[f]));
      factors_.erase(factors_.begin() + static_cast<std::ptrdiff_t>(f));
    }
    // Per factor: step for v, and for each variable of the new scope.
    std::vector<size_t> v_step(mine.size(), 0);
    std::vector<std::vector<size_t>> steps(mine.size(), std::vector<size_t>(scope.size(), 0));
    for (size_t f = 0; f < mine.size(); ++f) {
      size_t step = 1;
      for (size_t i = mine[f].scope.size(); i-- > 0;) {
        const int u = mine[f].scope[i];
        if (u == v) {
          v_step[f] = step;
        } else {
          steps[f][static_cast<size_t>(std::find(scope.begin(), scope.end(), u) - scope.begin())] = step;
        }
        step *= static_cast<size_t>(sizes_[static_cast<size_t>(u)]);
      }
    }
    size_t entries = 1;
    for (int u : scope) entries *= static_cast<size_t>(sizes_[static_cast<size_t>(u)]);
    const size_t values = static_cast<size_t>(sizes_[static_cast<size_t>(v)]);
    Factor result{scope, std::vector<double>(entries, kInfinity)};
    eliminated.choice.assign(entries, 0);
    std::vector<size_t> digit(scope.size(), 0), base(mine.size(), 0);
    std::vector<double> sum(values);
    for (size_t e = 0; e < entries; ++e) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (size_t f = 0; f < mine.size(); ++f) {
        const double* from = mine[f].table.data() + base[f];
        const size_t step = v_step[f];
        for (size_t k = 0; k < values; ++k) sum[k] += from[k * step];
      }
      const size_t least = static_cast<size_t>(std::min_element(sum.begin(), sum.end()) - sum.begin());
      result.table[e] = sum[least];
      eliminated.choice[e] = static_cast<int>(least);
      for (size_t d = scope.size(); d-- > 0;) {
        for (size_t f = 0; f < mine.size(); ++f) base[f] += steps[f][d];
        if (++digit[d] < static_cast<size_t>(sizes_[static_cast<size_t>(scope[d])])) break;
        for (size_t f = 0; f < mine.size(); ++f) base[f] -= steps[f][d] * digit[d];
        digit[d] = 0;
      }
    }
    trail_.push_back(std::move(eliminated));
    AddFactor(std::move(result.scope), std::move(result.table));
  }

  const std::vector<int> sizes_;
  std::vector<Factor> factors_;
  std::vector<Eliminated> trail_;
};

// The solver of a run's block; null when its tables would be too large.
std::unique_ptr<BlockSolver> SolveBlock(const SharedNetwork& network, const RepeatedRun& run,
                                        const std::vector<std::vector<int>>& in_edges) {
  // The inside in order, then entry, then exit.
  std::vector<int> place(static_cast<size_t>(run.period), -1), sizes;
  for (int i = 0; i < run.period; ++i) {
    if (i == run.exit) continue;
    place[static_cast<size_t>(i)] = static_cast<int>(sizes.size());
    sizes.push_back(static_cast<int>(network.unary[static_cast<size_t>(run.begin + i)]->size()));
  }
  const int entry = static_cast<int>(sizes.size());
  place[static_cast<size_t>(run.exit)] = entry + 1;
  sizes.push_back(static_cast<int>(network.unary[static_cast<size_t>(run.entry)]->size()));
  sizes.push_back(static_cast<int>(network.unary[static_cast<size_t>(run.begin + run.exit)]->size()));
  auto solver = std::make_unique<BlockSolver>(std::move(sizes));
  for (int i = 0; i < run.period; ++i) {
    const int v = run.begin + i;
    solver->AddFactor({place[static_cast<size_t>(i)]}, *network.unary[static_cast<size_t>(v)]);
    for (int e : in_edges[static_cast<size_t>(v)]) {
      const SharedNetwork::Edge& edge = network.edges[static_cast<size_t>(e)];
      if (edge.a >= run.begin) {
        solver->AddFactor({place[static_cast<size_t>(edge.a - run.begin)], place[static_cast<size_t>(i)]},
                          *edge.cost);
      } else if (edge.a == run.entry) {
        solver->AddFactor({entry, place[static_cast<size_t>(i)]}, *edge.cost);
      } else {
        // A variable without a choice, from anywhere before: one row.
        solver->AddFactor({place[static_cast<size_t>(i)]}, *edge.cost);
      }
    }
  }
  return solver->Eliminate() ? std::move(solver) : nullptr;
}

}  // namespace

CostNetwork SharedNetwork::Expand() const {
  CostNetwork network;
  for (const std::vector<double>* costs : unary) network.unary.push_back(*costs);
  for (const Edge& edge : edges) network.edges.push_back({edge.a, edge.b, *edge.cost});
  return network;
}

std::vector<RepeatedRun> FindRepeatedRuns(const SharedNetwork& network) { return RunFinder(network).Find(); }

absl::StatusOr<Solution> SolveFolded(const SharedNetwork& network, const std::vector<RepeatedRun>& runs,
                                     const SolveOptions& options, const WaitLimit& limit) {
  const size_t count = network.unary.size();
  std::vector<std::vector<int>> in_edges(count);
  for (size_t e = 0; e < network.edges.size(); ++e)
    in_edges[static_cast<size_t>(network.edges[e].b)].push_back(static_cast<int>(e));

  struct Folded {
    RepeatedRun run;
    std::shared_ptr<BlockSolver> solver;
  };
  std::vector<Folded> folded;
  // Stages of a pipeline hold the same blocks: their tables are made once.
  std::map<std::vector<const void*>, std::shared_ptr<BlockSolver>> known;
  for (const RepeatedRun& run : runs) {
    RETURN_IF_ERROR(limit.Check("the planner"));
    std::vector<const void*> look{network.unary[static_cast<size_t>(run.entry)]};
    for (int v = run.begin; v < run.begin + run.period; ++v) {
      look.push_back(network.unary[static_cast<size_t>(v)]);
      for (int e : in_edges[static_cast<size_t>(v)]) {
        const SharedNetwork::Edge& edge = network.edges[static_cast<size_t>(e)];
        // Distances are told by small numbers that are no addresses.
        look.push_back(reinterpret_cast<const void*>(
            static_cast<uintptr_t>(edge.a >= run.begin || edge.a == run.entry ? edge.b - edge.a : 0)));
        look.push_back(edge.cost);
      }
    }
    look.push_back(reinterpret_cast<const void*>(static_cast<uintptr_t>(run.exit)));
    auto it = known.find(look);
    if (it == known.end()) it = known.emplace(look, SolveBlock(network, run, in_edges)).first;
    if (it->second) folded.push_back({run, it->second});
  }

  // What is left: the variables outside the blocks, and the exits.
  std::vector<int> left(count, 0);
  for (const Folded& f : folded) {
    for (int v = f.run.begin; v < f.run.begin + f.run.blocks * f.run.period; ++v) {
      if ((v - f.run.begin) % f.run.period != f.run.exit) left[static_cast<size_t>(v)] = -1;
    }
  }
  std::vector<bool> in_block(count, false);
  for (const Folded& f : folded) {
    std::fill_n(in_block.begin() + f.run.begin, f.run.blocks * f.run.period, true);
  }
  CostNetwork rest;
  for (size_t v = 0; v < count; ++v) {
    if (left[v] < 0) continue;
    left[v] = static_cast<int>(rest.unary.size());
    // The cost of an exit is in its block's table.
    rest.unary.push_back(in_block[v] ? std::vector<double>(network.unary[v]->size(), 0) : *network.unary[v]);
  }
  for (const SharedNetwork::Edge& edge : network.edges) {
    if (in_block[static_cast<size_t>(edge.b)]) continue;
    rest.edges.push_back({left[static_cast<size_t>(edge.a)], left[static_cast<size_t>(edge.b)], *edge.cost});
  }
  for (const Folded& f : folded) {
    const std::vector<double> table = f.solver->Table();
    for (int k = 0; k < f.run.blocks; ++k) {
      rest.edges.push_back({left[static_cast<size_t>(f.run.entry + k * f.run.period)],
                            left[static_cast<size_t>(f.run.entry + (k + 1) * f.run.period)], table});
    }
  }
  ASSIGN_OR_RETURN(Solution solution, Solve(rest, options, limit));
  std::vector<int> choice(count, 0);
  for (size_t v = 0; v < count; ++v) {
    if (left[v] >= 0) choice[v] = solution.choice[static_cast<size_t>(left[v])];
  }
  for (const Folded& f : folded) {
    for (int k = 0; k < f.run.blocks; ++k) {
      const int begin = f.run.begin + k * f.run.period;
      const std::vector<int> inside =
          f.solver->Decode(choice[static_cast<size_t>(f.run.entry + k * f.run.period)],
                           choice[static_cast<size_t>(begin + f.run.exit)]);
      for (int i = 0, place = 0; i < f.run.period; ++i) {
        if (i != f.run.exit) choice[static_cast<size_t>(begin + i)] = inside[static_cast<size_t>(place++)];
      }
    }
  }
  solution.choice = std::move(choice);
  solution.statistics.variables = static_cast<int>(count);
  if (!folded.empty()) solution.engine = absl::StrCat("folding+", solution.engine);
  return solution;
}

}  // namespace omserve
