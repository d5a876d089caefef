#include "core/partition/crossings.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {

absl::StatusOr<std::vector<Crossing>> FindCrossings(const Graph& graph, const Cluster& cluster, const Plan& plan,
                                                    const std::vector<std::unique_ptr<Resharder>>& resharders,
                                                    const std::vector<int32_t>& order) {
  std::map<std::pair<int, int>, std::unique_ptr<TransferPlanner>> planners;
  std::map<int32_t, size_t> place;
  for (size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  // By producing stage, place of the producer, output, receiving stage; then as found.
  std::map<std::tuple<int, size_t, int, int>, std::vector<Crossing>> found;
  for (int32_t id : order) {
    auto strategy = plan.strategies.find(id);
    if (strategy == plan.strategies.end()) continue;
    const Node& node = *graph.node(id);
    const int to = plan.stage(id);
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      if (!input.valid() || !plan.strategies.contains(input.node)) continue;
      const int from = plan.stage(input.node);
      if (from == to) continue;
      if (from > to) {
        return absl::InvalidArgumentError(absl::StrCat("node '", node.name(), "' of stage ", to,
                                                       " reads a value of stage ", from,
                                                       "; values flow to later stages only"));
      }
      auto& planner = planners[{from, to}];
      if (!planner) {
        planner = std::make_unique<TransferPlanner>(*resharders[from], *resharders[to], plan.stages[from],
                                                    plan.stages[to], cluster);
      }
      const Transfer& transfer =
          planner->Best(ProducedSharding(graph, plan, input), strategy->second.inputs[i], graph.desc(input));
      if (transfer.sources.empty()) {
        return absl::InternalError(absl::StrCat("input ", i, " of node '", node.name(), "' cannot be sent"));
      }
      std::vector<Crossing>& same = found[{from, place[input.node], input.output, to}];
      const bool known = std::any_of(same.begin(), same.end(), [&](const Crossing& other) {
        return other.transfer.sent == transfer.sent && other.transfer.received == transfer.received;
      });
      if (!known) same.push_back({input, from, to, transfer});
    }
  }
  std::vector<Crossing> crossings;
  for (auto& [key, list] : found) {
    for (Crossing& crossing : list) crossings.push_back(std::move(crossing));
  }
  return crossings;
}

const Crossing* NearestCrossing(const std::vector<Crossing>& crossings, ValueId value, int stage,
                                const Sharding& wanted, const TensorDesc& desc, Resharder& resharder) {
  const Crossing* nearest = nullptr;
  double seconds = 0;
  for (const Crossing& crossing : crossings) {
    if (crossing.value != value || crossing.to != stage) continue;
    const double here = resharder.Seconds(crossing.transfer.received, wanted, desc);
    if (nearest != nullptr && here >= seconds) continue;
    nearest = &crossing;
    seconds = here;
  }
  return nearest;
}

}  // namespace omserve
