#include "core/simulate/simulate.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/partition/crossings.h"
#include "core/partition/explain.h"
#include "core/partition/weight_gather.h"

namespace omserve {
namespace {

using Kind = SimulatedStep::Kind;

// Walks the operators of one stage as the lowering's SliceBuilder does: the same values are remembered, so the same
// steps are shared.
class StageProgram {
 public:
  StageProgram(const Graph& graph, const Plan& plan, const std::vector<Crossing>& crossings,
               const std::vector<WeightGather>& gathers, Resharder& resharder, int stage)
      : graph_(graph), plan_(plan), crossings_(crossings), gathers_(gathers), resharder_(resharder), stage_(stage) {}

  void AddReceives() {
    for (size_t tag = 0; tag < crossings_.size(); ++tag) {
      const Crossing& crossing = crossings_[tag];
      if (crossing.to != stage_) continue;
      steps_.push_back({Kind::kReceive, 0, static_cast<int>(tag), graph_.node(crossing.value.node)->name(),
                        absl::StrCat("from stage ", crossing.from)});
      held_.insert({crossing.value, crossing.transfer.received});
    }
  }

  absl::Status AddNode(const Node& node, const Strategy& strategy) {
    StartGathers();
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId value = node.input(i);
      if (!value.valid()) continue;
      const Sharding& wanted = strategy.inputs[static_cast<size_t>(i)];
      if (plan_.strategies.contains(value.node) && plan_.stage(value.node) != stage_) {
        const Crossing* nearest = NearestCrossing(crossings_, value, stage_, wanted, graph_.desc(value), resharder_);
        produced_[value] = nearest->transfer.received;
      }
      Get(value, wanted);
    }
    ASSIGN_OR_RETURN(const double exchanged, ExchangeSeconds(graph_, node, resharder_, strategy));
    double resolved = 0;
    for (int i = 0; i < node.num_outputs(); ++i) {
      const size_t at = static_cast<size_t>(i);
      resolved += resharder_.Seconds(strategy.raw_outputs[at], strategy.outputs[at], node.output(i));
    }
    // A plan keeps one figure for all three.
    Add(Kind::kCompute, std::max(0.0, strategy.seconds - exchanged - resolved), node.name(), node.type());
    Add(Kind::kCollective, exchanged, node.name(), "exchange inside the operator");
    for (int i = 0; i < node.num_outputs(); ++i) {
      const size_t at = static_cast<size_t>(i);
      held_.insert({node.out(i), strategy.raw_outputs[at]});
      produced_[node.out(i)] = strategy.raw_outputs[at];
      Get(node.out(i), strategy.outputs[at]);
      produced_[node.out(i)] = strategy.outputs[at];
    }
    for (size_t tag = 0; tag < crossings_.size(); ++tag) {
      const Crossing& crossing = crossings_[tag];
      if (crossing.value.node != node.id() || crossing.from != stage_) continue;
      Get(crossing.value, crossing.transfer.sent);
      steps_.push_back({Kind::kSend, crossing.transfer.send_seconds, static_cast<int>(tag), node.name(),
                        absl::StrCat(ToString(crossing.transfer.received), " to stage ", crossing.to)});
    }
    return absl::OkStatus();
  }

  void AddOutputs() {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      const ValueId value = graph_.outputs()[i].value;
      if (plan_.strategies.contains(value.node) && plan_.stage(value.node) == stage_) Get(value, plan_.outputs[i]);
    }
  }

  std::vector<SimulatedStep> TakeSteps() { return std::move(steps_); }

 private:
  void Add(Kind kind, double seconds, const std::string& name, std::string what) {
    if (seconds > 0) steps_.push_back({kind, seconds, -1, name, std::move(what)});
  }

  // The gathers of weights that stand before the next operator.
  void StartGathers() {
    for (; next_gather_ < gathers_.size() && gathers_[next_gather_].start <= position_; ++next_gather_) {
      const WeightGather& gather = gathers_[next_gather_];
      const Strategy& strategy = plan_.strategies.at(gather.node);
      const ValueId weight = graph_.node(gather.node)->input(gather.input);
      const ReshardPath path = resharder_.Path(HeldAs(strategy, gather.input),
                                               strategy.inputs[static_cast<size_t>(gather.input)], graph_.desc(weight));
      for (const ReshardStep& step : path.steps) {
        Add(Kind::kCollective, step.seconds, graph_.node(weight.node)->name(), Describe(step));
      }
    }
    ++position_;
  }

