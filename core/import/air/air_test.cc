// Graph → AIR → Graph, with weights inside and beside the file, and what front ends of CANN write differently.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/import/air/air_exporter.h"
#include "core/import/air/air_importer.h"
#include "core/import/onnx/onnx_importer.h"
#include "core/import/onnx/test_models.h"
#include "core/om/external_weights.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AirTest : public ::testing::Test {
 protected:
  AirTest() : folder_(testing::TempDir() + "/air_" + testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~AirTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  // Equal texts are equal graphs, but for the bytes of constants.
  void ExpectRoundTrip(const Graph& graph, const AirExportOptions& options) {
    ASSERT_TRUE(ExportAir(graph, Path("m.air"), options).ok());
    const absl::StatusOr<Graph> back = ImportAir(Path("m.air"));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->num_nodes(), graph.num_nodes());
    ASSERT_EQ(back->outputs().size(), graph.outputs().size());
    for (size_t i = 0; i < graph.outputs().size(); ++i) EXPECT_EQ(back->outputs()[i].name, graph.outputs()[i].name);
    for (int32_t id : graph.NodeIds()) {
      const Node& node = *graph.node(id);
      const Node* const same = back->FindNode(node.name());
      ASSERT_NE(same, nullptr) << node.name();
      EXPECT_EQ(same->type(), node.type());
      ASSERT_EQ(same->num_inputs(), node.num_inputs()) << node.name();
      for (int i = 0; i < node.num_inputs(); ++i) {
        ASSERT_EQ(same->input(i).valid(), node.input(i).valid()) << node.name();
        if (!node.input(i).valid()) continue;
        EXPECT_EQ(back->node(same->input(i).node)->name(), graph.node(node.input(i).node)->name());
        EXPECT_EQ(same->input(i).output, node.input(i).output);
      }
      if (node.constant() != nullptr) {
        const Tensor before = node.constant()->Materialize(), after = same->constant()->Materialize();
        ASSERT_EQ(after.desc(), before.desc()) << node.name();
        EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(after.data()), after.byte_size()),
                  std::string_view(reinterpret_cast<const char*>(before.data()), before.byte_size()))
            << node.name();
        continue;
      }
      for (const auto& [name, value] : node.attrs()) {
        auto it = same->attrs().find(name);
        ASSERT_NE(it, same->attrs().end()) << node.name() << " " << name;
        EXPECT_EQ(AttrToString(it->second), AttrToString(value)) << node.name() << " " << name;
      }
    }
  }

  const std::string folder_;
};

Graph Small() {
  Graph graph("small");
  Node* x = graph.AddData("x", {DataType::kFloat, {2, 4}});
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8};
  Node* w = graph.AddConst("w", *Tensor::Create({DataType::kFloat, {4, 2}}, Buffer::CopyOf(values.data(), 32)));
  Node* y = graph.AddNode("MatMulV2", "y", {x->out(), w->out()});
  y->SetAttr("transpose_x1", false);
  y->SetAttr("transpose_x2", false);
  y->SetOutput(0, {DataType::kFloat, {2, 2}});
  graph.AddOutput("y", y->out());
  return graph;
}

TEST_F(AirTest, WeightsInside) {
  ExpectRoundTrip(Small(), {});
  EXPECT_THAT(ExternalWeightFiles(*ReadFile(Path("m.air"))), IsEmpty());
}

TEST_F(AirTest, WeightsBeside) {
  ExpectRoundTrip(Small(), {.max_inline_bytes = 0});
  EXPECT_TRUE(std::filesystem::exists(Path("m.air.weights")));
  EXPECT_THAT(ExternalWeightFiles(*ReadFile(Path("m.air"))), ElementsAre("m.air.weights"));
}

