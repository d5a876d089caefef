#include "core/partition/deployment_json.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/partition/transfer.h"
#include "nlohmann/json.hpp"

namespace omserve {
namespace {

using nlohmann::ordered_json;

ordered_json DeviceIndex(const ClusterDevice& device) {
  return {{"engine_type", device.type == "cpu" ? "CPU" : "NPU"},
          {"index", {device.id.cluster, device.id.node, device.id.item}}};
}

ordered_json DevicesOf(const Cluster& cluster, const Mesh& mesh) {
  ordered_json list = ordered_json::array();
  for (int position : mesh.devices())
    list.push_back(DeviceIndex(cluster.devices()[static_cast<size_t>(position)]));
  return list;
}

// Ranges per dimension, and for each piece (row-major over the ranges) the devices that hold it. Summands are
// not told: the original keeps them in memory only.
ordered_json TensorDeployment(const Cluster& cluster, const Mesh& mesh, const Sharding& sharding,
                              const Shape& shape) {
  const Shape local = LocalShape(mesh, sharding, shape);
  ordered_json slices = ordered_json::array();
  std::vector<int64_t> parts;
  int64_t pieces = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    ordered_json ranges = ordered_json::array();
    parts.push_back(mesh.Parts(sharding.dims[d]));
    pieces *= parts.back();
    for (int64_t p = 0; p < parts.back(); ++p) ranges.push_back({p * local[d], (p + 1) * local[d]});
    slices.push_back(std::move(ranges));
  }
  std::vector<ordered_json> holders(static_cast<size_t>(pieces), ordered_json::array());
  for (int rank = 0; rank < mesh.size(); ++rank) {
    int64_t piece = 0;
    for (size_t d = 0; d < shape.size(); ++d) piece = piece * parts[d] + mesh.IndexOn(rank, sharding.dims[d]);
    holders[static_cast<size_t>(piece)].push_back(
        DeviceIndex(cluster.devices()[static_cast<size_t>(mesh.device(rank))]));
  }
  return {{"axis_slices", std::move(slices)}, {"device_indices_each_slice", holders}};
}

ordered_json GroupsOf(const Cluster& cluster, const Mesh& mesh, const AxisList& axes) {
  ordered_json groups = ordered_json::array();
  for (const std::vector<int>& ranks : mesh.Groups(axes)) {
    ordered_json group = ordered_json::array();
    for (int rank : ranks) group.push_back(DeviceIndex(cluster.devices()[static_cast<size_t>(mesh.device(rank))]));
    groups.push_back(std::move(group));
  }
  return groups;
}

// Each part of a dimension goes to the devices that keep it.
ordered_json SliceTask(const Cluster& cluster, const Mesh& mesh, const ReshardStep& step) {
  std::vector<ordered_json> parts(static_cast<size_t>(mesh.Parts(step.axes)), ordered_json::array());
  for (int rank = 0; rank < mesh.size(); ++rank) {
    parts[static_cast<size_t>(mesh.IndexOn(rank, step.axes))].push_back(
        DeviceIndex(cluster.devices()[static_cast<size_t>(mesh.device(rank))]));
  }
  return {{"task_type", "SliceByAxis"}, {"axis_to_slice_deployments", {{step.dim, parts}}}};
}

ordered_json TaskOf(const Cluster& cluster, const Mesh& mesh, const ReshardStep& step) {
  const ordered_json groups = GroupsOf(cluster, mesh, step.axes);
  switch (step.kind) {
    case ReshardStep::Kind::kSlice:
      return SliceTask(cluster, mesh, step);
    case ReshardStep::Kind::kAllGather:
      return {{"task_type", "HcomAllGather"}, {"comm_groups", groups}, {"axis", step.dim}};
    case ReshardStep::Kind::kAllReduce:
      return {{"task_type", "HcomAllReduce"}, {"comm_groups", groups}, {"reduction", "sum"}};
    case ReshardStep::Kind::kReduceScatter:
      return {{"task_type", "HcomReduceScatter"}, {"comm_groups", groups}, {"reduction", "sum"}};
    case ReshardStep::Kind::kAllToAll:
      break;
  }
  return {{"task_type", "HcomAllToAll"}, {"comm_groups", groups}};
}

// The way of one output to its readers: steps that several readers begin with are told once.
class OutputSteps {
 public:
  explicit OutputSteps(const Cluster& cluster) : cluster_(cluster) {}

