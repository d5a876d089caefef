// Networks of low width whose memory rows bind, solved to the end: Lagrangian multipliers over exact elimination, then labels.
//
// 1. Multipliers, for many rows by message passing, for few by cutting planes (Kelley): each elimination under prices is a point of the dual function; a small linear
//    program over all points gives the next prices. Rows come in when a point breaks them. This gives the bound and, among the
//    points, choices that fit.
// 2. What is left between bound and choice is the duality gap: labels (pareto.h) find the cheapest choice below a cutoff that
//    rises from the bound until one is found, which is then the optimum for the rows looked at. Rows that it breaks join.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_ROW_ELIMINATION_H_
#define OMSERVE_CORE_PARTITION_SEARCH_ROW_ELIMINATION_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/deadline.h"
#include "core/partition/search/network.h"

namespace omserve {

struct RowEliminationOptions {
  int64_t max_table_entries = 4'000'000;
  int64_t max_labels = 5'000'000;
  bool integral = false;  // all costs are integers
  // Least cost known of a choice that keeps the rows; infinity when there is none. Read again and again.
  std::function<double()> upper_bound;
  std::function<void(const std::vector<int>&)> offer;  // takes every choice that comes up
};

struct RowEliminationResult {
  double bound = 0;     // no choice that keeps the rows is cheaper than this or, if that is less, than the upper bound
  bool closed = false;  // the upper bound is the optimum; when it is infinity, nothing keeps the rows
  int width = 0;
};

// `network` must be contracted, without forbidden values. Ends at once when its tables would be too large.
RowEliminationResult EliminateWithRows(const CostNetwork& network, const RowEliminationOptions& options, const WaitLimit& limit);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_ROW_ELIMINATION_H_
