// Contraction: makes a network smaller without losing its optimum, and undoes it.
//
// Parallel edges are merged; values without a partner and dominated values leave; variables with one value fold into
// their neighbours; a variable that is a function of another (one finite entry per row of their edge) is merged into it;
// variables of degree 0, 1 and 2 that take no memory are eliminated; edges that are sums of their ends move into
// them; memory rows that cannot bind, or are implied by the row beside them, are dropped. Repeated until nothing changes.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_CONTRACT_H_
#define OMSERVE_CORE_PARTITION_SEARCH_CONTRACT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "core/base/deadline.h"
#include "core/partition/search/network.h"

namespace omserve {

class Contraction {
 public:
  // `network` must be valid. FAILED_PRECONDITION when forbidden values and pairs leave no choice; the cause, when `limit`
  // is cancelled. At its deadline contraction stops where it is: what has been done so far holds, complete() is false.
  // Values and pairs that break a memory row whatever the others take are forbidden too, unless `forbid` is false: then
  // FAILED_PRECONDITION says nothing of memory.
  static absl::StatusOr<Contraction> Make(const CostNetwork& network, const WaitLimit& limit = {}, bool forbid = true);

  // What is left. Its optimum + offset() is the optimum of the network. May have no variables.
  const CostNetwork& core() const { return core_; }
  double offset() const { return offset_; }
  // Whether values or pairs were forbidden because no choice with them keeps the memory rows.
  bool forbids_by_memory() const { return forbids_by_memory_; }
  // When not, the core may have parallel edges and values without a partner.
  bool complete() const { return complete_; }
  // The best choice of the whole network that agrees with `core_choice`.
  std::vector<int> Expand(const std::vector<int>& core_choice) const;
  // The core's part of `choice`: dominated values are replaced by what dominates them (never worse), other values that have
  // left by the cheapest of the same variable.
  std::vector<int> Restrict(const std::vector<int>& choice) const;
  // Row of the network that each row of the core was.
  const std::vector<int>& rows() const { return rows_; }

 private:
  friend class Contractor;
  // `variable` = value[choice of parent 0][choice of parent 1], in values of the network.
  struct Step {
    int variable = 0;
    int parent[2] = {-1, -1};
    int stride = 1;  // domain size of parent 1
    std::vector<int> value;
  };

  CostNetwork core_;
  double offset_ = 0;
  bool complete_ = true;
  bool forbids_by_memory_ = false;
  int variables_ = 0;
  std::vector<int> variable_;             // per core variable: its number in the network
  std::vector<std::vector<int>> values_;  // per core variable: value of the network per value of the core
  std::vector<std::vector<int>> better_;  // per core variable: dominating value per value of the network, or -1
  std::vector<int> rows_;
  std::vector<Step> steps_;  // to be undone from the last to the first
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_CONTRACT_H_
