#include "core/partition/relation.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// The documented sample of tensor parallelism.
constexpr char kTensorParallel[] = R"({
  "deploy_config":[{"submodel_name":"submodel1.air","deploy_device_id_list":"0:0:0"},
                   {"submodel_name":"submodel2.air","deploy_device_id_list":"0:0:1"}],
  "model_name_to_instance_id":[{"submodel_name":"submodel1.air","model_instance_id":0},
                               {"submodel_name":"submodel2.air","model_instance_id":1}],
  "comm_group":[{"group_name":"tp_group_name_0","group_rank_list":"[0,1]"}],
  "rank_table":[{"rank_id":0,"model_instance_id":0},{"rank_id":1,"model_instance_id":1}]})";

// Two stages.
constexpr char kPipeline[] = R"({
  "deploy_config":[{"submodel_name":"stage0.air","deploy_device_id_list":"0:0:0"},
                   {"submodel_name":"stage1.air","deploy_device_id_list":"0:0:1"}],
  "model_name_to_instance_id":[{"submodel_name":"stage0.air","model_instance_id":0},
                               {"submodel_name":"stage1.air","model_instance_id":1}],
  "model_relation":[{"type":"flow","src":"-1:0","dst":"0:0"},{"type":"flow","src":"0:0","dst":"1:0"},
                    {"type":"flow","src":"1:0","dst":"-1:0"}]})";

ModelRelation Parse(absl::string_view text) {
  absl::StatusOr<ModelRelation> relation = ModelRelation::FromJson(text, "r.json");
  EXPECT_TRUE(relation.ok()) << relation.status();
  return relation.ok() ? *std::move(relation) : ModelRelation();
}

std::vector<std::string> Files(const ModelRelation& relation) {
  std::vector<std::string> files;
  for (const RelationSlice& slice : relation.slices) files.push_back(slice.file);
  return files;
}

TEST(RelationTest, TensorParallelSample) {
  const ModelRelation relation = Parse(kTensorParallel);
  EXPECT_THAT(Files(relation), ElementsAre("submodel1.air", "submodel2.air"));
  EXPECT_THAT(relation.slices[1].devices, ElementsAre(LogicalDeviceId{0, 0, 1, 0}));
  ASSERT_EQ(relation.groups.size(), 1u);
  EXPECT_EQ(relation.groups[0].name, "tp_group_name_0");
  EXPECT_THAT(relation.groups[0].ranks, ElementsAre(0, 1));
  EXPECT_TRUE(relation.edges.empty());
}

TEST(RelationTest, PipelineSample) {
  const ModelRelation relation = Parse(kPipeline);
  ASSERT_EQ(relation.edges.size(), 3u);
  EXPECT_EQ(relation.edges[0].source, (RelationEnd{RelationEnd::kRoot, 0}));
  EXPECT_EQ(relation.edges[0].target, (RelationEnd{0, 0}));
  EXPECT_EQ(relation.edges[1].target, (RelationEnd{1, 0}));
  EXPECT_EQ(relation.edges[2].target, (RelationEnd{RelationEnd::kRoot, 0}));
}

TEST(RelationTest, DeployConfigAloneIsEnough) {
  const ModelRelation relation = Parse(R"({"deploy_config":[
      {"submodel_name":"b.air","deploy_device_id_list":"0:0:0"},
      {"submodel_name":"a.air","deploy_device_id_list":"0:1:0:1"}]})");
  EXPECT_THAT(Files(relation), ElementsAre("b.air", "a.air"));
  EXPECT_EQ(relation.slices[1].instance, 1);
  EXPECT_THAT(relation.slices[1].devices, ElementsAre(LogicalDeviceId{0, 1, 0, 1}));
}

