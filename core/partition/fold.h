// Folding: repeated layers of a model are solved once.
//
// A network made of shared tables shows by their identity which variables are copies of each other. Where only
// one variable with a choice is alive (the residual stream between two halves of a layer), the network falls
// apart into segments: a segment becomes one table, "cost of its inside for each pair (what comes in, what goes
// out)", made once for all its copies by elimination; what is left is dynamic programming along a chain of such
// tables. The result is the optimum of the unfolded network.
#ifndef OMSERVE_CORE_PARTITION_FOLD_H_
#define OMSERVE_CORE_PARTITION_FOLD_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
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

// The variables where a network falls apart, ascending: no edge between two variables that both have a choice
// goes past them.
std::vector<int> CutVariables(const SharedNetwork& network);

class SolvedSegment;

// Segments that were solved, by the identity of all that they are made of, so that networks which share tables
// share segments. The tables must outlive the cache. Not thread-safe.
class SegmentCache {
 public:
  // Looks into `shared` too, which must outlive this one, but adds nothing to it: for tables that soon go.
  explicit SegmentCache(const SegmentCache* shared = nullptr) : shared_(shared) {}

  // Null when it was not added; a null segment is one that is too large to be eliminated.
  const std::shared_ptr<const SolvedSegment>* Find(const std::vector<uintptr_t>& look) const;
  void Add(std::vector<uintptr_t> look, std::shared_ptr<const SolvedSegment> segment) {
    segments_[std::move(look)] = std::move(segment);
  }

 private:
  const SegmentCache* const shared_;
  absl::flat_hash_map<std::vector<uintptr_t>, std::shared_ptr<const SolvedSegment>> segments_;
};

// A network taken apart once, to be solved with several costs. The network must outlive it. Not thread-safe.
class FoldedNetwork {
 public:
  using Unary = std::vector<const std::vector<double>*>;

  explicit FoldedNetwork(const SharedNetwork& network);
  ~FoldedNetwork();

  // As Solve on the expanded network, without memory rows. `unary`: the costs of each variable's values in place of the
  // network's own, which variables without a choice keep.
  absl::StatusOr<Solution> Solve(const Unary& unary, SegmentCache& cache, const SolveOptions& options = {},
                                 const WaitLimit& limit = {});
  const std::vector<int>& cuts() const;

 private:
  class Chain;
  const std::unique_ptr<Chain> chain_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_FOLD_H_
