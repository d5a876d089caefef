// What PlanSearch does where weights would fit, but not beside the values alive at once.
#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <utility>

#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/partition/plan_search.h"

namespace omserve {

// Values are not alive all at once, so there is no sum of bytes over operators that memory limits. What is priced instead
// of it are weights, and, of the values that are alive at any moment when something does not fit, the share that makes
// their sum the most that is alive at once. What a choice truly takes is counted, and the limit moved by the difference.
absl::StatusOr<PlanDraft> PlanSearch::Uncrowd(const Staging& staging, const Offer& offer, const std::vector<double>& memory,
                                              PlanDraft draft, const WaitLimit& limit) {
  constexpr int kRounds = 6;
  const size_t count = draft.choice.size();
  const auto add_up = [](PlanDraft& made) {
    made.seconds = std::accumulate(made.stage_seconds.begin(), made.stage_seconds.end(), 0.0);
  };
  // When the weights alone are too much (each reader's counted, though some share theirs), fewest bytes are the last resort.
  std::vector<double> weights(memory.size(), 0);
  for (size_t v = 0; v < count; ++v) {
    weights[static_cast<size_t>(staging.stage_of[v])] +=
        draft.domains[v]->weight_bytes[static_cast<size_t>(draft.choice[v])];
  }
  if (!std::equal(weights.begin(), weights.end(), memory.begin(), std::less_equal<>())) {
    Solution lean;
    for (const Domain* domain : offer.domains) {
      auto bytes = [&](size_t k) { return domain->weight_bytes[k] + static_cast<double>(domain->value_bytes[k]); };
      size_t least = 0;
      for (size_t k = 1; k < domain->weight_bytes.size(); ++k) {
        if (bytes(k) < bytes(least)) least = k;
      }
      lean.choice.push_back(static_cast<int>(least));
    }
    lean.engine = "fewest bytes";
    PlanDraft other = DraftOf(staging, offer, std::move(lean));
    add_up(other);
    return other.seconds < kNoCutoff && Missing(other, memory) < Missing(draft, memory) ? other : draft;
  }
  auto chosen = [&](size_t v) { return static_cast<size_t>(draft.choice[v]); };
  auto stage = [&](size_t v) { return static_cast<size_t>(staging.stage_of[v]); };
  std::vector<size_t> death(count, count);  // results live to the end
  for (size_t v = 0; v < count; ++v) {
    for (const int dead : graph_.end_with(static_cast<int>(v))) death[static_cast<size_t>(dead)] = v;
  }
  std::vector<bool> crowd(count, false);
  PlanDraft best = draft;
  double price = 0;  // of bytes, where a round ended
  const absl::Time end = absl::Now() + options_.solve.time_budget / 4;
  for (int round = 0; round < kRounds && absl::Now() < end; ++round) {
    // When a stage holds too much.
    std::vector<double> alive(memory.size(), 0), most = alive, at(count, 0);
    for (size_t v = 0; v < count; ++v) {
      at[v] = alive[stage(v)] += static_cast<double>(draft.domains[v]->value_bytes[chosen(v)]);
      most[stage(v)] = std::max(most[stage(v)], at[v]);
      for (const int dead : graph_.end_with(static_cast<int>(v))) {
        const size_t d = static_cast<size_t>(dead);
        alive[stage(d)] -= static_cast<double>(draft.domains[d]->value_bytes[chosen(d)]);
      }
    }
    std::vector<size_t> next(memory.size(), count + 1);  // such moment
    for (size_t v = count; v-- > 0;) {
      const size_t s = stage(v);
      if (static_cast<double>(draft.device_bytes[s]) - most[s] + at[v] > memory[s]) next[s] = v;
      if (next[s] <= death[v]) crowd[v] = true;
    }
    std::vector<double> sum(memory.size(), 0);
    for (size_t v = 0; v < count; ++v) {
      if (crowd[v]) sum[stage(v)] += static_cast<double>(draft.domains[v]->value_bytes[chosen(v)]);
    }
    double share = 0;  // one for all, for copies of a layer to stay copies
    for (size_t s = 0; s < memory.size(); ++s) {
      if (sum[s] > 0) share = std::max(share, most[s] / sum[s]);
    }
    if (share == 0) break;
    LimitedNetwork limited = offer.limited;
    std::map<const Domain*, std::vector<double>> priced;
    std::vector<double> limits(memory.size(), 0);
    for (size_t v = 0; v < count; ++v) {
      const Domain& domain = *offer.domains[v];
      if (crowd[v]) {
        std::vector<double>& bytes = priced[&domain];
        for (size_t k = bytes.size(); k < domain.weight_bytes.size(); ++k)
          bytes.push_back(domain.weight_bytes[k] + share * static_cast<double>(domain.value_bytes[k]));
        limited.bytes[v] = &bytes;
      }
      limits[stage(v)] += (*limited.bytes[v])[chosen(v)];
    }
    for (size_t s = 0; s < memory.size(); ++s)
      limits[s] = std::max(0.0, limits[s] + memory[s] - static_cast<double>(draft.device_bytes[s]));
    MemoryPrices prices(limited, options_.fold ? &segments_ : nullptr, options_.solve, &offer.prices);
    ASSIGN_OR_RETURN_WITH(Solution solution, prices.Within(limits, limits, kNoCutoff, &price, limit), "no plan");
    const bool feasible = solution.feasible;
    const std::vector<int> before = std::move(draft.choice);
    draft = DraftOf(staging, offer, std::move(solution));
    add_up(draft);
    if (draft.choice == before || draft.seconds == kNoCutoff) break;
    // Of those that fit the fastest, else the nearest.
    if (std::pair(Missing(draft, memory), draft.seconds) < std::pair(Missing(best, memory), best.seconds)) best = draft;
    if (feasible && Missing(draft, memory) == 0) break;
  }
  return best;
}

double PlanSearch::Missing(const PlanDraft& draft, const std::vector<double>& memory) {
  double most = 0;
  for (size_t s = 0; s < memory.size(); ++s) most = std::max(most, static_cast<double>(draft.device_bytes[s]) - memory[s]);
  return most;
}

}  // namespace omserve