// What torchair writes has blanks in the list; ids and ranks need not follow the order of the file.
TEST(RelationTest, RanksInstancesAndLists) {
  const ModelRelation relation = Parse(R"({
    // comments are accepted
    "deploy_config":[{"submodel_name":"a","deploy_device_id_list":"[0:0:0~1]"},
                     {"submodel_name":"b","deploy_device_id_list":"0:0:2, 0:0:3:0"},
                     {"submodel_name":"c","deploy_device_id_list":"0:1:0~1"}],
    "model_name_to_instance_id":[{"submodel_name":"a","model_instance_id":30},{"submodel_name":"b",
      "model_instance_id":7},{"submodel_name":"c","model_instance_id":9}],
    "comm_group":[{"group_name":"g","group_rank_list":"[2, 0]"},{"group_name":"h","group_rank_list":[1,2]},
                  {"group_name":"i","group_rank_list":"1"},
                  {"group_name":"hccl_world_group","group_rank_list":"[0,1,2]"}],
    "rank_table":[{"rank_id":2,"model_instance_id":30},{"rank_id":0,"model_instance_id":9},
                  {"rank_id":1,"model_instance_id":7}],
    "model_relation":[{"type":"flow","src":"9:1","dst":"30:0"}]})");
  EXPECT_THAT(Files(relation), ElementsAre("c", "b", "a"));
  EXPECT_THAT(relation.slices[2].devices, ElementsAre(LogicalDeviceId{0, 0, 0, 0}, LogicalDeviceId{0, 0, 1, 0}));
  EXPECT_THAT(relation.slices[1].devices, ElementsAre(LogicalDeviceId{0, 0, 2, 0}, LogicalDeviceId{0, 0, 3, 0}));
  EXPECT_THAT(relation.groups[0].ranks, ElementsAre(2, 0));
  EXPECT_THAT(relation.groups[1].ranks, ElementsAre(1, 2));
  EXPECT_THAT(relation.groups[2].ranks, ElementsAre(1));
  EXPECT_EQ(relation.edges[0].source, (RelationEnd{0, 1}));
  EXPECT_EQ(relation.edges[0].target, (RelationEnd{2, 0}));
}

// Without a rank table, ranks follow the instance ids.
TEST(RelationTest, RanksByInstance) {
  const ModelRelation relation = Parse(R"({
    "deploy_config":[{"submodel_name":"a","deploy_device_id_list":"0:0:0"},
                     {"submodel_name":"b","deploy_device_id_list":"0:0:1"}],
    "model_name_to_instance_id":[{"submodel_name":"a","model_instance_id":5},
                                 {"submodel_name":"b","model_instance_id":2}]})");
  EXPECT_THAT(Files(relation), ElementsAre("b", "a"));
}

