// The open-ended part of level O2: rounds of message passing and block moves on ever smaller cores.
//
// A round is a fixed amount of work, done by the dual on one thread and by block moves on the other; between rounds they
// exchange prices, labellings and the upper bound, and the core loses what the bound rules out. Because rounds are counted in
// table entries and not in seconds, a run that is not cut off by the clock gives the same answer every time.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_ANYTIME_H_
#define OMSERVE_CORE_PARTITION_SEARCH_ANYTIME_H_

#include <vector>

#include "absl/status/status.h"
#include "core/base/deadline.h"
#include "core/partition/search/contract.h"
#include "core/partition/search/network.h"
#include "core/partition/search/solve.h"

namespace omserve {

// What is known so far about the network itself. Updated in place by every engine.
struct Incumbent {
  bool has_choice = false;  // some choice, feasible or not
  bool feasible = false;
  std::vector<int> choice;
  double cost = 0;
  CostNetwork::Excess excess;
  double lower_bound = 0;
  bool proven = false;
  bool integral = false;  // all costs are integers: bounds may be rounded up

  // Takes `candidate` if it is better: feasible first, then cheaper; among those that do not fit, by excess.
  bool Offer(const CostNetwork& network, const std::vector<int>& candidate);
  void RaiseBound(double bound);
};

// Improves `best` until it is proven, `limit` ends or `settled` work brings nothing. Names the engine that ended it.
std::string SearchAnytime(const CostNetwork& network, const Contraction& contraction, const SolveOptions& options,
                          const WaitLimit& limit, Incumbent& best, SearchStatistics& statistics);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_ANYTIME_H_
