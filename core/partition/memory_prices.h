// MemoryPrices: the fastest choice whose bytes keep limits, by Lagrangian multipliers.
//
// A price on bytes leaves the form of a network as it is, so every trial is folded like the network without
// limits. Between the best choices below and above a price where the choice flips, choices that change over at
// one of the cut variables fill the gap. What is then left between choice and bound is told.
#ifndef OMSERVE_CORE_PARTITION_MEMORY_PRICES_H_
#define OMSERVE_CORE_PARTITION_MEMORY_PRICES_H_

#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "core/partition/fold.h"

namespace omserve {

struct LimitedNetwork {
  SharedNetwork network;
  // Per variable: what each of its values takes, and of which limit.
  std::vector<const std::vector<double>*> bytes;
  std::vector<int> group;
  // Where values of a variable differ in their own cost and bytes alone: a network in which they are one value, and the
  // value there behind each one here; null for variables that are the same. Edges are then those of the base alone.
  const SharedNetwork* base = nullptr;
  std::vector<const std::vector<int>*> of_base;
};

// Not thread-safe. All given must outlive it.
class MemoryPrices {
 public:
  // Without a cache nothing is folded.
  // `base`: prices of the problem's base network, to take it apart once for both.
  MemoryPrices(const LimitedNetwork& problem, SegmentCache* cache, const SolveOptions& options,
               const MemoryPrices* base = nullptr);

  // `limits` per group, infinity for none. The bound holds for all choices that keep `loosest`, limits not below
  // those. Not feasible: the choice nearest to the limits that was found, with an infinite bound when it is proven
  // that there is none. The search ends early, maybe without a feasible choice, once no choice can be below
  // `cutoff`. May be called again with other limits: what was tried is remembered. `price`: one to begin with, of
  // a similar network, or 0; then that where it ended.
  absl::StatusOr<Solution> Within(const std::vector<double>& limits, const std::vector<double>& loosest,
                                  double cutoff, double* price, const WaitLimit& limit);
  // Whether the cheapest choice of all is within the limits.
  absl::StatusOr<bool> FreeFits(const std::vector<double>& limits, const WaitLimit& limit);
  // Tells the best choice without limits, when it is known; of how many groups.
  void KnowFree(const Solution& solution, size_t groups);
  // That choice, or null while it is not known.
  const Solution* free() const { return trials_.empty() ? nullptr : &trials_.begin()->second.solution; }

 private:
  // The best choice at some prices.
  struct Trial {
    Solution solution;          // its cost is that without prices
    std::vector<double> bytes;  // per group
    double value = 0;           // no choice costs less with the prices
  };
  // One call of Within.
  struct Progress;
  // Variables with the same costs and bytes.
  struct Kind {
    const std::vector<double>* unary = nullptr;
    const std::vector<double>* bytes = nullptr;
    const std::vector<int>* of_base = nullptr;
    bool varies = false;  // bytes that no choice changes need no price
  };

  // A kind at a price: what the values of the network that is folded cost, and the value here for each of them.
  struct Priced {
    std::vector<double> costs;
    std::vector<int> values;  // empty: the same
  };
  static Priced AtPrice(const Kind& kind, double price);

  absl::StatusOr<const Trial*> Try(const std::vector<double>& price, const WaitLimit& limit);
  absl::Status WalkHull(const std::vector<size_t>& limited, Progress* progress, const WaitLimit& limit);
  absl::Status Bisect(Progress* progress, const WaitLimit& limit);
  // Choices that take `first` up to a cut variable and `second` from there on.
  void ChangeOver(const Solution& first, const Solution& second, Progress* progress) const;
  std::vector<double> Used(const std::vector<int>& choice, size_t groups) const;

  const LimitedNetwork& problem_;
  SegmentCache* const cache_;
  const SolveOptions& options_;
  const std::shared_ptr<FoldedNetwork> folded_;
  std::vector<Kind> kinds_;
  std::vector<int> kind_;  // of each variable
  std::vector<int> lean_;  // the choice that takes the fewest bytes
  std::map<std::vector<double>, Trial> trials_;  // by price; the first is without
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_MEMORY_PRICES_H_
