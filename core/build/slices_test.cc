#include "core/build/slices.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/build/slices_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using omserve::testing::RunThroughOm;
using omserve::testing::SliceFolder;
using omserve::testing::SliceGraph;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Whole numbers, small enough for floats to be exact.
Tensor Whole(Shape shape, int seed) {
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 7 + seed * 5) % 11) - 5;
  return Tensor::Of<float>(std::move(shape), values);
}

TensorSlice Columns(const Tensor& tensor, int64_t begin, int64_t count) {
  return *TensorSlice(tensor).Slice({0, begin}, {tensor.shape()[0], count});
}
TensorSlice Rows(const Tensor& tensor, int64_t begin, int64_t count) {
  return *TensorSlice(tensor).Slice({begin, 0}, {count, tensor.shape()[1]});
}

const Tensor kX = Whole({3, 4}, 1);
const Tensor kW1 = Whole({4, 6}, 2), kW2 = Whole({6, 4}, 3);
const Tensor kV1 = Whole({4, 6}, 4), kV2 = Whole({6, 5}, 5);

ValueId MatMul(SliceGraph& graph, const std::string& name, ValueId x, Tensor weights) {
  return graph.Add("MatMulV2", name, {x, graph.Const(name + "/w", std::move(weights))});
}
ValueId AllReduce(SliceGraph& graph, const std::string& name, ValueId x, const std::string& group) {
  return graph.Add("HcomAllReduce", name, {x}, {{"group", group}, {"reduction", std::string("sum")}});
}

// relu(x · w1) · w2, or the part of it that rank `part` of `parts` has.
ValueId Mlp(SliceGraph& graph, const std::string& name, ValueId x, const Tensor& w1, const Tensor& w2, int part = 0,
            int parts = 1, const std::string& group = "") {
  const int64_t width = w1.shape()[1] / parts;
  const ValueId h = MatMul(graph, name + "/up", x, Columns(w1, part * width, width).Materialize());
  const ValueId y = MatMul(graph, name + "/down", graph.Add("Relu", name + "/relu", {h}),
                           Rows(w2, part * width, width).Materialize());
  return parts == 1 ? y : AllReduce(graph, name + "/sum", y, group);
}

absl::StatusOr<std::vector<Tensor>> RunGraph(SliceGraph& graph, const std::vector<Tensor>& inputs) {
  ASSIGN_OR_RETURN(auto device, CpuDevice::Create(0, 1, size_t{1} << 30));
  ASSIGN_OR_RETURN(auto executable, device->Compile(graph.graph()));
  return executable->Run(inputs, RunContext{});
}

std::vector<float> Floats(const Tensor& tensor) {
  return {tensor.values<float>().begin(), tensor.values<float>().end()};
}

std::vector<float> Expected(bool two_layers) {
  SliceGraph whole;
  ValueId y = Mlp(whole, "a", whole.Data("x", {3, 4}), kW1, kW2);
  if (two_layers) y = Mlp(whole, "b", y, kV1, kV2);
  whole.Output("y", y);
  return Floats(RunGraph(whole, {kX}).value()[0]);
}

BuildOptions Options(const SliceFolder& folder, std::string relation, int devices) {
  BuildOptions options;
  options.cluster = Cluster::Local(devices);
  options.slices = SliceOptions{std::move(relation), "r.json", folder.path()};
  return options;
}

constexpr char kTwo[] = R"({
  "deploy_config":[{"submodel_name":"s0.air","deploy_device_id_list":"0:0:0"},
                   {"submodel_name":"s1.air","deploy_device_id_list":"0:0:1"}],
  "comm_group":[{"group_name":"tp","group_rank_list":"[0, 1]"}]})";

void WriteTensorParallel(SliceFolder& folder) {
  for (int rank = 0; rank < 2; ++rank) {
    SliceGraph slice;
    slice.Output("y", Mlp(slice, "a", slice.Data("x", {3, 4}), kW1, kW2, rank, 2, "tp"));
    folder.Write(absl::StrCat("s", rank, ".air"), slice);
  }
}

