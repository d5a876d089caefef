#include "core/partition/deployment_json.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
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

std::string Text(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

std::map<std::string, std::string> DeploymentAttributes(const Graph& graph, const Cluster& cluster,
                                                        const Plan& plan) {
  ordered_json nodes = ordered_json::array(), tensors = ordered_json::array();
  for (int32_t id : graph.TopologicalOrder().value_or(std::vector<int32_t>{})) {
    auto it = plan.strategies.find(id);
    if (it == plan.strategies.end()) continue;
    const Node& node = *graph.node(id);
    const Mesh& mesh = plan.mesh_of(id);
    const ordered_json pipeline = {
        {"micro_batch", 1}, {"stage_id", plan.stage(id)}, {"virtual_stage_id", {0}}};
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
          {"_tensor_deployments", Text({{"deployments", tensors}})}};
}

}  // namespace omserve
