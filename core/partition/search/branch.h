// Depth-first branch and bound for small cores, memory rows included.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_BRANCH_H_
#define OMSERVE_CORE_PARTITION_SEARCH_BRANCH_H_

#include <cstdint>
#include <vector>

#include "core/base/deadline.h"
#include "core/partition/search/flat.h"

namespace omserve {

struct BranchResult {
  bool proven = false;      // searched to the end: `choice` is the optimum, or without one nothing fits
  std::vector<int> choice;  // empty when none cheaper than the upper bound was found
  double cost = 0;
};

// Looks for the cheapest choice that keeps the rows and costs less than `upper_bound`, through at most `max_nodes`
// partial choices and until `limit`. Bound of a partial choice: what is decided, and for each open variable its cheapest
// value given that. Networks of thousands of variables are left alone: it would get nowhere in them.
BranchResult BranchAndBound(const FlatNetwork& network, double upper_bound, int64_t max_nodes, const WaitLimit& limit);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_BRANCH_H_
