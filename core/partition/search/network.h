// CostNetwork: the problem every search solves. Variables with finite domains, a cost per value, a cost per pair of values
// on edges, and memory rows: moments at which the usages of the chosen values, summed over what is alive, have a limit.
//
// It knows nothing of graphs, meshes or devices. Infinity forbids a value or a pair: such pairs are left out of every
// computation, never added up. Costs and usages should be integers (nanoseconds, bytes): sums below 2^53 are then
// exact, and all engines agree to the last unit.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_NETWORK_H_
#define OMSERVE_CORE_PARTITION_SEARCH_NETWORK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace omserve {

struct CostNetwork {
  struct Edge {
    int a = 0;
    int b = 0;
    std::vector<double> cost;  // [value of a][value of b], row-major
  };
  // While rows [first_row, end_row) last, `variable` takes amount[its value] of their limits. A variable may have several.
  struct Usage {
    int variable = 0;
    int first_row = 0;
    int end_row = 0;
    std::vector<double> amount;  // per value, finite and not negative
  };

  std::vector<std::vector<double>> unary;  // per variable, per value; a domain has at least one value
  std::vector<Edge> edges;                 // parallel edges add up
  std::vector<Usage> usages = {};
  std::vector<double> row_limit = {};  // one per memory row; rows in the order of time make usages short lists

  double CostOf(const std::vector<int>& choice) const;
  // Sum of the usages of `choice` at each row.
  std::vector<double> RowUse(const std::vector<int>& choice) const;
  // The largest use over its limit and the row where that is; {0, -1} when all rows hold.
  struct Excess {
    double amount = 0;
    int row = -1;
  };
  Excess ExcessOf(const std::vector<int>& choice) const;
  // INVALID_ARGUMENT naming the first variable, edge, usage or row that is malformed.
  absl::Status Validate() const;
};

struct SearchStatistics {
  int variables = 0;            // of the network given
  int64_t edge_entries = 0;     // sum of the sizes of its edge tables
  int core_variables = 0;       // left after contraction
  int core_edges = 0;
  int64_t core_edge_entries = 0;
  int core_rows = 0;            // memory rows that can bind
  int width = 0;                // of the elimination order of the core: most neighbours when eliminated
  int64_t sweeps = 0;           // of message passing
  int64_t moves = 0;            // block moves tried
  double seconds = 0;
};

struct Solution {
  std::vector<int> choice;  // value of each variable
  double cost = 0;
  double lower_bound = 0;  // no choice that keeps the memory rows is cheaper than this
  bool exact = false;      // cost is the optimum (to a billionth when costs are not integers); with feasible == false: it is proven that no choice fits
  bool feasible = true;    // the memory rows hold. When not, `choice` is the nearest found and `excess` what is missing
  CostNetwork::Excess excess = {};
  std::string engine = {};  // what found and proved it, e.g. "contraction+elimination"
  SearchStatistics statistics = {};

  // (cost - bound) / cost; 0 when proven.
  double Gap() const { return exact || cost <= lower_bound ? 0 : (cost - lower_bound) / (cost > 0 ? cost : 1); }
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_NETWORK_H_
