#include "core/cluster/collective_algorithms.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <limits>

namespace omserve {
namespace {

constexpr std::pair<CollectiveKind, absl::string_view> kNames[] = {
    {CollectiveKind::kAllReduce, "all_reduce"},         {CollectiveKind::kAllGather, "all_gather"},
    {CollectiveKind::kReduceScatter, "reduce_scatter"}, {CollectiveKind::kAllToAll, "all_to_all"},
    {CollectiveKind::kBroadcast, "broadcast"},          {CollectiveKind::kSendReceive, "send_receive"}};

CollectivePrice Cheapest(std::initializer_list<CollectivePrice> prices) {
  return *std::min_element(prices.begin(), prices.end(), [](const CollectivePrice& a, const CollectivePrice& b) {
    return a.seconds < b.seconds;
  });
}

}  // namespace

absl::string_view ToString(CollectiveKind kind) {
  for (const auto& [known, name] : kNames) {
    if (known == kind) return name;
  }
  return "";
}

std::optional<CollectiveKind> CollectiveKindOf(absl::string_view name) {
  for (const auto& [kind, known] : kNames) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

CollectivePrice CollectiveGroup::AnalyticPrice(CollectiveKind kind, double n) const {
  const double p = size;
  const double steps = std::ceil(std::log2(p));
  const bool power_of_two = (size & (size - 1)) == 0;
  const double share = (p - 1) / p;
  const double ring_alpha = ring.alpha_seconds, ring_beta = ring.beta_seconds_per_byte;
  const double any_alpha = any.alpha_seconds, any_beta = any.beta_seconds_per_byte;
  constexpr double kNever = std::numeric_limits<double>::infinity();
  // Each pair has a link of its own, so a member sends to all others at once.
  const double mesh = full_mesh ? 0 : kNever;
  switch (kind) {
    case CollectiveKind::kAllReduce:
      return Cheapest({
          {2 * (p - 1) * ring_alpha + 2 * share * n * ring_beta + share * n * gamma, "ring"},
          // Members beyond a power of two hand their buffer to a neighbour first and get it back last.
          {2 * steps * any_alpha + 2 * share * n * any_beta + share * n * gamma + (power_of_two ? 0 : 2 * any.Time(n)),
           "halving-doubling"},
          {steps * (any.Time(n) + n * gamma), "recursive doubling"},
          // Two trees, each for half of the buffer, in small pieces one after the other.
          {2 * steps * any_alpha + 2 * n * any_beta + n * gamma, "double tree"},
          {mesh + any_alpha + n * any_beta + (p - 1) * n * gamma, "full mesh, one shot"},
          {mesh + 2 * any_alpha + 2 * (n / p) * any_beta + share * n * gamma, "full mesh, two shots"},
      });
    case CollectiveKind::kAllGather:
    case CollectiveKind::kReduceScatter: {
      // A reduce-scatter is the messages of an all-gather, backwards, and a reduction of what arrives.
      const double local = kind == CollectiveKind::kReduceScatter ? share * n * gamma : 0;
      return Cheapest({
          {(p - 1) * ring_alpha + share * n * ring_beta + local, "ring"},
          {steps * any_alpha + share * n * any_beta + local,
           kind == CollectiveKind::kReduceScatter ? "recursive halving" : "Bruck"},
          {mesh + any_alpha + (n / p) * any_beta + local, "full mesh, one shot"},
      });
    }
    case CollectiveKind::kAllToAll:
      return Cheapest({
          {(p - 1) * any_alpha + share * n * any_beta, "pairwise"},
          {steps * any.Time(n / 2), "Bruck"},
          {mesh + any_alpha + (n / p) * any_beta, "full mesh, one shot"},
      });
    case CollectiveKind::kBroadcast:
      return Cheapest({
          {steps * ring.Time(n), "tree"},
          {(steps + p - 1) * ring_alpha + 2 * share * n * ring_beta, "scatter, all-gather"},
          {mesh + any.Time(n), "full mesh, one shot"},
          {mesh + 2 * any_alpha + 2 * (n / p) * any_beta, "full mesh, two shots"},
      });
    case CollectiveKind::kSendReceive: break;
  }
  return {ring.Time(n), "direct"};
}

// Between numbers of ranks that were measured: the ratio to the formulas, a straight line over log(ranks). Beyond them
// the ratio of the nearest.
std::optional<double> CollectiveGroup::MeasuredSeconds(CollectiveKind kind, double bytes) const {
  if (measured == nullptr) return std::nullopt;
  bytes *= measured_load;
  auto above = measured->lower_bound({kind, size});
  const bool has_above = above != measured->end() && above->first.first == kind;
  if (has_above && above->first.second == size) return above->second.At(bytes);
  const bool has_below = above != measured->begin() && std::prev(above)->first.first == kind;
  if (!has_above && !has_below) return std::nullopt;
  const auto ratio = [&](const CollectiveCurves::value_type& curve) {
    CollectiveGroup other = *this;
    other.size = curve.first.second;
    return std::log(curve.second.At(bytes) / other.AnalyticPrice(kind, bytes).seconds);
  };
  double log_ratio;
  if (has_above && has_below) {
    auto below = std::prev(above);
    const double low = std::log(below->first.second), high = std::log(above->first.second);
    const double weight = (std::log(size) - low) / (high - low);
    log_ratio = (1 - weight) * ratio(*below) + weight * ratio(*above);
  } else {
    log_ratio = ratio(has_above ? *above : *std::prev(above));
  }
  return AnalyticPrice(kind, bytes).seconds * std::exp(log_ratio);
}

CollectivePrice CollectiveGroup::Price(CollectiveKind kind, double bytes) const {
  if (size <= 1) return {};
  if (std::optional<double> seconds = MeasuredSeconds(kind, bytes)) return {*seconds, "measured"};
  return AnalyticPrice(kind, bytes);
}

}  // namespace omserve