TEST(SlicesTest, TensorParallelEqualsTheWhole) {
  SliceFolder folder;
  WriteTensorParallel(folder);
  const auto model = BuildModel("", Options(folder, kTwo, 2), nullptr);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->info.name, "s0");
  EXPECT_EQ(model->info.slices[1].name, "s1.air");
  EXPECT_EQ(model->info.stages, 1);
  EXPECT_THAT(model->info.slices[1].devices, ElementsAre(LogicalDeviceId{0, 0, 1, 0}));
  EXPECT_EQ(model->info.inputs, (std::vector<NamedDesc>{{"x", {DataType::kFloat, {3, 4}}}}));
  EXPECT_EQ(model->info.outputs, (std::vector<NamedDesc>{{"y", {DataType::kFloat, {3, 4}}}}));
  const auto outputs = RunThroughOm(*model, {kX});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(Floats((*outputs)[0]), Expected(false));
}

// Two stages.
constexpr char kPipeline[] = R"({
  "deploy_config":[{"submodel_name":"s0.air","deploy_device_id_list":"0:0:0"},
                   {"submodel_name":"s1.air","deploy_device_id_list":"0:0:1"}],
  "model_relation":[{"type":"flow","src":"-1:0","dst":"0:0"},{"type":"flow","src":"0:0","dst":"1:0"},
                    {"type":"flow","src":"1:0","dst":"-1:0"}]})";

void WritePipeline(SliceFolder& folder) {
  SliceGraph first;
  first.Output("h", Mlp(first, "a", first.Data("x", {3, 4}), kW1, kW2));
  folder.Write("s0.air", first);
  SliceGraph second;
  second.Output("y", Mlp(second, "b", second.Data("h", {3, 4}), kV1, kV2));
  folder.Write("s1.air", second);
}

TEST(SlicesTest, PipelineEqualsTheWhole) {
  SliceFolder folder;
  WritePipeline(folder);
  const auto model = BuildModel("", Options(folder, kPipeline, 2), nullptr);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->info.inputs, (std::vector<NamedDesc>{{"x", {DataType::kFloat, {3, 4}}}}));
  EXPECT_EQ(model->info.outputs, (std::vector<NamedDesc>{{"y", {DataType::kFloat, {3, 5}}}}));
  EXPECT_TRUE(model->info.slices[1].inputs.empty());
  EXPECT_TRUE(model->info.slices[0].outputs.empty());
  EXPECT_EQ(model->info.groups, (std::vector<HcomGroup>{{"omserve_flow_0_1", {0, 1}}}));
  EXPECT_EQ(model->info.stages, 2);
  const auto outputs = RunThroughOm(*model, {kX});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(Floats((*outputs)[0]), Expected(true));
}

// Two stages of two ranks each; the result of each stage is whole on both of its ranks.
constexpr char kMesh[] = R"({
  "deploy_config":[{"submodel_name":"s0.air","deploy_device_id_list":"0:0:0,0:0:4"},
                   {"submodel_name":"s1.air","deploy_device_id_list":"0:0:1,0:0:5"},
                   {"submodel_name":"s2.air","deploy_device_id_list":"0:0:2,0:0:6"},
                   {"submodel_name":"s3.air","deploy_device_id_list":"0:0:3,0:0:7"}],
  "comm_group":[{"group_name":"stage0","group_rank_list":"[0,1]"},{"group_name":"stage1","group_rank_list":"[2,3]"}],
  "model_relation":[{"type":"flow","src":"-1:0","dst":"0:0"},{"type":"flow","src":"-1:0","dst":"1:0"},
                    {"type":"flow","src":"0:0","dst":"2:0"},{"type":"flow","src":"1:0","dst":"3:0"},
                    {"type":"flow","src":"2:0","dst":"-1:0"},{"type":"flow","src":"3:1","dst":"-1:1"}]})";

