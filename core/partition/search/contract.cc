#include "core/partition/search/contract.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>

#include "core/base/status.h"
#include "core/partition/search/memory_rows.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Variable {
  bool alive = true;
  bool queued = true;
  std::vector<double> unary;
  std::vector<int> value;   // of the network, per current value
  std::vector<int> better;  // per value of the network: what dominates it, or -1; empty when none is dominated
  std::vector<int> edges;
  std::vector<int> usages;

  size_t size() const { return unary.size(); }
};

struct Edge {
  bool alive = true;
  int a = 0, b = 0;
  std::vector<double> cost;
};

}  // namespace

class Contractor {
 public:
  Contractor(const CostNetwork& network, bool forbid) : forbid_(forbid), rows_(network.row_limit) {
    const int n = static_cast<int>(network.unary.size());
    variables_.resize(static_cast<size_t>(n));
    for (int v = 0; v < n; ++v) {
      variables_[v].unary = network.unary[v];
      domain_.push_back(static_cast<int>(network.unary[v].size()));
      variables_[v].value.resize(network.unary[v].size());
      std::iota(variables_[v].value.begin(), variables_[v].value.end(), 0);
      queue_.push_back(v);
    }
    for (const CostNetwork::Edge& edge : network.edges) AddEdge(edge.a, edge.b, edge.cost);
    for (const CostNetwork::Usage& usage : network.usages) {
      if (usage.first_row == usage.end_row) continue;
      variables_[usage.variable].usages.push_back(rows_.Add(usage.first_row, usage.end_row, usage.amount));
    }
    result_.variables_ = n;
  }

  absl::StatusOr<Contraction> Run(const WaitLimit& limit) {
    const WaitLimit untimed{absl::InfiniteFuture(), limit.run, limit.epoch};
    TightenRows();
    bool changed = true;
    // Whatever the time is, the first round runs to its end: next to chains of equalities nothing finds a choice.
    for (int round = 0; changed && (round == 0 || !Over(limit)); ++round) {
      RETURN_IF_ERROR(Drain(round == 0 ? untimed : limit));
      changed = false;
      for (int v = 0; v < static_cast<int>(variables_.size()) && !((v & 255) == 0 && Over(limit)); ++v) {
        if (round < 8 && variables_[v].alive && Dominate(v)) changed = true;
      }
      TightenRows();
      changed = changed || !queue_.empty();
    }
    if (limit.cancelled()) return limit.Check("contraction");
    result_.complete_ = !changed;
    return Finish();
  }

 private:
  double& At(Edge& edge, int v, size_t own, size_t other) {
    return edge.a == v ? edge.cost[own * variables_[edge.b].size() + other] : edge.cost[other * variables_[v].size() + own];
  }
  int Other(const Edge& edge, int v) const { return edge.a == v ? edge.b : edge.a; }

  int AddEdge(int a, int b, std::vector<double> cost) {
    const int id = static_cast<int>(edges_.size());
    edges_.push_back({true, a, b, std::move(cost)});
    variables_[a].edges.push_back(id);
    variables_[b].edges.push_back(id);
    return id;
  }

  void RemoveEdge(int id) {
    Edge& edge = edges_[id];
    edge.alive = false;
    edge.cost = {};
    for (int v : {edge.a, edge.b}) std::erase(variables_[v].edges, id);
    Touch(edge.a);
    Touch(edge.b);
  }

  void Touch(int v) {
    if (!variables_[v].alive || variables_[v].queued) return;
    variables_[v].queued = true;
    queue_.push_back(v);
  }

  void TouchNeighbours(int v) {
    for (int id : variables_[v].edges) Touch(Other(edges_[id], v));
  }

  static bool Over(const WaitLimit& limit) { return !limit.Check("contraction").ok(); }

  absl::Status Drain(const WaitLimit& limit) {
    for (int64_t work = 0; !queue_.empty(); ++work) {
      if ((work & 255) == 0 && Over(limit)) break;
      const int v = queue_.front();
      queue_.pop_front();
      variables_[v].queued = false;
      if (!variables_[v].alive) continue;
      RETURN_IF_ERROR(Reduce(v));
    }
    return absl::OkStatus();
  }

