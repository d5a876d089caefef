#include "core/partition/search/dual.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace omserve {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
}  // namespace

Dual::Dual(const FlatNetwork& network)
    : network_(network),
      priced_(network.unary),
      message_(network.message_entries, 0),
      prices_(network.slack.size(), 0),
      best_prices_(prices_),
      direction_(prices_),
      marginal_(network.unary.size(), 0),
      labelling_(network.size.size(), 0),
      behind_(network.size.size(), 0),
      ahead_(network.size.size(), 0),
      best_bound_(-kInfinity) {
  int widest = 1;
  for (int v = 0; v < network.variables(); ++v) {
    widest = std::max(widest, network.size[v]);
    for (const auto& link : network.LinksOf(v)) ++(link.other < v ? behind_ : ahead_)[v];
  }
  sum_.resize(static_cast<size_t>(widest));
  incoming_ = conditional_ = sum_;
}

void Dual::SetPrices(std::vector<double> prices) {
  prices_ = std::move(prices);
  Reprice();
}

void Dual::Move(const std::vector<double>& more) {
  for (size_t i = 0; i < message_.size(); ++i) message_[i] += more[i];
}

void Dual::Reprice() {
  // Prices are multiples of a power of two that makes their sums exact: what variables pay is what rows get.
  double total = 0;
  for (const double price : prices_) total += price;
  if (total > 0) {
    const double unit = std::ldexp(1.0, std::ilogb(total) - 48);
    for (double& price : prices_) price = std::floor(price / unit) * unit;
  }
  std::vector<double> before(prices_.size() + 1, 0);
  for (size_t row = 0; row < prices_.size(); ++row) before[row + 1] = before[row] + prices_[row];
  priced_ = network_.unary;
  for (int v = 0; v < network_.variables(); ++v) {
    for (const auto& usage : network_.UsagesOf(v)) {
      const double price = before[usage.end] - before[usage.first];
      if (price == 0) continue;
      double* own = &priced_[network_.offset[v]];
      for (int k = 0; k < network_.size[v]; ++k) own[k] += price * network_.amounts[usage.amount + static_cast<size_t>(k)];
    }
  }
}

// What is left at v of its own costs.
void Dual::Gather(int v, double* sum) const {
  const int size = network_.size[v];
  const double* own = &priced_[network_.offset[v]];
  std::copy(own, own + size, sum);
  for (const auto& link : network_.LinksOf(v)) {
    const double* moved = &message_[link.message];
    for (int k = 0; k < size; ++k) sum[k] -= moved[k];
  }
}

void Dual::Pass(bool forward) {
  const int n = network_.variables();
  double* sum = sum_.data();
  double* incoming = incoming_.data();
  double* conditional = conditional_.data();
  for (int i = 0; i < n; ++i) {
    const int v = forward ? i : n - 1 - i;
    const int size = network_.size[v];
    const auto links = network_.LinksOf(v);
    // Collect from the edges behind.
    for (const auto& link : links) {
      if ((link.other < v) != forward) continue;
      const int other = network_.size[link.other];
      MinPlus(&message_[link.other_message], &network_.tables[link.across], other, size, incoming);
      double* moved = &message_[link.message];
      for (int k = 0; k < size; ++k) moved[k] = -incoming[k];
      work_ += static_cast<int64_t>(size) * other;
    }
    Gather(v, sum);
    // Decode: what is behind is decided, what is ahead speaks by its messages.
    std::copy(sum, sum + size, conditional);
    for (const auto& link : links) {
      if ((link.other < v) != forward) continue;
      const double* row = &network_.tables[link.across + static_cast<size_t>(labelling_[link.other]) * static_cast<size_t>(size)];
      const double* moved = &message_[link.message];
      for (int k = 0; k < size; ++k) conditional[k] += row[k] + moved[k];
    }
    labelling_[v] = static_cast<int>(std::min_element(conditional, conditional + size) - conditional);
    if (conditional[labelling_[v]] == kInfinity) labelling_[v] = static_cast<int>(std::min_element(sum, sum + size) - sum);
    // Spread over the edges ahead.
    const int to = forward ? ahead_[v] : behind_[v], from = forward ? behind_[v] : ahead_[v];
    if (to == 0) continue;
    const double share = 1.0 / std::max(to, from);
    for (const auto& link : links) {
      if ((link.other < v) == forward) continue;
      double* moved = &message_[link.message];
      for (int k = 0; k < size; ++k) moved[k] += share * sum[k];
    }
  }
}

