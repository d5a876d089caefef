// Imports the real models of the folder that OMSERVE_MODELS names.
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/import/onnx/onnx_importer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

class ModelsTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("OMSERVE_MODELS");
    if (folder == nullptr || *folder == '\0') {
      GTEST_SKIP() << "OMSERVE_MODELS names no folder with models; nothing is imported";
    }
    folder_ = folder;
  }

  absl::StatusOr<Graph> Import(const std::string& model, OnnxImportStats* stats = nullptr) {
    return ImportOnnx(folder_ + "/" + model + "/model.onnx", stats);
  }

  std::string folder_;
};

struct Expectation {
  const char* model;
  int inputs;
  int outputs;
};

TEST_F(ModelsTest, EveryModelWithoutSubgraphsImports) {
  for (const Expectation& expected :
       {Expectation{"mnist_burn", 1, 1}, Expectation{"mnist_cntk", 1, 1}, Expectation{"ocr_cls", 1, 1},
        Expectation{"ocr_det", 1, 1}, Expectation{"stories260k", 1, 1}, Expectation{"stories260k_with_past", 11, 11},
        Expectation{"use_lite_en", 2, 1}}) {
    SCOPED_TRACE(expected.model);
    absl::StatusOr<Graph> graph = Import(expected.model);
    ASSERT_TRUE(graph.ok()) << graph.status();
    EXPECT_EQ(graph->inputs().size(), expected.inputs);
    EXPECT_EQ(graph->outputs().size(), expected.outputs);
    EXPECT_TRUE(Verify(*graph).ok()) << Verify(*graph);
  }
}

TEST_F(ModelsTest, SubgraphsAreRefusedByName) {
  const absl::Status status = Import("silero_vad_v5").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'If' holds a subgraph"));
}

TEST_F(ModelsTest, EveryWeightIsAccountedFor) {
  OnnxImportStats stats;
  absl::StatusOr<Graph> graph = Import("use_lite_en", &stats);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_GT(stats.referenced_bytes, 0);
  EXPECT_GT(stats.referenced_bytes + stats.copied_bytes, 27'000'000);
}

}  // namespace
}  // namespace omserve
