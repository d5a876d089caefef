#include "core/build/build.h"

#include <unistd.h>

#include <filesystem>

#include "core/build/describe.h"
#include "core/import/onnx/test_models.h"
#include "core/om/om_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

class BuildTest : public testing::Test {
 protected:
  BuildTest() : folder_(testing::TempDir() + "build_test_" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~BuildTest() override { std::filesystem::remove_all(folder_); }

  // x [batch, 8] · w1 [8, 16] → Relu → · w2 [16, 4], the batch open.
  std::string Mlp() {
    OnnxModelBuilder model;
    model.AddInput("x", DataType::kFloat, {kUnknownDim, 8});
    model.AddInit("w1", Tensor::Of<float>({8, 16}, std::vector<float>(128, 0.5f)));
    model.AddInit("w2", Tensor::Of<float>({16, 4}, std::vector<float>(64, 0.25f)));
    model.AddNode("MatMul", {"x", "w1"}, {"h"});
    model.AddNode("Relu", {"h"}, {"a"});
    model.AddNode("MatMul", {"a", "w2"}, {"y"});
    model.AddOutput("y", DataType::kFloat, {kUnknownDim, 4});
    const std::string path = folder_ + "/mlp.onnx";
    EXPECT_TRUE(model.WriteTo(path).ok());
    return path;
  }

  static BuildOptions TensorParallel(int devices, int size) {
    BuildOptions options;
    options.input_shapes = {{"x", {2, 8}}};
    options.cluster = Cluster::Local(devices);
    options.parallel.emplace();
    options.parallel->tensor_parallel_size = size;
    return options;
  }

  const std::string folder_;
};

TEST_F(BuildTest, StagesAreThoseOfThePlan) {
  struct Case {
    int tensor, stages;
  };
  for (const Case& c : {Case{1, 1}, Case{2, 1}, Case{1, 2}, Case{2, 2}}) {
    BuildOptions options = TensorParallel(c.tensor * c.stages, c.tensor);
    options.parallel->pipeline_stages = c.stages;
    const auto model = BuildModel(Mlp(), options, {}, {});
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->info.stages, c.stages) << c.tensor;
    EXPECT_EQ(model->info.micro_batches, 1);
  }
}

TEST_F(BuildTest, MicroBatchesAreCountedByTheBatchOfTheModel) {
  BuildOptions options = TensorParallel(2, 2);
  options.parallel->global_batch_size = 6;
  const auto model = BuildModel(Mlp(), options, {}, {});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->info.micro_batches, 3);
  EXPECT_EQ(model->info.inputs[0].desc.shape, (Shape{2, 8}));
  EXPECT_EQ(model->info.request_inputs()[0].desc.shape, (Shape{6, 8}));
  EXPECT_EQ(model->info.request_outputs()[0].desc.shape, (Shape{6, 4}));

  options.parallel->global_batch_size = 5;
  EXPECT_THAT(BuildModel(Mlp(), options, {}, {}).status().ToString(),
              HasSubstr("EF1001: global_batch_size 5 is not a multiple of the batch 2 that the model is built for"));

  ModelInfo info;
  info.inputs = {{"x", {DataType::kFloat, {2, 8}}}, {"scale", {DataType::kFloat, {}}}};
  info.outputs = {{"y", {DataType::kFloat, {2, 4}}}};
  EXPECT_EQ(*CountMicroBatches(info, 8), 4);
  EXPECT_THAT(CountMicroBatches(info, int64_t{1} << 62).status().ToString(), HasSubstr("at most 1048576 are run"));
  info.outputs[0].desc.shape = {4, 2};
  EXPECT_THAT(CountMicroBatches(info, 8).status().ToString(), HasSubstr("'y' has shape [4,2] and 'x' begins with 2"));
  info.outputs[0].desc.shape = {};
  EXPECT_FALSE(CountMicroBatches(info, 8).ok());
}

