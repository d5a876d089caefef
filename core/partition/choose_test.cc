#include "core/partition/choose.h"

#include <algorithm>
#include <limits>
#include <random>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/ops/op.h"
#include "core/partition/plan_file.h"
#include "core/partition/plan_search.h"
#include "core/partition/testing/gpt_graph.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

const GptSize kSmall{.layers = 4, .hidden = 64, .heads = 4, .vocabulary = 128, .batch = 1, .tokens = 32};

// One node of so many devices, with links of so many times the usual speed.
Cluster Cards(int devices, double links, double gigabytes) {
  std::string items;
  for (int i = 0; i < devices; ++i) absl::StrAppend(&items, i == 0 ? "" : ",", R"({"item_id":)", i, "}");
  return Cluster::FromJson(absl::StrCat(R"({"cluster":[{"cluster_nodes":[{"node_id":0,"node_type":"n","item_list":[)", items,
                                        R"(]}]}],"node_def":[{"node_type":"n","resource_type":"X86","support_links":"[PCIE]",
      "item_type":"cpu"}],"item_def":[{"item_type":"cpu","resource_type":"Ascend","memory":"[DDR:1GB]",
      "aic_type":"[X:1]"}]})"), "c.json").value().Scaled(links, gigabytes);
}

TEST(ChooseTest, SizesMustMultiplyToTheDevices) {
  const Cluster cluster = Cluster::Local(8);
  ParallelOptions options;
  options.tensor_parallel_size = 4;
  EXPECT_THAT(
      std::string(CheckSizes(options, cluster).message()),
      HasSubstr("EF1012: tensor_parallel_size 4 must equal the number of devices in the cluster file, 8; "
                "with auto the rest is chosen, with data_parallel_size 2 it holds copies"));
  options.pipeline_stages = 2;
  EXPECT_TRUE(CheckSizes(options, cluster).ok());
  options.data_parallel_size = 2;
  EXPECT_THAT(
      std::string(CheckSizes(options, cluster).message()),
      HasSubstr("EF1012: tensor_parallel_size 4 x pipe_stage_num 2 x data_parallel_size 2 must equal"));
  options.data_parallel_size.reset();
  options.automatic = true;
  options.pipeline_stages = 3;
  EXPECT_THAT(std::string(CheckSizes(options, cluster).message()),
              HasSubstr("must divide the number of devices"));
}

// Where what does not fit are values, cutting weights is no help: their operators have to be cut.
TEST(ChooseTest, ValuesThatDoNotFitAreCut) {
  const Graph graph = GptGraph({.layers = 3, .hidden = 32, .heads = 8, .vocabulary = 64, .batch = 1, .tokens = 128});
  const auto plan_with = [&](double memory, int devices) {
    std::vector<std::string> items;
    for (int i = 0; i < devices; ++i) items.push_back(absl::StrCat("{\"item_id\":", i, "}"));
    const Cluster cluster =
        Cluster::FromJson(absl::StrCat(R"({"cluster":[{"cluster_nodes":[{"node_id":0,"is_local":true,"item_list":[)",
                                       absl::StrJoin(items, ","),
                                       R"(]}]}],"item_def":[{"item_type":"a","resource_type":"Ascend","memory":"[DDR:1MB]"}]})"),
                          "c.json")
            .value()
            .Scaled(1, memory);
    ParallelOptions options;
    options.automatic = true;
    return PlanModel(graph, cluster, options);
  };
  const auto alone = plan_with(100, 1);
  ASSERT_TRUE(alone.ok()) << alone.status();
  const double bytes = static_cast<double>(alone->device_bytes[0]) / (1 << 20);
  int64_t weights = 0;
  for (const int32_t id : graph.NodeIds()) {
    if (graph.node(id)->is_const()) weights += static_cast<int64_t>(ByteSize(graph.node(id)->output()));
  }
  ASSERT_LT(static_cast<double>(weights), 0.3 * bytes * (1 << 20));
  for (const double part : {0.7, 0.5, 0.4}) {
    const auto plan = plan_with(bytes * part, 4);
    ASSERT_TRUE(plan.ok()) << part << " " << plan.status();
    EXPECT_TRUE(plan->memory_binds);
    EXPECT_LE(plan->lower_bound, plan->seconds * (1 + 1e-9));
    for (const int64_t held : plan->device_bytes) EXPECT_LE(held, static_cast<int64_t>(bytes * part * (1 << 20)));
  }
}

