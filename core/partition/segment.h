// SolvedSegment: a small cost network of which all but two variables are eliminated.
#ifndef OMSERVE_CORE_PARTITION_SEGMENT_H_
#define OMSERVE_CORE_PARTITION_SEGMENT_H_

#include <optional>
#include <vector>

namespace omserve {

// A table over some variables, row-major over them in the order of `scope`.
struct CostFactor {
  std::vector<int> scope;
  std::vector<double> table;
};

class SolvedSegment {
 public:
  // All variables of these sizes but the last two, in an order of elimination that keeps every table small; `scopes`:
  // between which there are costs. Nothing when there is none.
  static std::optional<std::vector<int>> Order(const std::vector<int>& sizes,
                                               const std::vector<std::vector<int>>& scopes);

  // Variables 0 … n-1 of `sizes`, of which the last two stay: what comes in, then what goes out.
  SolvedSegment(std::vector<int> sizes, std::vector<CostFactor> factors, const std::vector<int>& order);

  // Least cost of the inside for each pair of values of the last two, row-major.
  const std::vector<double>& table() const { return table_; }
  int entry_size() const { return sizes_[sizes_.size() - 2]; }
  int exit_size() const { return sizes_.back(); }
  // Values of all variables, given those of the last two.
  std::vector<int> Decode(int entry_value, int exit_value) const;

 private:
  // An eliminated variable: its cost is the sum of the factors, each with the variable first.
  struct Eliminated {
    int variable = 0;
    std::vector<CostFactor> factors;
  };

  void Add(CostFactor factor);
  void EliminateOne(int v);

  const std::vector<int> sizes_;
  std::vector<CostFactor> factors_;  // ascending scopes, each scope once
  std::vector<Eliminated> trail_;
  std::vector<double> table_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEGMENT_H_
