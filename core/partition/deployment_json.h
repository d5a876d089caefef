// A plan in the JSON that CANN's partitioner keeps in graph attributes (shapes: metadef's graph/parallelism
// headers of CANN 8.1), for tools that know it. Written into the OM beside our own plan file; never read
// back.
#ifndef OMSERVE_CORE_PARTITION_DEPLOYMENT_JSON_H_
#define OMSERVE_CORE_PARTITION_DEPLOYMENT_JSON_H_

#include <map>
#include <string>
#include <vector>

#include "core/partition/lower/lower.h"
#include "core/partition/plan.h"

namespace omserve {

// Attribute name → JSON text, for replica 0:
//   _node_deployments       {"deployments": [[id, {"devices": […], "pipeline_config": {…}}], …]}
//   _tensor_deployments     {"deployments": [[id, {"shard_deployment": {…}, "verbose": "node:output"}], …]}
//   _reshard_attr           [[id, [per output: [{"device_list", "comm_steps", "peer_inputs", …}]]], …] of operators
//                           whose values change how they lie on their way to a reader
//   _shard_graph_ext_attrs  {"dev_index_to_logic_dev_id", "graph_name_to_endpoints", "group_name_to_dev_ids"}
// Ids of operators count in execution order, those of tensors their outputs in that order. `groups`: those the slices
// communicate in.
std::map<std::string, std::string> DeploymentAttributes(const Graph& graph, const Cluster& cluster,
                                                        const Plan& plan, const std::vector<SliceGroup>& groups);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_DEPLOYMENT_JSON_H_