  absl::Status Reduce(int v) {
    MergeParallel(v);
    RETURN_IF_ERROR(PruneForbidden(v));
    if (variables_[v].size() == 1) {
      FoldSingle(v);
      return absl::OkStatus();
    }
    rows_.Shift(variables_[v].usages);
    MoveEdgesIntoEnds(v);
    if (MergeFunction(v)) return absl::OkStatus();
    if (variables_[v].usages.empty() && variables_[v].edges.size() <= 2) Eliminate(v);
    return absl::OkStatus();
  }

  void MergeParallel(int v) {
    Variable& variable = variables_[v];
    if (variable.edges.size() < 2) return;
    std::vector<int> sorted = variable.edges;
    std::sort(sorted.begin(), sorted.end(), [&](int x, int y) {
      return std::pair(Other(edges_[x], v), x) < std::pair(Other(edges_[y], v), y);
    });
    for (size_t i = 0, j = 1; j < sorted.size(); ++j) {
      if (Other(edges_[sorted[i]], v) != Other(edges_[sorted[j]], v)) {
        i = j;
        continue;
      }
      Edge& kept = edges_[sorted[i]];
      Edge& gone = edges_[sorted[j]];
      const int u = Other(kept, v);
      for (size_t k = 0; k < variable.size(); ++k) {
        for (size_t l = 0; l < variables_[u].size(); ++l) At(kept, v, k, l) += At(gone, v, k, l);
      }
      RemoveEdge(sorted[j]);
    }
  }

  // Drops the values of v for which `keep` is false from every table.
  void KeepValues(int v, const std::vector<char>& keep) {
    Variable& variable = variables_[v];
    const size_t old_size = variable.size();
    for (int id : variable.edges) {
      Edge& edge = edges_[id];
      const size_t other = variables_[Other(edge, v)].size();
      size_t out = 0;
      if (edge.a == v) {
        for (size_t k = 0; k < old_size; ++k) {
          for (size_t l = 0; keep[k] && l < other; ++l) edge.cost[out++] = edge.cost[k * other + l];
        }
      } else {
        for (size_t l = 0; l < other; ++l) {
          for (size_t k = 0; k < old_size; ++k) {
            if (keep[k]) edge.cost[out++] = edge.cost[l * old_size + k];
          }
        }
      }
      edge.cost.resize(out);
    }
    const auto compact = [&](auto& values) {
      size_t out = 0;
      for (size_t k = 0; k < old_size; ++k) {
        if (keep[k]) values[out++] = values[k];
      }
      values.resize(out);
    };
    for (int id : variable.usages) compact(rows_[id].amount);
    compact(variable.unary);
    compact(variable.value);
    Touch(v);
    TouchNeighbours(v);
  }

  absl::Status PruneForbidden(int v) {
    Variable& variable = variables_[v];
    std::vector<char> keep(variable.size(), 1);
    size_t kept = 0;
    for (size_t k = 0; k < variable.size(); ++k) {
      if (variable.unary[k] == kInfinity) keep[k] = 0;
      for (size_t i = 0; keep[k] && i < variable.edges.size(); ++i) {
        Edge& edge = edges_[variable.edges[i]];
        const size_t other = variables_[Other(edge, v)].size();
        bool partner = false;
        for (size_t l = 0; l < other && !partner; ++l) partner = At(edge, v, k, l) != kInfinity;
        keep[k] = partner;
      }
      kept += keep[k];
    }
    if (kept == 0) {
      return absl::FailedPreconditionError("no choice has a finite cost: each one has a forbidden value or pair");
    }
    if (kept < variable.size()) KeepValues(v, keep);
    return absl::OkStatus();
  }

  void FoldSingle(int v) {
    Variable& variable = variables_[v];
    result_.offset_ += variable.unary[0];
    while (!variable.edges.empty()) {
      Edge& edge = edges_[variable.edges.back()];
      Variable& other = variables_[Other(edge, v)];
      for (size_t l = 0; l < other.size(); ++l) other.unary[l] += edge.cost[l];
      RemoveEdge(variable.edges.back());
    }
    for (int id : variable.usages) rows_.Take(rows_[id], rows_[id].amount[0]);
    result_.steps_.push_back({v, {-1, -1}, 1, {variable.value[0]}});
    Bury(v);
  }

  void Bury(int v) {
    Variable& variable = variables_[v];
    for (int id : variable.usages) rows_[id] = {false, 0, 0, {}};
    variable = Variable{};
    variable.alive = variable.queued = false;
  }

