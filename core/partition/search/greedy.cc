#include "core/partition/search/greedy.h"

#include <algorithm>
#include <cmath>

#include "core/partition/search/block_search.h"

namespace omserve {
namespace {

constexpr double kForbidden = 1e18;  // dearer than any sum of costs

std::vector<int> Greedy(const FlatNetwork& network, const std::vector<double>& prices) {
  std::vector<double> before = {0};  // prefix sums
  for (const double price : prices) before.push_back(before.back() + price);
  std::vector<int> choice(static_cast<size_t>(network.variables()), -1);
  std::vector<double> cost;
  for (int v = 0; v < network.variables(); ++v) {
    const int size = network.size[v];
    const double* unary = &network.unary[network.offset[v]];
    cost.assign(unary, unary + size);
    for (double& own : cost) own = std::min(own, kForbidden);
    for (const auto& link : network.LinksOf(v)) {
      const int other = network.size[link.other];
      const int decided = choice[link.other];
      for (int k = 0; k < size; ++k) {
        const double* row = &network.tables[link.own + static_cast<size_t>(k * other)];
        cost[k] += std::min(decided >= 0 ? row[decided] : *std::min_element(row, row + other), kForbidden);
      }
    }
    for (const auto& usage : network.UsagesOf(v)) {
      const double price = before[usage.end] - before[usage.first];
      for (int k = 0; k < size; ++k) cost[k] += price * network.amounts[usage.amount + static_cast<size_t>(k)];
    }
    choice[v] = static_cast<int>(std::min_element(cost.begin(), cost.end()) - cost.begin());
  }
  return choice;
}

// A small price: what a variable costs on average, for a thousand times what it takes at most.
double SmallPrice(const FlatNetwork& network, const std::vector<int>& choice) {
  double cost = 0, amount = 0;
  for (int v = 0; v < network.variables(); ++v) {
    cost += std::min(network.unary[network.offset[v] + static_cast<size_t>(choice[v])], kForbidden);
    for (const auto& usage : network.UsagesOf(v)) {
      const double* own = &network.amounts[usage.amount];
      amount += *std::max_element(own, own + network.size[v]);
    }
  }
  return 1e-3 * std::max(std::abs(cost), 1.0) / std::max(amount, 1.0);
}

}  // namespace

PricedChoice GreedyChoice(const FlatNetwork& network) {
  std::vector<double> prices(network.slack.size(), 0);
  PricedChoice best;
  double best_excess = 0, rise = 0;
  for (int pass = 0; pass < 12; ++pass) {
    std::vector<int> choice = Greedy(network, prices);
    const std::vector<double> excess = network.Excess(choice);
    const double most = excess.empty() ? 0 : *std::max_element(excess.begin(), excess.end());
    if (best.choice.empty() || most < best_excess) {
      best = {choice, prices};
      best_excess = most;
    }
    if (most <= 0) break;
    rise = rise == 0 ? SmallPrice(network, choice) : 4 * rise;
    for (size_t row = 0; row < prices.size(); ++row) {
      if (excess[row] > 0) prices[row] += rise * excess[row] / most;
    }
  }
  return best;
}

std::vector<int> Mend(const FlatNetwork& network, const PricedChoice& start, int64_t work, const std::function<bool()>& stop) {
  BlockSearch search(network, 1);
  search.SetPrices(start.prices);
  search.Start(start.choice);
  // In portions: it is done as soon as there is a choice that holds.
  for (int portion = 0; portion < 100 && !search.has_best() && !stop(); ++portion) search.Run(work / 100 + 1, stop);
  if (search.has_best()) search.Run(static_cast<int64_t>(network.tables.size()), stop);
  return search.has_best() ? search.best() : search.current();
}

}  // namespace omserve
