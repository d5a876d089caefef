#include "core/partition/search/elimination.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A table over a sorted scope of variables, row-major in scope order.
struct Table {
  std::vector<int> scope;
  std::vector<double> cost;
};

class Eliminator {
 public:
  Eliminator(const CostNetwork& network, const EliminationOptions& options) : options_(options) {
    const int n = static_cast<int>(network.unary.size());
    for (const auto& unary : network.unary) domain_.push_back(static_cast<int>(unary.size()));
    tables_of_.resize(static_cast<size_t>(n));
    neighbours_.resize(static_cast<size_t>(n));
    for (int v = 0; v < n; ++v) AddTable(Table{{v}, network.unary[v]});
    for (const CostNetwork::Edge& edge : network.edges) {
      if (edge.a < edge.b) {
        AddTable(Table{{edge.a, edge.b}, edge.cost});
      } else {
        Table table{{edge.b, edge.a}, std::vector<double>(edge.cost.size())};
        const int ka = domain_[edge.a], kb = domain_[edge.b];
        for (int i = 0; i < ka; ++i) {
          for (int j = 0; j < kb; ++j) table.cost[static_cast<size_t>(j) * ka + i] = edge.cost[static_cast<size_t>(i) * kb + j];
        }
        AddTable(std::move(table));
      }
    }
    for (int v = 0; v < n; ++v) queue_.insert({TableSize(v), v});
  }

  absl::StatusOr<Solution> Solve(const CostNetwork& network, const WaitLimit& limit) {
    Solution solution;
    solution.exact = true;
    while (!queue_.empty()) {
      RETURN_IF_ERROR(limit.Check("the exact planner"));
      auto [size, v] = *queue_.begin();
      if (size > static_cast<double>(options_.max_table_entries)) {
        Fix(MostConnected());
        solution.exact = false;
        continue;
      }
      Eliminate(v);
    }
    solution.choice.assign(domain_.size(), 0);
    for (auto it = steps_.rbegin(); it != steps_.rend(); ++it) {
      solution.choice[it->variable] = it->best[Index(it->scope, solution.choice)];
    }
    solution.statistics.width = width_;
    solution.cost = network.CostOf(solution.choice);
    if (solution.cost == kInfinity) {
      return absl::FailedPreconditionError("no choice has a finite cost");
    }
    solution.lower_bound = solution.exact ? solution.cost : TrivialBound(network);
    return solution;
  }

 private:
  struct Step {
    int variable;
    std::vector<int> scope;  // of `best`
    std::vector<int> best;   // cheapest value of the variable per assignment of the scope
  };

  void AddTable(Table table) {
    const int id = static_cast<int>(tables_.size());
    for (int v : table.scope) {
      tables_of_[v].push_back(id);
      for (int u : table.scope) {
        if (u != v) neighbours_[v].insert(u);
      }
    }
    tables_.push_back(std::move(table));
  }

  // Entries of the table that eliminating `v` would visit.
  double TableSize(int v) const {
    double size = domain_[v];
    for (int u : neighbours_[v]) size *= domain_[u];
    return size;
  }

  void Requeue(int v, double old_size) {
    queue_.erase({old_size, v});
    queue_.insert({TableSize(v), v});
  }

  size_t Index(const std::vector<int>& scope, const std::vector<int>& values) const {
    size_t index = 0;
    for (int v : scope) index = index * static_cast<size_t>(domain_[v]) + static_cast<size_t>(values[v]);
    return index;
  }

  void Eliminate(int v) {
    const std::vector<int> scope(neighbours_[v].begin(), neighbours_[v].end());
    width_ = std::max(width_, static_cast<int>(scope.size()));
    std::vector<double> old_size;
    for (int u : scope) old_size.push_back(TableSize(u));
    size_t entries = 1;
    for (int u : scope) entries *= static_cast<size_t>(domain_[u]);

    // Accumulate all tables of v into one over (scope…, v), then minimise over v.
    const size_t kv = static_cast<size_t>(domain_[v]);
    std::vector<double> sum(entries * kv, 0.0);
    for (int id : tables_of_[v]) {
      const Table& table = tables_[id];
      // Stride in `table` of each variable of (scope…, v); 0 where the table does not have it.
      std::vector<size_t> strides(scope.size() + 1, 0);
      size_t stride = 1;
      for (auto it = table.scope.rbegin(); it != table.scope.rend(); ++it) {
        const size_t place = *it == v ? scope.size()
                                      : static_cast<size_t>(std::lower_bound(scope.begin(), scope.end(), *it) - scope.begin());
        strides[place] = stride;
        stride *= static_cast<size_t>(domain_[*it]);
      }
      std::vector<int> digit(scope.size(), 0);
      size_t base = 0;
      const size_t step_v = strides.back();
      for (size_t entry = 0; entry < entries; ++entry) {
        double* row = &sum[entry * kv];
        for (size_t k = 0; k < kv; ++k) row[k] += table.cost[base + k * step_v];
        for (size_t i = scope.size(); i-- > 0;) {
          base += strides[i];
          if (++digit[i] < domain_[scope[i]]) break;
          base -= strides[i] * static_cast<size_t>(domain_[scope[i]]);
          digit[i] = 0;
        }
      }
    }
    Step step{v, scope, std::vector<int>(entries)};
    Table result{scope, std::vector<double>(entries)};
    for (size_t entry = 0; entry < entries; ++entry) {
      const double* row = &sum[entry * kv];
      const size_t best = static_cast<size_t>(std::min_element(row, row + kv) - row);
      step.best[entry] = static_cast<int>(best);
      result.cost[entry] = row[best];
    }
    steps_.push_back(std::move(step));
    RemoveVariable(v);
    if (!scope.empty()) AddTable(std::move(result));
    for (size_t i = 0; i < scope.size(); ++i) Requeue(scope[i], old_size[i]);
  }