TEST_F(BuildTest, WritesAnOmForTwoDevices) {
  std::vector<std::string> phases;
  const std::string om = folder_ + "/mlp.om";
  ASSERT_TRUE(BuildOm(Mlp(), om, TensorParallel(2, 2), [&](const BuildProgress& progress) {
                if (phases.empty() || phases.back() != progress.phase) phases.push_back(progress.phase);
              }).ok());
  EXPECT_THAT(phases, testing::IsSupersetOf({"import", "optimize", "plan", "cut", "write"}));
  auto file = OmFile::Open(om);
  ASSERT_TRUE(file.ok()) << file.status();
  const ModelInfo& info = (*file)->info();
  EXPECT_EQ(info.name, "mlp");
  EXPECT_EQ(info.inputs, (std::vector<NamedDesc>{{"x", {DataType::kFloat, {2, 8}}}}));
  EXPECT_EQ(info.outputs, (std::vector<NamedDesc>{{"y", {DataType::kFloat, {2, 4}}}}));
  ASSERT_EQ(info.slices.size(), 2u);
  EXPECT_EQ(info.slices[1].devices, (std::vector<LogicalDeviceId>{{0, 0, 1, 0}}));
  // Half of both weights each; parameters of the cut (shapes, offsets) come on top.
  EXPECT_GE(info.slices[0].weight_bytes, (128 + 64) * 4 / 2);
  EXPECT_LT(info.slices[0].weight_bytes, (128 + 64) * 4 / 2 + 200);
  EXPECT_THAT(info.build.at("plan"), HasSubstr("2 of 2 weighted operators cut"));
  EXPECT_TRUE((*file)->VerifyDigests().ok());
}

TEST_F(BuildTest, WithoutAPolicyTheModelIsReplicated) {
  BuildOptions options;
  options.input_shapes = {{"x", {2, 8}}};
  options.cluster = Cluster::Local(3);
  auto model = BuildModel(Mlp(), options, nullptr);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ(model->graphs.size(), 1u);
  EXPECT_EQ(model->info.slices[0].devices.size(), 3u);
  EXPECT_EQ(model->info.build.at("plan"), "3 replicas of the whole model");
}

TEST_F(BuildTest, BadRequestsSayWhatIsWrong) {
  EXPECT_THAT(std::string(BuildModel(Mlp(), TensorParallel(2, 4), nullptr).status().message()),
              HasSubstr("tensor_parallel_size 4 must equal the number of devices in the cluster file, 2"));
  EXPECT_THAT(std::string(BuildModel(Mlp(), TensorParallel(3, 3), nullptr).status().message()),
              HasSubstr("tensor_parallel_size 3 divides no dimension of any weight"));
  BuildOptions no_shape;
  const absl::Status open = BuildModel(Mlp(), no_shape, nullptr).status();
  EXPECT_EQ(open.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(open.message()), HasSubstr("'x'"));
  EXPECT_EQ(BuildModel(folder_ + "/none.onnx", no_shape, nullptr).status().code(), absl::StatusCode::kNotFound);
  Cancellation left;
  left.Cancel(absl::CancelledError("the client left"));
  EXPECT_EQ(BuildModel(Mlp(), TensorParallel(2, 2), nullptr, WaitLimit{.run = &left}).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(ParseInputShapesTest, FormsAndErrors) {
  EXPECT_EQ(*ParseInputShapes("input_ids:1,128; mask:1,128"),
            (InputShapes{{"input_ids", {1, 128}}, {"mask", {1, 128}}}));
  EXPECT_EQ(*ParseInputShapes("a:b:0:2"), (InputShapes{{"a:b:0", {2}}}));
  EXPECT_EQ(*ParseInputShapes("s:"), (InputShapes{{"s", {}}}));
  EXPECT_TRUE(ParseInputShapes("")->empty());
  for (const char* bad : {"x", ":1", "x:1,", "x:-1", "x:a", "x:1;x:2"}) {
    EXPECT_EQ(ParseInputShapes(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace omserve