TEST(SlicesTest, MeshOfPipelineAndTensorEqualsTheWhole) {
  SliceFolder folder;
  for (int rank = 0; rank < 2; ++rank) {
    SliceGraph first;
    first.Output("h", Mlp(first, "a", first.Data("x", {3, 4}), kW1, kW2, rank, 2, "stage0"));
    folder.Write(absl::StrCat("s", rank, ".air"), first);
    SliceGraph second;
    const ValueId h = second.Data("h", {3, 4});
    second.Output("y", Mlp(second, "b", h, kV1, kV2, rank, 2, "stage1"));
    second.Output("negative", second.Add("Neg", "neg", {h}));
    folder.Write(absl::StrCat("s", 2 + rank, ".air"), second);
  }
  const auto model = BuildModel("", Options(folder, kMesh, 8), nullptr);
  ASSERT_TRUE(model.ok()) << model.status();
  // Two replicas, since each slice names two devices.
  EXPECT_THAT(model->info.slices[3].devices, ElementsAre(LogicalDeviceId{0, 0, 3, 0}, LogicalDeviceId{0, 0, 7, 0}));
  EXPECT_THAT(model->info.build.at("plan"), HasSubstr("2 replicas"));
  EXPECT_EQ(model->info.stages, 2);
  const auto outputs = RunThroughOm(*model, {kX});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(Floats((*outputs)[0]), Expected(true));
  std::vector<float> negative = Expected(false);
  for (float& value : negative) value = -value;
  EXPECT_EQ(Floats((*outputs)[1]), negative);
}

// One output feeds two inputs of one slice, another slice, and the model.
TEST(SlicesTest, AnOutputFeedsSeveralEdges) {
  SliceFolder folder;
  SliceGraph first;
  first.Output("twice", first.Add("Add", "add", {first.Data("x", {3, 4}), first.graph().FindNode("x")->out()}));
  folder.Write("s0.air", first);
  SliceGraph second;
  const ValueId a = second.Data("a", {3, 4}), b = second.Data("b", {3, 4}), x = second.Data("x", {3, 4});
  second.Output("sum", second.Add("Add", "sum", {second.Add("Add", "ab", {a, b}), x}));
  folder.Write("s1.air", second);
  const auto model = BuildModel("", Options(folder, R"({
    "deploy_config":[{"submodel_name":"s0.air","deploy_device_id_list":"0:0:0"},
                     {"submodel_name":"s1.air","deploy_device_id_list":"0:0:1"}],
    "model_relation":[{"type":"flow","src":"-1:0","dst":"0:0"},{"type":"flow","src":"-1:0","dst":"1:2"},
                      {"type":"flow","src":"0:0","dst":"1:0"},{"type":"flow","src":"0:0","dst":"1:1"},
                      {"type":"flow","src":"0:0","dst":"-1:1"},{"type":"flow","src":"1:0","dst":"-1:0"}]})", 2),
                                nullptr);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT(model->info.slices[1].inputs, ElementsAre(0));
  const auto outputs = RunThroughOm(*model, {kX});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  for (size_t i = 0; i < Floats(kX).size(); ++i) {
    EXPECT_EQ(Floats((*outputs)[0])[i], 5 * Floats(kX)[i]);
    EXPECT_EQ(Floats((*outputs)[1])[i], 2 * Floats(kX)[i]);
  }
}

