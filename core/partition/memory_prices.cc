#include "core/partition/memory_prices.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kTrials = 24;
// A thousand seconds per megabyte: bytes before all else.
constexpr double kDearest = 1e-3;
// A gap not worth another trial.
constexpr double kSmallGap = 1e-4;

bool Fits(const std::vector<double>& bytes, const std::vector<double>& limits) {
  for (size_t g = 0; g < limits.size(); ++g) {
    if (bytes[g] > limits[g]) return false;
  }
  return true;
}

double Excess(const std::vector<double>& bytes, const std::vector<double>& limits) {
  double excess = 0;
  for (size_t g = 0; g < limits.size(); ++g) excess += std::max(0.0, bytes[g] - limits[g]);
  return excess;
}

}  // namespace

struct MemoryPrices::Progress {
  const std::vector<double>& limits;
  const std::vector<double>& loosest;
  double cutoff = kInfinity;
  double price = 0;              // to begin with; where it ended
  std::optional<Solution> best;  // within the limits
  double bound = 0;
  Solution nearest;
  double least_excess = kInfinity;

  void See(const Trial& trial, const std::vector<double>& price) {
    double dual = trial.value;
    for (size_t g = 0; g < price.size(); ++g) {
      if (price[g] > 0) dual -= price[g] * loosest[g];
    }
    bound = std::max(bound, dual);
    Offer(trial.solution, trial.bytes);
  }
  void Offer(const Solution& solution, const std::vector<double>& bytes) {
    const double excess = Excess(bytes, limits);
    if (excess == 0) {
      if (!best || solution.cost < best->cost) best = solution;
    } else if (excess < least_excess) {
      least_excess = excess;
      nearest = solution;
    }
  }
  bool settled() const { return bound >= cutoff || (best && best->cost - bound <= kSmallGap * best->cost); }
};

MemoryPrices::MemoryPrices(const LimitedNetwork& problem, SegmentCache* cache, const SolveOptions& options,
                           const MemoryPrices* base)
    : problem_(problem),
      cache_(cache),
      options_(options),
      folded_(base != nullptr ? base->folded_
                              : std::make_shared<FoldedNetwork>(problem.base != nullptr ? *problem.base : problem.network)) {
  using Key = std::pair<const std::vector<double>*, const std::vector<double>*>;
  absl::flat_hash_map<Key, int> known;
  std::vector<int> lean_of;  // by kind
  for (size_t v = 0; v < problem.bytes.size(); ++v) {
    const std::vector<double>& bytes = *problem.bytes[v];
    const auto [it, added] = known.try_emplace(Key(problem.network.unary[v], &bytes), static_cast<int>(kinds_.size()));
    kind_.push_back(it->second);
    if (!added) continue;
    lean_of.push_back(static_cast<int>(std::min_element(bytes.begin(), bytes.end()) - bytes.begin()));
    const bool varies = std::adjacent_find(bytes.begin(), bytes.end(), std::not_equal_to<>()) != bytes.end();
    kinds_.push_back({problem.network.unary[v], &bytes, problem.base != nullptr ? problem.of_base[v] : nullptr, varies});
  }
  for (int kind : kind_) lean_.push_back(lean_of[static_cast<size_t>(kind)]);
}

std::vector<double> MemoryPrices::Used(const std::vector<int>& choice, size_t groups) const {
  std::vector<double> bytes(groups, 0);
  for (size_t v = 0; v < choice.size(); ++v)
    bytes[static_cast<size_t>(problem_.group[v])] += (*problem_.bytes[v])[static_cast<size_t>(choice[v])];
  return bytes;
}

absl::StatusOr<bool> MemoryPrices::FreeFits(const std::vector<double>& limits, const WaitLimit& limit) {
  ASSIGN_OR_RETURN(const Trial* free, Try(std::vector<double>(limits.size(), 0), limit));
  return Fits(free->bytes, limits);
}

