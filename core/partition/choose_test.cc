#include "core/partition/choose.h"

#include "core/partition/testing/gpt_graph.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

const GptSize kSmall{.layers = 4, .hidden = 64, .heads = 4, .vocabulary = 128, .batch = 1, .tokens = 32};

TEST(ChooseTest, SizesMustMultiplyToTheDevices) {
  const Cluster cluster = Cluster::Local(8);
  ParallelOptions options;
  options.tensor_parallel_size = 4;
  EXPECT_THAT(
      std::string(CheckSizes(options, cluster).message()),
      HasSubstr("EF1012: tensor_parallel_size 4 must equal the number of devices in the cluster file, 8"));
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
  for (PlanObjective objective : {PlanObjective::kLatency, PlanObjective::kThroughput}) {
    auto value = [&](const Plan& plan) {
      return objective == PlanObjective::kLatency ? plan.seconds
                                                  : plan.seconds_between_answers() / plan.num_replicas();
    };
    ParallelOptions automatic;
    automatic.automatic = true;
    automatic.objective = objective;
    auto best = PlanModel(graph, cluster, automatic);
    ASSERT_TRUE(best.ok()) << best.status();
    for (int tensor : {1, 2, 4}) {
      for (int stages : {1, 2, 4}) {
        if (4 % (tensor * stages) != 0) continue;
        ParallelOptions options;
        options.tensor_parallel_size = tensor;
        options.pipeline_stages = stages;
        options.data_parallel_size = 4 / tensor / stages;
        options.objective = objective;
        auto plan = PlanModel(graph, cluster, options);
        ASSERT_TRUE(plan.ok()) << plan.status();
        EXPECT_GE(value(*plan), value(*best) * (1 - 1e-9)) << tensor << " x " << stages;
      }
    }
  }
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
