// PlanSearch::Stage: which operators run in which stage.
#include <algorithm>
#include <memory>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/partition/plan_search.h"

namespace omserve {
namespace {

// A stage may begin at this many places at most: those where the fewest bytes cross.
constexpr size_t kMostCuts = 256;

// The places of least traffic, ascending; `crossing`: bytes before each operator.
std::vector<int> Cuts(const std::vector<double>& crossing) {
  std::vector<int> cuts;
  for (size_t v = 1; v + 1 < crossing.size(); ++v) cuts.push_back(static_cast<int>(v));
  if (cuts.size() <= kMostCuts) return cuts;
  std::stable_sort(cuts.begin(), cuts.end(), [&](int a, int b) {
    return crossing[static_cast<size_t>(a)] < crossing[static_cast<size_t>(b)];
  });
  // Evenly among those that are as good as the last one kept.
  const double most = crossing[static_cast<size_t>(cuts[kMostCuts - 1])];
  std::vector<int> kept;
  for (int cut : cuts) {
    if (crossing[static_cast<size_t>(cut)] <= most) kept.push_back(cut);
  }
  std::sort(kept.begin(), kept.end());
  cuts.clear();
  const size_t step = (kept.size() + kMostCuts - 1) / kMostCuts;
  for (size_t i = 0; i < kept.size(); i += step) cuts.push_back(kept[i]);
  return cuts;
}

}  // namespace

std::vector<Mesh> StageMeshes(const std::vector<int>& devices, int stages, const std::vector<int>& axes) {
  std::vector<Mesh> meshes;
  const size_t each = devices.size() / static_cast<size_t>(stages);
  for (int s = 0; s < stages; ++s) {
    const auto begin = devices.begin() + static_cast<std::ptrdiff_t>(each * static_cast<size_t>(s));
    meshes.emplace_back(std::vector<int>(begin, begin + static_cast<std::ptrdiff_t>(each)), axes);
  }
  return meshes;
}

absl::StatusOr<PlanSearch::Alone*> PlanSearch::AloneOn(const Mesh& mesh, const WaitLimit& limit) {
  std::unique_ptr<Alone>& slot = alone_[KeyOf(mesh)];
  if (slot) return slot.get();
  const size_t count = graph_.nodes().size();
  Staging staging;
  staging.stages = {mesh};
  staging.stage_of.assign(count, 0);
  auto alone = std::make_unique<Alone>();
  ASSIGN_OR_RETURN(alone->offers, OffersOf(staging, limit));
  Offer& offer = *alone->offers.plain;
  // Alone on one stage's devices the model need not fit them.
  RETURN_IF_ERROR_WITH(offer.prices.FreeFits({kNoCutoff}, limit).status(), "no plan");
  const Solution& free = *offer.prices.free();
  alone->seconds = free.cost;
  const SharedNetwork& network = offer.limited.network;
  auto chosen = [&](int v) { return static_cast<size_t>(free.choice[static_cast<size_t>(v)]); };
  for (size_t v = 0; v < count; ++v) {
    const size_t k = chosen(static_cast<int>(v));
    alone->problem.seconds.push_back((*network.unary[v])[k]);
    alone->problem.weight_bytes.push_back((*offer.limited.bytes[v])[k]);
  }
  for (const SharedNetwork::Edge& edge : network.edges) {
    alone->problem.seconds[static_cast<size_t>(edge.b)] +=
        (*edge.cost)[chosen(edge.a) * network.unary[static_cast<size_t>(edge.b)]->size() + chosen(edge.b)];
  }
  // Bytes of which each device sends its part before each operator, summands scattered.
  std::vector<double> crossing(count + 1, 0);
  std::vector<int> last(count, 0);
  for (const PlanEdge& edge : graph_.edges()) last[static_cast<size_t>(edge.from)] = edge.to;
  for (size_t v = 0; v < count; ++v) {
    if (last[v] <= static_cast<int>(v)) continue;
    const Domain& domain = *offer.domains[v];
    const size_t k = chosen(static_cast<int>(v));
    const AxisMask partial = domain.strategies[k].outputs.empty() ? 0 : domain.strategies[k].outputs[0].partial;
    const double bytes = static_cast<double>(domain.value_bytes[k]) / static_cast<double>(mesh.PartsOfMask(partial));
    crossing[v + 1] += bytes;
    crossing[static_cast<size_t>(last[v]) + 1] -= bytes;
  }
  for (size_t v = 1; v <= count; ++v) crossing[v] += crossing[v - 1];
  alone->problem.cuts = Cuts(crossing);
  for (int cut : alone->problem.cuts) alone->crossing.push_back(crossing[static_cast<size_t>(cut)]);
  slot = std::move(alone);
  return slot.get();
}

absl::StatusOr<Staging> PlanSearch::WholeOn(const Mesh& mesh, const WaitLimit& limit) {
  ASSIGN_OR_RETURN(const Alone* alone, AloneOn(mesh, limit));
  Staging staging;
  staging.stages = {mesh};
  staging.stage_of.assign(graph_.nodes().size(), 0);
  staging.seconds = staging.slowest = alone->seconds;
  staging.weight_bytes = std::accumulate(alone->problem.weight_bytes.begin(), alone->problem.weight_bytes.end(), 0.0);
  const double memory = static_cast<double>(MemoryOf(mesh.devices()));
  staging.fits = memory == 0 || staging.weight_bytes <= memory;
  return staging;
}

absl::StatusOr<Staging> PlanSearch::Stage(const std::vector<Mesh>& meshes, const WaitLimit& limit) {
  const int stages = static_cast<int>(meshes.size());
  Staging staging;
  staging.stages = meshes;
  const size_t count = graph_.nodes().size();
  staging.stage_of.assign(count, 0);
  if (stages == 1) return staging;
  ASSIGN_OR_RETURN(const Alone* alone, AloneOn(staging.stages[0], limit));
  StageProblem problem = alone->problem;
  problem.stages = stages;
  problem.memory_bytes = static_cast<double>(MemoryOf(staging.stages[0].devices()));
  // A pipeline is for requests in every stage at once.
  problem.in_flight = static_cast<double>(stages);
  const LinkCost link = cluster_.Link(staging.stages[0].devices().back(), staging.stages[1].device(0));
  for (double bytes : alone->crossing) problem.cut_seconds.push_back(link.Time(bytes));
  std::optional<StageSolution> solution = CutIntoStages(problem);
  staging.fits = solution.has_value();
  if (!solution && problem.memory_bytes > 0) {
    // The exact check, with what is missing, comes when the stages are planned.
    problem.memory_bytes = 0;
    solution = CutIntoStages(problem);
  }
  if (!solution) {
    return absl::InvalidArgumentError(absl::StrCat("pipe_stage_num ", stages, ": the model has only ", count,
                                                   " operators to cut into stages"));
  }
  staging.seconds = solution->sum;
  staging.slowest = solution->slowest;
  for (size_t s = 0; s < staging.stages.size(); ++s) {
    const size_t end = s + 1 < staging.stages.size() ? static_cast<size_t>(solution->begin[s + 1]) : count;
    for (size_t v = static_cast<size_t>(solution->begin[s]); v < end; ++v) staging.stage_of[v] = static_cast<int>(s);
  }
  return staging;
}

}  // namespace omserve
