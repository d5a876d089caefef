#include "core/partition/search/polytope.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kUnbounded = 1e30;  // what the solvers take for infinity

}  // namespace

double Polytope::RowScale(double limit) { return std::max(1.0, std::abs(limit) * 1e-3); }

Polytope::Polytope(const CostNetwork& network, const std::vector<double>& prices, const std::vector<int>& rows, double scale,
                   double breach) {
  const size_t n = network.unary.size();
  std::vector<std::vector<int>> edges_of(n), usages_of(n);
  for (const auto& unary : network.unary) {
    first_column.push_back(value_columns);
    value_columns += static_cast<int>(unary.size());
  }
  std::vector<int> row_of_edge;
  int row = first_edge_row = static_cast<int>(n);
  for (size_t e = 0; e < network.edges.size(); ++e) {
    const CostNetwork::Edge& edge = network.edges[e];
    row_of_edge.push_back(row);
    row += static_cast<int>(network.unary[edge.a].size() + network.unary[edge.b].size());
    edges_of[edge.a].push_back(static_cast<int>(e));
    edges_of[edge.b].push_back(static_cast<int>(e));
  }
  first_memory_row = row;
  for (size_t u = 0; u < network.usages.size(); ++u) usages_of[network.usages[u].variable].push_back(static_cast<int>(u));

  std::vector<double> amount(rows.size());
  for (size_t v = 0; v < n; ++v) {
    for (size_t k = 0; k < network.unary[v].size(); ++k) {
      Put(static_cast<int>(v), 1);
      for (int e : edges_of[v]) {
        const CostNetwork::Edge& edge = network.edges[static_cast<size_t>(e)];
        const size_t place = edge.a == static_cast<int>(v) ? k : network.unary[edge.a].size() + k;
        Put(row_of_edge[static_cast<size_t>(e)] + static_cast<int>(place), -1);
      }
      std::fill(amount.begin(), amount.end(), 0);
      for (int u : usages_of[v]) {
        const CostNetwork::Usage& usage = network.usages[static_cast<size_t>(u)];
        for (size_t r = 0; r < rows.size(); ++r) {
          if (usage.first_row <= rows[r] && rows[r] < usage.end_row) amount[r] += usage.amount[k];
        }
      }
      for (size_t r = 0; r < rows.size(); ++r) {
        if (amount[r] != 0) Put(first_memory_row + static_cast<int>(r), amount[r] / RowScale(network.row_limit[static_cast<size_t>(rows[r])]));
      }
      EndColumn(network.unary[v][k] * scale);
    }
  }
  for (size_t e = 0; e < network.edges.size(); ++e) {
    const CostNetwork::Edge& edge = network.edges[e];
    const size_t ka = network.unary[edge.a].size(), kb = network.unary[edge.b].size();
    for (size_t k = 0; k < ka; ++k) {
      for (size_t l = 0; l < kb; ++l) {
        const double cost = edge.cost[k * kb + l];
        if (cost == kInfinity) continue;
        Put(row_of_edge[e] + static_cast<int>(k), 1);
        Put(row_of_edge[e] + static_cast<int>(ka + l), 1);
        EndColumn(cost * scale);
      }
    }
  }
  row_lower.assign(static_cast<size_t>(first_memory_row) + rows.size(), 0);
  row_upper = row_lower;
  for (size_t v = 0; v < n; ++v) row_lower[v] = row_upper[v] = 1;
  for (size_t r = 0; r < rows.size(); ++r) {
    const size_t at = static_cast<size_t>(first_memory_row) + r;
    const double limit = network.row_limit[static_cast<size_t>(rows[r])], unit = RowScale(limit);
    const double price = prices[static_cast<size_t>(rows[r])];
    row_upper[at] = limit / unit;
    row_lower[at] = price == 0 ? -kUnbounded : row_upper[at];
    if (price != 0) {
      // What a priced row leaves free costs its price.
      Put(static_cast<int>(at), 1);
      EndColumn(price * unit * scale);
    }
    if (breach > 0) {
      Put(static_cast<int>(at), -1);
      EndColumn(breach * unit * scale);
    }
  }
  column_lower.assign(objective.size(), 0);
  column_upper.assign(objective.size(), kUnbounded);
}

void AddBroken(const CostNetwork& network, const std::vector<double>& use, std::vector<int>& rows, double tolerance) {
  int worst = -1;
  for (int row = 0; row <= static_cast<int>(use.size()); ++row) {
    const bool broken = row < static_cast<int>(use.size()) && use[row] > network.row_limit[row] * (1 + tolerance);
    if (!broken) {
      if (worst >= 0) rows.push_back(worst);
      worst = -1;
    } else if (worst < 0 || use[row] - network.row_limit[row] > use[worst] - network.row_limit[worst]) {
      worst = row;
    }
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
}

}  // namespace omserve
