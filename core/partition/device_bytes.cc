#include "core/partition/device_bytes.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>

#include "core/partition/weight_gather.h"

namespace omserve {

std::vector<int64_t> DeviceBytes(const Graph& graph, const Plan& plan) {
  return DeviceBytes(graph, plan, graph.TopologicalOrder().value_or(std::vector<int32_t>{}));
}

std::vector<int64_t> DeviceBytes(const Graph& graph, const Plan& plan, const std::vector<int32_t>& order) {
  std::vector<int64_t> weights(plan.stages.size(), 0), most(plan.stages.size(), 0);
  // A constant may be wanted in several cuts; each is held.
  std::set<std::tuple<int, int32_t, std::string>> held;
  std::vector<size_t> last_use(static_cast<size_t>(graph.id_limit()), 0);
  std::vector<int32_t> nodes;
  for (int32_t id : order) {
    if (!plan.strategies.contains(id)) continue;
    for (ValueId input : graph.node(id)->inputs()) {
      if (input.valid()) last_use[static_cast<size_t>(input.node)] = nodes.size();
    }
    nodes.push_back(id);
  }
  for (const GraphOutput& output : graph.outputs())
    last_use[static_cast<size_t>(output.value.node)] = nodes.size();
  auto local_outputs = [&](int32_t id) {
    int64_t bytes = 0;
    const Node& node = *graph.node(id);
    const Strategy& strategy = plan.strategies.at(id);
    for (int i = 0; i < node.num_outputs(); ++i) {
      const TensorDesc& desc = node.output(i);
      bytes += static_cast<int64_t>(ByteSize(
          {desc.type, LocalShape(plan.mesh_of(id), strategy.outputs[static_cast<size_t>(i)], desc.shape)}));
    }
    return bytes;
  };
  std::vector<int64_t> alive(plan.stages.size(), 0);
  // Per stage: gathers that have begun, those whose reader has run, and the position of its next operator.
  const std::vector<std::vector<WeightGather>> gathers = ScheduleGathers(graph, plan, order);
  std::vector<size_t> begun(plan.stages.size(), 0), read(plan.stages.size(), 0), position(plan.stages.size(), 0);
  std::vector<std::vector<int32_t>> ends(nodes.size() + 1);
  for (size_t k = 0; k < nodes.size(); ++k) {
    const int32_t id = nodes[k];
    const Node& node = *graph.node(id);
    const int stage = plan.stage(id);
    const Strategy& strategy = plan.strategies.at(id);
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      const TensorSlice* constant = input.valid() ? graph.ConstantOf(input) : nullptr;
      if (constant == nullptr) continue;
      const Sharding& sharding = HeldAs(strategy, i);
      if (!held.emplace(stage, input.node, ToString(sharding)).second) continue;
      weights[static_cast<size_t>(stage)] += static_cast<int64_t>(
          ByteSize({constant->desc().type, LocalShape(plan.mesh_of(id), sharding, constant->shape())}));
    }
    const size_t s = static_cast<size_t>(stage);
    for (; begun[s] < gathers[s].size() && gathers[s][begun[s]].start <= position[s]; ++begun[s]) {
      alive[s] += gathers[s][begun[s]].bytes;
      most[s] = std::max(most[s], alive[s] + gathers[s][begun[s]].transient_bytes);
    }
    alive[s] += local_outputs(id);
    most[s] = std::max(most[s], alive[s]);
    for (; read[s] < begun[s] && gathers[s][read[s]].reader == position[s]; ++read[s])
      alive[s] -= gathers[s][read[s]].bytes;
    ++position[s];
    ends[std::max(k, last_use[static_cast<size_t>(id)])].push_back(id);
    for (int32_t dead : ends[k]) alive[static_cast<size_t>(plan.stage(dead))] -= local_outputs(dead);
  }
  for (size_t s = 0; s < weights.size(); ++s) weights[s] += most[s];
  return weights;
}

}  // namespace omserve
