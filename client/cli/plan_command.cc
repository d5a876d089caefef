#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <stop_token>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/generation.h"
#include "client/cli/partition.h"
#include "client/cli/plan_html.h"
#include "client/cli/text.h"
#include "core/base/deadline.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/build/build.h"
#include "core/build/describe.h"
#include "core/build/padding.h"
#include "core/partition/choose.h"
#include "core/partition/explain.h"
#include "core/partition/plan_file.h"
#include "core/partition/plan.h"
#include "core/simulate/simulate.h"

namespace omserve::cli {
namespace {

using nlohmann::ordered_json;

constexpr size_t kDearest = 10;
// In the picture of runs under way: enough to see the pipeline full, few enough to see operators.
constexpr int kDrawnRuns = 6;

double RunsPerSecond(const PlanSimulation& simulation, const SteadyState& steady) {
  return steady.seconds_between_answers > 0 ? simulation.replicas / steady.seconds_between_answers : 0;
}

ordered_json ToJson(const PlanSimulation& simulation) {
  auto steady = [&](const SteadyState& state) -> ordered_json {
    return {{"seconds_between_answers", state.seconds_between_answers},
            {"runs_per_second", RunsPerSecond(simulation, state)},
            {"stages_at_work", state.working},
            {"stages_at_messages", state.messaging},
            {"bubble", state.bubble}};
  };
  return {{"seconds", simulation.latency},
          {"micro_batches", simulation.micro_batches},
          {"request_seconds", simulation.request_seconds},
          {"messages_beside_work", steady(simulation.overlapped)},
          {"messages_between_work", steady(simulation.steady)}};
}

template <typename Item>
std::vector<const Item*> Dearest(const std::vector<Item>& items) {
  std::vector<const Item*> dearest;
  for (const Item& item : items) {
    if (item.seconds > 0) dearest.push_back(&item);
  }
  std::stable_sort(dearest.begin(), dearest.end(), [](const Item* a, const Item* b) { return a->seconds > b->seconds; });
  if (dearest.size() > kDearest) dearest.resize(kDearest);
  return dearest;
}

std::string Difference(double seconds, double before) {
  const double percent = 100 * (seconds / before - 1);
  if (std::abs(percent) < 0.05) return absl::StrCat(MillisecondsText(seconds), " (the same)");
  return absl::StrFormat("%s (%+.1f %%)", MillisecondsText(seconds), percent);
}

// What the plan would be on a cluster that differs in one thing.
struct Change {
  std::string what;
  double seconds = 0;   // of the objective; 0: no plan
  std::string outcome;  // why there is none
};

std::vector<Change> WhatWouldChange(const Graph& graph, const Cluster& cluster, const ParallelOptions& options, const Plan& found,
                                    bool communicates, ModelPlanner& planner, const WaitLimit& limit) {
  std::vector<Change> changes;
  if (!options.plan.empty()) return changes;  // the plan is given: nothing is left to choose
  ParallelOptions brief = options;  // a question beside the plan is not to take as long as it
  brief.search_seconds = options.search_seconds / 4;
  // Whatever is found in that time: with faster links or more memory the plan itself still works.
  auto as_it_is = [&](double links, double memory) {
    if (memory > 1) return found.objective_seconds;
    if (links > 1 && found.objective_seconds == found.seconds) {
      const absl::StatusOr<Plan> same = PlanFromText(PlanToText(graph, cluster, found), "plan", graph, cluster.Scaled(links, 1));
      if (same.ok()) return same->seconds;
    }
    return std::numeric_limits<double>::infinity();
  };
  for (const auto& [what, links, memory] : {std::tuple<const char*, double, double>{"links twice as fast", 2, 1},
                                            {"links half as fast", 0.5, 1},
                                            {"twice the memory", 1, 2},
                                            {"half the memory", 1, 0.5}}) {
    if (links < 1 && !communicates) {  // others only become slower
      changes.push_back({what, found.objective_seconds, ""});
      continue;
    }
    const absl::StatusOr<Plan> plan =
        links == 1 ? planner.Find(memory, limit) : PlanModel(graph, cluster.Scaled(links, memory), brief, limit);
    if (plan.ok()) {
      changes.push_back({what, std::min(plan->objective_seconds, as_it_is(links, memory)), ""});
    } else {
      changes.push_back({what, 0, std::string(plan.status().message())});
    }
  }
  return changes;
}

ordered_json ToJson(const std::string& model, const PlanReport& report, const PlanSimulation& simulation,
                    const std::vector<Change>& changes) {
  ordered_json stages = ordered_json::array();
  for (const PlanReport::Stage& stage : report.stages) {
    ordered_json axis_bytes = ordered_json::object();
    for (const auto& [axis, bytes] : stage.axis_bytes) axis_bytes[absl::StrCat(axis)] = bytes;
    ordered_json stage_bytes = ordered_json::object();
    for (const auto& [later, bytes] : stage.stage_bytes) stage_bytes[absl::StrCat(later)] = bytes;
    stages.push_back({{"devices", stage.devices},
                      {"mesh", stage.axes},
                      {"seconds", stage.seconds},
                      {"compute_seconds", stage.compute_seconds},
                      {"communication_seconds", stage.communication_seconds},
                      {"weight_bytes", stage.weight_bytes},
                      {"value_bytes", stage.value_bytes},
                      {"memory_bytes", stage.memory_bytes},
                      {"axis_bytes", axis_bytes},
                      {"stage_bytes", stage_bytes}});
  }
  ordered_json operators = ordered_json::array();
  for (const PlanReport::Operator* op : Dearest(report.operators)) {
    operators.push_back({{"name", op->name}, {"type", op->type}, {"stage", op->stage}, {"outputs", op->outputs},
                         {"seconds", op->seconds}, {"weight_bytes", op->weight_bytes}});
  }
  ordered_json reshards = ordered_json::array();
  for (const PlanReport::Reshard* reshard : Dearest(report.reshards)) {
    reshards.push_back({{"producer", reshard->producer}, {"reader", reshard->reader}, {"from", reshard->from}, {"to", reshard->to},
                        {"steps", reshard->steps}, {"seconds", reshard->seconds}, {"bytes", reshard->bytes}});
  }
  ordered_json would = ordered_json::array();
  for (const Change& change : changes) {
    if (change.outcome.empty()) {
      would.push_back({{"change", change.what}, {"seconds", change.seconds}});
    } else {
      would.push_back({{"change", change.what}, {"error", change.outcome}});
    }
  }
  return {{"model", model},
          {"seconds", report.seconds},
          {"lower_bound", report.lower_bound},
          {"exact", report.exact},
          {"objective_seconds", report.objective_seconds},
          {"objective_bound", report.objective_bound},
          {"engine", report.engine},
          {"seconds_between_answers", report.seconds_between_answers},
          {"replicas", report.replicas},
          {"simulation", ToJson(simulation)},
          {"stages", stages},
          {"dearest_operators", operators},
          {"dearest_reshards", reshards},
          {"what_would_change", would}};
}

// What plans are chosen by.
const char* Measure(PlanObjective objective, int micro_batches) {
  switch (objective) {
    case PlanObjective::kLatency:
      return micro_batches > 1 ? "the time of a request" : "the time of a run";
    case PlanObjective::kThroughput:
      return "the time between answers";
    case PlanObjective::kDecode:
      return "the time of a token";
  }
  return "";
}

std::string ToText(const std::string& model, const PlanReport& report, const PlanSimulation& simulation,
                   const std::vector<Change>& changes, const char* measure) {
  std::string proof = "no bound is known";
  if (report.exact) {
    proof = "optimal for these stages and meshes";
  } else if (report.lower_bound > 0) {
    proof = absl::StrFormat("at most %.1f %% above the bound of %s", std::max(0.0, 100 * (report.seconds / report.lower_bound - 1)),
                            MillisecondsText(report.lower_bound));
  }
  std::string text = absl::StrCat("plan of ", model, "\n  one run:  ", MillisecondsText(report.seconds), ", ", proof, " (",
                                  report.engine, ")\n");
  const std::string gap = ObjectiveGapText(report.objective_seconds, report.objective_bound);
  if (!gap.empty()) absl::StrAppend(&text, "  chosen:   ", gap, "\n");
  absl::StrAppendFormat(&text, "  simulated: %s a run alone; at most %.1f runs a second on %d %s\n", MillisecondsText(simulation.latency),
                        RunsPerSecond(simulation, simulation.overlapped), report.replicas, report.replicas == 1 ? "replica" : "replicas");
  if (report.stages.size() > 1) {
    absl::StrAppendFormat(&text, "  with requests in all stages these wait %.1f %% of the time; %.1f runs a second if nothing goes on beside messages\n",
                          100 * simulation.overlapped.bubble, RunsPerSecond(simulation, simulation.steady));
  }
  if (simulation.micro_batches > 1) {
    absl::StrAppend(&text, "  a request:  ", MillisecondsText(simulation.request_seconds), " in ", simulation.micro_batches, " micro-batches\n");
  }
  absl::StrAppend(&text, "\n");
  Table stages({"STAGE", "DEVICES", "MESH", "TIME", "COMPUTE", "COMMUNICATION", "AT WORK", "MEMORY OF A DEVICE", "SENT, BY AXIS"});
  for (size_t s = 0; s < report.stages.size(); ++s) {
    const PlanReport::Stage& stage = report.stages[s];
    const std::string devices = stage.devices.size() <= 4 ? absl::StrJoin(stage.devices, ",")
                                                          : absl::StrCat(stage.devices.front(), " … ", stage.devices.back());
    std::vector<std::string> sent;
    for (const auto& [axis, bytes] : stage.axis_bytes) sent.push_back(absl::StrCat(axis, ": ", BytesText(static_cast<uint64_t>(bytes))));
    for (const auto& [later, bytes] : stage.stage_bytes)
      sent.push_back(absl::StrCat("to stage ", later, ": ", BytesText(static_cast<uint64_t>(bytes))));
    stages.AddRow({absl::StrCat(s), devices, stage.axes.empty() ? "1" : absl::StrJoin(stage.axes, "x"), MillisecondsText(stage.seconds),
                   MillisecondsText(stage.compute_seconds), MillisecondsText(stage.communication_seconds),
                   absl::StrFormat("%.0f %%", 100 * simulation.overlapped.working[s]),
                   absl::StrCat(BytesText(static_cast<uint64_t>(stage.weight_bytes + stage.value_bytes)), " of ",
                                stage.memory_bytes > 0 ? BytesText(static_cast<uint64_t>(stage.memory_bytes)) : "an unknown size"),
                   absl::StrJoin(sent, ", ")});
  }
  absl::StrAppend(&text, stages.ToString());
  Table operators({"DEAREST OPERATORS", "TYPE", "STAGE", "SHARDING", "TIME", "WEIGHTS"});
  for (const PlanReport::Operator* op : Dearest(report.operators)) {
    operators.AddRow({op->name, op->type, absl::StrCat(op->stage), absl::StrJoin(op->outputs, " "), MillisecondsText(op->seconds),
                      BytesText(static_cast<uint64_t>(op->weight_bytes))});
  }
  absl::StrAppend(&text, "\n", operators.ToString());
  Table reshards({"DEAREST RESHARDS", "READ BY", "FROM", "TO", "TIME", "SENT"});
  for (const PlanReport::Reshard* reshard : Dearest(report.reshards)) {
    reshards.AddRow({reshard->producer, reshard->reader, reshard->from, reshard->to, MillisecondsText(reshard->seconds),
                     BytesText(static_cast<uint64_t>(reshard->bytes))});
  }
  if (!reshards.empty()) absl::StrAppend(&text, "\n", reshards.ToString());
  if (!changes.empty()) absl::StrAppend(&text, "\nwhat would change ", measure, "\n");
  for (const Change& change : changes) {
    absl::StrAppend(&text, "  ", change.what, ": ",
                    change.outcome.empty()
                        ? Difference(change.seconds, report.objective_seconds)
                        : change.outcome,
                    "\n");
  }
  return text;
}

}  // namespace

absl::StatusOr<int> RunPlan(Session& session, const PlanArguments& arguments) {
  ASSIGN_OR_RETURN(const PartitionTexts texts, ReadPartition(arguments.partition));
  const Cluster local = Cluster::Local(1);
  ASSIGN_OR_RETURN(Cluster cluster,
                   Cluster::FromJson(texts.cluster_config.empty() ? local.source_json() : texts.cluster_config,
                                     arguments.partition.cluster_config));
  if (!texts.cost_config.empty()) RETURN_IF_ERROR(cluster.ApplyCosts(texts.cost_config, arguments.partition.cost_file));
  ParallelOptions options;
  if (!texts.parallel_config.empty()) {
    ASSIGN_OR_RETURN(options, ParallelOptions::FromJson(texts.parallel_config, arguments.partition.parallel));
  } else {
    options.data_parallel_size = cluster.num_devices();  // what a build without a policy does
  }
  RETURN_IF_ERROR(CheckSizes(options, cluster));
  // The command's time and its stop end the work in this process as they would that of the service.
  const client::CallOptions bounds = session.Bounded(client::CallOptions{});
  Cancellation stopped;
  const std::stop_callback on_stop(bounds.stop, [&] { stopped.Cancel(absl::CancelledError("the command was stopped")); });
  const WaitLimit limit{.deadline = absl::Now() + bounds.timeout, .run = &stopped};
  const client::ProgressCallback progress = session.progress();
  const auto report_step = [&](const BuildProgress& step) {
    if (progress) progress({step.phase, step.fraction, step.message});
  };
  const std::string name = std::filesystem::path(arguments.model).stem().string();
  if (!arguments.generate.empty()) {
    ASSIGN_OR_RETURN(const GenerationLengths lengths, ParseGenerationLengths(arguments.generate));
    ASSIGN_OR_RETURN(const GenerationReport report,
                     PlanGeneration(arguments.model, arguments.input_shape, lengths, cluster, options, report_step, limit));
    session.json() ? session.PrintJson(ToJson(name, report)) : session.Print(ToText(name, report));
    return 0;
  }
  InputShapes shapes;
  if (!arguments.input_shape.empty()) {
    ASSIGN_OR_RETURN(shapes, ParseInputShapes(arguments.input_shape));
  }
  ASSIGN_OR_RETURN(Graph prepared, PrepareModel(arguments.model, shapes, report_step, limit));
  PlanSimulationOptions simulate{.drawn_runs = arguments.html.empty() ? 0 : kDrawnRuns};
  if (options.global_batch_size) {
    ASSIGN_OR_RETURN(simulate.micro_batches,
                     CountMicroBatches(DescribeInputsAndOutputs(prepared), *options.global_batch_size));
  }
  ASSIGN_OR_RETURN_WITH(const std::unique_ptr<PlannedModel> planned,
                        PadAndPlan(std::move(prepared), cluster, options, limit), "plan");
  const Graph& graph = planned->graph;
  const Plan& plan = planned->plan;
  ASSIGN_OR_RETURN(const PlanReport report, ExplainPlan(graph, cluster, plan));
  ASSIGN_OR_RETURN(const PlanSimulation simulation, SimulatePlan(graph, cluster, plan, simulate));

  if (!arguments.save_plan.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(arguments.save_plan, PlanToText(graph, cluster, plan)));
  }
  if (!arguments.html.empty()) RETURN_IF_ERROR(WriteFileAtomically(arguments.html, PlanHtml(name, report, simulation)));
  const bool communicates = std::any_of(report.stages.begin(), report.stages.end(),
                                        [](const PlanReport::Stage& stage) { return stage.communication_seconds > 0; });
  const std::vector<Change> changes =
      WhatWouldChange(graph, cluster, planned->options, plan, communicates, *planned->planner, limit);
  RETURN_IF_ERROR(limit.Check("what would change"));
  if (session.json()) {
    session.PrintJson(ToJson(name, report, simulation, changes));
  } else {
    session.Print(ToText(name, report, simulation, changes, Measure(planned->options.objective, simulation.micro_batches)));
  }
  return 0;
}

}  // namespace omserve::cli
