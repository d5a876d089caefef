// The importer itself: names, weights, external data, and what it refuses.
#include "core/import/onnx/onnx_importer.h"

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "core/base/file.h"
#include "core/import/onnx/import_test_util.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ImporterTest, NamesInputsNodesAndOutputs) {
  OnnxModelBuilder model;
  model.AddInput("x", DataType::kFloat16, {kUnknownDim, 4});
  model.AddNode("Relu", {"x"}, {"a"}, {}, "first");
  model.AddNode("Abs", {"a"}, {"b"});
  model.AddOutput("b", DataType::kFloat16);
  absl::StatusOr<Graph> graph = ImportOnnx(model.ToBuffer(), "");
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(Dump(*graph),
            "graph test\n"
            "  %x: float16[?,4] = Data() {index=0}\n"
            "  %first: undefined[] = Relu(%x)\n"
            "  %Abs_1: undefined[] = Abs(%first)\n"
            "  return b = %Abs_1\n");
}

TEST(ImporterTest, UnusedOutputsAndDomainsAreNoMatter) {
  OnnxModelBuilder model;
  auto* opset = model.proto().add_opset_import();
  opset->set_domain("com.example");
  opset->set_version(99);
  model.AddInput("x", DataType::kFloat, {2});
  model.AddNode("Dropout", {"x"}, {"y", "mask"}, {}, "n");
  model.AddOutput("y");
  EXPECT_EQ(NodesOf(model), "%n = Identity(%x)\ny <- %n\n");
}

TEST(ImporterTest, InitializersListedAsInputsAreConstants) {
  OnnxModelBuilder model(8, /*ir_version=*/3);
  model.AddInput("w", DataType::kFloat, {2});
  model.AddInput("x", DataType::kFloat, {2});
  model.AddInit("w", Tensor::Of<float>({2}, {1, 2}), OnnxStorage::kTyped);
  model.AddNode("Add", {"x", "w"}, {"y"}, {}, "n");
  model.AddOutput("y");
  EXPECT_EQ(NodesOf(model), "%w = float32[2] [1, 2]\n%n = Add(%x, %w)\ny <- %n\n");
}

TEST(ImporterTest, OutputsMayBeInputsAndInitializers) {
  OnnxModelBuilder model;
  model.AddInput("x", DataType::kFloat, {2});
  model.AddInit("w", Tensor::Of<float>({1}, {3}));
  model.AddOutput("x");
  model.AddOutput("w");
  EXPECT_EQ(NodesOf(model), "%w = float32[1] [3]\nx <- %x\nw <- %w\n");
}

// Every element type in its typed field and raw.
TEST(ImporterTest, TypedAndRawDataGiveTheSameTensor) {
  std::byte* half = nullptr;
  Tensor float16 = Tensor::Allocate({DataType::kFloat16, {2}}, &half);
  const uint16_t halves[] = {0x3c00, 0xfbff};
  std::memcpy(half, halves, sizeof(halves));
  for (const Tensor& value :
       {Tensor::Of<float>({2}, {1.5f, -2}), Tensor::Of<double>({2}, {1.5, -2}), Tensor::Of<int64_t>({2}, {1, -2}),
        Tensor::Of<int32_t>({2}, {1, -2}), Tensor::Of<int16_t>({2}, {1, -2}), Tensor::Of<int8_t>({2}, {1, -2}),
        Tensor::Of<uint8_t>({2}, {1, 200}), Tensor::Of<uint16_t>({2}, {1, 60000}),
        Tensor::Of<uint32_t>({2}, {1, 4000000000u}), Tensor::Of<uint64_t>({2}, {1, 1ull << 63}), float16}) {
    for (OnnxStorage storage : {OnnxStorage::kRaw, OnnxStorage::kTyped}) {
      OnnxModelBuilder model;
      model.AddInit("w", value, storage);
      model.AddOutput("w");
      absl::StatusOr<Graph> graph = ImportOnnx(model.ToBuffer(), "");
      ASSERT_TRUE(graph.ok()) << graph.status();
      const Tensor got = graph->FindNode("w")->constant()->Materialize();
      EXPECT_EQ(got.desc(), value.desc());
      EXPECT_EQ(got.buffer().view(), value.buffer().view()) << ToString(value.desc());
    }
  }
}

TEST(ImporterTest, TypedDataMustFitItsType) {
  OnnxModelBuilder model;
  model.AddInit("w", Tensor::Of<int8_t>({2}, {1, 2}), OnnxStorage::kTyped);
  model.proto().mutable_graph()->mutable_initializer(0)->set_int32_data(1, 300);
  model.AddOutput("w");
  EXPECT_THAT(ErrorOf(model), AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("initializer 'w'"), HasSubstr("300")));
}