// What GE's own writer does above 2 GiB: a Const whose descriptor names a file.
TEST_F(AirTest, ConstantsWithALocation) {
  ASSERT_TRUE(ExportAir(Small(), Path("m.air"), {.max_inline_bytes = 0}).ok());
  ge::proto::ModelDef model;
  ASSERT_TRUE(model.ParseFromString(*ReadFile(Path("m.air"))));
  for (ge::proto::OpDef& op : *model.mutable_graph(0)->mutable_op()) {
    if (op.type() != "FileConstant") continue;
    op.set_type("Const");
    ge::proto::TensorDescriptor* const desc = (*op.mutable_attr())["value"].mutable_t()->mutable_desc();
    *desc = op.output_desc(0);
    for (const char* name : {"offset", "length"}) (*desc->mutable_attr())[name] = op.attr().at(name);
    (*desc->mutable_attr())["location"].set_s(op.attr().at("file_path").s());
  }
  EXPECT_THAT(ExternalWeightFiles(model.SerializeAsString()), ElementsAre("m.air.weights"));
  ASSERT_TRUE(WriteFileAtomically(Path("l.air"), model.SerializeAsString()).ok());
  const absl::StatusOr<Graph> graph = ImportAir(Path("l.air"));
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(reinterpret_cast<const float*>(graph->FindNode("w")->constant()->Materialize().data())[7], 8);
}

TEST_F(AirTest, HostileFileConstants) {
  struct Case {
    const char* attr;
    const char* text;  // null: a number
    int64_t number;
    absl::StatusCode code;
    const char* message;
  };
  for (const Case& c : {Case{"file_path", "../m.air.weights", 0, absl::StatusCode::kPermissionDenied, "m.air.weights"},
                        Case{"file_path", "absent", 0, absl::StatusCode::kNotFound, "absent"},
                        Case{"file_path", "", 0, absl::StatusCode::kInvalidArgument, "names no file"},
                        Case{"offset", nullptr, -1, absl::StatusCode::kInvalidArgument, "leave file"},
                        Case{"offset", nullptr, INT64_MAX, absl::StatusCode::kInvalidArgument, "leave file"},
                        Case{"length", nullptr, 31, absl::StatusCode::kInvalidArgument, "needs 32 bytes"}}) {
    ASSERT_TRUE(ExportAir(Small(), Path("m.air"), {.max_inline_bytes = 0}).ok());
    ge::proto::ModelDef model;
    ASSERT_TRUE(model.ParseFromString(*ReadFile(Path("m.air"))));
    for (ge::proto::OpDef& op : *model.mutable_graph(0)->mutable_op()) {
      if (op.type() != "FileConstant") continue;
      ge::proto::AttrDef& attr = (*op.mutable_attr())[c.attr];
      c.text != nullptr ? attr.set_s(c.text) : attr.set_i(c.number);
    }
    ASSERT_TRUE(WriteFileAtomically(Path("bad.air"), model.SerializeAsString()).ok());
    const absl::Status status = ImportAir(Path("bad.air")).status();
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
    EXPECT_THAT(std::string(status.message()), HasSubstr("node 'w'"));
  }
}

TEST_F(AirTest, EveryTruncationIsRefusedOrWhole) {
  ASSERT_TRUE(ExportAir(Small(), Path("m.air")).ok());
  const std::string whole = *ReadFile(Path("m.air"));
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_TRUE(WriteFileAtomically(Path("cut.air"), whole.substr(0, size)).ok());
    // A cut between two fields can leave a smaller graph; it must still be a sound one.
    if (const absl::StatusOr<Graph> graph = ImportAir(Path("cut.air")); graph.ok()) {
      EXPECT_TRUE(Verify(*graph).ok());
    }
  }
}

TEST_F(AirTest, RealModels) {
  const char* const models = std::getenv("OMSERVE_MODELS");
  if (models == nullptr || *models == '\0') GTEST_SKIP() << "OMSERVE_MODELS names no folder with models";
  for (const char* name : {"mnist_burn", "mnist_cntk", "ocr_cls", "ocr_det", "stories260k", "stories260k_with_past", "use_lite_en"}) {
    SCOPED_TRACE(name);
    const absl::StatusOr<Graph> graph = ImportOnnx(std::string(models) + "/" + name + "/model.onnx");
    ASSERT_TRUE(graph.ok()) << graph.status();
    ExpectRoundTrip(*graph, {});
    ExpectRoundTrip(*graph, {.max_inline_bytes = 1000});
  }
}

}  // namespace
}  // namespace omserve
