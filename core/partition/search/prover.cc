#include "core/partition/search/prover.h"

#include <coin/Clp_C_Interface.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "core/partition/search/contract.h"
#include "core/partition/search/dual.h"
#include "core/partition/search/flat.h"
#include "core/partition/search/polytope.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMostDepth = 200;
constexpr int kFirstSweeps = 30;

class Prover {
 public:
  Prover(const CostNetwork& network, const ProverOptions& options)
      : network_(network), options_(options), best_(options.upper_bound), nodes_left_(options.max_nodes) {}

  ProverResult Run() {
    ProverResult result;
    std::vector<double> prices = options_.prices;
    prices.resize(network_.row_limit.size(), 0);
    result.bound = Search(network_, std::move(prices), 0, 0);
    result.choice = choice_;
    result.cost = best_;
    result.closed = result.bound == kInfinity;
    if (result.closed) result.bound = best_;
    return result;
  }

 private:
  bool Over() const { return nodes_left_ <= 0 || absl::Now() >= options_.deadline; }
  // What would have to cost at most this to matter. Costs are those of the whole network.
  double Matters() const { return options_.integral ? best_ - 1 : best_; }
  bool Closes(double bound) const { return options_.integral ? bound > best_ - 1 : bound >= best_; }

  // Bound of the choices of `network`, a part of the whole one with `offset` taken out of its costs. Infinity when none of
  // them is cheaper than the best known.
  double Search(CostNetwork network, std::vector<double> prices, double offset, int depth) {
    const size_t chain = chain_.size();
    const double bound = SearchNode(std::move(network), std::move(prices), offset, depth);
    chain_.resize(chain);
    return bound;
  }

  double SearchNode(CostNetwork network, std::vector<double> prices, double offset, int depth) {
    double known = -kInfinity;
    while (true) {
      auto made = Contraction::Make(network);
      if (!made.ok()) return kInfinity;  // forbidden values and pairs leave nothing
      chain_.push_back(std::make_unique<Contraction>(*std::move(made)));
      const Contraction& contraction = *chain_.back();
      const CostNetwork& core = contraction.core();
      offset += contraction.offset();
      if (std::any_of(core.row_limit.begin(), core.row_limit.end(), [](double slack) { return slack < 0; })) return kInfinity;
      if (core.unary.empty()) {
        Offer({});
        return kInfinity;
      }
      const FlatNetwork flat(core);
      Dual dual(flat);
      std::vector<double> own_prices;
      for (int row : contraction.rows()) own_prices.push_back(prices[static_cast<size_t>(row)]);
      dual.SetPrices(std::move(own_prices));
      for (int i = 0; i < kFirstSweeps; ++i) dual.Settle();
      known = std::max(known, dual.Bound() + offset);
      if (Closes(known)) return kInfinity;
      if (Over()) return known;
      --nodes_left_;
      const std::vector<double> share = Relax(core, flat, dual);
      known = std::max(known, dual.Bound() + offset);
      if (Closes(known)) return kInfinity;
      if (!share.empty()) Offer(Rounded(flat, share));
      if (Closes(known)) return kInfinity;

      // Values and pairs that only dearer choices have leave. When those are many, the relaxation is made again.
      int left = 0, branch = -1;
      double branch_score = 0;
      for (int v = 0; v < flat.variables(); ++v) {
        int alive = 0;
        for (int k = 0; k < flat.size[v]; ++k) alive += dual.Marginal(v, k) + offset <= Matters() ? 1 : 0;
        left += alive;
        if (alive < 2) continue;
        const double most = share.empty() ? 0 : *std::max_element(&share[flat.offset[v]], &share[flat.offset[v]] + flat.size[v]);
        const double score = 1 - most + 1e-3 / alive;
        if (score > branch_score) {
          branch_score = score;
          branch = v;
        }
      }
      network = dual.Pruned(core, Matters() - offset, true);
      prices = dual.prices();
      if (branch < 0 || left < static_cast<int>(flat.unary.size()) * 4 / 5) continue;
      if (depth >= kMostDepth) return known;
      std::vector<double>& unary = network.unary[static_cast<size_t>(branch)];
      size_t value = 0;
      for (size_t k = 0; k < unary.size(); ++k) {
        const auto better = [&](size_t x, size_t y) {
          if (unary[x] == kInfinity || unary[y] == kInfinity) return unary[x] < unary[y];
          const size_t at = flat.offset[branch];
          return share.empty() ? dual.Marginal(branch, static_cast<int>(x)) < dual.Marginal(branch, static_cast<int>(y))
                               : share[at + x] > share[at + y];
        };
        if (better(k, value)) value = k;
      }
      CostNetwork with = network;
      for (size_t k = 0; k < unary.size(); ++k) {
        if (k != value) with.unary[static_cast<size_t>(branch)][k] = kInfinity;
      }
      unary[value] = kInfinity;
      const double first = std::max(known, Search(std::move(with), prices, offset, depth + 1));
      const double second = std::max(known, Search(std::move(network), std::move(prices), offset, depth + 1));
      return std::min(first, second);
    }
  }

