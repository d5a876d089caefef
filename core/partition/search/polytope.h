// The linear program of a network, in the form that makes its relaxation tight (the local polytope):
//
//   s[i,p] in [0,1]; e[ij,pq] >= 0; sum_p s[i,p] = 1; sum_q e[ij,pq] = s[i,p]; sum_p e[ij,pq] = s[j,q]
//
// and one row per memory row of `rows`. Forbidden pairs have no column. With prices, it is what Dual::Reparametrised has left:
// the cost and, for every row, its price times what the row leaves free.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_POLYTOPE_H_
#define OMSERVE_CORE_PARTITION_SEARCH_POLYTOPE_H_

#include <vector>

#include "core/partition/search/network.h"

namespace omserve {

// Columns in compressed form: the values of all variables, then pairs, then what rows leave free or lack.
struct Polytope {
  // Costs are multiplied by `scale`. `breach` > 0: a memory row may be broken at that price (before scaling) per unit.
  Polytope(const CostNetwork& network, const std::vector<double>& prices, const std::vector<int>& rows, double scale,
           double breach = 0);

  int columns() const { return static_cast<int>(objective.size()); }
  int row_count() const { return static_cast<int>(row_lower.size()); }
  // Memory rows are divided by this, so that their numbers are of the size of the others'.
  static double RowScale(double limit);

  std::vector<int> start = {0}, index;
  std::vector<double> value, objective, column_lower, column_upper, row_lower, row_upper;
  std::vector<int> first_column;  // per variable
  int value_columns = 0;
  int first_edge_row = 0;    // of both ends of each edge in turn, as messages lie in a FlatNetwork
  int first_memory_row = 0;

 private:
  void Put(int row, double coefficient) {
    index.push_back(row);
    value.push_back(coefficient);
  }
  void EndColumn(double cost) {
    objective.push_back(cost);
    start.push_back(static_cast<int>(index.size()));
  }
};

// Adds to `rows`, in ascending order, the fullest row of each stretch of rows that `use` breaks by more than `tolerance` times
// the limit.
void AddBroken(const CostNetwork& network, const std::vector<double>& use, std::vector<int>& rows, double tolerance = 0);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_POLYTOPE_H_
