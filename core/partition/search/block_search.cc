#include "core/partition/search/block_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Stands for a forbidden pair while a start is mended. Far above any sum of costs, and no move adds one.
constexpr double kForbidden = 1e18;

}  // namespace

BlockSearch::BlockSearch(const FlatNetwork& network, uint64_t seed)
    : network_(network),
      rng_(static_cast<uint32_t>(seed * 2654435761u + 12345)),
      tables_(network.tables),
      unary_(network.unary),
      rows_(network.slack),
      price_before_(network.slack.size() + 1, 0),
      in_block_(network.size.size(), -1) {
  for (double& cost : tables_) cost = std::min(cost, kForbidden);
  for (double& cost : unary_) cost = std::min(cost, kForbidden);
}

void BlockSearch::Start(const std::vector<int>& choice) {
  choice_ = choice;
  rows_ = RowTree(network_.Excess(choice));
  push_ = 0;
  Recount();
  Keep();
}

void BlockSearch::Recount() {
  cost_ = 0;
  for (int v = 0; v < network_.variables(); ++v) {
    cost_ += unary_[network_.offset[v] + static_cast<size_t>(choice_[v])];
    for (const auto& link : network_.LinksOf(v)) {
      if (link.own < link.across) cost_ += tables_[link.own + static_cast<size_t>(choice_[v] * network_.size[link.other] + choice_[link.other])];
    }
  }
}

void BlockSearch::SetPrices(const std::vector<double>& prices) {
  for (size_t row = 0; row < prices.size(); ++row) price_before_[row + 1] = price_before_[row] + prices[row];
}

void BlockSearch::Keep() {
  if (rows_.Max() > 0 || cost_ >= kForbidden || (has_best_ && cost_ >= best_cost_)) return;
  has_best_ = true;
  best_ = choice_;
  best_cost_ = cost_;
}

// Grows one to three trees from random variables: breadth first with a random frontier, a variable joins when exactly
// one of its neighbours is in.
void BlockSearch::GrowBlock(const std::vector<int>& seeds) {
  for (const Member& member : block_) in_block_[member.variable] = -1;
  block_.clear();
  const int n = network_.variables();
  constexpr int kSizes[] = {1, 2, 3, 5, 8, 16, 32, 64, 128, 256};
  const int target = kSizes[Random(10)];
  const int trees = 1 + static_cast<int>(Random(3));
  size_t values = 0;
  const auto join = [&](int v, int parent, const FlatNetwork::Link* link) {
    in_block_[v] = static_cast<int>(block_.size());
    block_.push_back({v, parent, link, values, choice_[v]});
    values += static_cast<size_t>(network_.size[v]);
    for (const auto& next : network_.LinksOf(v)) {
      if (in_block_[next.other] < 0) frontier_.push_back(next.other);
    }
  };
  for (int tree = 0; tree < trees; ++tree) {
    const int seed = seeds.empty() ? static_cast<int>(Random(static_cast<uint32_t>(n))) : seeds[Random(static_cast<uint32_t>(seeds.size()))];
    bool free = in_block_[seed] < 0;
    for (const auto& link : network_.LinksOf(seed)) free = free && in_block_[link.other] < 0;
    if (!free) continue;
    const size_t end = block_.size() + static_cast<size_t>(target);
    frontier_.clear();
    join(seed, -1, nullptr);
    while (!frontier_.empty() && block_.size() < end) {
      const size_t pick = Random(static_cast<uint32_t>(frontier_.size()));
      const int v = frontier_[pick];
      frontier_[pick] = frontier_.back();
      frontier_.pop_back();
      if (in_block_[v] >= 0) continue;
      int inside = 0;
      const FlatNetwork::Link* up = nullptr;
      for (const auto& link : network_.LinksOf(v)) {
        if (in_block_[link.other] < 0) continue;
        ++inside;
        up = &link;
      }
      if (inside == 1) join(v, in_block_[up->other], up);
    }
  }
  conditional_.resize(values);
  table_.resize(values);
  argument_.resize(values);
  new_value_.resize(block_.size());
}

// Cost of each value of each member, given all that is not in the block.
void BlockSearch::Conditional() {
  for (const Member& member : block_) {
    const int v = member.variable, size = network_.size[v];
    double* own = &conditional_[member.at];
    const double* unary = &unary_[network_.offset[v]];
    std::copy(unary, unary + size, own);
    for (const auto& link : network_.LinksOf(v)) {
      if (in_block_[link.other] >= 0) continue;
      const double* row = &tables_[link.across + static_cast<size_t>(choice_[link.other]) * static_cast<size_t>(size)];
      for (int k = 0; k < size; ++k) own[k] += row[k];
      work_ += size;
    }
  }
}

