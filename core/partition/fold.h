// Folding: repeated layers of a model are solved once.
//
// A network made of shared tables shows by their identity which variables are copies of each other. In a run
// of equal blocks that hang together by one variable each (the residual stream), a block becomes one table,
// "cost of its inside for each pair (what comes in, what goes out)", made once by elimination; what is left
// to search is a chain of such tables. The result is the optimum of the unfolded network.
#ifndef OMSERVE_CORE_PARTITION_FOLD_H_
#define OMSERVE_CORE_PARTITION_FOLD_H_

#include <vector>

#include "absl/status/statusor.h"
#include "core/base/deadline.h"
#include "core/partition/search/solve.h"

namespace omserve {

// A cost network whose tables are borrowed: equal pointers are equal tables. Variables in topological order.
struct SharedNetwork {
  struct Edge {
    int a = 0;
    int b = 0;  // > a
    const std::vector<double>* cost = nullptr;
  };
  std::vector<const std::vector<double>*> unary;
  std::vector<Edge> edges;

  CostNetwork Expand() const;
};

// Equal blocks in a row: block k holds the variables [begin + k * period, begin + (k + 1) * period). Readers
// outside a block read only the variable at `exit` in it, those of the next block at the same places for
// every block.
struct RepeatedRun {
  int begin = 0;
  int period = 0;
  int blocks = 0;
  int exit = 0;   // of a block, counted from its begin
  int entry = 0;  // the variable the first block reads: begin + exit - period
};

// Disjoint runs in ascending order. Each saves at least two blocks.
std::vector<RepeatedRun> FindRepeatedRuns(const SharedNetwork& network);

// As Solve on the expanded network, without memory rows. `runs`: of FindRepeatedRuns on a network of the same
// form.
absl::StatusOr<Solution> SolveFolded(const SharedNetwork& network, const std::vector<RepeatedRun>& runs,
                                     const SolveOptions& options = {}, const WaitLimit& limit = {});

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_FOLD_H_
