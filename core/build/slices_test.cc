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
  EXPECT_THAT(model->info.slices[1].devices, ElementsAre(LogicalDeviceId{0, 0, 1, 0}));
  EXPECT_EQ(model->info.inputs, (std::vector<NamedDesc>{{"x", {DataType::kFloat, {3, 4}}}}));
  EXPECT_EQ(model->info.outputs, (std::vector<NamedDesc>{{"y", {DataType::kFloat, {3, 4}}}}));
  const auto outputs = RunThroughOm(*model, {kX});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(Floats((*outputs)[0]), Expected(false));
}

}  // namespace
}  // namespace omserve