// Independent collectives of two groups, written in another order on each rank, and one whose result nobody reads:
// the build brings them into one order.
TEST(SlicesTest, CommunicationOfAllSlicesHasOneOrder) {
  SliceFolder folder;
  for (int rank = 0; rank < 2; ++rank) {
    SliceGraph slice;
    const ValueId x = slice.Data("x", {3, 4});
    std::vector<ValueId> sums(2);
    for (int i = 0; i < 2; ++i) {
      const int group = (i + rank) % 2;
      sums[group] = AllReduce(slice, absl::StrCat("sum", group), x, group == 0 ? "tp" : "hccl_world_group");
    }
    AllReduce(slice, "unread", sums[0], "tp");
    slice.Output("y", slice.Add("Sub", "sub", {slice.Add("Mul", "mul", {sums[0], x}), sums[1]}));
    folder.Write(absl::StrCat("s", rank, ".air"), slice);
  }
  const auto model = BuildModel("", Options(folder, kTwo, 2), nullptr);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->info.groups, (std::vector<HcomGroup>{{"tp", {0, 1}}, {"hccl_world_group", {0, 1}}}));
  const auto outputs = RunThroughOm(*model, {kX});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  for (size_t i = 0; i < Floats(kX).size(); ++i) {
    EXPECT_EQ(Floats((*outputs)[0])[i], 2 * Floats(kX)[i] * Floats(kX)[i] - 2 * Floats(kX)[i]);
  }
}

// What each slice of two is made of, for tests of what is refused.
using Maker = void (*)(SliceGraph& slice, int rank);

void Send(SliceGraph& slice, ValueId x, int peer, int64_t tag) {
  slice.Add("HcomSend", "send", {x}, {{"group", std::string("tp")}, {"sr_tag", tag}, {"dest_rank", int64_t{peer}}});
}
ValueId Receive(SliceGraph& slice, int peer, int64_t tag, Shape shape, DataType type = DataType::kFloat) {
  return slice.Add("HcomReceive", "receive", {},
                   {{"group", std::string("tp")}, {"sr_tag", tag}, {"src_rank", int64_t{peer}},
                    {"shape", std::vector<int64_t>(shape)}, {"dtype", type}});
}

