#include "core/partition/search/network.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace omserve {

double CostNetwork::CostOf(const std::vector<int>& choice) const {
  double cost = 0;
  for (size_t v = 0; v < unary.size(); ++v) cost += unary[v][choice[v]];
  for (const Edge& edge : edges) cost += edge.cost[static_cast<size_t>(choice[edge.a]) * unary[edge.b].size() + choice[edge.b]];
  return cost;
}

std::vector<double> CostNetwork::RowUse(const std::vector<int>& choice) const {
  std::vector<double> change(row_limit.size() + 1, 0);
  for (const Usage& usage : usages) {
    change[usage.first_row] += usage.amount[choice[usage.variable]];
    change[usage.end_row] -= usage.amount[choice[usage.variable]];
  }
  for (size_t row = 1; row < change.size(); ++row) change[row] += change[row - 1];
  change.pop_back();
  return change;
}

CostNetwork::Excess CostNetwork::ExcessOf(const std::vector<int>& choice) const {
  Excess worst;
  const std::vector<double> use = RowUse(choice);
  for (size_t row = 0; row < use.size(); ++row) {
    if (use[row] - row_limit[row] > worst.amount) worst = {use[row] - row_limit[row], static_cast<int>(row)};
  }
  return worst;
}

absl::Status CostNetwork::Validate() const {
  const int n = static_cast<int>(unary.size());
  const auto bad_cost = [](double cost) { return std::isnan(cost) || cost == -INFINITY; };
  for (int v = 0; v < n; ++v) {
    if (unary[v].empty()) return absl::InvalidArgumentError(absl::StrCat("variable ", v, " has no value"));
    for (double cost : unary[v]) {
      if (bad_cost(cost)) return absl::InvalidArgumentError(absl::StrCat("variable ", v, " has the cost ", cost));
    }
  }
  for (const Edge& edge : edges) {
    if (edge.a < 0 || edge.b < 0 || edge.a >= n || edge.b >= n || edge.a == edge.b ||
        edge.cost.size() != unary[edge.a].size() * unary[edge.b].size()) {
      return absl::InvalidArgumentError(absl::StrCat("edge ", edge.a, " - ", edge.b, " is malformed"));
    }
    for (double cost : edge.cost) {
      if (bad_cost(cost)) {
        return absl::InvalidArgumentError(absl::StrCat("edge ", edge.a, " - ", edge.b, " has the cost ", cost));
      }
    }
  }
  const int rows = static_cast<int>(row_limit.size());
  for (int row = 0; row < rows; ++row) {
    if (!std::isfinite(row_limit[row])) {
      return absl::InvalidArgumentError(absl::StrCat("memory row ", row, " has the limit ", row_limit[row]));
    }
  }
  for (const Usage& usage : usages) {
    if (usage.variable < 0 || usage.variable >= n || usage.amount.size() != unary[usage.variable].size()) {
      return absl::InvalidArgumentError(absl::StrCat("a usage of variable ", usage.variable, " is malformed"));
    }
    if (usage.first_row < 0 || usage.first_row > usage.end_row || usage.end_row > rows) {
      return absl::InvalidArgumentError(absl::StrCat("a usage of variable ", usage.variable, " lasts rows ", usage.first_row,
                                                     " to ", usage.end_row, "; there are ", rows));
    }
    for (double amount : usage.amount) {
      if (!std::isfinite(amount) || amount < 0) {
        return absl::InvalidArgumentError(absl::StrCat("a usage of variable ", usage.variable, " is ", amount));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace omserve