  // Moves row and column minima of each edge into its ends; an edge of which nothing is left leaves.
  void MoveEdgesIntoEnds(int v) {
    const std::vector<int> ids = variables_[v].edges;
    for (int id : ids) {
      Edge& edge = edges_[id];
      const int u = Other(edge, v);
      const size_t kv = variables_[v].size(), ku = variables_[u].size();
      bool moved = false;
      for (size_t k = 0; k < kv; ++k) {
        double least = kInfinity;
        for (size_t l = 0; l < ku; ++l) least = std::min(least, At(edge, v, k, l));
        if (least == 0 || least == kInfinity) continue;
        for (size_t l = 0; l < ku; ++l) At(edge, v, k, l) -= least;
        variables_[v].unary[k] += least;
      }
      for (size_t l = 0; l < ku; ++l) {
        double least = kInfinity;
        for (size_t k = 0; k < kv; ++k) least = std::min(least, At(edge, v, k, l));
        if (least == kInfinity) moved = true;  // a value of u without a partner: u prunes it
        if (least == 0 || least == kInfinity) continue;
        for (size_t k = 0; k < kv; ++k) At(edge, v, k, l) -= least;
        variables_[u].unary[l] += least;
      }
      if (std::all_of(edge.cost.begin(), edge.cost.end(), [](double cost) { return cost == 0; })) {
        RemoveEdge(id);
      } else if (moved) {
        Touch(u);
      }
    }
  }

  // Merges v into a neighbour of which it is a function.
  bool MergeFunction(int v) {
    for (int id : variables_[v].edges) {
      Edge& edge = edges_[id];
      const int u = Other(edge, v);
      const size_t kv = variables_[v].size(), ku = variables_[u].size();
      std::vector<int> f(ku, -1);
      bool function = true;
      for (size_t l = 0; l < ku && function; ++l) {
        for (size_t k = 0; k < kv && function; ++k) {
          if (At(edge, v, k, l) == kInfinity) continue;
          function = f[l] < 0;
          f[l] = static_cast<int>(k);
        }
        function = function && f[l] >= 0;
      }
      if (!function) continue;
      for (size_t l = 0; l < ku; ++l) {
        variables_[u].unary[l] += variables_[v].unary[f[l]] + At(edge, v, static_cast<size_t>(f[l]), l);
      }
      RemoveEdge(id);
      while (!variables_[v].edges.empty()) {
        const int moved = variables_[v].edges.back();
        const int w = Other(edges_[moved], v);
        const size_t kw = variables_[w].size();
        std::vector<double> cost(ku * kw);
        for (size_t l = 0; l < ku; ++l) {
          for (size_t m = 0; m < kw; ++m) cost[l * kw + m] = At(edges_[moved], v, static_cast<size_t>(f[l]), m);
        }
        RemoveEdge(moved);
        AddEdge(u, w, std::move(cost));
      }
      for (int usage : variables_[v].usages) {
        std::vector<double> amount(ku);
        for (size_t l = 0; l < ku; ++l) amount[l] = rows_[usage].amount[f[l]];
        rows_[usage].amount = std::move(amount);
        variables_[u].usages.push_back(usage);
      }
      variables_[v].usages.clear();
      Contraction::Step step{v, {u, -1}, 1, std::vector<int>(static_cast<size_t>(domain_[u]), 0)};
      for (size_t l = 0; l < ku; ++l) step.value[variables_[u].value[l]] = variables_[v].value[f[l]];
      result_.steps_.push_back(std::move(step));
      Bury(v);
      Touch(u);
      return true;
    }
    return false;
  }

