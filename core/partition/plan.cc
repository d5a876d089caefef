#include "core/partition/plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/partition/plan_search.h"

namespace omserve {

int Plan::first_rank(int stage) const {
  int rank = 0;
  for (int s = 0; s < stage; ++s) rank += stages[static_cast<size_t>(s)].size();
  return rank;
}

int Plan::device(int replica, int rank) const {
  if (!replicas.empty()) return replicas[static_cast<size_t>(replica)][static_cast<size_t>(rank)];
  for (const Mesh& mesh : stages) {
    if (rank < mesh.size()) return mesh.device(rank);
    rank -= mesh.size();
  }
  return -1;
}

double Plan::seconds_between_answers() const {
  return stage_seconds.empty() ? seconds : *std::max_element(stage_seconds.begin(), stage_seconds.end());
}

Sharding ProducedSharding(const Graph& graph, const Plan& plan, ValueId value) {
  auto it = plan.strategies.find(value.node);
  if (it == plan.strategies.end()) {
    return Sharding::Replicated(static_cast<int>(graph.desc(value).shape.size()));
  }
  return it->second.outputs[static_cast<size_t>(value.output)];
}

absl::StatusOr<Plan> MakePlan(const Graph& graph, const Cluster& cluster, const PlanOptions& options,
                              const WaitLimit& limit) {
  ASSIGN_OR_RETURN(const std::unique_ptr<PlanSearch> search, PlanSearch::Create(graph, cluster, options));
  return search->Find(options.devices, options.stages, options.axes, limit);
}

std::string ObjectiveGapText(double objective_seconds, double objective_bound) {
  if (objective_bound <= 0) return "";
  if (objective_seconds - objective_bound <= 1e-9 * objective_seconds)
    return "proven best of all sizes and stages allowed";
  return absl::StrFormat("at most %.1f %% above the bound of all sizes and stages allowed",
                         100 * (objective_seconds / objective_bound - 1));
}

std::string Summarize(const Graph& graph, const Plan& plan, const Graph& slice) {
  int weighted = 0, cut = 0;
  size_t gathered = 0;
  for (const auto& [id, strategy] : plan.strategies) {
    const Node& node = *graph.node(id);
    bool has_weight = false;
    for (ValueId input : node.inputs()) {
      const TensorSlice* constant = input.valid() ? graph.ConstantOf(input) : nullptr;
      has_weight |= constant != nullptr && constant->shape().size() >= 2;
    }
    weighted += has_weight;
    gathered += strategy.held.size();
    cut += has_weight && WeightParts(graph, node, plan.mesh_of(id), strategy) > 1;
  }
  std::map<std::string, std::pair<int, size_t>> collectives;  // type → how many, bytes read
  for (int32_t id : slice.NodeIds()) {
    const Node& node = *slice.node(id);
    if (node.type().rfind("Hcom", 0) != 0) continue;
    auto& [count, bytes] = collectives[node.type()];
    ++count;
    for (ValueId input : node.inputs()) bytes += ByteSize(slice.desc(input));
  }
  std::vector<std::string> parts;
  for (const auto& [type, entry] : collectives) {
    parts.push_back(absl::StrCat(entry.first, " ", type, " (", entry.second, " bytes)"));
  }
  std::string layout = plan.stages[0].size() == 1
                           ? "one device"
                           : absl::StrCat(plan.stages[0].size(), " devices as mesh ", plan.stages[0].ToString());
  if (plan.num_stages() > 1) layout = absl::StrCat(plan.num_stages(), " stages of ", layout);
  if (plan.num_replicas() > 1) layout = absl::StrCat(plan.num_replicas(), " replicas of ", layout);
  std::string text = absl::StrFormat(
      "%s; %d of %d weighted operators cut%s; %s per run; predicted %.3f ms%s", layout, cut, weighted,
      gathered == 0 ? "" : absl::StrCat("; ", gathered, " weights gathered on use"),
      parts.empty() ? "no communication" : absl::StrJoin(parts, ", "), plan.seconds * 1e3,
      plan.exact             ? " (optimal)"
      : plan.lower_bound > 0 ? absl::StrFormat(" (bound %.3f ms)", plan.lower_bound * 1e3)
                             : absl::StrCat(" (", plan.engine, ")"));
  const std::string gap = ObjectiveGapText(plan.objective_seconds, plan.objective_bound);
  if (!gap.empty()) absl::StrAppend(&text, "; ", gap);
  return text;
}

}  // namespace omserve