TEST(ChooseTest, GivenSizesAreKept) {
  const Graph graph = GptGraph(kSmall);
  const Cluster cluster = Cluster::Local(8);
  ParallelOptions options;
  options.tensor_parallel_size = 2;
  options.pipeline_stages = 2;
  options.data_parallel_size = 2;
  auto plan = PlanModel(graph, cluster, options);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->num_replicas(), 2);
  EXPECT_EQ(plan->num_stages(), 2);
  EXPECT_EQ(plan->stages[1].devices(), (std::vector<int>{2, 3}));
  EXPECT_EQ(plan->device(1, 3), 7);
  EXPECT_EQ(plan->stage(graph.FindNode("embedding")->id()), 0);
  EXPECT_EQ(plan->stage(graph.FindNode("lm_head")->id()), 1);
}

TEST(ChooseTest, AutomaticIsNeverWorseThanGivenSizes) {
  const Graph graph = GptGraph(kSmall);
  const Cluster cluster = Cluster::Local(4);
  struct Goal {
    PlanObjective objective;
    int micro_batches = 1;
  };
  for (const auto& [objective, micro_batches] :
       {Goal{PlanObjective::kLatency}, Goal{PlanObjective::kLatency, 7}, Goal{PlanObjective::kThroughput}}) {
    auto value = [&](const Plan& plan) {
      const double slowest = plan.seconds_between_answers();
      if (objective == PlanObjective::kThroughput) return slowest / plan.num_replicas();
      // Of a request whose runs go to the replicas one by one.
      const int behind = (micro_batches + plan.num_replicas() - 1) / plan.num_replicas() - 1;
      return plan.seconds + behind * slowest;
    };
    ParallelOptions automatic;
    automatic.automatic = true;
    automatic.objective = objective;
    automatic.global_batch_size = micro_batches * kSmall.batch;
    auto best = PlanModel(graph, cluster, automatic);
    ASSERT_TRUE(best.ok()) << best.status();
    EXPECT_NEAR(best->objective_seconds, value(*best), 1e-9 * value(*best));
    EXPECT_GT(best->objective_bound, 0);
    for (int tensor : {1, 2, 4}) {
      for (int stages : {1, 2, 4}) {
        if (4 % (tensor * stages) != 0) continue;
        ParallelOptions options;
        options.tensor_parallel_size = tensor;
        options.pipeline_stages = stages;
        options.data_parallel_size = 4 / tensor / stages;
        options.objective = objective;
        options.global_batch_size = automatic.global_batch_size;
        auto plan = PlanModel(graph, cluster, options);
        ASSERT_TRUE(plan.ok()) << plan.status();
        // For latency, up to 2 % are given for throughput.
        const double slack = objective == PlanObjective::kLatency ? 1.02 : 1;
        EXPECT_GE(value(*plan) * slack, value(*best) * (1 - 1e-9)) << tensor << " x " << stages;
        EXPECT_GE(value(*plan), best->objective_bound * (1 - 1e-9)) << tensor << " x " << stages;
      }
    }
  }
}

