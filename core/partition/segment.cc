#include "core/partition/segment.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Of one step of an elimination: values tried for each entry of the table it makes.
constexpr double kMostWork = 4e7;

bool Contains(const std::vector<int>& scope, int v) {
  return std::find(scope.begin(), scope.end(), v) != scope.end();
}

// Union of the scopes that hold v, without v, ascending.
template <typename Scopes>
std::vector<int> Around(const Scopes& scopes, int v) {
  std::vector<int> around;
  for (const std::vector<int>& scope : scopes) {
    if (!Contains(scope, v)) continue;
    for (int u : scope) {
      if (u != v) around.push_back(u);
    }
  }
  std::sort(around.begin(), around.end());
  around.erase(std::unique(around.begin(), around.end()), around.end());
  return around;
}

std::vector<std::vector<int>> ScopesOf(const std::vector<CostFactor>& factors) {
  std::vector<std::vector<int>> scopes;
  for (const CostFactor& factor : factors) scopes.push_back(factor.scope);
  return scopes;
}

}  // namespace

// Greedily: next the one whose table is smallest.
std::optional<std::vector<int>> SolvedSegment::Order(const std::vector<int>& sizes,
                                                     const std::vector<std::vector<int>>& scopes) {
  const int inside = static_cast<int>(sizes.size()) - 2;
  std::vector<std::vector<int>> left = scopes;
  std::vector<int> order;
  std::vector<double> work(static_cast<size_t>(inside), 0);
  auto measure = [&](int v) {
    double product = sizes[static_cast<size_t>(v)];
    for (int u : Around(left, v)) product *= sizes[static_cast<size_t>(u)];
    work[static_cast<size_t>(v)] = product;
  };
  for (int v = 0; v < inside; ++v) measure(v);
  for (int step = 0; step < inside; ++step) {
    const int best = static_cast<int>(std::min_element(work.begin(), work.end()) - work.begin());
    if (work[static_cast<size_t>(best)] > kMostWork) return std::nullopt;
    order.push_back(best);
    std::vector<int> around = Around(left, best);
    left.erase(std::remove_if(left.begin(), left.end(), [&](const auto& scope) { return Contains(scope, best); }),
               left.end());
    work[static_cast<size_t>(best)] = kInfinity;
    left.push_back(around);
    for (int u : around) {
      if (u < inside) measure(u);
    }
  }
  return order;
}

SolvedSegment::SolvedSegment(std::vector<int> sizes, std::vector<CostFactor> factors, const std::vector<int>& order)
    : sizes_(std::move(sizes)) {
  for (CostFactor& factor : factors) Add(std::move(factor));
  for (int v : order) EliminateOne(v);
  const int entry = static_cast<int>(sizes_.size()) - 2;
  const size_t columns = static_cast<size_t>(exit_size());
  table_.assign(static_cast<size_t>(entry_size()) * columns, 0);
  for (const CostFactor& factor : factors_) {
    for (size_t i = 0; i < table_.size(); ++i) {
      size_t index = 0;
      for (int v : factor.scope)
        index =
            index * static_cast<size_t>(sizes_[static_cast<size_t>(v)]) + (v == entry ? i / columns : i % columns);
      table_[i] += factor.table[index];
    }
  }
  factors_.clear();
}

void SolvedSegment::Add(CostFactor factor) {
  if (factor.scope.size() == 2 && factor.scope[0] > factor.scope[1]) {
    const size_t rows = static_cast<size_t>(sizes_[static_cast<size_t>(factor.scope[0])]),
                 columns = static_cast<size_t>(sizes_[static_cast<size_t>(factor.scope[1])]);
    std::vector<double> turned(factor.table.size());
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < columns; ++j) turned[j * rows + i] = factor.table[i * columns + j];
    }
    std::swap(factor.scope[0], factor.scope[1]);
    factor.table = std::move(turned);
  }
  for (CostFactor& other : factors_) {
    if (other.scope != factor.scope) continue;
    for (size_t i = 0; i < factor.table.size(); ++i) other.table[i] += factor.table[i];
    return;
  }
  factors_.push_back(std::move(factor));
}

