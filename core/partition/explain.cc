#include "core/partition/explain.h"

#include <algorithm>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/partition/device_bytes.h"
#include "core/partition/transfer.h"
#include "core/partition/weight_gather.h"

namespace omserve {
namespace {

int64_t LocalBytes(const Mesh& mesh, const Sharding& sharding, const TensorDesc& desc) {
  return static_cast<int64_t>(ByteSize({desc.type, LocalShape(mesh, sharding, desc.shape)}));
}

// What one device sends in a step, by bandwidth-optimal algorithms.
int64_t SentBytes(const Mesh& mesh, const ReshardStep& step, const Sharding& before, const TensorDesc& desc) {
  const double p = static_cast<double>(mesh.Parts(step.axes));
  const double share = (p - 1) / p;
  const double in = static_cast<double>(LocalBytes(mesh, before, desc)),
               out = static_cast<double>(LocalBytes(mesh, step.after, desc));
  switch (step.kind) {
    case ReshardStep::Kind::kSlice:
      return 0;
    case ReshardStep::Kind::kAllGather:
      return static_cast<int64_t>(share * out);
    case ReshardStep::Kind::kAllReduce:
      return static_cast<int64_t>(2 * share * in);
    case ReshardStep::Kind::kReduceScatter:
    case ReshardStep::Kind::kAllToAll:
      return static_cast<int64_t>(share * in);
  }
  return 0;
}

class Explainer {
 public:
  Explainer(const Graph& graph, const Cluster& cluster, const Plan& plan)
      : graph_(graph), cluster_(cluster), plan_(plan) {
    for (const Mesh& mesh : plan.stages) resharders_.push_back(std::make_unique<Resharder>(mesh, cluster));
  }

