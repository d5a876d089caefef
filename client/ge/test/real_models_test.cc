// Trained models of the folder OMSERVE_MODELS, through aclgrphParseONNX: the numbers are those of their data sets.
#include <cmath>
#include <cstdlib>

#include "parser/onnx_parser.h"
#include "test_util.h"

namespace ge::testing {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

uint64_t Varint(const std::string& bytes, size_t& at) {
  uint64_t value = 0;
  for (int shift = 0; at < bytes.size(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[at++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) break;
  }
  return value;
}

// An onnx.TensorProto with raw data: dims = 1, data_type = 2, raw_data = 9.
Tensor ReadTensor(const std::string& path) {
  const std::string bytes = ReadAll(path);
  std::vector<int64_t> dims;
  uint64_t onnx_type = 0;
  std::string data;
  for (size_t at = 0; at < bytes.size();) {
    const uint64_t key = Varint(bytes, at);
    if ((key & 7) == 0) {
      const uint64_t value = Varint(bytes, at);
      if (key >> 3 == 1) dims.push_back(static_cast<int64_t>(value));
      if (key >> 3 == 2) onnx_type = value;
      continue;
    }
    const size_t size = Varint(bytes, at);
    const std::string field = bytes.substr(at, size);
    at += size;
    if (key >> 3 == 9) data = field;
    if (key >> 3 != 1) continue;
    for (size_t i = 0; i < field.size();) dims.push_back(static_cast<int64_t>(Varint(field, i)));
  }
  EXPECT_TRUE(onnx_type == 1 || onnx_type == 7) << path << " has elements of ONNX type " << onnx_type;
  return Tensor(TensorDesc(Shape(dims), FORMAT_ND, onnx_type == 7 ? DT_INT64 : DT_FLOAT),
                reinterpret_cast<const uint8_t*>(data.data()), data.size());
}

std::vector<Tensor> ReadTensors(const std::string& folder, const std::string& kind) {
  std::vector<Tensor> tensors;
  for (int i = 0;; ++i) {
    const std::string path = folder + "/" + kind + "_" + std::to_string(i) + ".pb";
    if (!std::filesystem::exists(path)) return tensors;
    tensors.push_back(ReadTensor(path));
  }
}

void ExpectClose(const std::vector<Tensor>& found, const std::vector<Tensor>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].GetTensorDesc().GetShape().GetDims(), expected[i].GetTensorDesc().GetShape().GetDims());
    const std::vector<float> a = Values<float>(found[i]);
    const std::vector<float> b = Values<float>(expected[i]);
    ASSERT_EQ(a.size(), b.size());
    size_t wrong = 0;
    for (size_t k = 0; k < a.size(); ++k) wrong += std::abs(a[k] - b[k]) <= 1e-4f + 1e-3f * std::abs(b[k]) ? 0 : 1;
    EXPECT_EQ(wrong, 0u) << "of " << a.size() << " elements of output " << i;
  }
}

class RealModelsTest : public RuntimeTest, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    const char* models = std::getenv("OMSERVE_MODELS");
    if (models == nullptr) GTEST_SKIP() << "OMSERVE_MODELS is not set";
    folder_ = std::string(models) + "/" + GetParam();
    ASSERT_EQ(aclgrphParseONNX((folder_ + "/model.onnx").c_str(), {}, graph_), GRAPH_SUCCESS) << GEGetErrorMsg();
    inputs_ = ReadTensors(folder_ + "/test_data_set_0", "input");
    expected_ = ReadTensors(folder_ + "/test_data_set_0", "output");
    ASSERT_FALSE(expected_.empty()) << folder_;
  }

  std::string folder_;
  Graph graph_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> expected_;
};

TEST_P(RealModelsTest, WholeAndByAir) {
  const Folder folder;
  ASSERT_EQ(graph_.SaveToFile(folder / "model.air"), GRAPH_SUCCESS) << GEGetErrorMsg();
  Graph again;
  ASSERT_EQ(again.LoadFromFile(folder / "model.air"), GRAPH_SUCCESS) << GEGetErrorMsg();
  Session session{Strings{}};
  ASSERT_EQ(session.AddGraph(0, again), SUCCESS) << GEGetErrorMsg();
  std::vector<Tensor> outputs;
  ASSERT_EQ(session.RunGraph(0, inputs_, outputs), SUCCESS) << GEGetErrorMsg();
  ExpectClose(outputs, expected_);
}

INSTANTIATE_TEST_SUITE_P(Models, RealModelsTest,
                         ::testing::Values("stories260k", "stories260k_with_past", "use_lite_en", "mnist_burn", "mnist_cntk",
                                           "ocr_cls"));

class RealTransformerTest : public RealModelsTest {};

TEST_P(RealTransformerTest, CutOverTwoDevices) {
  const Folder folder;
  std::vector<Operator> data;
  ASSERT_EQ(graph_.FindOpByType("Data", data), GRAPH_SUCCESS);
  std::string shapes;
  for (const Operator& op : data) {
    int64_t index = 0;
    ASSERT_EQ(op.GetAttr("index", index), GRAPH_SUCCESS);
    shapes += (shapes.empty() ? "" : ";") + op.GetName() + ":";
    const std::vector<int64_t> dims = inputs_[static_cast<size_t>(index)].GetTensorDesc().GetShape().GetDims();
    for (size_t i = 0; i < dims.size(); ++i) shapes += (i == 0 ? "" : ",") + std::to_string(dims[i]);
  }
  ASSERT_EQ(aclgrphBuildInitialize(Strings{{ir_option::CLUSTER_CONFIG, ClusterFile(folder, 2)}}), GRAPH_SUCCESS);
  ModelBufferData model;
  const graphStatus built = aclgrphBuildModel(graph_,
                                              Strings{{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"},
                                                      {ir_option::ENABLE_GRAPH_PARALLEL, "1"},
                                                      {ir_option::GRAPH_PARALLEL_OPTION_PATH, PolicyFile(folder, 2)},
                                                      {ir_option::INPUT_SHAPE, shapes}},
                                              model);
  aclgrphBuildFinalize();
  ASSERT_EQ(built, GRAPH_SUCCESS) << GEGetErrorMsg();
  ASSERT_EQ(aclgrphSaveModel(folder / "model", model), GRAPH_SUCCESS);
  Session session{Strings{}};
  ASSERT_EQ(session.LoadGraph(0, {}, folder / "model.om"), SUCCESS) << GEGetErrorMsg();
  std::vector<Tensor> outputs;
  ASSERT_EQ(session.RunGraph(0, inputs_, outputs), SUCCESS) << GEGetErrorMsg();
  ExpectClose(outputs, expected_);
}

INSTANTIATE_TEST_SUITE_P(Models, RealTransformerTest, ::testing::Values("stories260k", "stories260k_with_past"));

}  // namespace
}  // namespace ge::testing