// What is said of all ways to cut a model into stages holds for any of them, where memory binds and where it does not.
TEST(ChooseTest, NoStagesAreBelowTheBoundOfTheirSize) {
  const Graph graph = GptGraph({.layers = 4, .hidden = 256, .heads = 4, .vocabulary = 128, .batch = 1, .tokens = 8});
  const Cluster cluster = Cards(8, /*links=*/0.01, /*gigabytes=*/0.008);  // whole weights are fastest
  PlanOptions options;
  options.cut_weights = false;
  const auto search = PlanSearch::Create(graph, cluster, options);
  ASSERT_TRUE(search.ok()) << search.status();
  const std::vector<std::vector<Mesh>> sizes{StageMeshes({0, 1}, 2, {}), StageMeshes({0, 1, 2, 3}, 2, {2}),
                                             StageMeshes({0, 1, 2, 3}, 4, {}),
                                             StageMeshes({0, 1, 2, 3, 4, 5, 6, 7}, 2, {2, 2})};
  std::mt19937 rng(1);
  int bound_by_memory = 0, planned = 0;
  for (const std::vector<Mesh>& stages : sizes) {
    for (double memory : {1.0, 0.3, 0.25, 0.15}) {
      (*search)->ScaleMemory(memory);
      const auto bound = (*search)->Bound(stages, std::numeric_limits<double>::infinity(), {});
      ASSERT_TRUE(bound.ok()) << bound.status();
      const auto alone = (*search)->WholeOn(stages[0], {});
      ASSERT_TRUE(alone.ok()) << alone.status();
      for (int i = 0; i < 12; ++i) {
        auto staging = (*search)->Stage(stages, {});
        ASSERT_TRUE(staging.ok()) << staging.status();
        std::vector<size_t> cuts;
        for (size_t s = 1; s < stages.size() && i > 0; ++s)
          cuts.push_back(std::uniform_int_distribution<size_t>(1, staging->stage_of.size() - 1)(rng));
        for (size_t v = 0; v < staging->stage_of.size() && i > 0; ++v) {
          staging->stage_of[v] =
              static_cast<int>(std::count_if(cuts.begin(), cuts.end(), [&](size_t cut) { return cut <= v; }));
        }
        const auto draft = (*search)->Solve(*staging, std::numeric_limits<double>::infinity(), {});
        if (absl::IsResourceExhausted(draft.status())) continue;
        ASSERT_TRUE(draft.ok()) << draft.status();
        EXPECT_GE((*draft)->seconds, *bound * (1 - 1e-9));
        ++planned;
        bound_by_memory += *bound > alone->seconds * (1 + 1e-9);
      }
    }
  }
  EXPECT_GT(planned, 30);
  EXPECT_GT(bound_by_memory, 5);
}

// Among plans of nearly the best latency, the one that serves most requests.
TEST(ChooseTest, DevicesThatHardlyHelpServeOtherRequests) {
  const Graph graph = GptGraph(kSmall);
  bool gave_way = false;
  for (int devices : {2, 4, 8, 16}) {
    const Cluster cluster = Cluster::Local(devices);
    ParallelOptions options;
    options.automatic = true;
    const auto chosen = PlanModel(graph, cluster, options);
    ASSERT_TRUE(chosen.ok()) << chosen.status();
    double fastest = std::numeric_limits<double>::infinity();
    std::vector<std::pair<double, double>> all;  // latency, time per answer of all replicas together
    for (int tensor = 1; tensor <= devices; tensor *= 2) {
      PlanOptions alone;
      alone.cut_weights = false;
      for (int i = 0; i < tensor; ++i) alone.devices.push_back(i);
      const auto plan = MakePlan(graph, cluster, alone);
      ASSERT_TRUE(plan.ok()) << plan.status();
      fastest = std::min(fastest, plan->seconds);
      all.emplace_back(plan->seconds, plan->seconds * tensor / devices);
    }
    double answers = std::numeric_limits<double>::infinity();
    for (const auto& [latency, time] : all) {
      if (latency <= fastest * 1.02) answers = std::min(answers, time);
    }
    EXPECT_LE(chosen->seconds, fastest * 1.02);
    EXPECT_NEAR(chosen->seconds / chosen->num_replicas(), answers, 1e-9 * answers);
    // The bound is still that of the fastest.
    EXPECT_LE(chosen->lower_bound, fastest * (1 + 1e-9));
    gave_way = gave_way || chosen->seconds > fastest;
    EXPECT_EQ(chosen->exact, chosen->seconds <= fastest * (1 + 1e-9));
  }
  EXPECT_TRUE(gave_way);
}

TEST(ChooseTest, TheSameEveryTime) {
  const Graph graph = GptGraph(kSmall);
  const Cluster cluster = Cluster::Local(12);
  for (PlanObjective objective : {PlanObjective::kLatency, PlanObjective::kThroughput, PlanObjective::kDecode}) {
    ParallelOptions options;
    options.automatic = true;
    options.objective = objective;
    std::string first;
    for (int i = 0; i < 3; ++i) {
      const auto plan = PlanModel(graph, cluster, options);
      ASSERT_TRUE(plan.ok()) << plan.status();
      const std::string text = PlanToText(graph, cluster, *plan);
      if (first.empty()) first = text;
      EXPECT_EQ(text, first);
    }
  }
}

