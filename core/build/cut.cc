#include "core/build/cut.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/build/describe.h"
#include "core/build/padding.h"
#include "core/partition/deployment_json.h"
#include "core/partition/lower/lower.h"
#include "core/partition/plan_file.h"

namespace omserve {

absl::StatusOr<SlicedModel> CutModel(Graph graph, ModelInfo info, const Cluster& cluster,
                                     const ParallelOptions& options,
                                     const std::function<void(const BuildProgress&)>& progress,
                                     const WaitLimit& limit) {
  auto report = [&](const char* phase, double fraction, std::string message) {
    if (progress) progress({phase, fraction, std::move(message)});
  };
  graph.set_name(info.name);
  report("plan", 0, "");
  ASSIGN_OR_RETURN_WITH(const std::unique_ptr<PlannedModel> planned, PadAndPlan(std::move(graph), cluster, options, limit),
                        "plan");
  const Plan& plan = planned->plan;
  report("plan", 1,
         absl::StrCat(plan.num_replicas(), " x ", plan.num_stages(), " x mesh ", plan.stages[0].ToString()));
  report("cut", 0, "");
  if (!planned->padded.empty()) info.build["padded"] = planned->DescribePadding();
  ASSIGN_OR_RETURN(SlicedModel model, CutByPlan(planned->graph, std::move(info), cluster, plan));
  report("cut", 1, model.info.build["plan"]);
  return model;
}

absl::StatusOr<SlicedModel> CutByPlan(const Graph& graph, ModelInfo info, const Cluster& cluster, const Plan& plan) {
  ASSIGN_OR_RETURN_WITH(CutGraph cut, Lower(graph, cluster, plan), "cut");
  info.stages = plan.num_stages();
  info.build["plan"] = Summarize(graph, plan, cut.slices[0]);
  info.build["plan_file"] = PlanToText(graph, cluster, plan);
  info.build.merge(DeploymentAttributes(graph, cluster, plan, cut.groups));
  SlicedModel model;
  for (size_t rank = 0; rank < cut.slices.size(); ++rank) {
    std::vector<LogicalDeviceId> devices;
    for (int replica = 0; replica < plan.num_replicas(); ++replica) {
      devices.push_back(
          cluster.devices()[static_cast<size_t>(plan.device(replica, static_cast<int>(rank)))].id);
    }
    SliceInfo slice = DescribeSlice(cut.slices[rank], std::move(devices));
    slice.inputs = cut.inputs[rank];
    for (SlicePiece& piece : cut.pieces[rank]) {
      slice.outputs.push_back({piece.output, std::move(piece.begin), std::move(piece.extent)});
    }
    info.slices.push_back(std::move(slice));
  }
  for (SliceGroup& group : cut.groups) info.groups.push_back({std::move(group.name), std::move(group.ranks)});
  model.info = std::move(info);
  model.graphs = std::move(cut.slices);
  return model;
}

}  // namespace omserve
