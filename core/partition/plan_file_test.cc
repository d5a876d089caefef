#include "core/partition/plan_file.h"

#include "absl/strings/str_replace.h"
#include "core/device/cpu/cpu_device.h"
#include "core/partition/choose.h"
#include "core/partition/deployment_json.h"
#include "core/partition/explain.h"
#include "core/partition/lower/lower.h"
#include "core/partition/testing/emulator.h"
#include "core/partition/testing/gpt_graph.h"
#include "core/partition/testing/random_graph.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace omserve {
namespace {

using testing::HasSubstr;

TEST(PlanFileTest, RandomPlansComeBackAsTheyWere) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 rng(seed);
    const Graph graph = RandomGraph(rng, 12);
    const Cluster cluster = Cluster::Local(6);
    const std::vector<int> stages = seed % 2 ? std::vector<int>{4, 2} : std::vector<int>{6};
    auto plan = RandomPlan(graph, cluster, stages, rng);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const std::string text = PlanToText(graph, cluster, *plan);
    auto read = PlanFromText(text, "plan.json", graph, cluster);
    ASSERT_TRUE(read.ok()) << read.status() << text;
    EXPECT_EQ(read->stage_of, plan->stage_of);
    EXPECT_EQ(read->outputs, plan->outputs);
    for (const auto& [id, strategy] : plan->strategies) {
      const Strategy& other = read->strategies.at(id);
      EXPECT_EQ(other.inputs, strategy.inputs);
      EXPECT_EQ(other.outputs, strategy.outputs);
      EXPECT_NEAR(other.seconds, strategy.seconds, 1e-8);
    }
    // The text too, but for the prices that a random plan does not have.
    auto stages_on = [](const std::string& t) { return t.substr(t.find("\"stages\"")); };
    EXPECT_EQ(stages_on(PlanToText(graph, cluster, *read)), stages_on(text));
  }
}

class EditedPlanTest : public testing::Test {
 protected:
  EditedPlanTest()
      : graph_(GptGraph({.layers = 2, .hidden = 16, .heads = 4, .vocabulary = 32, .batch = 1, .tokens = 8})) {
    ParallelOptions options;
    options.tensor_parallel_size = 2;
    options.pipeline_stages = 2;
    auto plan = PlanModel(graph_, cluster_, options);
    EXPECT_TRUE(plan.ok()) << plan.status();
    text_ = PlanToText(graph_, cluster_, *plan);
    seconds_ = plan->seconds;
  }

  std::string ErrorAfter(const std::string& from, const std::string& to) {
    EXPECT_THAT(text_, HasSubstr(from));
    return std::string(PlanFromText(absl::StrReplaceAll(text_, {{from, to}}), "plan.json", graph_, cluster_)
                           .status()
                           .message());
  }

  const Graph graph_;
  const Cluster cluster_ = Cluster::Local(4);
  std::string text_;
  double seconds_ = 0;
};

TEST_F(EditedPlanTest, PricesAreThoseOfTheSearch) {
  auto read = PlanFromText(text_, "plan.json", graph_, cluster_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_NEAR(read->seconds, seconds_, 1e-7);
  EXPECT_EQ(read->num_stages(), 2);
}

TEST_F(EditedPlanTest, MustFitTheDevices) {
  const auto status = PlanFromText(text_, "plan.json", graph_, cluster_.Scaled(1, 1)).status();
  EXPECT_TRUE(status.ok()) << status;  // memory is not stated
  const auto small = Cluster::FromJson(
      R"({"cluster": [{"cluster_nodes": [{"node_id": 0, "is_local": true, "item_list":
          [{"item_id": 0}, {"item_id": 1}, {"item_id": 2}, {"item_id": 3}]}]}],
          "item_def": [{"item_type": "cpu", "memory": "[DDR:1KB]"}]})",
      "c");
  ASSERT_TRUE(small.ok()) << small.status();
  const absl::Status missing = PlanFromText(text_, "plan.json", graph_, *small).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(missing.message()),
              AllOf(HasSubstr("plan.json.omserve_plan.stages[0]: the plan needs "),
                    HasSubstr(" on device 0:0:0:0, which has 1024; "), HasSubstr("bytes are missing")));
}

