#include "core/custom/packages.h"

#include <stdlib.h>

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "core/custom/requirements.h"
#include "core/device/cpu/cpu_device.h"
#include "core/device/cpu/packaged_kernels.h"
#include "core/import/onnx/onnx_importer.h"
#include "core/import/onnx/test_models.h"
#include "core/ops/op.h"

namespace omserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class PackagesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    absl::StatusOr<std::vector<CustomPackage>> packages = LoadCustomPackages({EXAMPLE_PACKAGE});
    ASSERT_TRUE(packages.ok()) << packages.status();
    ASSERT_EQ(packages->size(), 1u);
    EXPECT_EQ((*packages)[0].name, "example");
    EXPECT_EQ((*packages)[0].version, "1.0");
    EXPECT_EQ((*packages)[0].operators, std::vector<std::string>{"ScaledMatMul"});
  }
};

absl::StatusOr<Graph> ImportScaled(const OnnxAttrs& attrs, DataType type = DataType::kInt32) {
  OnnxModelBuilder model;
  model.AddInput("x", type, {2, 3});
  model.AddInput("w", type, {3, 2});
  model.AddNode("ScaledMatMul", {"x", "w"}, {"y"}, attrs, "scaled")->set_domain("com.example");
  onnx::OperatorSetIdProto* opset = model.proto().add_opset_import();
  opset->set_domain("com.example");
  opset->set_version(1);
  model.AddOutput("y", type, {2, 2});
  return ImportOnnx(model.ToBuffer(), "");
}

TEST_F(PackagesTest, LoadingAgainChangesNothing) {
  absl::StatusOr<std::vector<CustomPackage>> packages = LoadCustomPackages({EXAMPLE_PACKAGE, EXAMPLE_PACKAGE});
  ASSERT_TRUE(packages.ok()) << packages.status();
  EXPECT_EQ(packages->size(), 2u);
  EXPECT_NE(cpu::FindPackagedKernel("ScaledMatMul"), nullptr);
}

TEST_F(PackagesTest, FoldersComeFromTheEnvironmentFirst) {
  ::setenv("ASCEND_CUSTOM_OPP_PATH", "a:b", 1);
  ::setenv("OMSERVE_CUSTOM_OPP_PATH", "c::", 1);
  EXPECT_EQ(CustomOperatorFolders({"d"}), (std::vector<std::string>{"a", "b", "c", "d"}));
  ::unsetenv("ASCEND_CUSTOM_OPP_PATH");
  ::unsetenv("OMSERVE_CUSTOM_OPP_PATH");
}

TEST_F(PackagesTest, OnnxNodeBecomesTheOperator) {
  absl::StatusOr<Graph> graph = ImportScaled({{"scale", 3.0f}});
  ASSERT_TRUE(graph.ok()) << graph.status();
  ASSERT_TRUE(InferGraph(*graph).ok());
  const Node* node = graph->FindNode("scaled");
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->type(), "ScaledMatMul");
  EXPECT_EQ(node->output(), (TensorDesc{DataType::kInt32, {2, 2}}));
  CpuEvaluator evaluator;
  const std::vector<Tensor> inputs = {Tensor::Of<int32_t>({2, 3}, {1, 2, 3, 4, 5, 6}),
                                      Tensor::Of<int32_t>({3, 2}, {1, 0, 0, 1, 1, 1})};
  absl::StatusOr<std::vector<Tensor>> outputs = evaluator.Evaluate(*graph, *node, inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const auto values = (*outputs)[0].values<int32_t>();
  EXPECT_EQ(std::vector<int32_t>(values.begin(), values.end()), (std::vector<int32_t>{12, 15, 30, 33}));
}

TEST_F(PackagesTest, AttributesOfAnotherKindOrNameAreRefused) {
  EXPECT_THAT(std::string(ImportScaled({{"scale", int64_t{3}}}).status().message()), HasSubstr("scale"));
  EXPECT_THAT(std::string(ImportScaled({{"gain", 3.0f}}).status().message()),
              HasSubstr("attribute 'gain' is not supported"));
}

