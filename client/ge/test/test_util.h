// Short-hand for the tests of this folder.
#ifndef OMSERVE_CLIENT_GE_TEST_TEST_UTIL_H_
#define OMSERVE_CLIENT_GE_TEST_TEST_UTIL_H_

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "all_ops.h"
#include "ge/ge_api.h"
#include "ge/ge_ir_build.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ge::testing {

using Strings = std::map<std::string, std::string>;
// Outputs of operators by index.
using Chosen = std::vector<std::pair<Operator, std::vector<size_t>>>;

template <typename T>
constexpr DataType TypeOf();
template <>
constexpr DataType TypeOf<float>() { return DT_FLOAT; }
template <>
constexpr DataType TypeOf<int32_t>() { return DT_INT32; }
template <>
constexpr DataType TypeOf<int64_t>() { return DT_INT64; }

template <typename T>
Tensor Make(const std::vector<int64_t>& dims, const std::vector<T>& values) {
  return Tensor(TensorDesc(Shape(dims), FORMAT_ND, TypeOf<T>()), reinterpret_cast<const uint8_t*>(values.data()),
                values.size() * sizeof(T));
}

template <typename T>
std::vector<T> Values(const Tensor& tensor) {
  std::vector<T> values(tensor.GetSize() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.GetData(), tensor.GetSize());
  return values;
}

inline op::Data Input(const char* name, int64_t index, const std::vector<int64_t>& dims, DataType type = DT_FLOAT) {
  op::Data data(name);
  data.set_attr_index(index);
  data.update_input_desc_x(TensorDesc(Shape(dims), FORMAT_ND, type));
  data.update_output_desc_y(TensorDesc(Shape(dims), FORMAT_ND, type));
  return data;
}

template <typename T>
op::Const Constant(const char* name, const std::vector<int64_t>& dims, const std::vector<T>& values) {
  op::Const constant(name);
  constant.set_attr_value(Make(dims, values));
  return constant;
}

// Small whole numbers, so that sums are exact in any order.
inline std::vector<float> Whole(size_t count, int seed = 0) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(static_cast<int>((i * 7 + static_cast<size_t>(seed) * 3) % 9) - 4);
  return values;
}

// A folder that is removed at the end of the test.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "omserve-ge-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(*this / name) << text;
    return *this / name;
  }

 private:
  std::string path_;
};

inline std::string ClusterFile(const Folder& folder, int devices) {
  std::string items;
  for (int i = 0; i < devices; ++i) items += (i == 0 ? "" : ",") + std::string("{\"item_id\":") + std::to_string(i) + "}";
  return folder.Write("cluster.json",
                      R"({"cluster":[{"cluster_nodes":[{"node_id":0,"node_type":"host","ipaddr":"127.0.0.1","port":2509,
                          "is_local":true,"item_list":[)" + items + R"(]}]}],"item_def":[{"item_type":"cpu"}],
                          "node_def":[{"item":[{"item_type":"cpu"}]}]})");
}

inline std::string PolicyFile(const Folder& folder, int size) {
  return folder.Write("policy.json", "{\"graph_parallel_option\":{\"auto\":false,\"tensor_parallel_option\":"
                                     "{\"tensor_parallel_size\":" + std::to_string(size) + "}}}");
}

// Between GEInitialize and GEFinalize, with no messages of other tests.
class RuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    GEGetErrorMsg();
    GEGetWarningMsg();
    ASSERT_EQ(GEInitialize(Strings{}), SUCCESS) << GEGetErrorMsg();
  }
  void TearDown() override { EXPECT_EQ(GEFinalize(), SUCCESS); }

  // Runs a graph whole, then cut over two devices by aclgrphBuildModel and LoadGraph; both must agree exactly when
  // `exact`, and the outputs of the whole one are returned.
  std::vector<Tensor> RunBothWays(const Graph& graph, const std::vector<Tensor>& inputs, bool exact);
};

}  // namespace ge::testing

#endif  // OMSERVE_CLIENT_GE_TEST_TEST_UTIL_H_
