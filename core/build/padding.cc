#include "core/build/padding.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/partition/plan_file.h"

namespace omserve {
namespace {

// Every size that a stage's mesh can have divides this.
absl::StatusOr<int64_t> MultipleFor(const Cluster& cluster, const ParallelOptions& options) {
  if (!options.plan.empty()) return PaddingOfPlan(options.plan, "plan");
  if (!options.pad_uneven) return 1;
  if (options.tensor_parallel_size) return *options.tensor_parallel_size;
  return std::max(1, cluster.num_devices() / options.data_parallel_size.value_or(1) / options.pipeline_stages.value_or(1));
}

// Whether an operator holds or reads a padded weight cut along what was padded.
bool CutsPadding(const Graph& graph, const Plan& plan, const std::vector<PaddedWeight>& padded) {
  return std::any_of(plan.strategies.begin(), plan.strategies.end(), [&](const auto& entry) {
    const Node& node = *graph.node(entry.first);
    for (int i = 0; i < node.num_inputs(); ++i) {
      for (const PaddedWeight& weight : padded) {
        if (node.input(i).node != weight.node) continue;
        if (!HeldAs(entry.second, i).dims[static_cast<size_t>(weight.dim)].empty()) return true;
      }
    }
    return false;
  });
}

absl::Status MakePlan(PlannedModel& model, const Cluster& cluster, const WaitLimit& limit) {
  ASSIGN_OR_RETURN(model.planner, ModelPlanner::Create(model.graph, cluster, model.options));
  ASSIGN_OR_RETURN(model.plan, model.planner->Find(1, limit));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<PaddedWeight>> PadForPlan(Graph& graph, const Cluster& cluster, ParallelOptions& options) {
  ASSIGN_OR_RETURN(const int64_t multiple, MultipleFor(cluster, options));
  ASSIGN_OR_RETURN(std::vector<PaddedWeight> padded, PadVocabularies(graph, multiple));
  options.padded_to = padded.empty() ? 1 : multiple;
  return padded;
}

std::string PlannedModel::DescribePadding() const {
  std::string text;
  for (const PaddedWeight& weight : padded) {
    const Node& node = *graph.node(weight.node);
    absl::StrAppend(&text, text.empty() ? "" : ", ", "'", node.name(), "' ", weight.size, " to ",
                    node.output().shape[static_cast<size_t>(weight.dim)]);
  }
  return text;
}

absl::StatusOr<std::unique_ptr<PlannedModel>> PadAndPlan(Graph graph, const Cluster& cluster,
                                                         const ParallelOptions& options, const WaitLimit& limit) {
  RETURN_IF_ERROR(CheckSizes(options, cluster));
  auto model = std::make_unique<PlannedModel>();
  model->graph = graph.Clone();
  model->options = options;
  ASSIGN_OR_RETURN(model->padded, PadForPlan(model->graph, cluster, model->options));
  const absl::Status status = MakePlan(*model, cluster, limit);
  const bool serves = model->padded.empty() || !options.plan.empty() ||
                      (status.ok() && CutsPadding(model->graph, model->plan, model->padded));
  if (serves || (!status.ok() && status.code() != absl::StatusCode::kResourceExhausted)) {
    RETURN_IF_ERROR(status);
    return model;
  }
  // Padding would only cost.
  model->planner.reset();
  model->graph = std::move(graph);
  model->options = options;
  model->padded.clear();
  RETURN_IF_ERROR(MakePlan(*model, cluster, limit));
  return model;
}

}  // namespace omserve
