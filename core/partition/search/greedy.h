// A first choice in little time: what a search that has no time left, or nothing better, begins or ends with.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_GREEDY_H_
#define OMSERVE_CORE_PARTITION_SEARCH_GREEDY_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "core/partition/search/flat.h"

namespace omserve {

// Gives each variable in turn the value that is cheapest next to those that have one, the others at their best, and with the
// price of the memory it takes; forbidden values and pairs only where nothing else is left. Reads every table once, and
// again, a dozen times at most, with dearer rows where the last choice was above their limit.
struct PricedChoice {
  std::vector<int> choice;
  std::vector<double> prices;  // of the rows, under which it was made
};
PricedChoice GreedyChoice(const FlatNetwork& network);

// Mends `start` by block moves under its prices until it has no forbidden pair and keeps the rows, or `work` table entries were read, or
// `stop` says so; then a pass of moves for the cost. What it returns may still break either. Deterministic.
std::vector<int> Mend(const FlatNetwork& network, const PricedChoice& start, int64_t work, const std::function<bool()>& stop);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_GREEDY_H_
