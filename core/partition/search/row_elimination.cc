#include "core/partition/search/row_elimination.h"

#include <coin/Clp_C_Interface.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "core/partition/search/dual.h"
#include "core/partition/search/elimination.h"
#include "core/partition/search/flat.h"
#include "core/partition/search/pareto.h"
#include "core/partition/search/polytope.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMostCuts = 300;
constexpr size_t kMostCutRows = 12;  // beyond, cutting planes wander for long
constexpr int kSweeps = 400;

class RowEliminator {
 public:
  RowEliminator(const CostNetwork& network, const RowEliminationOptions& options, const WaitLimit& limit, Elimination elimination)
      : network_(network), options_(options), limit_(limit), elimination_(std::move(elimination)), prices_(network.row_limit.size(), 0) {
    dearest_ = 0;
    const auto add = [&](const std::vector<double>& costs) {
      double most = 0;
      for (double cost : costs) most = std::max(most, cost == kInfinity ? 0 : cost);
      dearest_ += most;
    };
    for (const auto& unary : network.unary) add(unary);
    for (const auto& edge : network.edges) add(edge.cost);
  }

  RowEliminationResult Run() {
    result_.width = elimination_.width();
    result_.bound = -kInfinity;
    if (!RaisePrices() || Closes()) return Done();
    FindLabels();
    return Done();
  }

 private:
  struct Point {
    double cost;
    std::vector<double> excess;  // of every row
  };

  bool Over() const { return !limit_.Check("elimination with rows").ok(); }
  bool Closes() const {
    const double upper = options_.upper_bound();
    if (result_.bound == kInfinity) return true;
    return options_.integral ? result_.bound > upper - 1 : result_.bound >= upper;
  }
  RowEliminationResult Done() {
    if (Closes()) {
      result_.closed = true;
      result_.bound = options_.upper_bound();
    }
    return result_;
  }

  // Eliminates under `prices`; the bound, a point of the dual function, and an offer come of it. False when no choice is finite.
  bool Evaluate(const std::vector<double>& prices) {
    std::vector<double> before = {0};
    for (double price : prices) before.push_back(before.back() + price);
    std::vector<std::vector<double>> unary = network_.unary;
    for (const CostNetwork::Usage& usage : network_.usages) {
      const double price = before[static_cast<size_t>(usage.end_row)] - before[static_cast<size_t>(usage.first_row)];
      if (price == 0) continue;
      for (size_t k = 0; k < usage.amount.size(); ++k) unary[static_cast<size_t>(usage.variable)][k] += price * usage.amount[k];
    }
    double bound = elimination_.Minimise(unary);
    if (bound == kInfinity) return false;
    double magnitude = std::abs(bound);
    for (size_t row = 0; row < prices.size(); ++row) {
      bound -= prices[row] * network_.row_limit[row];
      magnitude += std::abs(prices[row] * network_.row_limit[row]);
    }
    bound -= 1e-10 * magnitude;
    if (bound > result_.bound) {
      result_.bound = bound;
      prices_ = prices;
    }
    const std::vector<int> choice = elimination_.Choice();
    Point point{network_.CostOf(choice), network_.RowUse(choice)};
    for (size_t row = 0; row < point.excess.size(); ++row) point.excess[row] -= network_.row_limit[row];
    AddBroken(network_, network_.RowUse(choice), rows_);
    points_.push_back(std::move(point));
    options_.offer(choice);
    return true;
  }

  // False when no choice is finite.
  bool RaisePrices() {
    if (!Evaluate(prices_)) return false;
    if (!rows_.empty() && prices_.size() > 1 && !Over()) {
      if (!Evaluate(PricesOfMessages())) return true;
    }
    for (int cut = 0; cut < kMostCuts && !rows_.empty() && rows_.size() <= kMostCutRows && !Closes() && !Over(); ++cut) {
      double ceiling = 0;
      const std::vector<double> prices = NextPrices(ceiling);
      if (prices.empty()) return true;
      const double gap = ceiling - result_.bound;
      if (gap < 1e-7 * std::max(1.0, std::abs(result_.bound)) && cut > 0) return true;
      if (!Evaluate(prices)) return true;
    }
    return true;
  }

  // What message passing makes of the prices, all rows at once.
  std::vector<double> PricesOfMessages() {
    const FlatNetwork flat(network_);
    Dual dual(flat);
    for (int sweep = 0; sweep < kSweeps && !dual.settled() && !Over(); ++sweep) dual.Sweep(options_.upper_bound());
    dual.Bound();
    const std::vector<double>& prices = dual.best_prices();
    for (size_t row = 0; row < prices.size(); ++row) {
      if (prices[row] > 0) rows_.push_back(static_cast<int>(row));
    }
    std::sort(rows_.begin(), rows_.end());
    rows_.erase(std::unique(rows_.begin(), rows_.end()), rows_.end());
    return prices;
  }

