#include "client/cli/onnx_data.h"

#include <filesystem>
#include <fstream>

#include "core/base/temporary_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "protos/onnx/onnx.pb.h"

namespace omserve::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class OnnxDataTest : public testing::Test {
 protected:
  void SetUp() override { folder_ = *TemporaryFolder::Create("omctl-"); }

  std::string Write(const std::string& name, const std::string& content) {
    const std::filesystem::path path = folder_->File(name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

  static std::string FloatTensor(const Shape& shape, const std::vector<float>& values, bool raw) {
    onnx::TensorProto proto;
    proto.mutable_dims()->Assign(shape.begin(), shape.end());
    proto.set_data_type(ToOnnxNumber(DataType::kFloat));
    if (raw) {
      proto.set_raw_data(values.data(), values.size() * sizeof(float));
    } else {
      proto.mutable_float_data()->Assign(values.begin(), values.end());
    }
    return proto.SerializeAsString();
  }

  std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(OnnxDataTest, ReadsRawAndTypedTensors) {
  for (bool raw : {true, false}) {
    const auto tensor = ReadOnnxTensor(Write("t.pb", FloatTensor({1, 2}, {1.5f, -2}, raw)));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->desc(), (TensorDesc{DataType::kFloat, {1, 2}}));
    EXPECT_THAT(tensor->values<float>(), ElementsAre(1.5f, -2.0f));
  }
}

TEST_F(OnnxDataTest, ReadsTensorsWithoutElements) {
  for (bool raw : {true, false}) {
    const auto tensor = ReadOnnxTensor(Write("t.pb", FloatTensor({1, 4, 0, 8}, {}, raw)));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_THAT(tensor->shape(), ElementsAre(1, 4, 0, 8));
  }
}

TEST_F(OnnxDataTest, DamagedTensorsAreRefusedByName) {
  const std::string good = FloatTensor({2}, {1, 2}, true);
  for (const std::string& bad : {good.substr(0, good.size() - 1), FloatTensor({3}, {1, 2}, true),
                                 FloatTensor({-2}, {1, 2}, true), std::string("junk")}) {
    const auto tensor = ReadOnnxTensor(Write("bad.pb", bad));
    ASSERT_FALSE(tensor.ok());
    EXPECT_THAT(std::string(tensor.status().message()), HasSubstr("bad.pb"));
  }
  EXPECT_EQ(ReadOnnxTensor(folder_->File("absent.pb")).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(OnnxDataTest, InputNamesLeaveOutInitializers) {
  onnx::ModelProto model;
  for (const char* name : {"x", "w", "mask"}) model.mutable_graph()->add_input()->set_name(name);
  onnx::TensorProto* w = model.mutable_graph()->add_initializer();
  w->set_name("w");
  w->set_raw_data("1234");
  const auto names = OnnxInputNames(Write("model.onnx", model.SerializeAsString()));
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_THAT(*names, ElementsAre("x", "mask"));
}

TEST_F(OnnxDataTest, DataSetsComeByNumberWithTensorsByNumber) {
  for (int i = 0; i < 11; ++i) {
    Write("test_data_set_10/input_" + std::to_string(i) + ".pb",
          FloatTensor({1}, {static_cast<float>(i)}, true));
  }
  Write("test_data_set_10/output_0.pb", FloatTensor({1}, {0}, true));
  Write("test_data_set_9/output_0.pb", FloatTensor({1}, {0}, true));
  Write("other/output_0.pb", "");
  const auto sets = ReadDataSets(folder_->path());
  ASSERT_TRUE(sets.ok()) << sets.status();
  ASSERT_EQ(sets->size(), 2u);
  EXPECT_EQ(sets->at(0).name, "test_data_set_9");
  EXPECT_TRUE(sets->at(0).inputs.empty());
  ASSERT_EQ(sets->at(1).inputs.size(), 11u);
  EXPECT_THAT(sets->at(1).inputs[10].values<float>(), ElementsAre(10.0f));
}

TEST_F(OnnxDataTest, FoldersWithoutDataSetsAreRefused) {
  EXPECT_EQ(ReadDataSets(folder_->path()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadDataSets(folder_->File("absent")).status().code(), absl::StatusCode::kNotFound);
  Write("test_data_set_0/input_0.pb", FloatTensor({1}, {0}, true));
  const auto no_outputs = ReadDataSets(folder_->path());
  EXPECT_EQ(no_outputs.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(no_outputs.status().message()), HasSubstr("output_0.pb"));
}

}  // namespace
}  // namespace omserve::cli