// Best values of the block under scale * prices + the local prices.
void BlockSearch::Solve(double price_scale) {
  for (const Member& member : block_) {
    const int v = member.variable, size = network_.size[v];
    double* own = &table_[member.at];
    std::copy(&conditional_[member.at], &conditional_[member.at] + size, own);
    for (const auto& usage : network_.UsagesOf(v)) {
      double price = price_scale * (price_before_[usage.end] - price_before_[usage.first]);
      for (const LocalPrice& local : local_) {
        if (usage.first <= local.row && local.row < usage.end) price += local.price;
      }
      if (price == 0) continue;
      const double* amount = &network_.amounts[usage.amount];
      for (int k = 0; k < size; ++k) own[k] += price * amount[k];
    }
  }
  for (size_t i = block_.size(); i-- > 0;) {
    const Member& member = block_[i];
    if (member.parent < 0) continue;
    const Member& parent = block_[static_cast<size_t>(member.parent)];
    const int size = network_.size[member.variable], other = network_.size[parent.variable];
    message_.resize(static_cast<size_t>(other));
    MinPlus(&table_[member.at], &tables_[member.link->own], size, other, message_.data());
    double* up = &table_[parent.at];
    for (int l = 0; l < other; ++l) up[l] += message_[static_cast<size_t>(l)];
    work_ += static_cast<int64_t>(size) * other;
  }
  for (size_t i = 0; i < block_.size(); ++i) {
    const Member& member = block_[i];
    const int size = network_.size[member.variable];
    const double* own = &table_[member.at];
    const double* row = nullptr;
    if (member.parent >= 0) {
      const int parent_value = new_value_[static_cast<size_t>(member.parent)];
      row = &tables_[member.link->across + static_cast<size_t>(parent_value) * static_cast<size_t>(size)];
    }
    // On a tie the old value stays.
    int best = member.old_value;
    double least = own[best] + (row ? row[best] : 0);
    for (int k = 0; k < size; ++k) {
      const double cost = own[k] + (row ? row[k] : 0);
      if (cost < least) {
        least = cost;
        best = k;
      }
    }
    new_value_[i] = best;
  }
}

// Change of the true cost by the new values.
double BlockSearch::Delta() const {
  double delta = 0;
  for (size_t i = 0; i < block_.size(); ++i) {
    const Member& member = block_[i];
    delta += conditional_[member.at + static_cast<size_t>(new_value_[i])] - conditional_[member.at + static_cast<size_t>(member.old_value)];
    if (member.parent < 0) continue;
    const Member& parent = block_[static_cast<size_t>(member.parent)];
    const double* table = &tables_[member.link->own];
    const size_t width = static_cast<size_t>(network_.size[parent.variable]);
    delta += table[static_cast<size_t>(new_value_[i]) * width + static_cast<size_t>(new_value_[static_cast<size_t>(member.parent)])] -
             table[static_cast<size_t>(member.old_value) * width + static_cast<size_t>(parent.old_value)];
  }
  return delta;
}

// Moves the rows to the new values; false when nothing changed.
bool BlockSearch::Change() {
  bool any = false;
  for (size_t i = 0; i < block_.size(); ++i) {
    const int v = block_[i].variable;
    if (new_value_[i] == block_[i].old_value) continue;
    any = true;
    for (const auto& usage : network_.UsagesOf(v)) {
      rows_.Add(usage.first, usage.end,
                network_.amounts[usage.amount + static_cast<size_t>(new_value_[i])] -
                    network_.amounts[usage.amount + static_cast<size_t>(block_[i].old_value)]);
      work_ += 16;
    }
    choice_[v] = new_value_[i];
  }
  return any;
}

void BlockSearch::Undo() {
  for (size_t i = 0; i < block_.size(); ++i) {
    const int v = block_[i].variable;
    if (new_value_[i] == block_[i].old_value) continue;
    for (const auto& usage : network_.UsagesOf(v)) {
      rows_.Add(usage.first, usage.end,
                network_.amounts[usage.amount + static_cast<size_t>(block_[i].old_value)] -
                    network_.amounts[usage.amount + static_cast<size_t>(new_value_[i])]);
    }
    choice_[v] = block_[i].old_value;
  }
}

void BlockSearch::TryBlock() {
  GrowBlock({});
  ++moves_;
  work_ += 20;
  if (block_.empty()) return;
  Conditional();
  local_.clear();
  constexpr double kScales[] = {0, 0, 0, 0.5, 1, 1};
  const double scale = kScales[Random(6)];
  const double allowed = has_best_ ? best_cost_ * temperature_ : 0;
  for (int round = 0; round < 6; ++round) {
    Solve(scale);
    const double delta = Delta();
    if (!Change()) return;
    const double excess = rows_.Max();
    if (excess <= 0) {
      if (delta <= 0 || cost_ + delta <= best_cost_ + allowed) {
        cost_ += delta;
        Keep();
        return;
      }
      Undo();
      return;
    }
    const int row = rows_.ArgMax();
    Undo();
    if (delta >= 0) return;
    // The row must become so dear that the block gives up a part of what it would gain.
    const double price = -delta / excess * (0.3 + 0.7 * Random(1000) / 1000.0);
    const auto known = std::find_if(local_.begin(), local_.end(), [&](const LocalPrice& local) { return local.row == row; });
    if (known != local_.end()) {
      known->price += price;
    } else {
      local_.push_back({row, price});
    }
  }
}

