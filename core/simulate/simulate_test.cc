#include "core/simulate/simulate.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <tuple>

#include "core/partition/choose.h"
#include "core/partition/explain.h"
#include "core/partition/lower/lower.h"
#include "core/partition/testing/gpt_graph.h"
#include "core/partition/testing/random_graph.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using Kind = SimulatedStep::Kind;

double Total(const PipelineProgram& program) {
  double seconds = 0;
  for (const auto& steps : program.stages) {
    for (const SimulatedStep& step : steps) seconds += step.seconds;
  }
  return seconds;
}

// A plan prices a value that two operators of a stage read for each of them, and it is fetched once.
double SharedSeconds(const PlanReport& report) {
  double shared = 0;
  std::set<std::tuple<std::string, int, std::string>> known;
  for (const PlanReport::Reshard& reshard : report.reshards) {
    if (!known.emplace(reshard.producer, reshard.to_stage, reshard.to).second) shared += reshard.seconds;
  }
  return shared;
}

TEST(SimulateTest, ARunThatIsAloneTakesThePredictedTime) {
  const Graph graph = GptGraph({.layers = 4, .hidden = 512, .heads = 8, .vocabulary = 1024, .batch = 2, .tokens = 128});
  for (int stages : {1, 2, 4}) {
    SCOPED_TRACE(stages);
    const Cluster cluster = Cluster::Local(8);
    PlanOptions options;
    options.devices = {0, 1, 2, 3, 4, 5, 6, 7};
    options.stages = stages;
    const absl::StatusOr<Plan> plan = MakePlan(graph, cluster, options);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const absl::StatusOr<PlanSimulation> simulation =
        SimulatePlan(graph, cluster, *plan, {.micro_batches = 4, .drawn_runs = 3});
    ASSERT_TRUE(simulation.ok()) << simulation.status();
    const double shared = SharedSeconds(*ExplainPlan(graph, cluster, *plan));
    EXPECT_LE(simulation->latency, plan->seconds - shared + 1e-12);
    // Readers that want a value in different cuts may still share the message that brings it.
    EXPECT_GE(simulation->latency, (plan->seconds - shared) * (stages == 1 ? 1 - 1e-12 : 0.99));
    EXPECT_EQ(shared > 0, stages > 1);
    // The plan counts what a stage receives, for each reader, not what it sends.
    EXPECT_GE(simulation->steady.seconds_between_answers, plan->seconds_between_answers() - shared - 1e-12);
    EXPECT_LE(simulation->overlapped.seconds_between_answers, simulation->steady.seconds_between_answers + 1e-12);
    EXPECT_GE(simulation->request_seconds, 3 * simulation->overlapped.seconds_between_answers);
    EXPECT_LE(simulation->request_seconds, 4 * simulation->latency + 1e-12);
    EXPECT_EQ(simulation->request_seconds<3.9 * simulation->latency, stages> 1);
    EXPECT_EQ(simulation->under_way.runs.size(), 3u);
    EXPECT_EQ(simulation->under_way.events.back().run, 2);
  }
}