  absl::StatusOr<PlanReport> Explain() {
    for (const Mesh& mesh : plan_.stages) {
      PlanReport::Stage stage;
      stage.axes = mesh.axis_sizes();
      for (int position : mesh.devices()) {
        const ClusterDevice& device = cluster_.devices()[static_cast<size_t>(position)];
        stage.devices.push_back(device.id.ToString());
        if (device.memory_bytes > 0 &&
            (stage.memory_bytes == 0 || device.memory_bytes < stage.memory_bytes)) {
          stage.memory_bytes = device.memory_bytes;
        }
      }
      report_.stages.push_back(std::move(stage));
    }
    ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph_.TopologicalOrder());
    std::set<std::tuple<int, int32_t, std::string>> held;
    for (int32_t id : order) {
      const Node& node = *graph_.node(id);
      if (node.is_data() || node.is_const()) continue;
      auto strategy = plan_.strategies.find(id);
      if (strategy == plan_.strategies.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("the plan has no strategy for node '", node.name(), "'"));
      }
      AddOperator(node, strategy->second, &held);
    }
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      const GraphOutput& output = graph_.outputs()[i];
      if (!plan_.strategies.contains(output.value.node)) continue;
      const int stage = plan_.stage(output.value.node);
      AddReshard(output.value, absl::StrCat("output ", output.name), stage, stage, plan_.outputs[i]);
    }
    const std::vector<int64_t> bytes = DeviceBytes(graph_, plan_);
    for (size_t s = 0; s < report_.stages.size(); ++s) {
      PlanReport::Stage& stage = report_.stages[s];
      stage.value_bytes = bytes[s] - stage.weight_bytes;
      stage.seconds = stage.compute_seconds + stage.communication_seconds;
      report_.seconds += stage.seconds;
      report_.seconds_between_answers = std::max(report_.seconds_between_answers, stage.seconds);
    }
    report_.replicas = plan_.num_replicas();
    report_.lower_bound = plan_.lower_bound;
    report_.objective_seconds = plan_.objective_seconds;
    report_.objective_bound = plan_.objective_bound;
    report_.exact = plan_.exact;
    report_.engine = plan_.engine;
    return std::move(report_);
  }

 private:
  void AddOperator(const Node& node, const Strategy& strategy,
                   std::set<std::tuple<int, int32_t, std::string>>* held) {
    const int s = plan_.stage(node.id());
    PlanReport::Stage& stage = report_.stages[static_cast<size_t>(s)];
    const Mesh& mesh = plan_.stages[static_cast<size_t>(s)];
    PlanReport::Operator entry{node.id(), node.name(), node.type(), s, {}, strategy.seconds, 0};
    for (const Sharding& output : strategy.outputs) entry.outputs.push_back(ToString(output));
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      if (!input.valid()) continue;
      const Sharding& wanted = strategy.inputs[static_cast<size_t>(i)];
      if (graph_.node(input.node)->is_const()) {
        const Sharding& sharding = HeldAs(strategy, i);
        const int64_t bytes = LocalBytes(mesh, sharding, graph_.desc(input));
        entry.weight_bytes += bytes;
        if (held->emplace(s, input.node, ToString(sharding)).second) stage.weight_bytes += bytes;
        if (sharding != wanted) AddWithin(s, input, node.name(), sharding, wanted);
        continue;
      }
      AddReshard(input, node.name(), plan_.strategies.contains(input.node) ? plan_.stage(input.node) : s, s,
                 wanted);
    }
    // Resolving sums is part of what the strategy costs, and communication all the same.
    double resolving = 0;
    for (size_t i = 0; i < strategy.outputs.size(); ++i) {
      resolving += resharders_[static_cast<size_t>(s)]->Seconds(strategy.raw_outputs[i], strategy.outputs[i],
                                                                node.output(static_cast<int>(i)));
      CountTraffic(s, strategy.raw_outputs[i], strategy.outputs[i], node.output(static_cast<int>(i)),
                   nullptr);
    }
    stage.compute_seconds += strategy.seconds - resolving;
    stage.communication_seconds += resolving;
    report_.operators.push_back(std::move(entry));
  }

  // Adds the steps of a path to the traffic of a stage, and to `reshard` if given.
  void CountTraffic(int s, Sharding at, const Sharding& to, const TensorDesc& desc,
                    PlanReport::Reshard* reshard) {
    if (at == to) return;
    const Mesh& mesh = plan_.stages[static_cast<size_t>(s)];
    for (const ReshardStep& step : resharders_[static_cast<size_t>(s)]->Path(at, to, desc).steps) {
      const int64_t bytes = SentBytes(mesh, step, at, desc);
      for (int8_t axis : step.axes) {
        if (bytes == 0) break;
        report_.stages[static_cast<size_t>(s)].axis_bytes[axis] +=
            bytes / static_cast<int64_t>(step.axes.size());
      }
      if (reshard != nullptr) {
        reshard->steps.push_back(Describe(step));
        reshard->bytes += bytes;
      }
      at = step.after;
    }
  }

  // A reshard within stage `s`.
  void AddWithin(int s, ValueId value, std::string reader, const Sharding& from, const Sharding& to) {
    const TensorDesc& desc = graph_.desc(value);
    PlanReport::Reshard reshard{
        graph_.node(value.node)->name(), std::move(reader), s, s, ToString(from), ToString(to), {}, 0, 0};
    reshard.seconds = resharders_[static_cast<size_t>(s)]->Seconds(from, to, desc);
    CountTraffic(s, from, to, desc, &reshard);
    report_.stages[static_cast<size_t>(s)].communication_seconds += reshard.seconds;
    report_.reshards.push_back(std::move(reshard));
  }

  void AddReshard(ValueId value, std::string reader, int from, int to, const Sharding& wanted) {
    const TensorDesc& desc = graph_.desc(value);
    const Sharding produced = ProducedSharding(graph_, plan_, value);
    if (from == to) {
      if (produced != wanted) AddWithin(to, value, std::move(reader), produced, wanted);
      return;
    }
    PlanReport::Reshard reshard{graph_.node(value.node)->name(),
                                std::move(reader),
                                from,
                                to,
                                ToString(produced),
                                ToString(wanted),
                                {},
                                0,
                                0};
    std::unique_ptr<TransferPlanner>& planner = transfers_[{from, to}];
    if (!planner) {
      planner = std::make_unique<TransferPlanner>(
          *resharders_[static_cast<size_t>(from)], *resharders_[static_cast<size_t>(to)],
          plan_.stages[static_cast<size_t>(from)], plan_.stages[static_cast<size_t>(to)], cluster_);
    }
    const Transfer& transfer = planner->Best(produced, wanted, desc);
    reshard.seconds = transfer.seconds;
    CountTraffic(from, produced, transfer.sent, desc, &reshard);
    const int64_t bytes = LocalBytes(plan_.stages[static_cast<size_t>(to)], transfer.received, desc);
    reshard.steps.push_back(absl::StrCat("send ", ToString(transfer.received), " to stage ", to));
    reshard.bytes += bytes;
    // Readers of the same part share its message.
    if (sent_.emplace(value.node, value.output, to, ToString(transfer.received)).second) {
      report_.stages[static_cast<size_t>(from)].stage_bytes[to] += bytes;
    }
    CountTraffic(to, transfer.received, wanted, desc, &reshard);
    report_.stages[static_cast<size_t>(to)].communication_seconds += reshard.seconds;
    report_.reshards.push_back(std::move(reshard));
  }

  const Graph& graph_;
  const Cluster& cluster_;
  const Plan& plan_;
  std::vector<std::unique_ptr<Resharder>> resharders_;
  std::map<std::pair<int, int>, std::unique_ptr<TransferPlanner>> transfers_;
  std::set<std::tuple<int32_t, int, int, std::string>> sent_;  // node, output, stage and how it is received
  PlanReport report_;
};

}  // namespace

std::string Describe(const ReshardStep& step) {
  std::string axes = absl::StrJoin(
      step.axes, ".", [](std::string* out, int8_t axis) { absl::StrAppend(out, static_cast<int>(axis)); });
  const std::string over = absl::StrCat(" over axes ", axes, step.algorithm.empty() ? "" : absl::StrCat(" (", step.algorithm, ")"));
  switch (step.kind) {
    case ReshardStep::Kind::kSlice: return absl::StrCat("slice of dimension ", step.dim, over);
    case ReshardStep::Kind::kAllGather: return absl::StrCat("all-gather of dimension ", step.dim, over);
    case ReshardStep::Kind::kAllReduce: return absl::StrCat("all-reduce", over);
    case ReshardStep::Kind::kReduceScatter: return absl::StrCat("reduce-scatter to dimension ", step.dim, over);
    case ReshardStep::Kind::kAllToAll:
      return absl::StrCat("all-to-all from dimension ", step.dim, " to ", step.to_dim, over);
  }
  return "";
}

absl::StatusOr<PlanReport> ExplainPlan(const Graph& graph, const Cluster& cluster, const Plan& plan) {
  return Explainer(graph, cluster, plan).Explain();
}

}  // namespace omserve