void MemoryPrices::KnowFree(const Solution& solution, size_t groups) {
  trials_.emplace(std::vector<double>(groups, 0),
                  Trial{solution, Used(solution.choice, groups), solution.lower_bound});
}

MemoryPrices::Priced MemoryPrices::AtPrice(const Kind& kind, double price) {
  const std::vector<double>& bytes = *kind.bytes;
  auto cost = [&](size_t k) { return (*kind.unary)[k] + (price == 0 ? 0 : price * (bytes[k] - bytes[0])); };
  Priced at;
  for (size_t k = 0; k < bytes.size(); ++k) {
    if (kind.of_base == nullptr) {
      at.costs.push_back(cost(k));
      continue;
    }
    const size_t base = static_cast<size_t>((*kind.of_base)[k]);
    if (base >= at.costs.size()) {
      at.costs.resize(base + 1, kInfinity);
      at.values.resize(base + 1, static_cast<int>(k));
    }
    if (cost(k) < at.costs[base]) {
      at.costs[base] = cost(k);
      at.values[base] = static_cast<int>(k);
    }
  }
  return at;
}

absl::StatusOr<const MemoryPrices::Trial*> MemoryPrices::Try(const std::vector<double>& price,
                                                             const WaitLimit& limit) {
  auto known = trials_.find(price);
  if (known != trials_.end()) return &known->second;
  const bool free = std::all_of(price.begin(), price.end(), [](double p) { return p == 0; });
  // Equal kinds at equal prices share their costs, whatever their group, for that is what shows copies to be equal.
  FoldedNetwork::Unary unary = problem_.network.unary;
  std::map<double, std::vector<Priced>> priced;  // by price, then kind
  for (const double p : price) priced[p].resize(kinds_.size());
  auto of = [&](size_t v) -> Priced& {
    return priced.find(price[static_cast<size_t>(problem_.group[v])])->second[static_cast<size_t>(kind_[v])];
  };
  bool own = true;  // only costs that outlive this trial
  for (size_t v = 0; v < unary.size(); ++v) {
    const Kind& kind = kinds_[static_cast<size_t>(kind_[v])];
    const double p = price[static_cast<size_t>(problem_.group[v])];
    if (kind.of_base == nullptr && (p == 0 || !kind.varies)) continue;
    Priced& at = of(v);
    if (at.costs.empty()) at = AtPrice(kind, p);
    unary[v] = &at.costs;
    own = false;
  }
  Trial trial;
  if (cache_ == nullptr) {
    SharedNetwork network = problem_.base != nullptr ? *problem_.base : problem_.network;
    network.unary = unary;
    ASSIGN_OR_RETURN(trial.solution, Solve(network.Expand(), options_, limit));
  } else {
    SegmentCache passing(cache_);
    ASSIGN_OR_RETURN(trial.solution, folded_->Solve(unary, own ? *cache_ : passing, options_, limit));
  }
  for (size_t v = 0; v < unary.size(); ++v) {
    int& choice = trial.solution.choice[v];
    if (kinds_[static_cast<size_t>(kind_[v])].of_base != nullptr) choice = of(v).values[static_cast<size_t>(choice)];
  }
  trial.bytes = Used(trial.solution.choice, price.size());
  trial.value = trial.solution.lower_bound;
  if (!free) {
    const std::vector<double> first = Used(std::vector<int>(problem_.bytes.size(), 0), price.size());
    for (size_t g = 0; g < price.size(); ++g) {
      if (price[g] == 0) continue;
      trial.value += price[g] * first[g];
      trial.solution.cost -= price[g] * (trial.bytes[g] - first[g]);
    }
  }
  return &trials_.emplace(price, std::move(trial)).first->second;
}