TEST(SlicesTest, EachMismatchOfSlicesIsOneError) {
  struct Case {
    Maker make;
    const char* message;
  };
  for (const Case& c : {
           Case{[](SliceGraph& s, int rank) {
                  s.Output("y", AllReduce(s, "sum", s.Data("x", {2}), rank == 0 ? "tp" : "tq"));
                },
                "EF1001: 's1.air': operator 'sum' (HcomAllReduce) is of group 'tq', which comm_group does not declare; "
                "declared are 'tp'"},
           Case{[](SliceGraph& s, int) {
                  s.Output("y", s.Add("HcomAllGather", "gather", {s.Data("x", {2})},
                                      {{"group", std::string("tp")}, {"rank_size", int64_t{4}}}));
                },
                "E14001: 's0.air': operator 'gather' (HcomAllGather): attribute 'rank_size' is 4, but it is of group "
                "'tp' of 2 ranks"},
           Case{[](SliceGraph& s, int) {
                  s.Output("y", s.Add("HcomBroadcast", "cast", {s.Data("x", {2})},
                                      {{"group", std::string("tp")}, {"root_rank", int64_t{2}}}));
                },
                "E14001: 's0.air': operator 'cast' (HcomBroadcast): attribute 'root_rank' is 2; in group 'tp' of 2 ranks "
                "it must be 0 to 1"},
           Case{[](SliceGraph& s, int) {
                  s.Output("y", s.Add("HcomAllToAll", "exchange", {s.Data("x", {3})}, {{"group", std::string("tp")}}));
                },
                "E14001: 's0.air': operator 'exchange' (HcomAllToAll): x is float32[3]; dimension 0 must be divisible"},
           Case{[](SliceGraph& s, int rank) {
                  s.Output("y", s.Add("HcomAllReduce", absl::StrCat("sum", rank), {s.Data("x", {2})},
                                      {{"group", std::string("tp")},
                                       {"reduction", std::string(rank == 0 ? "sum" : "max")}}));
                },
                "EI0005: group 'tp': operator 1 is 'sum0', HcomAllReduce of float32[2], sum, in 's0.air', but 'sum1', "
                "HcomAllReduce of float32[2], max, in 's1.air'"},
           Case{[](SliceGraph& s, int rank) {
                  const ValueId x = s.Data("x", {4});
                  s.Output("y", x);
                  AllReduce(s, "sum", rank == 0 ? x : s.Const("half", Whole({2}, 0)), "tp");
                },
                "EI0005: group 'tp': operator 1 is 'sum', HcomAllReduce of float32[4], sum, in 's0.air', but 'sum', "
                "HcomAllReduce of float32[2], sum, in 's1.air'"},
           Case{[](SliceGraph& s, int rank) {
                  const ValueId x = s.Data("x", {4});
                  s.Output("y", x);
                  AllReduce(s, "first", x, "tp");
                  if (rank == 0) AllReduce(s, "second", x, "tp");
                },
                "EI0005: group 'tp': 's0.air' has 2 collectives, 's1.air' 1; the first without a peer is 'second'"},
           Case{[](SliceGraph& s, int rank) {
                  const ValueId x = s.Data("x", {4});
                  s.Output("y", x);
                  if (rank == 0) Send(s, x, 1, 7);
                },
                "EI0005: 's0.air': operator 'send' (HcomSend) sends to rank 1 ('s1.air') with sr_tag 7 in group 'tp', "
                "which has no HcomReceive for it"},
           Case{[](SliceGraph& s, int rank) {
                  const ValueId x = s.Data("x", {4});
                  s.Output("y", rank == 0 ? x : Receive(s, 0, 8, {4}));
                  if (rank == 0) Send(s, x, 1, 7);
                },
                "EI0005: 's0.air': operator 'send' (HcomSend) sends to rank 1 ('s1.air') with sr_tag 7"},
           Case{[](SliceGraph& s, int rank) {
                  const ValueId x = s.Data("x", {4});
                  s.Output("y", rank == 0 ? x : Receive(s, 0, 7, {4}));
                },
                "EI0005: 's1.air': operator 'receive' (HcomReceive) receives from rank 0 ('s0.air') with sr_tag 7 in "
                "group 'tp', which has no HcomSend for it"},
           Case{[](SliceGraph& s, int rank) {
                  const ValueId x = s.Data("x", {4});
                  s.Output("y", x);
                  if (rank == 0) Send(s, x, 1, 7);
                  if (rank == 1) Receive(s, 0, 7, {2, 2});
                },
                "EI0005: 's0.air': operator 'send' (HcomSend) sends float32[4], but 's1.air': operator 'receive' "
                "(HcomReceive) with the same sr_tag 7 expects float32[2,2]"},
           Case{[](SliceGraph& s, int rank) {
                  const ValueId x = s.Data("x", {4});
                  s.Output("y", x);
                  if (rank == 0) Send(s, x, 0, 7);
                },
                "E14001: 's0.air': operator 'send' (HcomSend): attribute 'dest_rank' is its own rank in group 'tp'"},
           Case{[](SliceGraph& s, int rank) {
                  s.Output("y", Receive(s, 1 - rank, 7, {4}));
                  s.graph().AddData("x", {DataType::kFloat, {4}});
                  Send(s, s.graph().outputs()[0].value, 1 - rank, 7);
                },
                "EI0005: slices would wait for each other for ever: 'send' (HcomSend) of"},
           Case{[](SliceGraph& s, int rank) { s.Output("y", s.Data("x", {rank + 2})); },
                "EF1001: 's1.air' takes input 'x' as float32[3], but 's0.air' as float32[2]"},
           Case{[](SliceGraph& s, int rank) {
                  const ValueId x = s.Data("x", {2});
                  s.Output("y", x);
                  if (rank == 1) s.Output("z", x);
                },
                "EF1001: 's1.air' has 2 outputs, but 's0.air' has 1"},
           Case{[](SliceGraph& s, int) { s.Data("x", {2}); }, "EF1001: no slice has an output"},
           Case{[](SliceGraph& s, int) { s.Output("y", s.Data("x", {kUnknownDim, 2})); },
                "EF1008: slice 's0.air': input 'x' is float32[?,2]; slices need static shapes"},
           Case{[](SliceGraph& s, int rank) {
                  const ValueId x = s.Data("x", {2});
                  s.Output("y", x);
                  if (rank == 1) s.graph().AddNode("Variable", "counter", {});
                },
                "E10055: slice 's1.air': operator 'counter' is a Variable; models with variables cannot be deployed"},
       }) {
    SliceFolder folder;
    for (int rank = 0; rank < 2; ++rank) {
      SliceGraph slice;
      c.make(slice, rank);
      folder.Write(absl::StrCat("s", rank, ".air"), slice);
    }
    const absl::Status status = BuildModel("", Options(folder, kTwo, 2), nullptr).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.message;
    EXPECT_THAT(std::string(status.message()), StartsWith(c.message));
  }
}