TEST(RelationTest, EachViolationIsOneError) {
  struct Case {
    const char* sample;
    const char* from;
    const char* to;
    const char* message;
  };
  for (const Case& c : {
           Case{kTensorParallel, "\"comm_group\"", "\"comm_groups\"", "EF1001: r.json: unknown key 'comm_groups'"},
           Case{kTensorParallel, "\"deploy_config\"", "\"rank_table\"", "EF1001: r.json.deploy_config: missing"},
           Case{kTensorParallel, ",\n                   {\"submodel_name\":\"submodel2.air\","
                                 "\"deploy_device_id_list\":\"0:0:1\"}", "",
                "EF1001: r.json.deploy_config: expected 2 to 4094 slices, found 1; a model of one piece"},
           Case{kTensorParallel, "\"submodel_name\":\"submodel2.air\",\"deploy", "\"submodel_name\":\"submodel1.air\",\"deploy",
                "EF1001: r.json.deploy_config[1].submodel_name: 'submodel1.air' is given twice"},
           Case{kTensorParallel, "\"submodel2.air\",\"deploy", "\"../x.air\",\"deploy",
                "EF1001: r.json.deploy_config[1].submodel_name: '../x.air' is no file name"},
           Case{kTensorParallel, "\"0:0:1\"", "\"0:1\"",
                "EF1001: r.json.deploy_config[1].deploy_device_id_list: '0:1' is no logical device id"},
           Case{kTensorParallel, "\"0:0:1\"", "\"0:0:0:0\"",
                "EF1001: r.json.deploy_config[1].deploy_device_id_list: device 0:0:0:0 is already used by "
                "'submodel1.air'"},
           Case{kTensorParallel, "\"0:0:1\"", "\"0:0:1,0:0:2\"",
                "EF1001: r.json.deploy_config[1].deploy_device_id_list: names 2 devices, but 'submodel1.air' has 1"},
           Case{kTensorParallel, "\"submodel2.air\",\"model", "\"submodel3.air\",\"model",
                "EF1001: r.json.model_name_to_instance_id[1].submodel_name: 'submodel3.air' is not in deploy_config"},
           Case{kTensorParallel, "\"submodel2.air\",\"model", "\"submodel1.air\",\"model",
                "EF1001: r.json.model_name_to_instance_id[1].submodel_name: 'submodel1.air' is given twice"},
           Case{kTensorParallel, "\"submodel2.air\",\"model_instance_id\":1", "\"submodel2.air\",\"model_instance_id\":0",
                "EF1001: r.json.model_name_to_instance_id[1].model_instance_id: 0 is already the id of"},
           Case{kTensorParallel, ",\n                               {\"submodel_name\":\"submodel2.air\","
                                 "\"model_instance_id\":1}", "",
                "EF1001: r.json.model_name_to_instance_id: 'submodel2.air' of deploy_config is missing"},
           Case{kTensorParallel, "\"[0,1]\"", "\"[0,2]\"",
                "EF1001: r.json.comm_group[0].group_rank_list: there is no rank 2; ranks are 0 to 1"},
           Case{kTensorParallel, "\"[0,1]\"", "\"[0,0]\"",
                "EF1001: r.json.comm_group[0].group_rank_list: rank 0 is given twice"},
           Case{kTensorParallel, "\"[0,1]\"", "\"[0;1]\"",
                "EF1001: r.json.comm_group[0].group_rank_list: '[0;1]' is no list of ranks"},
           Case{kTensorParallel, "\"[0,1]\"", "\"[]\"",
                "EF1001: r.json.comm_group[0].group_rank_list: a group has at least one rank"},
           Case{kTensorParallel, "\"tp_group_name_0\"", "\"\"",
                "EF1001: r.json.comm_group[0].group_name: has 0 characters; a group's name has 1 to 127"},
           Case{kTensorParallel, "\"[0,1]\"}", "\"[0,1]\"},{\"group_name\":\"tp_group_name_0\",\"group_rank_list\":\"[0]\"}",
                "EF1001: r.json.comm_group[1].group_name: 'tp_group_name_0' is given twice"},
           Case{kTensorParallel, "\"tp_group_name_0\",\"group_rank_list\":\"[0,1]\"",
                "\"hccl_world_group\",\"group_rank_list\":\"[1,0]\"",
                "EF1001: r.json.comm_group[0].group_rank_list: group 'hccl_world_group' has all ranks in order"},
           Case{kTensorParallel, "\"rank_id\":1", "\"rank_id\":2",
                "EF1001: r.json.rank_table[1].rank_id: expected an integer from 0 to 1, found 2"},
           Case{kTensorParallel, "\"rank_id\":1", "\"rank_id\":0",
                "EF1001: r.json.rank_table[1].rank_id: rank 0 is given twice"},
           Case{kTensorParallel, "\"rank_id\":1,\"model_instance_id\":1", "\"rank_id\":1,\"model_instance_id\":4",
                "EF1001: r.json.rank_table[1].model_instance_id: there is no instance 4; the instances are 0, 1"},
           Case{kTensorParallel, "\"rank_id\":1,\"model_instance_id\":1", "\"rank_id\":1,\"model_instance_id\":0",
                "EF1001: r.json.rank_table[1].model_instance_id: instance 0 already has rank 0"},
           Case{kTensorParallel, ",{\"rank_id\":1,\"model_instance_id\":1}", "",
                "EF1001: r.json.rank_table: instance 1 ('submodel2.air') has no rank"},
           Case{kPipeline, "\"src\":\"0:0\"", "\"src\":\"2:0\"",
                "EF1001: r.json.model_relation[1].src: there is no instance 2; the instances are 0, 1"},
           Case{kPipeline, "\"src\":\"0:0\"", "\"src\":\"0\"",
                "EF1001: r.json.model_relation[1].src: '0' is no end of an edge"},
           Case{kPipeline, "\"src\":\"0:0\"", "\"src\":\"-2:0\"",
                "EF1001: r.json.model_relation[1].src: '-2:0' is no end of an edge"},
           Case{kPipeline, "\"flow\",\"src\":\"0:0\"", "\"event\",\"src\":\"0:0\"",
                "EF1001: r.json.model_relation[1].type: expected \"flow\", found \"event\""},
           Case{kPipeline, "\"dst\":\"1:0\"", "\"dst\":\"0:0\"",
                "EF1001: r.json.model_relation[1].dst: '0:0' already has a source by r.json.model_relation[0]"},
           Case{kPipeline, "\"src\":\"1:0\"", "\"src\":\"-1:0\"",
                "EF1001: r.json.model_relation[2]: leads from an input of the model to an output of the model"},
           Case{kPipeline, "\"src\":\"-1:0\"", "\"src\":\"1:1\"",
                "EF2007: r.json.model_relation: tensors flow in a circle: 'stage0.air' → 'stage1.air' → 'stage0.air'"},
           Case{kPipeline, "\"-1:0\"}]}", "\"-1:0\"}", "E10032: r.json: not valid JSON"},
       }) {
    const std::string text = absl::StrReplaceAll(c.sample, {{c.from, c.to}});
    ASSERT_NE(text, c.sample) << c.from;
    const absl::Status status = ModelRelation::FromJson(text, "r.json").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.message;
    EXPECT_THAT(std::string(status.message()), StartsWith(c.message));
  }
}

TEST(RelationTest, MissingFile) {
  EXPECT_EQ(ModelRelation::FromFile("/nonexistent/r.json").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace omserve
