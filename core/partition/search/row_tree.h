// RowTree: use of memory over time. Adds to a range of rows and knows the largest value, in O(log rows).
#ifndef OMSERVE_CORE_PARTITION_SEARCH_ROW_TREE_H_
#define OMSERVE_CORE_PARTITION_SEARCH_ROW_TREE_H_

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

namespace omserve {

class RowTree {
 public:
  explicit RowTree(const std::vector<double>& values) : rows_(static_cast<int>(values.size())) {
    while (leaves_ < rows_) leaves_ *= 2;
    top_.assign(static_cast<size_t>(2 * leaves_), -std::numeric_limits<double>::infinity());
    added_.assign(static_cast<size_t>(2 * leaves_), 0);
    for (int row = 0; row < rows_; ++row) top_[static_cast<size_t>(leaves_ + row)] = values[static_cast<size_t>(row)];
    for (int i = leaves_ - 1; i > 0; --i) Pull(i);
  }

  void Add(int first, int end, double amount) {
    if (first >= end || amount == 0) return;
    int left = first + leaves_, right = end + leaves_;
    const int left_leaf = left, right_leaf = right - 1;
    for (; left < right; left /= 2, right /= 2) {
      if (left % 2 == 1) Apply(left++, amount);
      if (right % 2 == 1) Apply(--right, amount);
    }
    for (int i = left_leaf / 2; i > 0; i /= 2) Pull(i);
    for (int i = right_leaf / 2; i > 0; i /= 2) Pull(i);
  }

  double Max() const { return rows_ == 0 ? -std::numeric_limits<double>::infinity() : top_[1]; }
  int ArgMax() const {
    int i = 1;
    while (i < leaves_) i = 2 * i + (top_[static_cast<size_t>(2 * i + 1)] > top_[static_cast<size_t>(2 * i)] ? 1 : 0);
    return i - leaves_;
  }

 private:
  void Apply(int i, double amount) {
    top_[static_cast<size_t>(i)] += amount;
    added_[static_cast<size_t>(i)] += amount;
  }
  void Pull(int i) {
    const size_t at = static_cast<size_t>(i);
    top_[at] = std::max(top_[2 * at], top_[2 * at + 1]) + added_[at];
  }

  int rows_;
  int leaves_ = 1;
  std::vector<double> top_;    // largest value below, with all that was added at or below
  std::vector<double> added_;  // to the whole subtree
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_ROW_TREE_H_
