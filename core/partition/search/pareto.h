// Elimination with memory: the buckets of an Elimination walked with lists of labels (cost, use of each row) instead of one
// number per entry.
//
// A label stays when no other of its entry is as cheap and takes as little, and when the cheapest completion, priced by the
// multipliers under which the tables were made, still lies below the cutoff. What a row can still come to is known
// everywhere, so a row stops telling labels apart as soon as it cannot break any more: rows of short life cost little.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_PARETO_H_
#define OMSERVE_CORE_PARTITION_SEARCH_PARETO_H_

#include <cstdint>
#include <vector>

#include "core/base/deadline.h"
#include "core/partition/search/elimination.h"
#include "core/partition/search/network.h"

namespace omserve {

struct ParetoOptions {
  std::vector<int> rows = {};       // that are looked at, ascending; the others have no price and are left out
  std::vector<double> prices = {};  // of all rows, under which the elimination was minimised, with its outside found
  double cutoff = 0;                // only choices that cost at most this
  int64_t max_labels = 1'000'000;   // and numbers that say what they take
};

struct ParetoResult {
  bool complete = false;    // false: too many labels, or no time
  std::vector<int> choice;  // the cheapest one at or below the cutoff that keeps the rows; empty when there is none
};

ParetoResult FindByLabels(const CostNetwork& network, const Elimination& elimination, const ParetoOptions& options, const WaitLimit& limit);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_PARETO_H_
