#include "core/partition/search/flat.h"

#include <algorithm>
#include <limits>

namespace omserve {

FlatNetwork::FlatNetwork(const CostNetwork& network) : slack(network.row_limit) {
  const size_t n = network.unary.size();
  offset.push_back(0);
  for (const auto& costs : network.unary) {
    size.push_back(static_cast<int>(costs.size()));
    unary.insert(unary.end(), costs.begin(), costs.end());
    offset.push_back(unary.size());
  }
  std::vector<std::vector<Link>> links_of(n);
  size_t entries = 0;
  for (const auto& edge : network.edges) entries += 2 * edge.cost.size();
  tables.reserve(entries);
  for (size_t e = 0; e < network.edges.size(); ++e) {
    const CostNetwork::Edge& edge = network.edges[e];
    const size_t ka = network.unary[edge.a].size(), kb = network.unary[edge.b].size();
    const size_t forward = tables.size(), backward = forward + edge.cost.size();
    tables.insert(tables.end(), edge.cost.begin(), edge.cost.end());
    for (size_t l = 0; l < kb; ++l) {
      for (size_t k = 0; k < ka; ++k) tables.push_back(edge.cost[k * kb + l]);
    }
    const size_t at_a = message_entries, at_b = message_entries + ka;
    message_entries += ka + kb;
    links_of[edge.a].push_back({edge.b, static_cast<int>(e), forward, backward, at_a, at_b});
    links_of[edge.b].push_back({edge.a, static_cast<int>(e), backward, forward, at_b, at_a});
    edges.push_back({edge.a, edge.b});
  }
  std::vector<std::vector<Usage>> usages_of(n);
  for (const CostNetwork::Usage& usage : network.usages) {
    usages_of[usage.variable].push_back({usage.first_row, usage.end_row, amounts.size()});
    amounts.insert(amounts.end(), usage.amount.begin(), usage.amount.end());
  }
  for (size_t v = 0; v < n; ++v) {
    first_link.push_back(links.size());
    links.insert(links.end(), links_of[v].begin(), links_of[v].end());
    first_usage.push_back(usages.size());
    usages.insert(usages.end(), usages_of[v].begin(), usages_of[v].end());
  }
  first_link.push_back(links.size());
  first_usage.push_back(usages.size());
  links.emplace_back();  // so that an empty span at the end has an address
  usages.emplace_back();
}

double FlatNetwork::CostOf(const std::vector<int>& choice) const {
  double cost = 0;
  for (int v = 0; v < variables(); ++v) {
    cost += unary[offset[v] + static_cast<size_t>(choice[v])];
    for (const Link& link : LinksOf(v)) {
      if (link.own < link.across) cost += tables[link.own + static_cast<size_t>(choice[v] * size[link.other] + choice[link.other])];
    }
  }
  return cost;
}

std::vector<double> FlatNetwork::Excess(const std::vector<int>& choice) const {
  std::vector<double> use(slack.size() + 1, 0);
  for (int v = 0; v < variables(); ++v) {
    for (const Usage& usage : UsagesOf(v)) {
      const double amount = amounts[usage.amount + static_cast<size_t>(choice[v])];
      use[usage.first] += amount;
      use[usage.end] -= amount;
    }
  }
  double running = 0;
  for (size_t row = 0; row < slack.size(); ++row) {
    running += use[row];
    use[row] = running - slack[row];
  }
  use.pop_back();
  return use;
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(_GLIBCXX_TSAN)
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
#endif
void MinPlus(const double* __restrict h, const double* __restrict table, int rows, int columns, double* __restrict out) {
  for (int l = 0; l < columns; ++l) out[l] = h[0] + table[l];
  for (int k = 1; k < rows; ++k) {
    const double own = h[k];
    const double* __restrict row = table + static_cast<size_t>(k) * static_cast<size_t>(columns);
    for (int l = 0; l < columns; ++l) {
      const double value = own + row[l];
      out[l] = value < out[l] ? value : out[l];
    }
  }
}

}  // namespace omserve