void SolvedSegment::EliminateOne(int v) {
  std::vector<CostFactor> mine;
  for (size_t f = 0; f < factors_.size();) {
    if (!Contains(factors_[f].scope, v)) {
      ++f;
      continue;
    }
    mine.push_back(std::move(factors_[f]));
    factors_.erase(factors_.begin() + static_cast<std::ptrdiff_t>(f));
  }
  const std::vector<int> scope = Around(ScopesOf(mine), v);
  const size_t values = static_cast<size_t>(sizes_[static_cast<size_t>(v)]);
  // v first, so that the last variable of the result, where a factor has it, is contiguous.
  for (CostFactor& factor : mine) {
    const auto place = std::find(factor.scope.begin(), factor.scope.end(), v);
    const size_t at = static_cast<size_t>(place - factor.scope.begin());
    size_t before = 1, after = 1;
    for (size_t i = 0; i < factor.scope.size(); ++i) {
      if (i < at) before *= static_cast<size_t>(sizes_[static_cast<size_t>(factor.scope[i])]);
      if (i > at) after *= static_cast<size_t>(sizes_[static_cast<size_t>(factor.scope[i])]);
    }
    if (before > 1) {
      std::vector<double> turned(factor.table.size());
      for (size_t b = 0; b < before; ++b) {
        for (size_t k = 0; k < values; ++k) {
          std::copy_n(factor.table.begin() + static_cast<std::ptrdiff_t>((b * values + k) * after), after,
                      turned.begin() + static_cast<std::ptrdiff_t>((k * before + b) * after));
        }
      }
      factor.table = std::move(turned);
    }
    factor.scope.erase(factor.scope.begin() + static_cast<std::ptrdiff_t>(at));
    factor.scope.insert(factor.scope.begin(), v);
  }

  const size_t columns = scope.empty() ? 1 : static_cast<size_t>(sizes_[static_cast<size_t>(scope.back())]);
  size_t rows = 1;
  for (size_t d = 0; d + 1 < scope.size(); ++d) rows *= static_cast<size_t>(sizes_[static_cast<size_t>(scope[d])]);
  // Per factor: how far apart the values of v lie, how far the next of each other variable of the result but
  // the last, and whether it has the last.
  std::vector<size_t> v_step(mine.size());
  std::vector<std::vector<size_t>> steps(mine.size(), std::vector<size_t>(scope.size(), 0));
  std::vector<size_t> wide, narrow;
  for (size_t f = 0; f < mine.size(); ++f) {
    size_t step = 1;
    for (size_t i = mine[f].scope.size(); i-- > 1;) {
      const int u = mine[f].scope[i];
      steps[f][static_cast<size_t>(std::lower_bound(scope.begin(), scope.end(), u) - scope.begin())] = step;
      step *= static_cast<size_t>(sizes_[static_cast<size_t>(u)]);
    }
    v_step[f] = step;
    (!scope.empty() && Contains(mine[f].scope, scope.back()) ? wide : narrow).push_back(f);
  }
  CostFactor result{scope, std::vector<double>(rows * columns, kInfinity)};
  std::vector<size_t> digit(scope.size(), 0), base(mine.size(), 0);
  std::vector<double> line(columns);
  for (size_t row = 0; row < rows; ++row) {
    double* least = result.table.data() + row * columns;
    for (size_t k = 0; k < values; ++k) {
      double same = 0;
      for (size_t f : narrow) same += mine[f].table[base[f] + k * v_step[f]];
      if (same == kInfinity) continue;
      const double* last = nullptr;
      for (size_t w = 0; w < wide.size(); ++w) {
        const double* from = mine[wide[w]].table.data() + base[wide[w]] + k * v_step[wide[w]];
        if (w + 1 == wide.size()) {
          last = from;
        } else if (w == 0) {
          for (size_t j = 0; j < columns; ++j) line[j] = same + from[j];
        } else {
          for (size_t j = 0; j < columns; ++j) line[j] += from[j];
        }
      }
      if (wide.empty()) {
        for (size_t j = 0; j < columns; ++j) least[j] = std::min(least[j], same);
      } else if (wide.size() == 1) {
        for (size_t j = 0; j < columns; ++j) least[j] = std::min(least[j], same + last[j]);
      } else {
        for (size_t j = 0; j < columns; ++j) least[j] = std::min(least[j], line[j] + last[j]);
      }
    }
    for (size_t d = scope.empty() ? 0 : scope.size() - 1; d-- > 0;) {
      for (size_t f = 0; f < mine.size(); ++f) base[f] += steps[f][d];
      if (++digit[d] < static_cast<size_t>(sizes_[static_cast<size_t>(scope[d])])) break;
      for (size_t f = 0; f < mine.size(); ++f) base[f] -= steps[f][d] * digit[d];
      digit[d] = 0;
    }
  }
  trail_.push_back({v, std::move(mine)});
  Add(std::move(result));
}

std::vector<int> SolvedSegment::Decode(int entry_value, int exit_value) const {
  std::vector<int> value(sizes_.size(), 0);
  value[sizes_.size() - 2] = entry_value;
  value[sizes_.size() - 1] = exit_value;
  for (auto it = trail_.rbegin(); it != trail_.rend(); ++it) {
    std::vector<double> sum(static_cast<size_t>(sizes_[static_cast<size_t>(it->variable)]), 0);
    for (const CostFactor& factor : it->factors) {
      size_t index = 0, step = 1;
      for (size_t i = factor.scope.size(); i-- > 1;) {
        index += step * static_cast<size_t>(value[static_cast<size_t>(factor.scope[i])]);
        step *= static_cast<size_t>(sizes_[static_cast<size_t>(factor.scope[i])]);
      }
      for (size_t k = 0; k < sum.size(); ++k) sum[k] += factor.table[index + k * step];
    }
    value[static_cast<size_t>(it->variable)] =
        static_cast<int>(std::min_element(sum.begin(), sum.end()) - sum.begin());
  }
  return value;
}

}  // namespace omserve