  void Offer(std::vector<int> choice) {
    for (auto it = chain_.rbegin(); it != chain_.rend(); ++it) choice = (*it)->Expand(choice);
    const double cost = network_.CostOf(choice);
    if (cost >= best_ || network_.ExcessOf(choice).row >= 0) return;
    best_ = cost;
    choice_ = std::move(choice);
  }

  static std::vector<int> Rounded(const FlatNetwork& flat, const std::vector<double>& share) {
    std::vector<int> choice;
    for (int v = 0; v < flat.variables(); ++v) {
      const auto begin = share.begin() + static_cast<ptrdiff_t>(flat.offset[v]);
      choice.push_back(static_cast<int>(std::max_element(begin, begin + flat.size[v]) - begin));
    }
    return choice;
  }

  // Solves the relaxation, beginning with the rows that have a price, and moves `dual` to its dual values. Returns the share of
  // each value; empty when the solver came to no end.
  std::vector<double> Relax(const CostNetwork& core, const FlatNetwork& flat, Dual& dual) const {
    double constant = 0;
    const CostNetwork left = dual.Reparametrised(core, constant);
    const std::vector<double> prices = dual.prices();
    std::vector<int> rows;
    double dearest = 0;
    for (size_t row = 0; row < prices.size(); ++row) {
      if (prices[row] > 0) rows.push_back(static_cast<int>(row));
      dearest = std::max(dearest, prices[row]);
    }
    const double range = std::max(1.0, Matters() - dual.Bound());
    const double scale = std::min(1.0, 1e6 / range);
    std::vector<double> share;
    for (int round = 0; round < 30; ++round) {
      // A breach of a hundredth of a row costs the whole range: beyond that a node is not of interest anyway.
      double breach = 10 * dearest;
      for (int row : rows) breach = std::max(breach, range / std::max(1e-2 * std::abs(core.row_limit[static_cast<size_t>(row)]), 1e-6));
      const Polytope polytope(left, prices, rows, scale, breach);
      const std::unique_ptr<Clp_Simplex, void (*)(Clp_Simplex*)> model(Clp_newModel(), &Clp_deleteModel);
      Clp_setLogLevel(model.get(), 0);
      Clp_loadProblem(model.get(), polytope.columns(), polytope.row_count(), polytope.start.data(), polytope.index.data(),
                      polytope.value.data(), polytope.column_lower.data(), polytope.column_upper.data(), polytope.objective.data(),
                      polytope.row_lower.data(), polytope.row_upper.data());
      const double seconds = absl::ToDoubleSeconds(options_.deadline - absl::Now());
      if (seconds < 1e8) Clp_setMaximumSeconds(model.get(), std::max(seconds, 0.01));
      Clp_initialDualSolve(model.get());
      if (Clp_status(model.get()) != 0) return share;
      const double* solution = Clp_primalColumnSolution(model.get());
      share.assign(solution, solution + polytope.value_columns);
      const double* duals = Clp_dualRowSolution(model.get());
      std::vector<double> moved(flat.message_entries), priced = prices;
      for (size_t i = 0; i < moved.size(); ++i) moved[i] = -duals[static_cast<size_t>(polytope.first_edge_row) + i] / scale;
      for (size_t r = 0; r < rows.size(); ++r) {
        const size_t row = static_cast<size_t>(rows[r]);
        const double unit = Polytope::RowScale(core.row_limit[row]) * scale;
        priced[row] = std::max(0.0, prices[row] - duals[static_cast<size_t>(polytope.first_memory_row) + r] / unit);
      }
      const size_t before = rows.size();
      AddBroken(core, UseOf(core, flat, share), rows, 1e-9);
      if (rows.size() == before || round == 29 || absl::Now() >= options_.deadline) {
        dual.Move(moved);
        dual.SetPrices(std::move(priced));
        return share;
      }
    }
    return share;
  }

  static std::vector<double> UseOf(const CostNetwork& core, const FlatNetwork& flat, const std::vector<double>& share) {
    std::vector<double> use(core.row_limit.size() + 1, 0);
    for (const CostNetwork::Usage& usage : core.usages) {
      double amount = 0;
      for (size_t k = 0; k < usage.amount.size(); ++k) amount += usage.amount[k] * share[flat.offset[usage.variable] + k];
      use[static_cast<size_t>(usage.first_row)] += amount;
      use[static_cast<size_t>(usage.end_row)] -= amount;
    }
    for (size_t row = 1; row < use.size(); ++row) use[row] += use[row - 1];
    use.pop_back();
    return use;
  }

  const CostNetwork& network_;
  const ProverOptions& options_;
  double best_;
  int64_t nodes_left_;
  std::vector<int> choice_;
  std::vector<std::unique_ptr<Contraction>> chain_;  // from the whole network to where the search is
};

}  // namespace

ProverResult Prove(const CostNetwork& network, const ProverOptions& options) { return Prover(network, options).Run(); }

}  // namespace omserve
