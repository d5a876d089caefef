// A lower bound of a network by message passing, with multipliers on its memory rows.
//
// Sequential tree-reweighted message passing in the form of SRMP (Kolmogorov 2014): each edge holds what its ends have moved into
// it; a pass collects at every variable from the edges behind and spreads over the edges ahead. Bound(): sum of all local
// minima, valid at any moment whatever the messages and multipliers (>= 0) are; each sweep raises it. The multipliers
// follow the subgradient of the labelling a pass decodes. One thread at a time.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_DUAL_H_
#define OMSERVE_CORE_PARTITION_SEARCH_DUAL_H_

#include <cstdint>
#include <vector>

#include "core/partition/search/flat.h"

namespace omserve {

class Dual {
 public:
  explicit Dual(const FlatNetwork& network);

  // One forward and one backward pass; decodes a labelling and moves the multipliers towards `upper_bound`.
  void Sweep(double upper_bound);
  // As Sweep, but the multipliers stay.
  void Settle();
  // The bound of the current messages, less all that rounding can have added. Also refreshes Marginal().
  double Bound();
  double best_bound() const { return best_bound_; }
  const std::vector<double>& best_prices() const { return best_prices_; }
  // After Bound(): no choice that gives `v` its value `k` and keeps the rows is cheaper.
  double Marginal(int v, int k) const { return marginal_[network_.offset[v] + static_cast<size_t>(k)]; }

  // After Bound(): the network the dual was made of, without the values and pairs that only choices dearer than
  // `upper_bound` have. `pairs` says whether pairs are looked at too.
  CostNetwork Pruned(const CostNetwork& network, double upper_bound, bool pairs) const;
  // The same network with what the messages have moved, prices of memory included, all costs >= 0: for every choice
  // cost(network) = cost(result) + constant + sum of price * (slack - use) over the rows.
  CostNetwork Reparametrised(const CostNetwork& network, double& constant) const;
  // True when the bound has stopped rising.
  bool settled() const { return step_ < 1e-4; }

  const std::vector<int>& labelling() const { return labelling_; }
  const std::vector<double>& prices() const { return prices_; }
  void SetPrices(std::vector<double> prices);
  // Adds to the messages: per end of each edge in turn, as in FlatNetwork.
  void Move(const std::vector<double>& more);
  int64_t sweeps() const { return sweeps_; }
  // Table entries read so far: a measure of work that does not depend on the machine.
  int64_t work() const { return work_; }

 private:
  void Pass(bool forward);
  void Gather(int v, double* sum) const;
  void Reprice();
  void MovePrices(double upper_bound);

  const FlatNetwork& network_;
  std::vector<double> priced_;   // unary costs + price of the memory taken
  std::vector<double> message_, best_message_;  // per end of an edge: what the variable has moved into it
  std::vector<double> prices_, best_prices_, direction_;
  std::vector<double> marginal_;
  std::vector<int> labelling_;
  std::vector<int> behind_, ahead_;  // neighbours before and after each variable in the order of the network
  double current_bound_ = 0, best_bound_;
  double margin_ = 0;  // what rounding can have added to the last bound
  double step_ = 0.01;  // of the bound: how far above it the prices aim
  int stale_ = 0;
  int64_t sweeps_ = 0, work_ = 0;
  std::vector<double> sum_, incoming_, conditional_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_DUAL_H_
