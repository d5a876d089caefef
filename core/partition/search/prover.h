// Proves that nothing is cheaper than a known choice: branch and bound over linear relaxations, none of which is believed.
//
// Clp solves the relaxation of a node; its dual values become messages and prices of a Dual, whose bound holds whatever they
// are and is rounded safely. What that leaves open is split. So a proof does not depend on any solver's tolerances.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_PROVER_H_
#define OMSERVE_CORE_PARTITION_SEARCH_PROVER_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "core/partition/search/network.h"

namespace omserve {

struct ProverOptions {
  double upper_bound = 0;            // finite: choices that are not cheaper do not matter
  bool integral = false;             // all costs are integers
  std::vector<double> prices = {};   // of the rows, to begin with; empty for none
  int64_t max_nodes = 1;             // relaxations; 1 is the root alone
  absl::Time deadline = absl::InfiniteFuture();
};

struct ProverResult {
  double bound = 0;         // no choice that keeps the rows is cheaper than this or, if that is less, the upper bound
  std::vector<int> choice;  // cheaper than the upper bound, keeps the rows; empty when none was found
  double cost = 0;          // of `choice`, or the upper bound
  bool closed = false;      // `bound` is the cost: the optimum is `choice`, or what the upper bound came from
};

ProverResult Prove(const CostNetwork& network, const ProverOptions& options);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_PROVER_H_