double Dual::Bound() {
  // Every sum of doubles is off by at most half a unit in the last place of each intermediate result. `rounded` adds up how
  // large those results are, per variable and edge the largest of any value.
  long double bound = 0, rounded = 0;
  for (int v = 0; v < network_.variables(); ++v) {
    const int size = network_.size[v];
    const auto links = network_.LinksOf(v);
    double* marginal = &marginal_[network_.offset[v]];
    Gather(v, marginal);
    const double least = *std::min_element(marginal, marginal + size);
    bound += least;
    double largest = 0;
    for (int k = 0; k < size; ++k) {
      double parts = std::abs(priced_[network_.offset[v] + static_cast<size_t>(k)]);
      for (const auto& link : links) parts += std::abs(message_[link.message + static_cast<size_t>(k)]);
      if (parts < kInfinity) largest = std::max(largest, parts);
      marginal[k] -= least;
    }
    rounded += largest * static_cast<double>(links.size() + 2 * network_.UsagesOf(v).size() + 2);
    for (const auto& link : links) {
      MinPlus(&message_[link.other_message], &network_.tables[link.across], network_.size[link.other], size, incoming_.data());
      const double* moved = &message_[link.message];
      double edge_least = kInfinity;
      largest = 0;
      for (int k = 0; k < size; ++k) {
        const double parts = std::abs(incoming_[k]) + std::abs(moved[k]);
        if (parts < kInfinity) largest = std::max(largest, parts);
        incoming_[k] += moved[k];
        edge_least = std::min(edge_least, incoming_[k]);
      }
      for (int k = 0; k < size; ++k) marginal[k] += incoming_[k] - edge_least;
      if (link.own < link.across) {
        bound += edge_least;
        rounded += 3 * largest;
      }
      work_ += static_cast<int64_t>(size) * network_.size[link.other];
    }
  }
  for (size_t row = 0; row < prices_.size(); ++row) {
    bound -= static_cast<long double>(prices_[row]) * network_.slack[row];
    rounded += std::abs(prices_[row] * network_.slack[row]) * 1e-3;
  }
  margin_ = static_cast<double>(rounded) * std::numeric_limits<double>::epsilon();
  current_bound_ = static_cast<double>(bound) - margin_;
  for (double& marginal : marginal_) marginal += current_bound_ - margin_;
  if (current_bound_ > best_bound_) {
    best_bound_ = current_bound_;
    best_prices_ = prices_;
    best_message_ = message_;
  }
  return current_bound_;
}