// Gives forbidden values and pairs up, under the prices but whatever memory it takes: blocks around those that are left.
void BlockSearch::MendPairs(int64_t budget, const std::function<bool()>& stop) {
  while (cost_ >= kForbidden && work_ < budget) {
    seeds_.clear();
    for (int v = 0; v < network_.variables(); ++v) {
      const size_t value = static_cast<size_t>(choice_[v]);
      bool broken = unary_[network_.offset[v] + value] >= kForbidden;
      for (const auto& link : network_.LinksOf(v)) {
        broken = broken || tables_[link.own + value * static_cast<size_t>(network_.size[link.other]) + static_cast<size_t>(choice_[link.other])] >= kForbidden;
      }
      if (broken) seeds_.push_back(v);
    }
    work_ += network_.variables() + network_.edge_count();
    const size_t tries = 4 * seeds_.size() + 16;
    for (size_t i = 0; i < tries && cost_ >= kForbidden && work_ < budget; ++i, ++moves_) {
      if (moves_ % 64 == 0 && stop()) return;
      GrowBlock(seeds_);
      work_ += 20;
      Conditional();
      local_.clear();
      Solve(1);
      const double delta = Delta();
      if (!Change()) continue;
      if (delta > 0) {
        Undo();
      } else {
        cost_ += delta;
      }
    }
    Recount();  // forbidden pairs have drowned the last digits of the sum
  }
}

// Variables that could give something back at `row`; all of them when none can.
void BlockSearch::FindSeeds(int row) {
  seeds_.clear();
  for (int v = 0; v < network_.variables(); ++v) {
    for (const auto& usage : network_.UsagesOf(v)) {
      if (usage.first <= row && row < usage.end && network_.amounts[usage.amount + static_cast<size_t>(choice_[v])] > 0) seeds_.push_back(v);
    }
  }
  work_ += network_.variables();
}

// Brings a choice within its rows: blocks through the fullest row, that row ever dearer.
void BlockSearch::MendRows(int64_t budget, const std::function<bool()>& stop) {
  int seeded_row = -1;
  for (int64_t tries = 0; rows_.Max() > 0 && work_ < budget; ++moves_, ++tries) {
    if (moves_ % 64 == 0 && stop()) return;
    const double before = rows_.Max();
    const int row = rows_.ArgMax();
    if (row != seeded_row || tries % 1024 == 0) FindSeeds(seeded_row = row);
    GrowBlock(seeds_);
    work_ += 20;
    Conditional();
    if (push_ == 0) {
      // A hundredth of what a variable costs on average, for what each would have to give.
      const double each = std::max(1.0, std::abs(cost_)) / network_.variables();
      push_ = 0.01 * each / (before / static_cast<double>(std::max<size_t>(seeds_.size(), 1)));
    }
    local_.assign(1, {row, push_});
    bool lower = false;
    for (int round = 0; round < 4 && !lower; ++round) {
      Solve(1);
      const double delta = Delta();
      const double freed = Freed(row);
      if (!Change()) break;
      // Several rows may be the fullest: one after the other.
      lower = delta < kForbidden / 2 && rows_.Max() <= before && (freed > 0 || delta < 0);
      if (lower) {
        cost_ += delta;
        break;
      }
      const int other = rows_.ArgMax();
      Undo();
      if (other == row) break;
      local_.push_back({other, push_});
    }
    if (!lower && ++failures_ % 30 == 0) push_ *= 2;
  }
}

// What the new values take less than the old ones at `row`.
double BlockSearch::Freed(int row) const {
  double freed = 0;
  for (size_t i = 0; i < block_.size(); ++i) {
    for (const auto& usage : network_.UsagesOf(block_[i].variable)) {
      if (row < usage.first || row >= usage.end) continue;
      freed += network_.amounts[usage.amount + static_cast<size_t>(block_[i].old_value)] -
               network_.amounts[usage.amount + static_cast<size_t>(new_value_[i])];
    }
  }
  return freed;
}

void BlockSearch::Run(int64_t work, const std::function<bool()>& stop) {
  const int64_t budget = work_ + work;
  if (network_.variables() == 0) return;
  if (cost_ >= kForbidden) MendPairs(budget, stop);
  if (rows_.Max() > 0) MendRows(budget, stop);
  Keep();
  while (work_ < budget) {
    if (moves_ % 64 == 0 && stop()) return;
    TryBlock();
  }
}

}  // namespace omserve