TEST(SlicesTest, EachMismatchWithTheRelationFileIsOneError) {
  struct Case {
    const char* from;
    const char* to;
    const char* message;
  };
  for (const Case& c : {
           Case{"s1.air", "s2.air",
                "EF1001: submodel 's2.air' of deploy_config is not in the folder of slices; there are s0.air, s1.air"},
           Case{"0:0:1", "0:1:0",
                "EF2001: device 0:1:0:0 of 's1.air' is not in the cluster file, which has 0:0:0:0, 0:0:1:0"},
           Case{"\"dst\":\"1:0\"", "\"dst\":\"1:1\"",
                "EF1001: r.json.model_relation[1].dst: 's1.air' has no input 1; it has 1"},
           Case{"\"src\":\"0:0\"", "\"src\":\"0:1\"",
                "EF1001: r.json.model_relation[1].src: 's0.air' has no output 1; it has 1"},
           Case{"{\"type\":\"flow\",\"src\":\"0:0\",\"dst\":\"1:0\"},\n", "",
                "EF1001: model_relation: input 0 'h' of 's1.air' has no source"},
           Case{"\"src\":\"-1:0\"", "\"src\":\"-1:1\"",
                "EF1001: model_relation: input 0 of the model feeds no slice, but input 1 does"},
           Case{"\"dst\":\"-1:0\"", "\"dst\":\"-1:1\"",
                "EF1001: model_relation: output 0 of the model has no source, but output 1 has"},
           Case{",\n                    {\"type\":\"flow\",\"src\":\"1:0\",\"dst\":\"-1:0\"}", "",
                "EF1001: model_relation: no edge leads to an output of the model"},
       }) {
    SliceFolder folder;
    WritePipeline(folder);
    const std::string relation = absl::StrReplaceAll(kPipeline, {{c.from, c.to}});
    ASSERT_NE(relation, kPipeline) << c.from;
    const absl::Status status = BuildModel("", Options(folder, relation, 2), nullptr).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.message;
    EXPECT_THAT(std::string(status.message()), StartsWith(c.message));
  }
  SliceFolder folder;
  WritePipeline(folder);
  SliceGraph other;
  other.Output("y", other.Data("h", {3, 5}));
  folder.Write("other.air", other);
  EXPECT_THAT(std::string(BuildModel("", Options(folder, kPipeline, 2), nullptr).status().message()),
              StartsWith("EF1001: 'other.air' in the folder of slices is not in deploy_config"));
  // Shapes along an edge.
  SliceFolder unfit;
  WritePipeline(unfit);
  unfit.Write("s1.air", other);
  EXPECT_THAT(std::string(BuildModel("", Options(unfit, kPipeline, 2), nullptr).status().message()),
              StartsWith("EF1001: r.json.model_relation[1]: 's0.air' gives float32[3,4] as output 0, but 's1.air' takes "
                         "float32[3,5] as input 0 'h'"));
  BuildOptions cut = Options(folder, kPipeline, 2);
  cut.parallel.emplace();
  EXPECT_THAT(std::string(BuildModel("", cut, nullptr).status().message()), StartsWith("E10056: slices and a partition"));
}