TEST_F(PackagesTest, WhatInferenceRefusesNamesTheNode) {
  absl::StatusOr<Graph> graph = ImportScaled({}, DataType::kInt8);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const absl::Status status = InferGraph(*graph);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("'ScaledMatMul' (node 'scaled')"),
                                                   HasSubstr("only float32 and int32 are supported")));
}

TEST_F(PackagesTest, RuleIsThePackages) {
  absl::StatusOr<Graph> graph = ImportScaled({});
  ASSERT_TRUE(graph.ok() && InferGraph(*graph).ok());
  absl::StatusOr<ShardingRule> rule = RuleOf(*graph, *graph->FindNode("scaled"));
  ASSERT_TRUE(rule.ok()) << rule.status();
  ASSERT_EQ(rule->factors.size(), 3u);
  EXPECT_EQ(rule->factors[1].kind, FactorKind::kSum);
  EXPECT_EQ(rule->factors[1].size, 3);
  EXPECT_EQ(rule->inputs[1], (OperandFactors{{1}, {2}}));
  EXPECT_EQ(rule->linear, (std::vector<std::vector<int>>{{0}, {1}}));
  EXPECT_EQ(CostOf(*graph, *graph->FindNode("scaled")).flops, 2 * 2 * 3 * 2 + 4);
}

TEST_F(PackagesTest, ModelsSayWhatTheyNeed) {
  absl::StatusOr<Graph> graph = ImportScaled({});
  ASSERT_TRUE(graph.ok());
  std::set<std::string> needed;
  MarkCustomOperators(*graph, needed);
  EXPECT_EQ(needed, std::set<std::string>{"ScaledMatMul (package example 1.0)"});
  EXPECT_TRUE(CheckCustomOperators(*graph).ok());

  Node* node = graph->FindNode("scaled");
  node->SetAttr(kPackageVersionAttr, std::string("2.0"));
  absl::Status status = CheckCustomOperators(*graph);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("operator 'ScaledMatMul' of package 'example', version '2.0', is needed"),
                    HasSubstr("version '1.0', is loaded here")));
  node->set_type("SomethingElse");
  EXPECT_THAT(std::string(CheckCustomOperators(*graph).message()), HasSubstr("no package with it is loaded here"));
}

struct Refusal {
  const char* folder;
  absl::StatusCode code;
  const char* reason;
};

class RefusalTest : public PackagesTest, public testing::WithParamInterface<Refusal> {};

TEST_P(RefusalTest, NamesFileAndReason) {
  const Refusal& refusal = GetParam();
  const absl::Status status = LoadCustomPackages({absl::StrCat(BAD_PACKAGES, "/", refusal.folder)}).status();
  EXPECT_EQ(status.code(), refusal.code) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(absl::StrCat(refusal.folder, ".so")), HasSubstr(refusal.reason)));
  EXPECT_EQ(OpRegistry::Get().Find("Bad"), nullptr);
}

INSTANTIATE_TEST_SUITE_P(
    Packages, RefusalTest,
    testing::Values(Refusal{"other_abi", absl::StatusCode::kFailedPrecondition, "made for version 2"},
                    Refusal{"built_in_name", absl::StatusCode::kAlreadyExists, "operator 'Relu' is built in"},
                    Refusal{"taken_name", absl::StatusCode::kAlreadyExists,
                            "operator 'ScaledMatMul' is in package 'example' already"},
                    Refusal{"malformed", absl::StatusCode::kInvalidArgument, "its kind 17 is not known"},
                    Refusal{"no_entry", absl::StatusCode::kFailedPrecondition,
                            "does not export omserve_custom_package"},
                    Refusal{"unresolved", absl::StatusCode::kFailedPrecondition, "function_that_nobody_has"}),
    [](const auto& info) { return std::string(info.param.folder); });

TEST_F(PackagesTest, FolderThatIsNotThereIsNamed) {
  const absl::Status status = LoadCustomPackages({absl::StrCat(BAD_PACKAGES, "/nowhere")}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("nowhere"));
}

}  // namespace
}  // namespace omserve
