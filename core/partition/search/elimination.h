// Exact minimisation of a pairwise cost network by variable elimination: dynamic programming over the graph.
//
// Forward model graphs have small treewidth, so eliminating variables in the order of table size (R0, R1, R2 reductions, then
// higher ones while tables stay small) solves them exactly in linear time. Memory rows are not looked at here: multipliers
// come in as changed unary costs, and pareto.h walks the same buckets with lists of labels.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_ELIMINATION_H_
#define OMSERVE_CORE_PARTITION_SEARCH_ELIMINATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/deadline.h"
#include "core/partition/search/network.h"

namespace omserve {

// The order of elimination and its tables. `network` must outlive it and be valid. One thread.
class Elimination {
 public:
  // Where an entry of a smaller table lies: the sum of stride * digit over the scope, then the variable itself.
  struct Part {
    int id = 0;  // of the edge, or of the child bucket
    std::vector<size_t> stride;
  };
  // A variable with all that is decided together with it. Entry = its scope's values, row-major in scope order.
  struct Bucket {
    int variable = -1;        // -1: the last bucket, which joins what does not hang together
    std::vector<int> scope;   // variables eliminated later, in ascending order
    size_t entries = 1;       // of the scope
    size_t values = 1;        // of the variable
    int parent = -1;
    std::vector<Part> edges;     // into an edge's cost
    std::vector<Part> children;  // into a child's `least`
    // Filled by Minimise.
    std::vector<double> joint;  // [entry][value]: cheapest of this bucket and all below it
    std::vector<double> least;  // [entry]: the minimum over the value
    // Filled by FindOutside.
    std::vector<double> outside;  // [entry]: cheapest of all that is not below
  };

  // RESOURCE_EXHAUSTED when the tables would have more than `max_entries` entries in all; the cause of `limit`.
  static absl::StatusOr<Elimination> Plan(const CostNetwork& network, int64_t max_entries, const WaitLimit& limit = {});

  // The least of unary + edges; infinity when every choice is forbidden. With the network's own unary costs it is the optimum.
  double Minimise(const std::vector<std::vector<double>>& unary);
  // The choice that costs that.
  std::vector<int> Choice() const;
  void FindOutside();

  const std::vector<Bucket>& buckets() const { return buckets_; }  // children before parents
  int domain(int variable) const { return domain_[static_cast<size_t>(variable)]; }
  int width() const { return width_; }

  // Calls visit(entry, place of the entry's first value in the part) for each entry of the bucket.
  template <typename Visit>
  void Walk(const Bucket& bucket, const Part& part, Visit visit) const {
    std::vector<int> digit(bucket.scope.size(), 0);
    size_t place = 0;
    for (size_t entry = 0; entry < bucket.entries; ++entry) {
      visit(entry, place);
      for (size_t i = bucket.scope.size(); i-- > 0;) {
        place += part.stride[i];
        if (++digit[i] < domain(bucket.scope[i])) break;
        place -= part.stride[i] * static_cast<size_t>(domain(bucket.scope[i]));
        digit[i] = 0;
      }
    }
  }

 private:
  explicit Elimination(const CostNetwork& network) : network_(&network) {}
  // Strides of a table over `scope` (row-major) as seen from the bucket.
  Part PartOf(const Bucket& bucket, int id, const std::vector<int>& scope) const;

  const CostNetwork* network_;
  std::vector<int> domain_;
  std::vector<Bucket> buckets_;
  int width_ = 0;
};

// INVALID_ARGUMENT for a malformed network; FAILED_PRECONDITION when every choice costs infinity; as Plan. Deterministic.
absl::StatusOr<Solution> SolveByElimination(const CostNetwork& network, int64_t max_entries = 20'000'000, const WaitLimit& limit = {});

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_ELIMINATION_H_