  // R0, R1, R2 of a variable without usages.
  void Eliminate(int v) {
    Variable& variable = variables_[v];
    const std::vector<int> ids = variable.edges;
    const int degree = static_cast<int>(ids.size());
    int parent[2] = {-1, -1};
    size_t size[2] = {1, 1};
    for (int i = 0; i < degree; ++i) {
      parent[i] = Other(edges_[ids[i]], v);
      size[i] = variables_[parent[i]].size();
    }
    if (degree == 2) {
      const bool joined = std::any_of(variables_[parent[0]].edges.begin(), variables_[parent[0]].edges.end(), [&](int id) {
        return Other(edges_[id], parent[0]) == parent[1];
      });
      // A new edge may be larger than the two it replaces, but not by much: later searches pay for every entry.
      if (!joined && size[0] * size[1] > 4 * variable.size() * (size[0] + size[1]) + 256) return;
    }
    Contraction::Step step{v, {parent[0], parent[1]}, degree == 2 ? domain_[parent[1]] : 1, {}};
    step.value.resize(static_cast<size_t>(degree > 0 ? domain_[parent[0]] : 1) * static_cast<size_t>(step.stride));
    std::vector<double> table(size[0] * size[1]);
    for (size_t i = 0; i < size[0]; ++i) {
      for (size_t j = 0; j < size[1]; ++j) {
        double best = kInfinity;
        size_t best_k = 0;
        for (size_t k = 0; k < variable.size(); ++k) {
          double cost = variable.unary[k];
          if (degree > 0) cost += At(edges_[ids[0]], v, k, i);
          if (degree > 1) cost += At(edges_[ids[1]], v, k, j);
          if (cost < best) {
            best = cost;
            best_k = k;
          }
        }
        table[i * size[1] + j] = best;
        const size_t row = degree > 0 ? static_cast<size_t>(variables_[parent[0]].value[i]) : 0;
        const size_t column = degree > 1 ? static_cast<size_t>(variables_[parent[1]].value[j]) : 0;
        step.value[row * static_cast<size_t>(step.stride) + column] = variable.value[best_k];
      }
    }
    for (int id : ids) RemoveEdge(id);
    if (degree == 0) result_.offset_ += table[0];
    if (degree == 1) {
      for (size_t i = 0; i < size[0]; ++i) variables_[parent[0]].unary[i] += table[i];
    }
    if (degree == 2) AddEdge(parent[0], parent[1], std::move(table));
    result_.steps_.push_back(std::move(step));
    Bury(v);
  }

  // Removes each value k of v for which another value is never worse, in cost whatever the neighbours do and in memory.
  bool Dominate(int v) {
    Variable& variable = variables_[v];
    const size_t size = variable.size();
    // Rows of each edge as seen from v.
    std::vector<std::vector<double>> rows;
    for (int id : variable.edges) {
      Edge& edge = edges_[id];
      const size_t other = variables_[Other(edge, v)].size();
      std::vector<double>& row = rows.emplace_back(size * other);
      for (size_t k = 0; k < size; ++k) {
        for (size_t l = 0; l < other; ++l) row[k * other + l] = At(edge, v, k, l);
      }
    }
    std::vector<char> keep(size, 1);
    bool any = false;
    for (size_t k = 0; k < size; ++k) {
      for (size_t d = 0; d < size && keep[k]; ++d) {
        if (d != k && keep[d] && Dominates(variable, rows, d, k)) {
          keep[k] = 0;
          any = true;
          variables_[v].better.resize(static_cast<size_t>(domain_[v]), -1);
          variables_[v].better[variable.value[k]] = variable.value[d];
        }
      }
    }
    if (any) KeepValues(v, keep);
    return any;
  }

  bool Dominates(const Variable& variable, const std::vector<std::vector<double>>& rows, size_t d, size_t k) const {
    double budget = variable.unary[k] - variable.unary[d];
    for (int id : variable.usages) {
      if (rows_[id].amount[d] > rows_[id].amount[k]) return false;
    }
    for (const std::vector<double>& row : rows) {
      const size_t other = row.size() / variable.size();
      const double* good = &row[d * other];
      const double* bad = &row[k * other];
      double worst = -kInfinity;
      for (size_t l = 0; l < other; ++l) {
        if (bad[l] != kInfinity) worst = std::max(worst, good[l] - bad[l]);
      }
      if (worst == kInfinity) return false;
      budget -= worst;
    }
    return budget >= 0;
  }

  // Forbids values and pairs that break a row even when all others take the least they can.
  void ForbidWhatCannotFit() {
    const RangeMinimum slack(rows_.slack());
    const std::vector<double> peak = rows_.Peaks();
    for (int v = 0; v < static_cast<int>(variables_.size()); ++v) {
      Variable& variable = variables_[v];
      bool any = false;
      for (int id : variable.usages) {
        const MemoryRows::Usage& usage = rows_[id];
        const double room = slack.Of(usage.first, usage.end);
        if (room < 0 || peak[id] <= room) continue;
        any = true;
        for (size_t k = 0; k < usage.amount.size(); ++k) {
          if (usage.amount[k] > room) variable.unary[k] = kInfinity;
        }
      }
      if (!any) continue;
      result_.forbids_by_memory_ = true;
      Touch(v);
    }
    for (Edge& edge : edges_) {
      if (!edge.alive) continue;
      const size_t width = variables_[edge.b].size();
      bool any = false;
      for (int x : variables_[edge.a].usages) {
        for (int y : variables_[edge.b].usages) {
          const MemoryRows::Usage& a = rows_[x];
          const MemoryRows::Usage& b = rows_[y];
          const int first = std::max(a.first, b.first), end = std::min(a.end, b.end);
          if (first >= end) continue;
          const double room = slack.Of(first, end);
          if (room < 0 || peak[x] + peak[y] <= room) continue;
          for (size_t i = 0; i < edge.cost.size(); ++i) {
            if (a.amount[i / width] + b.amount[i % width] <= room || edge.cost[i] == kInfinity) continue;
            edge.cost[i] = kInfinity;
            any = true;
          }
        }
      }
      if (!any) continue;
      result_.forbids_by_memory_ = true;
      Touch(edge.a);
      Touch(edge.b);
    }
  }