void MemoryPrices::ChangeOver(const Solution& first, const Solution& second, Progress* progress) const {
  const SharedNetwork& network = problem_.base != nullptr ? *problem_.base : problem_.network;
  const size_t count = network.unary.size();
  auto value = [](const Solution& s, size_t v) { return static_cast<size_t>(s.choice[v]); };
  auto in_network = [&](const Solution& s, size_t v) {
    const Kind& kind = kinds_[static_cast<size_t>(kind_[v])];
    return kind.of_base == nullptr ? value(s, v) : static_cast<size_t>((*kind.of_base)[value(s, v)]);
  };
  std::vector<std::vector<const SharedNetwork::Edge*>> in(count);
  for (const SharedNetwork::Edge& edge : network.edges) in[static_cast<size_t>(edge.b)].push_back(&edge);
  // The cost of v, when it is chosen by `here` and what it reads by `there`.
  auto cost_of = [&](size_t v, const Solution& there, const Solution& here) {
    double cost = (*problem_.network.unary[v])[value(here, v)];
    for (const SharedNetwork::Edge* edge : in[v]) {
      const size_t row = in_network(there, static_cast<size_t>(edge->a));
      cost += (*edge->cost)[row * network.unary[v]->size() + in_network(here, v)];
    }
    return cost;
  };
  double cost = 0, bytes = 0;  // of `second` from v on, and of `first` before
  for (size_t v = 0; v < count; ++v) {
    cost += cost_of(v, second, second);
    bytes += (*problem_.bytes[v])[value(second, v)];
  }
  double least = progress->best ? progress->best->cost : kInfinity;
  std::optional<size_t> place;
  const std::vector<int>& cuts = folded_->cuts();
  auto cut = cuts.begin();
  for (size_t v = 0; v < count && cut != cuts.end(); ++v) {
    const double alone = cost_of(v, second, second);
    if (static_cast<size_t>(*cut) == v) {
      ++cut;
      const double here = cost - alone + cost_of(v, first, second);
      if (bytes <= progress->limits[0] && here < least) {
        least = here;
        place = v;
      }
    }
    cost += cost_of(v, first, first) - alone;
    bytes += (*problem_.bytes[v])[value(first, v)] - (*problem_.bytes[v])[value(second, v)];
  }
  if (!place) return;
  Solution mixed = second;
  std::copy_n(first.choice.begin(), *place, mixed.choice.begin());
  mixed.cost = least;
  const std::vector<double> used = Used(mixed.choice, 1);
  progress->Offer(mixed, used);
}

// One price for all groups with a limit: along the lower hull of (bytes, cost), from a point on either side of the
// limit to the edge that crosses it. For one group that edge is the best bound there is, its ends the best choices
// any price gives.
absl::Status MemoryPrices::WalkHull(const std::vector<size_t>& limited, Progress* progress, const WaitLimit& limit) {
  std::vector<double> price(progress->limits.size(), 0);
  auto attempt = [&](double p) -> absl::StatusOr<const Trial*> {
    for (size_t g : limited) price[g] = p;
    ASSIGN_OR_RETURN(const Trial* trial, Try(price, limit));
    progress->See(*trial, price);
    return trial;
  };
  auto sum = [&](const std::vector<double>& bytes) {
    double all = 0;
    for (size_t g : limited) all += bytes[g];
    return all;
  };
  const double most = sum(progress->limits);
  ASSIGN_OR_RETURN(const Trial* over, attempt(0));
  // Together the groups may fit while one of them does not.
  if (sum(over->bytes) <= most) return absl::OkStatus();
  const Trial* fit = nullptr;
  if (progress->price > 0) {
    ASSIGN_OR_RETURN(const Trial* first, attempt(progress->price));
    (sum(first->bytes) > most ? over : fit) = first;
    if (progress->bound >= progress->cutoff) return absl::OkStatus();
  }
  if (fit == nullptr) {
    ASSIGN_OR_RETURN(fit, attempt(kDearest));
    if (sum(fit->bytes) > most) return absl::OkStatus();
  }
  for (int i = 0; i < kTrials && !progress->settled(); ++i) {
    const double bytes = sum(over->bytes) - sum(fit->bytes), cost = fit->solution.cost - over->solution.cost;
    if (bytes <= 0 || cost <= 0) break;
    const double p = progress->price = cost / bytes;
    ASSIGN_OR_RETURN(const Trial* middle, attempt(p));
    const double line = over->solution.cost + p * sum(over->bytes);
    if (middle->solution.cost + p * sum(middle->bytes) >= line - 1e-9 * line) break;
    (sum(middle->bytes) > most ? over : fit) = middle;
  }
  if (progress->limits.size() > 1 || progress->bound >= progress->cutoff) return absl::OkStatus();
  ChangeOver(over->solution, fit->solution, progress);
  ChangeOver(fit->solution, over->solution, progress);
  return absl::OkStatus();
}