  // The prices at which the points seen so far allow the highest bound (`ceiling`).
  std::vector<double> NextPrices(double& ceiling) const {
    const int columns = static_cast<int>(rows_.size()) + 1;
    std::vector<double> unit(rows_.size(), 1);
    double least = kInfinity, most = -kInfinity;
    for (const Point& point : points_) {
      least = std::min(least, point.cost);
      most = std::max(most, point.cost);
      for (size_t r = 0; r < rows_.size(); ++r) unit[r] = std::max(unit[r], std::abs(point.excess[static_cast<size_t>(rows_[r])]));
    }
    const double range = std::max({1.0, most - least, 1e-3 * std::abs(least)});
    // Maximise t with t - sum(price * excess) <= cost for each point; prices up to what could make up for any cost.
    std::vector<int> start = {0}, index;
    std::vector<double> value, objective = {-1}, column_lower = {-1e30}, column_upper = {1e30};
    for (size_t p = 0; p < points_.size(); ++p) {
      index.push_back(static_cast<int>(p));
      value.push_back(1);
    }
    start.push_back(static_cast<int>(index.size()));
    for (size_t r = 0; r < rows_.size(); ++r) {
      for (size_t p = 0; p < points_.size(); ++p) {
        const double excess = points_[p].excess[static_cast<size_t>(rows_[r])];
        if (excess == 0) continue;
        index.push_back(static_cast<int>(p));
        value.push_back(-excess / unit[r]);
      }
      start.push_back(static_cast<int>(index.size()));
      objective.push_back(0);
      column_lower.push_back(0);
      column_upper.push_back(std::max(10.0, dearest_ / range * 1e3));
    }
    std::vector<double> row_lower(points_.size(), -1e30), row_upper;
    for (const Point& point : points_) row_upper.push_back((point.cost - least) / range);
    const std::unique_ptr<Clp_Simplex, void (*)(Clp_Simplex*)> model(Clp_newModel(), &Clp_deleteModel);
    Clp_setLogLevel(model.get(), 0);
    Clp_loadProblem(model.get(), columns, static_cast<int>(points_.size()), start.data(), index.data(), value.data(), column_lower.data(),
                    column_upper.data(), objective.data(), row_lower.data(), row_upper.data());
    Clp_initialSolve(model.get());
    if (Clp_status(model.get()) != 0) return {};
    const double* solution = Clp_primalColumnSolution(model.get());
    ceiling = solution[0] * range + least;
    std::vector<double> prices(network_.row_limit.size(), 0);
    for (size_t r = 0; r < rows_.size(); ++r) {
      prices[static_cast<size_t>(rows_[r])] = std::max(0.0, solution[r + 1]) * range / unit[r];
    }
    return prices;
  }

  // Closes the gap by labels, as far as they go.
  void FindLabels() {
    while (!Over() && !Closes()) {
      if (!Prepare()) return;
      // A cutoff just above the bound first: labels grow with the distance.
      double step = std::max(1e-4 * std::abs(result_.bound), 1.0);
      std::vector<int> choice;
      while (choice.empty()) {
        const double upper = options_.upper_bound();
        if (Closes()) return;
        double cutoff = std::min(result_.bound + step, std::min(upper, dearest_));
        if (options_.integral) cutoff = std::min(std::floor(result_.bound + step), std::min(upper - 1, dearest_));
        ParetoResult found = FindByLabels(network_, elimination_, {rows_, prices_, cutoff, options_.max_labels}, limit_);
        if (!found.complete) return;
        choice = std::move(found.choice);
        if (!choice.empty()) break;
        // Nothing costs as little as the cutoff.
        result_.bound = std::max(result_.bound, options_.integral ? cutoff + 1 : cutoff);
        if (cutoff >= dearest_) result_.bound = kInfinity;
        step *= 4;
      }
      if (choice.empty()) return;
      // The optimum for these rows; others may be broken.
      const double cost = network_.CostOf(choice);
      result_.bound = std::max(result_.bound, cost);
      const size_t before = rows_.size();
      AddBroken(network_, network_.RowUse(choice), rows_);
      options_.offer(choice);
      if (rows_.size() == before) return;
    }
  }

  // Tables and what lies outside, under the best prices.
  bool Prepare() {
    const double bound = result_.bound;
    std::vector<double> prices = prices_;
    if (!Evaluate(prices)) return false;
    result_.bound = std::max(result_.bound, bound);
    elimination_.FindOutside();
    return true;
  }

  const CostNetwork& network_;
  const RowEliminationOptions& options_;
  const WaitLimit& limit_;
  Elimination elimination_;
  std::vector<double> prices_;  // of the best bound
  std::vector<int> rows_;       // looked at so far, ascending
  std::vector<Point> points_;
  double dearest_;
  RowEliminationResult result_;
};

}  // namespace

RowEliminationResult EliminateWithRows(const CostNetwork& network, const RowEliminationOptions& options, const WaitLimit& limit) {
  auto elimination = Elimination::Plan(network, options.max_table_entries, limit);
  if (!elimination.ok()) return {-kInfinity, false, 0};
  return RowEliminator(network, options, limit, *std::move(elimination)).Run();
}

}  // namespace omserve