  // Adds the steps of a way on a mesh behind step `after` (-1: what the operator yields); returns the last.
  int AddPath(int after, const Mesh& mesh, const ReshardPath& path) {
    for (const ReshardStep& step : path.steps) after = Add(after, TaskOf(cluster_, mesh, step));
    return after;
  }

  int AddSend(int after, const Mesh& from, const Mesh& to, const Transfer& transfer) {
    ordered_json pairs = ordered_json::array();
    for (int rank = 0; rank < to.size(); ++rank) {
      const int source = from.device(transfer.sources[static_cast<size_t>(rank)]);
      pairs.push_back({{"src_device_index", DeviceIndex(cluster_.devices()[static_cast<size_t>(source)])},
                       {"dst_device_index", DeviceIndex(cluster_.devices()[static_cast<size_t>(to.device(rank))])},
                       {"src_virtual_stage_id", 0},
                       {"dst_virtual_stage_id", 0}});
    }
    return Add(after, {{"task_type", "SendReceive"}, {"comm_pairs", std::move(pairs)}, {"comm_type", "P2pComm"}});
  }

  void AddReader(int step, const Node& reader, int input, int stage) {
    peers_.push_back({{"step_id", step}, {"node_name", reader.name()}, {"input_index", input}, {"stage_id", stage},
                      {"virtual_stage_id", 0}});
  }

  bool empty() const { return steps_.empty(); }
  ordered_json ToJson(ordered_json devices, int stage) && {
    return {{"device_list", std::move(devices)}, {"comm_steps", std::move(steps_)}, {"peer_inputs", std::move(peers_)},
            {"stage_id", stage}, {"virtual_stage_id", 0}};
  }

 private:
  int Add(int after, ordered_json task) {
    auto [it, fresh] = known_.try_emplace({after, task.dump()}, static_cast<int>(steps_.size()));
    if (!fresh) return it->second;
    ordered_json step = {{"id", it->second}};
    if (after >= 0) step["input_ids"] = {{after, 0}};
    step["comm_task"] = std::move(task);
    steps_.push_back(std::move(step));
    return it->second;
  }

  const Cluster& cluster_;
  std::map<std::pair<int, std::string>, int> known_;  // by the step before and the task
  ordered_json steps_ = ordered_json::array(), peers_ = ordered_json::array();
};

// How values get to their readers: "_reshard_attr" of all operators that need steps.
class Reshards {
 public:
  Reshards(const Graph& graph, const Cluster& cluster, const Plan& plan)
      : graph_(graph), cluster_(cluster), plan_(plan) {
    for (const Mesh& mesh : plan.stages) resharders_.push_back(std::make_unique<Resharder>(mesh, cluster));
    for (const auto& [id, strategy] : plan.strategies) {
      const Node& node = *graph.node(id);
      for (int i = 0; i < node.num_inputs(); ++i) {
        if (node.input(i).valid()) readers_[node.input(i)].emplace_back(id, i);
      }
    }
  }

  // Per output; empty when none needs a step.
  ordered_json Of(const Node& node) {
    ordered_json outputs = ordered_json::array();
    bool any = false;
    for (int i = 0; i < node.num_outputs(); ++i) {
      OutputSteps steps = StepsOf(node, i);
      any |= !steps.empty();
      ordered_json list = ordered_json::array();
      if (!steps.empty()) {
        list.push_back(std::move(steps).ToJson(DevicesOf(cluster_, plan_.mesh_of(node.id())), plan_.stage(node.id())));
      }
      outputs.push_back(std::move(list));
    }
    return any ? outputs : ordered_json::array();
  }