  void RemoveVariable(int v) {
    queue_.erase({TableSize(v), v});
    for (int id : std::vector<int>(tables_of_[v])) {
      for (int u : tables_[id].scope) {
        auto& list = tables_of_[u];
        list.erase(std::remove(list.begin(), list.end(), id), list.end());
      }
      tables_[id] = Table{};
    }
    for (int u : neighbours_[v]) neighbours_[u].erase(v);
    neighbours_[v].clear();
  }

  int MostConnected() const {
    int best = -1;
    for (const auto& [size, v] : queue_) {
      if (best < 0 || neighbours_[v].size() > neighbours_[best].size()) best = v;
    }
    return best;
  }

  // Conditions the network on v = its value with the least (own cost + cheapest partner on each table).
  void Fix(int v) {
    const size_t kv = static_cast<size_t>(domain_[v]);
    std::vector<double> score(kv, 0.0);
    for (int id : tables_of_[v]) {
      const Table& table = tables_[id];
      size_t inner = 1;
      for (auto it = table.scope.rbegin(); *it != v; ++it) inner *= static_cast<size_t>(domain_[*it]);
      std::vector<double> cheapest(kv, kInfinity);
      for (size_t i = 0; i < table.cost.size(); ++i) {
        double& best = cheapest[i / inner % kv];
        best = std::min(best, table.cost[i]);
      }
      for (size_t k = 0; k < kv; ++k) score[k] += cheapest[k];
    }
    const int value = static_cast<int>(std::min_element(score.begin(), score.end()) - score.begin());
    const std::vector<int> scope(neighbours_[v].begin(), neighbours_[v].end());
    std::vector<double> old_size;
    for (int u : scope) old_size.push_back(TableSize(u));
    std::vector<Table> reduced;
    for (int id : tables_of_[v]) {
      const Table& table = tables_[id];
      if (table.scope.size() < 2) continue;
      size_t inner = 1;
      for (auto it = table.scope.rbegin(); *it != v; ++it) inner *= static_cast<size_t>(domain_[*it]);
      Table slice;
      for (int u : table.scope) {
        if (u != v) slice.scope.push_back(u);
      }
      slice.cost.reserve(table.cost.size() / kv);
      for (size_t i = 0; i < table.cost.size(); ++i) {
        if (i / inner % kv == static_cast<size_t>(value)) slice.cost.push_back(table.cost[i]);
      }
      reduced.push_back(std::move(slice));
    }
    steps_.push_back(Step{v, {}, {value}});
    RemoveVariable(v);
    for (Table& table : reduced) AddTable(std::move(table));
    for (size_t i = 0; i < scope.size(); ++i) Requeue(scope[i], old_size[i]);
  }

  // Every variable and every edge at its own minimum.
  static double TrivialBound(const CostNetwork& network) {
    double bound = 0;
    for (const auto& unary : network.unary) bound += *std::min_element(unary.begin(), unary.end());
    for (const auto& edge : network.edges) bound += *std::min_element(edge.cost.begin(), edge.cost.end());
    return bound;
  }

  const EliminationOptions options_;
  std::vector<int> domain_;
  std::vector<Table> tables_;
  std::vector<std::vector<int>> tables_of_;  // per live variable: ids of the tables that have it
  std::vector<std::set<int>> neighbours_;
  std::set<std::pair<double, int>> queue_;  // live variables by TableSize
  std::vector<Step> steps_;
  int width_ = 0;
};

}  // namespace

absl::StatusOr<Solution> SolveByElimination(const CostNetwork& network, const EliminationOptions& options,
                                            const WaitLimit& limit) {
  RETURN_IF_ERROR(network.Validate());
  return Eliminator(network, options).Solve(network, limit);
}

}  // namespace omserve