// An open dimension is fixed by the shapes that the build is given, in each slice that has the input.
TEST(SlicesTest, OpenShapesAreFixedByTheOptions) {
  SliceFolder folder;
  for (int rank = 0; rank < 2; ++rank) {
    SliceGraph slice;
    slice.Output("y", Mlp(slice, "a", slice.Data("x", {kUnknownDim, 4}), kW1, kW2, rank, 2, "tp"));
    folder.Write(absl::StrCat("s", rank, ".air"), slice);
  }
  BuildOptions options = Options(folder, kTwo, 2);
  options.input_shapes = {{"x", {3, 4}}};
  const auto model = BuildModel("", options, nullptr);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(Floats(RunThroughOm(*model, {kX}).value()[0]), Expected(false));
  options.input_shapes["z"] = {1};
  EXPECT_THAT(std::string(BuildModel("", options, nullptr).status().message()),
              StartsWith("E10016: a shape is given for 'z', which is no input of any slice"));
}

// Counts that differ between ranks, over three ranks and over two; long parts, which wait for their receivers.
TEST(SlicesTest, ExchangesWithCountsPerRank) {
  for (const int ranks : {2, 3}) {
    for (const int64_t unit : {int64_t{1}, int64_t{40000}}) {
      SliceFolder folder;
      std::string deploy;
      std::vector<int64_t> matrix, all(ranks);
      for (int i = 0; i < ranks * ranks; ++i) matrix.push_back((i % ranks + 1) * unit);  // everybody sends j+1 to j
      for (int rank = 0; rank < ranks; ++rank) {
        all[rank] = (rank + 1) * unit;
        absl::StrAppend(&deploy, rank == 0 ? "" : ",", R"({"submodel_name":"s)", rank,
                        R"(.air","deploy_device_id_list":"0:0:)", rank, "\"}");
      }
      for (int rank = 0; rank < ranks; ++rank) {
        SliceGraph s;
        const int64_t total = ranks * (ranks + 1) / 2 * unit;
        const ValueId x = s.Data("x", {total});
        const AttrMap world = {{"group", std::string("hccl_world_group")}};
        AttrMap vc = world;
        vc["rank"] = int64_t{rank};
        std::vector<int64_t> begins(ranks, 0), in(ranks, (rank + 1) * unit), at(ranks);
        for (int i = 0; i < ranks; ++i) begins[i] = i * (i + 1) / 2 * unit, at[i] = (ranks - 1 - i) * in[i];
        const ValueId a = s.Add("HcomAllToAllVC", "vc",
                                {x, s.Const("matrix", Tensor::Of<int64_t>({ranks, ranks}, matrix))}, vc);
        const ValueId b = s.Add("HcomAllToAllV", "v",
                                {x, s.Const("out", Tensor::Int64s(all)), s.Const("begins", Tensor::Int64s(begins)),
                                 s.Const("in", Tensor::Int64s(in)), s.Const("at", Tensor::Int64s(at))}, world);
        const ValueId ab = s.Add("Add", "ab", {a, b});
        // Part `rank` of x from everybody, twice.
        const ValueId g = s.Add("HcomAllGatherV", "g",
                                {ab, s.Const("n", Tensor::Int64s({all[rank]})), s.Const("counts", Tensor::Int64s(all)),
                                 ValueId{}}, world);
        s.Output("y", g);
        folder.Write(absl::StrCat("s", rank, ".air"), s);
      }
      const auto model = BuildModel("", Options(folder, absl::StrCat("{\"deploy_config\":[", deploy, "]}"), ranks),
                                    nullptr);
      ASSERT_TRUE(model.ok()) << model.status();
      const Tensor x = Whole({ranks * (ranks + 1) / 2 * unit}, 1);
      const auto outputs = RunThroughOm(*model, {x});
      ASSERT_TRUE(outputs.ok()) << outputs.status();
      std::vector<float> twice = Floats(x);
      for (float& value : twice) value *= 2;
      EXPECT_TRUE(Floats((*outputs)[0]) == twice) << ranks << " ranks, " << unit;
    }
  }
}

}  // namespace
}  // namespace omserve