TEST(ChooseTest, WithoutTimeThereIsAPlanThatSaysWhatItsBoundIsOf) {
  const Graph graph = GptGraph(kSmall);
  for (const auto& [objective, of] : {std::pair(PlanObjective::kLatency, "the bound is of those tried"),
                                      std::pair(PlanObjective::kThroughput, "the bound is of those chosen")}) {
    ParallelOptions options;
    options.automatic = true;
    options.objective = objective;
    options.search_seconds = 0;
    const auto plan = PlanModel(graph, Cluster::Local(8), options);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_FALSE(plan->exact);
    EXPECT_LE(plan->lower_bound, plan->seconds);
    EXPECT_GT(plan->lower_bound, 0);
    EXPECT_THAT(plan->engine, AllOf(HasSubstr("not all sizes tried"), HasSubstr(of)));
  }
}

TEST(ChooseTest, WhatFitsNoWaySaysHowMuchIsMissing) {
  const Graph graph = GptGraph({.layers = 4, .hidden = 256, .heads = 4, .vocabulary = 128, .batch = 1, .tokens = 8});
  const Cluster cluster = Cards(2, /*links=*/1, /*gigabytes=*/0.001);
  for (PlanObjective objective : {PlanObjective::kLatency, PlanObjective::kThroughput}) {
    ParallelOptions options;
    options.automatic = true;
    options.objective = objective;
    const absl::Status status = PlanModel(graph, cluster, options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("bytes are missing"));
  }
}

// What is asked about other memories of the same devices is what a search of its own would find.
TEST(ChooseTest, OnePlannerAnswersForSeveralMemories) {
  const Graph graph =
      GptGraph({.layers = 4, .hidden = 256, .heads = 4, .vocabulary = 128, .batch = 1, .tokens = 8});
  const Cluster cluster = Cards(4, /*links=*/1, /*gigabytes=*/0.008);
  ParallelOptions options;
  options.automatic = true;
  const auto planner = ModelPlanner::Create(graph, cluster, options);
  ASSERT_TRUE(planner.ok()) << planner.status();
  std::set<int> tensor_sizes;
  for (double memory : {1.0, 2.0, 0.4, 0.1}) {
    const auto shared = (*planner)->Find(memory);
    const auto own = PlanModel(graph, cluster.Scaled(1, memory), options);
    ASSERT_EQ(shared.ok(), own.ok()) << memory << " " << shared.status() << own.status();
    if (!own.ok()) {
      EXPECT_TRUE(absl::IsResourceExhausted(shared.status())) << shared.status();
      continue;
    }
    EXPECT_NEAR(shared->seconds, own->seconds, 1e-3 * own->seconds) << memory;
    for (int64_t bytes : shared->device_bytes)
      EXPECT_LE(bytes, static_cast<int64_t>(memory * static_cast<double>(cluster.devices()[0].memory_bytes)));
    tensor_sizes.insert(shared->num_ranks());
  }
  EXPECT_GT(tensor_sizes.size(), 1u);
}

TEST(ChooseTest, DynamicShapesAreNamed) {
  Graph graph("dynamic");
  Node* x = graph.AddData("x", {DataType::kFloat, {kUnknownDim, 8}});
  Node* y = graph.AddNode("Relu", "act", {x->out()});
  ASSERT_TRUE(InferNode(graph, *y).ok());
  graph.AddOutput("y", y->out());
  ParallelOptions options;
  options.automatic = true;
  const absl::Status status = PlanModel(graph, Cluster::Local(2), options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("EF1008: the shape of node 'act' is dynamic"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("give the shapes of its inputs"));
}

TEST(ChooseTest, HintsFixOperators) {
  const Graph graph = GptGraph(kSmall);
  const Cluster cluster = Cluster::Local(2);
  ParallelOptions options;
  options.tensor_parallel_size = 2;
  options.hints = {{"layer.*.fc1", {1, 2, 1}, "p.hints[0]"}};
  auto plan = PlanModel(graph, cluster, options);
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (const char* name : {"layer.0.fc1", "layer.3.fc1"}) {
    const Node& node = *graph.FindNode(name);
    EXPECT_EQ(LocalShape(plan->stages[0], plan->strategies.at(node.id()).outputs[0], node.output().shape),
              (Shape{1, 16, 256}));
  }
  options.hints[0].output_parts = {1, 3, 1};
  EXPECT_THAT(std::string(PlanModel(graph, cluster, options).status().message()),
              HasSubstr("p.hints[0]: no strategy leaves the output cut into [1, 3, 1] parts"));
  options.hints[0].node = "nothing*";
  EXPECT_THAT(std::string(PlanModel(graph, cluster, options).status().message()),
              HasSubstr("p.hints[0]: no operator's name is or matches 'nothing*'"));
}

}  // namespace
}  // namespace omserve