TEST(ImporterTest, RawDataMustFitItsShape) {
  OnnxModelBuilder model;
  model.AddInit("w", Tensor::Of<float>({2}, {1, 2}));
  model.proto().mutable_graph()->mutable_initializer(0)->set_dims(0, int64_t{1} << 61);
  model.AddOutput("w");
  EXPECT_THAT(ErrorOf(model), AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("initializer 'w'")));
  model.proto().mutable_graph()->mutable_initializer(0)->set_dims(0, -2);
  EXPECT_THAT(ErrorOf(model), HasSubstr("INVALID_ARGUMENT"));
  model.proto().mutable_graph()->mutable_initializer(0)->set_dims(0, 3);
  EXPECT_THAT(ErrorOf(model), HasSubstr("needs 12 bytes, got 8"));
}

TEST(ImporterTest, RawDataIsReferredToAndCopiedOnlyWhenUnaligned) {
  // One byte more of name shifts the raw data by one.
  int referenced = 0;
  for (size_t length = 1; length <= 4; ++length) {
    OnnxModelBuilder model;
    const std::string name(length, 'w');
    model.AddInit(name, Tensor::Of<float>({3}, {1, 2, 3}));
    model.AddOutput(name);
    const Buffer buffer = model.ToBuffer();
    OnnxImportStats stats;
    absl::StatusOr<Graph> graph = ImportOnnx(buffer, "", &stats);
    ASSERT_TRUE(graph.ok()) << graph.status();
    const Tensor& weights = graph->FindNode(name)->constant()->source();
    const bool inside = weights.data() >= buffer.data() && weights.data() < buffer.data() + buffer.size();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(weights.data()) % alignof(float), 0u);
    EXPECT_EQ(stats.referenced_bytes, inside ? 12 : 0);
    EXPECT_EQ(stats.copied_bytes, inside ? 0 : 12);
    EXPECT_EQ(weights.values<float>()[2], 3);
    referenced += inside;
  }
  EXPECT_EQ(referenced, 1);
}

class ExternalDataTest : public testing::Test {
 protected:
  ExternalDataTest() : folder_(testing::TempDir() + "onnx_external_" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_ + "/model");
    const float values[] = {1, 2, 3, 4};
    const absl::string_view bytes(reinterpret_cast<const char*>(values), sizeof(values));
    EXPECT_TRUE(WriteFileAtomically(folder_ + "/model/weights.bin", bytes).ok());
    EXPECT_TRUE(WriteFileAtomically(folder_ + "/secret.bin", bytes).ok());
  }
  ~ExternalDataTest() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<Graph> Import(const std::string& location, int64_t offset, int64_t length, const Shape& shape,
                               OnnxImportStats* stats = nullptr) {
    OnnxModelBuilder model;
    model.AddExternalInit("w", {DataType::kFloat, shape}, location, offset, length);
    model.AddOutput("w");
    const std::string path = folder_ + "/model/model.onnx";
    if (absl::Status written = model.WriteTo(path); !written.ok()) return written;
    return ImportOnnx(path, stats);
  }

  const std::string folder_;
};

TEST_F(ExternalDataTest, IsMappedNotCopied) {
  OnnxImportStats stats;
  absl::StatusOr<Graph> graph = Import("weights.bin", 4, 8, {2}, &stats);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const Tensor& weights = graph->FindNode("w")->constant()->source();
  EXPECT_THAT(weights.values<float>(), testing::ElementsAre(2, 3));
  EXPECT_EQ(stats.referenced_bytes, 8);
  EXPECT_EQ(stats.copied_bytes, 0);
  EXPECT_TRUE(Import("./weights.bin", 0, -1, {4}).ok());
}

