// MemoryRows: the rows of a network while it is contracted: what is left of each limit, and what the values of the
// variables still take of it.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_MEMORY_ROWS_H_
#define OMSERVE_CORE_PARTITION_SEARCH_MEMORY_ROWS_H_

#include <vector>

#include "core/partition/search/network.h"

namespace omserve {

// The least of values[first, end), in constant time.
class RangeMinimum {
 public:
  explicit RangeMinimum(const std::vector<double>& values);
  double Of(int first, int end) const;

 private:
  std::vector<std::vector<double>> level_;  // minima of runs of 1, 2, 4 …
};

class MemoryRows {
 public:
  // What one variable takes of the rows [first, end), for each of its values.
  struct Usage {
    bool alive = true;
    int first = 0, end = 0;
    std::vector<double> amount;
  };

  explicit MemoryRows(const std::vector<double>& limits);

  int Add(int first, int end, std::vector<double> amount);  // the usage's number
  Usage& operator[](int usage) { return usages_[usage]; }
  const Usage& operator[](int usage) const { return usages_[usage]; }
  bool empty() const { return slack_.empty(); }
  const std::vector<double>& slack() const { return slack_; }
  int number(int row) const { return number_[row]; }  // in the network

  // The variable of this usage has but one value left: it takes `amount`, whatever the others do.
  void Take(const Usage& usage, double amount);
  // Usages of one variable keep only what exceeds the smallest of them; usages over the same rows become one, constant ones leave.
  void Shift(std::vector<int>& usages);
  // The most that each usage takes.
  std::vector<double> Peaks() const;
  // Drops rows that cannot bind, and the parts of usages that lie on them. False when there are none; otherwise usages
  // of which nothing is left are no longer alive.
  bool DropLoose();
  // Rows that are not implied by a neighbour in time: what is alive there is alive here too, and this one is no looser.
  std::vector<int> Needed() const;

 private:
  std::vector<Usage> usages_;
  std::vector<double> slack_;  // per row: limit less what is used whatever is chosen
  std::vector<int> number_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_MEMORY_ROWS_H_