// What is simulated is what is emitted: as many collectives, messages and receives in every slice, and no step priced
// that the plan does not price.
TEST(SimulateTest, ProgramsHaveTheStepsOfTheSlices) {
  int messages = 0, collectives = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 rng(seed);
    std::vector<int> sizes;
    for (int s = 1 + static_cast<int>(rng() % 3); s > 0; --s) sizes.push_back(1 + static_cast<int>(rng() % 4));
    const Graph graph = RandomGraph(rng, 4 + static_cast<int>(seed % 24));
    const Cluster cluster = Cluster::Local(std::accumulate(sizes.begin(), sizes.end(), 0));
    const absl::StatusOr<Plan> plan = RandomPlan(graph, cluster, sizes, rng);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const absl::StatusOr<CutGraph> cut = Lower(graph, cluster, *plan);
    ASSERT_TRUE(cut.ok()) << cut.status();
    const absl::StatusOr<PipelineProgram> program = ProgramOf(graph, cluster, *plan);
    ASSERT_TRUE(program.ok()) << program.status();
    for (int stage = 0; stage < plan->num_stages(); ++stage) {
      int in_program = 0, received = 0, sent = 0;
      for (const SimulatedStep& step : program->stages[static_cast<size_t>(stage)]) {
        in_program += step.kind == Kind::kCollective && step.what != "exchange inside the operator";
        received += step.kind == Kind::kReceive;
        sent += step.kind == Kind::kSend;
      }
      const Graph& slice = cut->slices[static_cast<size_t>(plan->first_rank(stage))];
      std::map<std::string, int> emitted;
      int inside = 0;
      for (int32_t id : slice.NodeIds()) {
        const std::string& type = slice.node(id)->type();
        if (type.rfind("Hcom", 0) != 0) continue;
        ++emitted[type];
        // Those of operators that communicate inside are named after what they do, those of reshards after their type.
        inside +=
            type != "HcomSend" && type != "HcomReceive" && slice.node(id)->name().find("/Hcom") == std::string::npos;
      }
      EXPECT_EQ(received, emitted["HcomReceive"]);
      EXPECT_GE(sent, plan->stages[static_cast<size_t>(stage)].size() == 1 && plan->num_stages() == 2
                          ? std::min(1, emitted["HcomSend"])
                          : 0);
      int steps = 0;
      for (const char* type : {"HcomAllReduce", "HcomAllGather", "HcomReduceScatter", "HcomAllToAll"})
        steps += emitted[type];
      EXPECT_EQ(in_program, steps - inside);
      collectives += in_program;
      messages += received;
    }
    const absl::StatusOr<PlanReport> report = ExplainPlan(graph, cluster, *plan);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_LE(Total(*program), report->seconds + 1e-9);
    const double alone = MicroBatchedSeconds(*program, 1, false).value();
    EXPECT_LE(alone, Total(*program) + 1e-9);
    double slowest = 0;
    for (const auto& steps : program->stages) {
      double busy = 0;
      for (const SimulatedStep& step : steps)
        busy += step.kind == Kind::kReceive || step.kind == Kind::kSend ? 0 : step.seconds;
      slowest = std::max(slowest, busy);
    }
    EXPECT_GE(alone, slowest - 1e-9);
    EXPECT_GE(FindSteadyState(*program, true)->seconds_between_answers, slowest - 1e-9);
  }
  EXPECT_GT(messages, 100);
  EXPECT_GT(collectives, 300);
}

TEST(SimulateTest, AThousandDevicesCostNoMoreThanTheirStages) {
  const Graph graph = GptGraph({.layers = 8, .tokens = 512});
  const Cluster cluster = Cluster::Local(1024);
  ParallelOptions options;
  options.tensor_parallel_size = 16;
  options.pipeline_stages = 8;
  options.data_parallel_size = 8;
  const absl::StatusOr<Plan> plan = PlanModel(graph, cluster, options);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const absl::StatusOr<PlanSimulation> simulation = SimulatePlan(graph, cluster, *plan);
  ASSERT_TRUE(simulation.ok()) << simulation.status();
  EXPECT_EQ(simulation->replicas, 8);
  EXPECT_EQ(simulation->program.stages.size(), 8u);
  // Readers that want a value in different cuts may still share the beginning of the way.
  const double most = plan->seconds - SharedSeconds(*ExplainPlan(graph, cluster, *plan));
  EXPECT_LE(simulation->latency, most + 1e-9);
  EXPECT_GT(simulation->latency, 0.999 * most);
  EXPECT_GT(simulation->overlapped.bubble, 0);
  EXPECT_LT(simulation->overlapped.bubble, 1);
}

TEST(SimulateTest, APlanOfAnotherGraphIsRefused) {
  const Cluster cluster = Cluster::Local(2);
  const Graph graph = GptGraph({.layers = 1, .hidden = 64, .heads = 2, .vocabulary = 64, .tokens = 16});
  const absl::Status status = ProgramOf(graph, cluster, Plan{}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

}  // namespace
}  // namespace omserve
