#include "core/partition/search/branch.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMostVariables = 3000;  // each is a level of recursion

class Brancher {
 public:
  Brancher(const FlatNetwork& network, double upper_bound, int64_t max_nodes, const WaitLimit& limit)
      : network_(network), best_(upper_bound), nodes_left_(max_nodes), limit_(limit), use_(network.slack.size(), 0) {
    const int n = network.variables();
    conditional_ = network.unary;
    value_.assign(static_cast<size_t>(n), -1);
    for (double slack : network.slack) {
      if (slack < 0) impossible_ = true;
    }
    // What a pair costs at least, whatever is chosen: edges need not have zero minima. Counted until the pair is decided.
    for (int v = 0; v < n; ++v) {
      for (const auto& link : network.LinksOf(v)) {
        if (link.own > link.across) continue;
        const auto begin = network.tables.begin() + static_cast<ptrdiff_t>(link.own);
        open_edges_ += std::min(0.0, *std::min_element(begin, begin + network.size[v] * network.size[link.other]));
      }
    }
  }

  BranchResult Run() {
    BranchResult result;
    if (impossible_) {
      result.proven = true;
      return result;
    }
    Descend(0, 0);
    result.proven = nodes_left_ >= 0;
    result.choice = found_;
    result.cost = best_;
    return result;
  }

 private:
  // The open variable with the fewest values per neighbour that is decided; also the bound of the open part.
  int Pick(double& open_bound) const {
    int best = -1;
    double best_score = kInfinity;
    open_bound = 0;
    for (int v = 0; v < network_.variables(); ++v) {
      if (value_[v] >= 0) continue;
      const double* own = &conditional_[network_.offset[v]];
      const double least = *std::min_element(own, own + network_.size[v]);
      open_bound += least;
      int decided = 1;
      for (const auto& link : network_.LinksOf(v)) decided += value_[link.other] >= 0 ? 2 : 0;
      const double score = static_cast<double>(network_.size[v]) / decided;
      if (score < best_score) {
        best_score = score;
        best = v;
      }
    }
    return best;
  }

  void Descend(double decided_cost, int depth) {
    if (nodes_left_ % 64 == 0 && !limit_.Check("branch and bound").ok()) nodes_left_ = 0;
    if (--nodes_left_ < 0) return;
    double open_bound = 0;
    const int v = Pick(open_bound);
    if (v < 0) {
      if (decided_cost < best_) {
        best_ = decided_cost;
        found_ = value_;
      }
      return;
    }
    if (decided_cost + open_bound + open_edges_ >= best_) return;
    const int size = network_.size[v];
    std::vector<int> order(static_cast<size_t>(size));
    std::iota(order.begin(), order.end(), 0);
    const std::vector<double> own(&conditional_[network_.offset[v]], &conditional_[network_.offset[v]] + size);
    std::sort(order.begin(), order.end(), [&](int x, int y) { return std::pair(own[x], x) < std::pair(own[y], y); });
    for (int k : order) {
      if (own[k] == kInfinity || nodes_left_ < 0) break;
      if (decided_cost + open_bound + open_edges_ - own[order[0]] + own[k] >= best_) break;
      if (Take(v, k)) {
        value_[v] = k;
        std::vector<std::pair<size_t, double>> saved;
        for (const auto& link : network_.LinksOf(v)) {
          if (value_[link.other] >= 0) continue;
          const size_t width = static_cast<size_t>(network_.size[link.other]);
          const double* row = &network_.tables[link.own + static_cast<size_t>(k) * width];
          for (size_t l = 0; l < width; ++l) {
            double& cost = conditional_[network_.offset[link.other] + l];
            saved.emplace_back(network_.offset[link.other] + l, cost);
            cost += row[l];
          }
        }
        Descend(decided_cost + own[k], depth + 1);
        for (auto it = saved.rbegin(); it != saved.rend(); ++it) conditional_[it->first] = it->second;
        value_[v] = -1;
      }
      Release(v, k);
    }
  }

  // Adds the usages of v = k; false when a row breaks (open variables take nothing at least: usages start at zero).
  bool Take(int v, int k) {
    bool fits = true;
    for (const auto& usage : network_.UsagesOf(v)) {
      const double amount = network_.amounts[usage.amount + static_cast<size_t>(k)];
      for (int row = usage.first; row < usage.end; ++row) {
        use_[row] += amount;
        fits = fits && use_[row] <= network_.slack[row];
      }
    }
    return fits;
  }
  void Release(int v, int k) {
    for (const auto& usage : network_.UsagesOf(v)) {
      const double amount = network_.amounts[usage.amount + static_cast<size_t>(k)];
      for (int row = usage.first; row < usage.end; ++row) use_[row] -= amount;
    }
  }

  const FlatNetwork& network_;
  double best_;
  int64_t nodes_left_;
  const WaitLimit& limit_;
  std::vector<double> use_, conditional_;
  std::vector<int> value_, found_;
  double open_edges_ = 0;
  bool impossible_ = false;
};

}  // namespace

BranchResult BranchAndBound(const FlatNetwork& network, double upper_bound, int64_t max_nodes, const WaitLimit& limit) {
  if (network.variables() > kMostVariables) return {};
  return Brancher(network, upper_bound, max_nodes, limit).Run();
}

}  // namespace omserve
