#include "core/build/padding.h"

#include "core/build/slices_testing.h"
#include "core/import/onnx/test_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kWords = 1031, kWidth = 5;

class PaddingTest : public ::testing::Test {
 protected:
  PaddingTest() {
    std::vector<float> values;
    for (int64_t i = 0; i < kWords * kWidth; ++i) values.push_back(static_cast<float>(i * 7 % 23 - 11));
    OnnxModelBuilder model;
    model.AddInput("ids", DataType::kInt64, {1});
    model.AddInit("table", Tensor::Of<float>({kWords, kWidth}, values));
    model.AddNode("Gather", {"table", "ids"}, {"x"});
    model.AddNode("Gemm", {"x", "table"}, {"logits"}, {{"transB", int64_t{1}}});
    model.AddOutput("logits", DataType::kFloat, {1, kWords});
    path_ = folder_ / "words.onnx";
    EXPECT_TRUE(model.WriteTo(path_).ok());
  }

  static BuildOptions On(int devices) {
    BuildOptions options;
    options.cluster = Cluster::Local(devices);
    options.parallel.emplace();
    options.parallel->tensor_parallel_size = devices;
    return options;
  }

  SlicedModel Build(const BuildOptions& options) {
    auto model = BuildModel(path_, options, {}, {});
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? *std::move(model) : SlicedModel{};
  }

  static absl::StatusOr<std::vector<float>> Logits(const SlicedModel& model, int64_t word) {
    ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, testing::RunThroughOm(model, {Tensor::Int64s({word})}));
    return testing::ValuesOf(outputs[0]);
  }

  const testing::TemporaryFolder folder_;
  std::string path_;
};

TEST_F(PaddingTest, AVocabularyThatDoesNotDivideIsCut) {
  BuildOptions whole_options;
  whole_options.cluster = Cluster::Local(1);
  const SlicedModel whole = Build(whole_options);
  for (const int devices : {2, 3, 4}) {
    SCOPED_TRACE(devices);
    const SlicedModel model = Build(On(devices));
    const int64_t rows = (kWords + devices - 1) / devices;
    EXPECT_EQ(model.info.build.at("padded"), absl::StrCat("'table' 1031 to ", rows * devices));
    EXPECT_EQ(model.info.outputs[0].desc.shape, (Shape{1, kWords}));
    for (const Graph& slice : model.graphs) {
      // One part of the one table, for both readers.
      int tables = 0;
      for (int32_t id : slice.NodeIds()) {
        const TensorSlice* constant = slice.node(id)->constant();
        if (constant == nullptr || constant->shape().size() != 2) continue;
        EXPECT_EQ(constant->shape(), (Shape{rows, kWidth}));
        ++tables;
      }
      EXPECT_EQ(tables, 1) << Dump(slice);
    }
    for (const int64_t word : {int64_t{0}, int64_t{515}, int64_t{516}, kWords - 1, int64_t{-1}, -kWords}) {
      const auto expected = Logits(whole, word), actual = Logits(model, word);
      ASSERT_TRUE(expected.ok() && actual.ok()) << expected.status() << actual.status();
      EXPECT_EQ(*expected, *actual) << word;
    }
    // Indices of the padding are refused as any others, in the words of the model that is not cut.
    for (const int64_t word : {kWords, -kWords - 1}) {
      const auto expected = Logits(whole, word), actual = Logits(model, word);
      EXPECT_THAT(std::string(expected.status().message()), HasSubstr(absl::StrCat("index ", word, " is outside [-1031, 1031)")));
      EXPECT_THAT(std::string(actual.status().message()), HasSubstr(absl::StrCat("index ", word, " is outside [-1031, 1031)")));
    }
  }
}

TEST_F(PaddingTest, APlanFileSaysWhatWasPadded) {
  const SlicedModel model = Build(On(2));
  // On a cluster of more devices the plan is the same.
  BuildOptions options = On(5);
  options.parallel.emplace();
  options.parallel->plan = model.info.build.at("plan_file");
  EXPECT_THAT(options.parallel->plan, HasSubstr("\"padded_to_multiple_of\": 2"));
  const SlicedModel again = Build(options);
  EXPECT_EQ(again.info.build.at("padded"), "'table' 1031 to 1032");
  EXPECT_THAT(again.info.build.at("plan_file"), HasSubstr("\"padded_to_multiple_of\": 2"));
  EXPECT_EQ(Dump(again.graphs[1]), Dump(model.graphs[1]));

  options.parallel->plan = "{\"omserve_plan\":{\"padded_to_multiple_of\":0}}";
  EXPECT_THAT(std::string(BuildModel(path_, options, {}, {}).status().message()),
              HasSubstr("padded_to_multiple_of"));
}

TEST_F(PaddingTest, NothingIsPaddedWhereNothingIsCut) {
  BuildOptions off = On(2);
  off.parallel->pad_uneven = false;
  EXPECT_THAT(std::string(BuildModel(path_, off, {}, {}).status().message()),
              HasSubstr("tensor_parallel_size 2 divides no dimension of any weight"));
  off.parallel->tensor_parallel_size.reset();
  BuildOptions pipeline = On(2);
  pipeline.parallel->tensor_parallel_size.reset();
  pipeline.parallel->pipeline_stages = 2;
  // One replica on each device is what gives the most answers.
  BuildOptions replicas = On(2);
  replicas.parallel.emplace();
  replicas.parallel->automatic = true;
  replicas.parallel->objective = PlanObjective::kThroughput;
  BuildOptions whole = On(2);
  whole.parallel.reset();
  for (const BuildOptions& options : {off, pipeline, replicas, whole}) {
    const SlicedModel model = Build(options);
    EXPECT_FALSE(model.info.build.contains("padded"));
    for (const Graph& slice : model.graphs) {
      for (int32_t id : slice.NodeIds()) EXPECT_FALSE(slice.node(id)->is("Slice")) << Dump(slice);
    }
  }
}

}  // namespace
}  // namespace omserve