  // The steps of a reshard that have not been taken for another reader.
  void Get(ValueId value, const Sharding& wanted) {
    const Node& producer = *graph_.node(value.node);
    if (producer.is_const() || held_.contains({value, wanted})) return;
    const TensorDesc& desc = graph_.desc(value);
    auto produced = produced_.find(value);
    const Sharding at =
        produced != produced_.end() ? produced->second : Sharding::Replicated(static_cast<int>(desc.shape.size()));
    for (const ReshardStep& step : resharder_.Path(at, wanted, desc).steps) {
      if (!held_.insert({value, step.after}).second) continue;
      Add(step.kind == ReshardStep::Kind::kSlice ? Kind::kCompute : Kind::kCollective, step.seconds, producer.name(),
          Describe(step));
    }
  }

  const Graph& graph_;
  const Plan& plan_;
  const std::vector<Crossing>& crossings_;
  const std::vector<WeightGather>& gathers_;
  Resharder& resharder_;
  const int stage_;
  absl::flat_hash_set<std::pair<ValueId, Sharding>> held_;
  absl::flat_hash_map<ValueId, Sharding> produced_;  // where readers start from
  size_t position_ = 0;                              // of the next operator
  size_t next_gather_ = 0;                           // among gathers_
  std::vector<SimulatedStep> steps_;
};

}  // namespace

absl::StatusOr<PipelineProgram> ProgramOf(const Graph& graph, const Cluster& cluster, const Plan& plan) {
  std::vector<std::unique_ptr<Resharder>> resharders;
  for (const Mesh& mesh : plan.stages) resharders.push_back(std::make_unique<Resharder>(mesh, cluster));
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  for (int32_t id : order) {
    const Node& node = *graph.node(id);
    if (!node.is_data() && !node.is_const() && !plan.strategies.contains(id)) {
      return absl::InvalidArgumentError(absl::StrCat("the plan has no strategy for node '", node.name(), "'"));
    }
  }
  ASSIGN_OR_RETURN(const std::vector<Crossing> crossings, FindCrossings(graph, cluster, plan, resharders, order));
  const std::vector<std::vector<WeightGather>> gathers = ScheduleGathers(graph, plan, order);
  PipelineProgram program;
  for (int stage = 0; stage < plan.num_stages(); ++stage) {
    const size_t s = static_cast<size_t>(stage);
    StageProgram builder(graph, plan, crossings, gathers[s], *resharders[s], stage);
    builder.AddReceives();
    for (int32_t id : order) {
      auto strategy = plan.strategies.find(id);
      if (strategy == plan.strategies.end() || plan.stage(id) != stage) continue;
      RETURN_IF_ERROR(builder.AddNode(*graph.node(id), strategy->second));
    }
    builder.AddOutputs();
    program.stages.push_back(builder.TakeSteps());
  }
  return program;
}

absl::StatusOr<PlanSimulation> SimulatePlan(const Graph& graph, const Cluster& cluster, const Plan& plan,
                                            const PlanSimulationOptions& options) {
  PlanSimulation simulation;
  simulation.replicas = plan.num_replicas();
  ASSIGN_OR_RETURN(simulation.program, ProgramOf(graph, cluster, plan));
  ASSIGN_OR_RETURN(simulation.alone, SimulateRuns({simulation.program}, std::vector<SimulatedRun>(1),
                                                  {.recorded_runs = std::min(1, options.drawn_runs)}));
  simulation.latency = simulation.alone.seconds;
  ASSIGN_OR_RETURN(simulation.steady, FindSteadyState(simulation.program, /*overlap_sends=*/false));
  ASSIGN_OR_RETURN(simulation.overlapped, FindSteadyState(simulation.program, /*overlap_sends=*/true));
  // Replicas take turns.
  simulation.micro_batches = options.micro_batches;
  const int most = (options.micro_batches + simulation.replicas - 1) / simulation.replicas;
  ASSIGN_OR_RETURN(simulation.request_seconds, MicroBatchedSeconds(simulation.program, most, /*overlap_sends=*/true));
  if (options.drawn_runs > 0) {
    const std::vector<SimulatedRun> runs(static_cast<size_t>(options.drawn_runs));
    ASSIGN_OR_RETURN(simulation.under_way, SimulateRuns({simulation.program}, runs,
                                                        {.overlap_sends = true, .recorded_runs = options.drawn_runs}));
  }
  return simulation;
}

}  // namespace omserve