 private:
  OutputSteps StepsOf(const Node& node, int output) {
    OutputSteps steps(cluster_);
    const Strategy& strategy = plan_.strategies.at(node.id());
    const TensorDesc& desc = node.output(output);
    const int from = plan_.stage(node.id());
    const Mesh& mesh = plan_.mesh_of(node.id());
    const Sharding& left = strategy.outputs[static_cast<size_t>(output)];
    Resharder& here = *resharders_[static_cast<size_t>(from)];
    const int begin = steps.AddPath(-1, mesh, here.Path(strategy.raw_outputs[static_cast<size_t>(output)], left, desc));
    for (const auto& [reader, input] : readers_[node.out(output)]) {
      const int to = plan_.stage(reader);
      const Sharding& wanted = plan_.strategies.at(reader).inputs[static_cast<size_t>(input)];
      int last = begin;
      if (to == from) {
        last = steps.AddPath(last, mesh, here.Path(left, wanted, desc));
      } else {
        Resharder& there = *resharders_[static_cast<size_t>(to)];
        const Mesh& target = plan_.stages[static_cast<size_t>(to)];
        TransferPlanner planner(here, there, mesh, target, cluster_);
        const Transfer& transfer = planner.Best(left, wanted, desc);
        last = steps.AddPath(last, mesh, here.Path(left, transfer.sent, desc));
        last = steps.AddSend(last, mesh, target, transfer);
        last = steps.AddPath(last, target, there.Path(transfer.received, wanted, desc));
      }
      steps.AddReader(last, *graph_.node(reader), input, to);
    }
    return steps;
  }

  const Graph& graph_;
  const Cluster& cluster_;
  const Plan& plan_;
  std::vector<std::unique_ptr<Resharder>> resharders_;  // per stage
  std::map<ValueId, std::vector<std::pair<int32_t, int>>> readers_;
};

ordered_json ExtensionsOf(const Cluster& cluster, const Plan& plan, const std::vector<SliceGroup>& groups) {
  ordered_json devices = ordered_json::array(), members = ordered_json::object();
  auto device = [&](int rank) -> const ClusterDevice& {
    return cluster.devices()[static_cast<size_t>(plan.device(0, rank))];
  };
  for (int rank = 0; rank < plan.num_ranks(); ++rank) {
    const LogicalDeviceId& id = device(rank).id;
    devices.push_back({DeviceIndex(device(rank)), {id.cluster, id.node, id.item, id.chip}});
  }
  for (const SliceGroup& group : groups) {
    ordered_json ids = ordered_json::array();
    for (int rank : group.ranks) ids.push_back(device(rank).id.ToString());
    members[group.name] = std::move(ids);
  }
  return {{"dev_index_to_logic_dev_id", std::move(devices)},
          {"graph_name_to_endpoints", ordered_json::object()},  // messages, no queues
          {"group_name_to_dev_ids", std::move(members)}};
}

std::string Text(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

std::map<std::string, std::string> DeploymentAttributes(const Graph& graph, const Cluster& cluster,
                                                        const Plan& plan, const std::vector<SliceGroup>& groups) {
  ordered_json nodes = ordered_json::array(), tensors = ordered_json::array(), reshards = ordered_json::array();
  Reshards ways(graph, cluster, plan);
  for (int32_t id : graph.TopologicalOrder().value_or(std::vector<int32_t>{})) {
    auto it = plan.strategies.find(id);
    if (it == plan.strategies.end()) continue;
    const Node& node = *graph.node(id);
    const Mesh& mesh = plan.mesh_of(id);
    const ordered_json pipeline = {
        {"micro_batch", 1}, {"stage_id", plan.stage(id)}, {"virtual_stage_id", {0}}};
    ordered_json steps = ways.Of(node);
    if (!steps.empty()) reshards.push_back({nodes.size(), std::move(steps)});
    nodes.push_back({nodes.size(), {{"devices", DevicesOf(cluster, mesh)}, {"pipeline_config", pipeline}}});
    for (int i = 0; i < node.num_outputs(); ++i) {
      const Sharding& sharding = it->second.outputs[static_cast<size_t>(i)];
      tensors.push_back(
          {tensors.size(),
           {{"shard_deployment", TensorDeployment(cluster, mesh, sharding, node.output(i).shape)},
            {"verbose", absl::StrCat(node.name(), ":", i)}}});
    }
  }
  return {{"_node_deployments", Text({{"deployments", nodes}})},
          {"_tensor_deployments", Text({{"deployments", tensors}})},
          {"_reshard_attr", Text(reshards)},
          {"_shard_graph_ext_attrs", Text(ExtensionsOf(cluster, plan, groups))}};
}

}  // namespace omserve