absl::Status MemoryPrices::Bisect(Progress* progress, const WaitLimit& limit) {
  const size_t groups = progress->limits.size();
  std::vector<double> price(groups, 0), low(groups, 0), high(groups, 0);
  const double first = progress->price > 0 ? progress->price : 1e-12;
  ASSIGN_OR_RETURN(const Trial* trial, Try(price, limit));
  for (int i = 0; i < kTrials; ++i) {
    bool settled = progress->best.has_value();
    for (size_t g = 0; g < groups; ++g) {
      if (trial->bytes[g] > progress->limits[g]) {
        low[g] = price[g];
        price[g] = high[g] > 0 ? (low[g] + high[g]) / 2 : price[g] > 0 ? price[g] * 8 : first;
      } else if (price[g] > 0) {
        high[g] = price[g];
        price[g] = (low[g] + high[g]) / 2;
      }
      settled = settled && (high[g] == 0 || high[g] - low[g] < 1e-3 * high[g]);
    }
    if (settled || progress->settled()) break;
    ASSIGN_OR_RETURN(trial, Try(price, limit));
    progress->See(*trial, price);
    progress->price = *std::max_element(price.begin(), price.end());
  }
  if (progress->best || progress->bound >= progress->cutoff) return absl::OkStatus();
  for (size_t g = 0; g < groups; ++g) price[g] = progress->limits[g] < kInfinity ? kDearest : 0;
  ASSIGN_OR_RETURN(trial, Try(price, limit));
  progress->See(*trial, price);
  return absl::OkStatus();
}

absl::StatusOr<Solution> MemoryPrices::Within(const std::vector<double>& limits,
                                              const std::vector<double>& loosest, double cutoff, double* price,
                                              const WaitLimit& limit) {
  // When even the leanest choice of every variable is too much, there is nothing to search.
  if (!Fits(Used(lean_, limits.size()), limits)) {
    Solution lean;
    lean.choice = lean_;
    lean.feasible = false;
    lean.lower_bound = kInfinity;
    lean.engine = "fewest bytes";
    return lean;
  }
  const std::vector<double> no_price(limits.size(), 0);
  ASSIGN_OR_RETURN(const Trial* free, Try(no_price, limit));
  if (Fits(free->bytes, limits)) return free->solution;
  Progress progress{limits, loosest, cutoff, *price, {}, 0, {}, kInfinity};
  progress.See(*free, no_price);
  if (!progress.settled()) {
    std::vector<size_t> limited;
    for (size_t g = 0; g < limits.size(); ++g) {
      if (limits[g] < kInfinity) limited.push_back(g);
    }
    RETURN_IF_ERROR(WalkHull(limited, &progress, limit));
    if (limited.size() > 1 && !progress.settled()) RETURN_IF_ERROR(Bisect(&progress, limit));
  }
  *price = progress.price;
  Solution found = progress.best ? *std::move(progress.best) : std::move(progress.nearest);
  found.feasible = progress.best.has_value();
  found.lower_bound = std::min(progress.bound, found.cost);
  found.exact = found.feasible && found.cost - found.lower_bound <= 1e-9 * found.cost;
  found.engine = absl::StrCat("multipliers+", found.engine);
  return found;
}

}  // namespace omserve