  // Drops rows that cannot bind.
  void TightenRows() {
    if (rows_.empty()) return;
    for (Variable& variable : variables_) {
      if (variable.alive) rows_.Shift(variable.usages);
    }
    if (forbid_) ForbidWhatCannotFit();
    if (!rows_.DropLoose()) return;
    for (int v = 0; v < static_cast<int>(variables_.size()); ++v) {
      if (std::erase_if(variables_[v].usages, [&](int id) { return !rows_[id].alive; }) > 0) Touch(v);
    }
  }

  absl::StatusOr<Contraction> Finish() {
    std::vector<int> number(variables_.size(), -1);
    for (int v = 0; v < static_cast<int>(variables_.size()); ++v) {
      if (!variables_[v].alive) continue;
      number[v] = static_cast<int>(result_.variable_.size());
      result_.variable_.push_back(v);
      result_.values_.push_back(variables_[v].value);
      result_.better_.push_back(variables_[v].better);
      result_.core_.unary.push_back(variables_[v].unary);
    }
    const std::vector<int> needed = rows_.Needed();
    for (int row : needed) {
      result_.core_.row_limit.push_back(rows_.slack()[row]);
      result_.rows_.push_back(rows_.number(row));
    }
    for (int v = 0; v < static_cast<int>(variables_.size()); ++v) {
      for (int id : variables_[v].usages) {
        const MemoryRows::Usage& usage = rows_[id];
        const auto place = [&](int row) {
          return static_cast<int>(std::lower_bound(needed.begin(), needed.end(), row) - needed.begin());
        };
        const int first = place(usage.first), end = place(usage.end);
        if (first < end) result_.core_.usages.push_back({number[v], first, end, usage.amount});
      }
    }
    for (Edge& edge : edges_) {
      if (edge.alive) result_.core_.edges.push_back({number[edge.a], number[edge.b], std::move(edge.cost)});
    }
    return std::move(result_);
  }

  const bool forbid_;
  std::vector<Variable> variables_;
  std::vector<Edge> edges_;
  MemoryRows rows_;
  std::vector<int> domain_;        // in the network
  std::deque<int> queue_;          // variables to look at again
  Contraction result_;
};

absl::StatusOr<Contraction> Contraction::Make(const CostNetwork& network, const WaitLimit& limit, bool forbid) {
  return Contractor(network, forbid).Run(limit);
}

std::vector<int> Contraction::Expand(const std::vector<int>& core_choice) const {
  std::vector<int> choice(static_cast<size_t>(variables_), 0);
  for (size_t v = 0; v < core_choice.size(); ++v) choice[variable_[v]] = values_[v][core_choice[v]];
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    size_t index = 0;
    if (step->parent[0] >= 0) index = static_cast<size_t>(choice[step->parent[0]]) * static_cast<size_t>(step->stride);
    if (step->parent[1] >= 0) index += static_cast<size_t>(choice[step->parent[1]]);
    choice[step->variable] = step->value[index];
  }
  return choice;
}

std::vector<int> Contraction::Restrict(const std::vector<int>& choice) const {
  std::vector<int> core_choice(variable_.size());
  for (size_t v = 0; v < variable_.size(); ++v) {
    int value = choice[variable_[v]];
    while (!better_[v].empty() && better_[v][value] >= 0) value = better_[v][value];
    const auto found = std::find(values_[v].begin(), values_[v].end(), value);
    core_choice[v] = static_cast<int>(
        found != values_[v].end() ? found - values_[v].begin()
                                  : std::min_element(core_.unary[v].begin(), core_.unary[v].end()) - core_.unary[v].begin());
  }
  return core_choice;
}

}  // namespace omserve
