#include "core/partition/search/memory_rows.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>
#include <utility>

namespace omserve {

RangeMinimum::RangeMinimum(const std::vector<double>& values) {
  level_.push_back(values);
  for (size_t step = 1; 2 * step <= values.size(); step *= 2) {
    const std::vector<double>& last = level_.back();
    std::vector<double> next(last.size() - step);
    for (size_t i = 0; i < next.size(); ++i) next[i] = std::min(last[i], last[i + step]);
    level_.push_back(std::move(next));
  }
}

double RangeMinimum::Of(int first, int end) const {
  const int level = std::bit_width(static_cast<unsigned>(end - first)) - 1;
  const std::vector<double>& values = level_[static_cast<size_t>(level)];
  return std::min(values[static_cast<size_t>(first)], values[static_cast<size_t>(end - (1 << level))]);
}

MemoryRows::MemoryRows(const std::vector<double>& limits) : slack_(limits), number_(limits.size()) {
  std::iota(number_.begin(), number_.end(), 0);
}

int MemoryRows::Add(int first, int end, std::vector<double> amount) {
  usages_.push_back({true, first, end, std::move(amount)});
  return static_cast<int>(usages_.size()) - 1;
}

void MemoryRows::Take(const Usage& usage, double amount) {
  for (int row = usage.first; amount != 0 && row < usage.end; ++row) slack_[row] -= amount;
}

void MemoryRows::Shift(std::vector<int>& usages) {
  std::sort(usages.begin(), usages.end(), [&](int x, int y) {
    return std::tuple(usages_[x].first, usages_[x].end, x) < std::tuple(usages_[y].first, usages_[y].end, y);
  });
  for (size_t i = 0, j = 1; j < usages.size(); ++j) {
    Usage& kept = usages_[usages[i]];
    Usage& gone = usages_[usages[j]];
    if (kept.first != gone.first || kept.end != gone.end) {
      i = j;
      continue;
    }
    for (size_t k = 0; k < kept.amount.size(); ++k) kept.amount[k] += gone.amount[k];
    gone.alive = false;
  }
  std::erase_if(usages, [&](int id) {
    Usage& usage = usages_[id];
    if (!usage.alive) return true;
    const auto [least, most] = std::minmax_element(usage.amount.begin(), usage.amount.end());
    const double shift = *least;
    const bool constant = shift == *most;
    Take(usage, shift);
    for (double& amount : usage.amount) amount -= shift;
    if (constant) usage.alive = false;
    return constant;
  });
}

std::vector<double> MemoryRows::Peaks() const {
  std::vector<double> peaks;
  peaks.reserve(usages_.size());
  for (const Usage& usage : usages_) {
    peaks.push_back(usage.alive ? *std::max_element(usage.amount.begin(), usage.amount.end()) : 0);
  }
  return peaks;
}

bool MemoryRows::DropLoose() {
  const size_t rows = slack_.size();
  const std::vector<double> peaks = Peaks();
  std::vector<double> most(rows + 1, 0);
  for (size_t i = 0; i < usages_.size(); ++i) {
    if (!usages_[i].alive) continue;
    most[usages_[i].first] += peaks[i];
    most[usages_[i].end] -= peaks[i];
  }
  for (size_t row = 1; row < rows; ++row) most[row] += most[row - 1];
  std::vector<int> place(rows + 1, 0);  // rows kept before each
  size_t kept = 0;
  for (size_t row = 0; row < rows; ++row) {
    place[row] = static_cast<int>(kept);
    if (most[row] <= slack_[row]) continue;
    slack_[kept] = slack_[row];
    number_[kept++] = number_[row];
  }
  place[rows] = static_cast<int>(kept);
  if (kept == rows) return false;
  slack_.resize(kept);
  number_.resize(kept);
  for (Usage& usage : usages_) {
    if (!usage.alive) continue;
    usage.first = place[usage.first];
    usage.end = place[usage.end];
    usage.alive = usage.first < usage.end;
  }
  return true;
}

std::vector<int> MemoryRows::Needed() const {
  const int rows = static_cast<int>(slack_.size());
  std::vector<int> starts(static_cast<size_t>(rows) + 1, 0), ends(static_cast<size_t>(rows) + 1, 0);
  for (const Usage& usage : usages_) {
    if (!usage.alive) continue;
    ++starts[usage.first];
    ++ends[usage.end];
  }
  for (int row = 1; row <= rows; ++row) {
    starts[row] += starts[row - 1];
    ends[row] += ends[row - 1];
  }
  std::vector<int> needed;
  for (int row = 0; row < rows; ++row) {
    bool implied = false;
    while (!needed.empty()) {
      const int last = needed.back();
      if (starts[row] == starts[last] && slack_[row] >= slack_[last]) {
        implied = true;
        break;
      }
      if (ends[row] != ends[last] || slack_[last] < slack_[row]) break;
      needed.pop_back();
    }
    if (!implied) needed.push_back(row);
  }
  return needed;
}

}  // namespace omserve