TEST_F(EditedPlanTest, CannReadsWhereOperatorsAndTensorsLie) {
  auto plan = PlanFromText(text_, "plan.json", graph_, cluster_);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto cut_graph = Lower(graph_, cluster_, *plan);
  ASSERT_TRUE(cut_graph.ok()) << cut_graph.status();
  const auto attributes = DeploymentAttributes(graph_, cluster_, *plan, cut_graph->groups);
  const nlohmann::json nodes = nlohmann::json::parse(attributes.at("_node_deployments")).at("deployments");
  ASSERT_EQ(nodes.size(), plan->strategies.size());
  EXPECT_EQ(nodes.back()[1].at("pipeline_config").at("stage_id"), 1);
  EXPECT_EQ(nodes.back()[1].at("devices")[1].at("index"), (std::vector<int>{0, 0, 3}));
  bool cut = false;
  const auto tensors = nlohmann::json::parse(attributes.at("_tensor_deployments"));
  for (const auto& tensor : tensors.at("deployments")) {
    const auto& shards = tensor[1].at("shard_deployment");
    size_t pieces = 1, holders = 0;
    for (const auto& ranges : shards.at("axis_slices")) pieces *= ranges.size();
    EXPECT_EQ(shards.at("device_indices_each_slice").size(), pieces);
    for (const auto& devices : shards.at("device_indices_each_slice")) holders += devices.size();
    EXPECT_EQ(holders, 2u);  // the ranks of a stage
    cut |= pieces == 2;
  }
  EXPECT_TRUE(cut);

  // Steps refer to steps before them, readers to steps that are there; what crosses the stages is sent.
  const auto reshards = nlohmann::json::parse(attributes.at("_reshard_attr"));
  std::map<std::string, int> tasks;
  for (const auto& reshard : reshards) {
    EXPECT_LT(reshard[0].get<size_t>(), nodes.size());
    for (const auto& output : reshard[1]) {
      for (const auto& way : output) {
        const int count = static_cast<int>(way.at("comm_steps").size());
        for (int i = 0; i < count; ++i) {
          const auto& step = way.at("comm_steps")[i];
          EXPECT_EQ(step.at("id"), i);
          if (step.contains("input_ids")) {
            EXPECT_LT(step.at("input_ids")[0][0].get<int>(), i);
          }
          ++tasks[step.at("comm_task").at("task_type")];
          if (step.at("comm_task").contains("comm_pairs")) {
            EXPECT_EQ(step.at("comm_task").at("comm_pairs").size(), 2u);
          }
        }
        for (const auto& peer : way.at("peer_inputs")) {
          EXPECT_LT(peer.at("step_id").get<int>(), count);
          EXPECT_NE(graph_.FindNode(peer.at("node_name").get<std::string>()), nullptr);
        }
      }
    }
  }
  EXPECT_GT(tasks["SendReceive"], 0);
  EXPECT_GT(tasks["HcomAllReduce"] + tasks["HcomReduceScatter"], 0);
  const auto more = nlohmann::json::parse(attributes.at("_shard_graph_ext_attrs"));
  EXPECT_EQ(more.at("dev_index_to_logic_dev_id").size(), 4u);
  EXPECT_EQ(more.at("dev_index_to_logic_dev_id")[3][1], (std::vector<int>{0, 0, 3, 0}));
  EXPECT_EQ(more.at("group_name_to_dev_ids").size(), cut_graph->groups.size());
}

TEST_F(EditedPlanTest, ErrorsAreLocated) {
  EXPECT_THAT(ErrorAfter("\"axes\":[2]", "\"axes\":[3]"), HasSubstr("plan.json.omserve_plan.stages[0].axes"));
  EXPECT_THAT(ErrorAfter("0:0:3:0", "0:0:9:0"), HasSubstr("the cluster has no device 0:0:9:0"));
  EXPECT_THAT(ErrorAfter("0:0:3:0", "0:0:0:0"), HasSubstr("device 0:0:0:0 is used twice"));
  EXPECT_THAT(ErrorAfter("\"node\":\"layer.0.fc1\"", "\"node\":\"layer.0.fc9\""),
              HasSubstr("the model has no operator 'layer.0.fc9'"));
  EXPECT_THAT(ErrorAfter("\"node\":\"layer.0.fc1\",\"type\":\"BatchMatMulV2\"",
                         "\"node\":\"layer.0.fc1\",\"type\":\"Add\""),
              HasSubstr("'layer.0.fc1' is a BatchMatMulV2, not a Add"));
  EXPECT_THAT(ErrorAfter("\"node\":\"layer.0.fc1\",\"type\":\"BatchMatMulV2\",\"stage\":0",
                         "\"node\":\"layer.0.fc1\",\"type\":\"BatchMatMulV2\",\"stage\":1"),
              HasSubstr("reads"));
  EXPECT_THAT(ErrorAfter("\"operators\"", "\"operator\""), HasSubstr("unknown key 'operator'"));
}

}  // namespace
}  // namespace omserve