TEST_F(ExternalDataTest, MustLieInTheFolder) {
  for (const std::string& location : {std::string("../secret.bin"), folder_ + "/secret.bin"}) {
    const absl::Status status = Import(location, 0, 16, {4}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("initializer 'w'"));
  }
  std::filesystem::create_symlink(folder_ + "/secret.bin", folder_ + "/model/link.bin");
  EXPECT_EQ(Import("link.bin", 0, 16, {4}).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Import("absent.bin", 0, 16, {4}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ExternalDataTest, MustLieInTheFile) {
  EXPECT_EQ(Import("weights.bin", 4, 16, {4}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Import("weights.bin", INT64_MAX, 16, {4}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Import("weights.bin", 0, 12, {4}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Import("weights.bin", -1, 16, {4}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ExternalDataTest, IsRefusedWithoutAFolder) {
  OnnxModelBuilder model;
  model.AddExternalInit("w", {DataType::kFloat, {4}}, "weights.bin", 0);
  model.AddOutput("w");
  EXPECT_THAT(ErrorOf(model), StartsWith("PERMISSION_DENIED"));
}

TEST(ImporterErrorTest, UnknownOperatorsAreNamed) {
  EXPECT_EQ(ErrorOf(OneNode(17).Input("x").Node("Frobnicate", {"x"})),
            "UNIMPLEMENTED: node 'n' (Frobnicate): operator 'Frobnicate' of domain 'ai.onnx', opset 17, is not "
            "supported");
  EXPECT_EQ(ErrorOf(OneNode(17).Input("x").Node("Upsample", {"x"})),
            "UNIMPLEMENTED: node 'n' (Upsample): operator 'Upsample' of domain 'ai.onnx', opset 17, is not supported; "
            "it is in opsets 7 to 8, 9 to 9");
  OnnxModelBuilder model;
  model.AddInput("x", DataType::kFloat, {2});
  model.AddNode("Relu", {"x"}, {"y"}, {}, "n")->set_domain("com.example");
  model.AddOutput("y");
  EXPECT_EQ(ErrorOf(model),
            "UNIMPLEMENTED: node 'n' (Relu): operator 'Relu' of domain 'com.example', opset 0, is not supported; no "
            "package of custom operators here has it");
  auto* function = model.proto().add_functions();
  function->set_name("Relu");
  function->set_domain("com.example");
  EXPECT_THAT(ErrorOf(model), HasSubstr("is a function of the model"));
}

TEST(ImporterErrorTest, SubgraphsAreRefusedByOperatorAndNode) {
  OnnxModelBuilder model;
  model.AddInput("x", DataType::kBool, {});
  auto* attribute = model.AddNode("If", {"x"}, {"y"}, {}, "choose")->add_attribute();
  attribute->set_name("then_branch");
  attribute->set_type(onnx::AttributeProto::GRAPH);
  attribute->mutable_g()->set_name("inner");
  model.AddOutput("y");
  EXPECT_EQ(ErrorOf(model),
            "UNIMPLEMENTED: node 'choose' (If): operator 'If' holds a subgraph ('then_branch'); subgraphs are not "
            "supported");
}

TEST(ImporterErrorTest, NothingIsIgnoredSilently) {
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Relu", {"x"}, {{"slope", 0.5f}})),
              HasSubstr("its attribute 'slope' is not supported"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Dropout", {"x"}, {}, {"y", "mask"})),
              HasSubstr("its second output, the mask"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Relu", {"x"}, {}, {"y", "z"})),
              HasSubstr("its output 1 ('z') is not supported"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Elu", {"x"}, {{"alpha", 1}})),
              AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("'alpha' has type 2")));
}

TEST(ImporterErrorTest, InputsAreCounted) {
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Add", {"x"})), HasSubstr("it has 1 inputs; it needs exactly 2"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Clip", {"x", "x", "x", "x"})),
              HasSubstr("it needs at least 1 and at most 3"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Add", {"x", ""})), HasSubstr("its input 1 is missing"));
}

TEST(ImporterErrorTest, ValuesAreMadeOnceAndBeforeTheyAreRead) {
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Relu", {"z"})), HasSubstr("nothing before it makes the value 'z'"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Node("Relu", {"x"}, {}, {"x"})), HasSubstr("'x' is made twice"));
  EXPECT_THAT(ErrorOf(OneNode().Input("x").Input("x").Node("Relu", {"x"})), HasSubstr("'x' is made twice"));
}

TEST(ImporterErrorTest, VersionsAreChecked) {
  EXPECT_THAT(ErrorOf(OneNode(6).Input("x").Node("Relu", {"x"})), HasSubstr("opset 6 is not supported; 7 to 23 are"));
  EXPECT_THAT(ErrorOf(OneNode(99).Input("x").Node("Relu", {"x"})), HasSubstr("opset 99 is not supported"));
  OneNode old(17);
  old.model.proto().set_ir_version(2);
  EXPECT_THAT(ErrorOf(old.Input("x").Node("Relu", {"x"})), HasSubstr("IR version 2 is not supported"));
}

TEST(ImporterErrorTest, InputsMustBeTensorsOfKnownRank) {
  OneNode text;
  EXPECT_THAT(ErrorOf(text.Input("x", DataType::kString).Node("Identity", {"x"})),
              AllOf(HasSubstr("graph input 'x'"), HasSubstr("string")));
  OneNode shapeless;
  shapeless.Input("x").Node("Identity", {"x"});
  shapeless.model.proto().mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  EXPECT_THAT(ErrorOf(shapeless.model), HasSubstr("must have a known rank"));
  OneNode deep;
  EXPECT_THAT(ErrorOf(deep.Input("x", DataType::kFloat, Shape(9, 1)).Node("Identity", {"x"})), HasSubstr("rank 9"));
}

}  // namespace
}  // namespace omserve