CostNetwork Dual::Pruned(const CostNetwork& network, double upper_bound, bool pairs) const {
  CostNetwork pruned = network;
  for (int v = 0; v < network_.variables(); ++v) {
    for (int k = 0; k < network_.size[v]; ++k) {
      if (Marginal(v, k) > upper_bound) pruned.unary[v][k] = kInfinity;
    }
  }
  if (!pairs) return pruned;
  std::vector<double> from_b, from_a, h;
  for (int v = 0; v < network_.variables(); ++v) {
    for (const auto& link : network_.LinksOf(v)) {
      if (link.own > link.across) continue;  // once per edge, v = a
      const int u = link.other;
      const size_t kv = static_cast<size_t>(network_.size[v]), ku = static_cast<size_t>(network_.size[u]);
      const double* own = &message_[link.message];
      const double* other = &message_[link.other_message];
      const double* table = &network_.tables[link.own];
      from_b.resize(kv);
      from_a.resize(ku);
      MinPlus(other, &network_.tables[link.across], static_cast<int>(ku), static_cast<int>(kv), from_b.data());
      MinPlus(own, table, static_cast<int>(kv), static_cast<int>(ku), from_a.data());
      double least = kInfinity;
      for (size_t k = 0; k < kv; ++k) least = std::min(least, from_b[k] + own[k]);
      // Bound of a pair: both marginals, with the edge's own part counted once.
      for (size_t k = 0; k < kv; ++k) {
        const double at_k = Marginal(v, static_cast<int>(k)) - (from_b[k] + own[k] - least);
        for (size_t l = 0; l < ku; ++l) {
          const double at_l = Marginal(u, static_cast<int>(l)) - (from_a[l] + other[l] - least);
          const double pair = table[k * ku + l] + own[k] + other[l] - least;
          if (at_k + at_l - current_bound_ + pair - 2 * margin_ > upper_bound) pruned.edges[static_cast<size_t>(link.edge)].cost[k * ku + l] = kInfinity;
        }
      }
    }
  }
  return pruned;
}

CostNetwork Dual::Reparametrised(const CostNetwork& network, double& constant) const {
  CostNetwork result = network;
  constant = 0;
  for (size_t row = 0; row < prices_.size(); ++row) constant -= prices_[row] * network_.slack[row];
  const auto shift = [&](std::vector<double>& costs) {
    const double least = *std::min_element(costs.begin(), costs.end());
    for (double& cost : costs) cost -= least;
    constant += least;
  };
  for (int v = 0; v < network_.variables(); ++v) {
    Gather(v, result.unary[v].data());
    shift(result.unary[v]);
    for (const auto& link : network_.LinksOf(v)) {
      if (link.own > link.across) continue;
      std::vector<double>& costs = result.edges[static_cast<size_t>(link.edge)].cost;
      const size_t width = static_cast<size_t>(network_.size[link.other]);
      for (size_t i = 0; i < costs.size(); ++i) costs[i] += message_[link.message + i / width] + message_[link.other_message + i % width];
      shift(costs);
    }
  }
  return result;
}

void Dual::MovePrices(double upper_bound) {
  if (prices_.empty()) return;
  const std::vector<double> excess = network_.Excess(labelling_);
  constexpr double kKeep = 0.7;
  double norm = 0;
  for (size_t row = 0; row < prices_.size(); ++row) {
    direction_[row] = kKeep * direction_[row] + (1 - kKeep) * excess[row];
    if (prices_[row] > 0 || direction_[row] > 0) norm += direction_[row] * direction_[row];
  }
  if (norm == 0) return;
  // A step towards a level somewhat above the best bound; a first upper bound may be far too high to aim at.
  const double level = std::min(upper_bound - best_bound_, step_ * std::max(std::abs(best_bound_), 1.0));
  const double scale = std::max(level, 1e-9 * std::abs(best_bound_)) / norm;
  for (size_t row = 0; row < prices_.size(); ++row) prices_[row] = std::max(0.0, prices_[row] + scale * direction_[row]);
  Reprice();
}

void Dual::Settle() {
  Pass(true);
  Pass(false);
  ++sweeps_;
}

void Dual::Sweep(double upper_bound) {
  Settle();
  if (sweeps_ % 5 == 0) {
    const double before = best_bound_;
    Bound();
    // The step shrinks when the bound has not risen for a while.
    stale_ = best_bound_ > before + 1e-5 * std::abs(before) ? 0 : stale_ + 1;
    if (stale_ == 0) step_ = std::min(step_ * 1.05, 0.03);
    if (stale_ > 6) {
      step_ = std::max(step_ * 0.6, 1e-5);
      stale_ = 0;
      if (!prices_.empty()) {
        prices_ = best_prices_;
        message_ = best_message_;
        std::fill(direction_.begin(), direction_.end(), 0.0);
        Reprice();
      }
    }
  }
  if (sweeps_ >= 20) MovePrices(upper_bound);
}

}  // namespace omserve
