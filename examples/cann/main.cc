// Build to an offline model, save, load, run: the example of CANN 8.0's documents ("Graph Build to an Offline Model and
// Graph Run"), completed where the page leaves dots. No name of the API is changed.
//
//   cann_example FOLDER    writes cluster.json, policy.json and mlp.om into FOLDER
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "all_ops.h"
#include "ge_api.h"
#include "ge_ir_build.h"

using namespace ge;

namespace {

Tensor FloatTensor(const std::vector<int64_t> &dims, const std::vector<float> &values) {
  return Tensor(TensorDesc(Shape(dims), FORMAT_ND, DT_FLOAT), reinterpret_cast<const uint8_t *>(values.data()),
                values.size() * sizeof(float));
}

std::vector<float> Ramp(size_t count, float step) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = step * static_cast<float>(i % 7) - 2 * step;
  return values;
}

// softmax(relu(x · w1 + b1) · w2)
Graph DefineGraph() {
  auto x = op::Data("x").set_attr_index(0);
  x.update_input_desc_x(TensorDesc(Shape({2, 4}), FORMAT_ND, DT_FLOAT));
  x.update_output_desc_y(TensorDesc(Shape({2, 4}), FORMAT_ND, DT_FLOAT));
  auto w1 = op::Const("w1").set_attr_value(FloatTensor({4, 8}, Ramp(32, 0.25f)));
  auto b1 = op::Const("b1").set_attr_value(FloatTensor({8}, Ramp(8, 0.5f)));
  auto w2 = op::Const("w2").set_attr_value(FloatTensor({8, 4}, Ramp(32, 0.125f)));
  auto up = op::MatMulV2("up").set_input_x1(x).set_input_x2(w1);
  auto bias = op::BiasAdd("bias").set_input_x(up).set_input_bias(b1);
  auto relu = op::Relu("relu").set_input_x(bias);
  auto down = op::MatMulV2("down").set_input_x1(relu).set_input_x2(w2);
  auto softmax = op::SoftmaxV2("softmax").set_input_x(down).set_attr_axes({-1});
  Graph graph("mlp");
  graph.SetInputs({x}).SetOutputs({softmax});
  return graph;
}

void WriteText(const std::string &path, const std::string &text) { std::ofstream(path) << text; }

// Part one: an OM for two devices, cut by the partitioner.
graphStatus BuildOfflineModel(const std::string &folder) {
  WriteText(folder + "/cluster.json", R"({
    "cluster": [{"cluster_nodes": [{"node_id": 0, "node_type": "host", "ipaddr": "127.0.0.1", "port": 2509, "is_local": true,
                                    "item_list": [{"item_id": 0}, {"item_id": 1}]}]}],
    "node_def": [{"node_type": "host", "resource_type": "X86", "support_links": "[PCIE]", "item_type": "cpu"}],
    "item_def": [{"item_type": "cpu", "resource_type": "X86", "memory": "[DDR:8GB]", "aic_type": "[CPU:1]"}]})");
  WriteText(folder + "/policy.json", R"({"graph_parallel_option": {"auto": false, "tensor_parallel_option": {"tensor_parallel_size": 2}}})");

  std::map<AscendString, AscendString> global_options = {
      {ir_option::CLUSTER_CONFIG, AscendString((folder + "/cluster.json").c_str())}};
  graphStatus ret = aclgrphBuildInitialize(global_options);
  if (ret != GRAPH_SUCCESS) return ret;

  std::map<AscendString, AscendString> build_options = {
      {ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"},
      {ir_option::ENABLE_GRAPH_PARALLEL, "1"},
      {ir_option::GRAPH_PARALLEL_OPTION_PATH, AscendString((folder + "/policy.json").c_str())}};
  ModelBufferData model;
  ret = aclgrphBuildModel(DefineGraph(), build_options, model);
  if (ret == GRAPH_SUCCESS) ret = aclgrphSaveModel((folder + "/mlp").c_str(), model);
  aclgrphBuildFinalize();
  return ret;
}

// Part two: the page's own lines.
Status LoadAndRun(const std::string &model_path) {
  std::map<AscendString, AscendString> config = {{"ge.exec.deviceId", "0"}, {"ge.graphRunMode", "1"}};
  Status ret = ge::GEInitialize(config);
  if (ret != SUCCESS) return ret;

  std::map<AscendString, AscendString> options;
  auto session = std::make_shared<ge::Session>(options);
  if (session == nullptr) {
    std::cout << "Create session failed." << std::endl;
    ge::GEFinalize();
    return FAILED;
  }

  uint32_t graph_id = 0;
  std::map<std::string, std::string> load_option;
  // Only offline models that can be used for distributed deployment can be loaded, and the models do not contain variables.
  ret = session->LoadGraph(graph_id, load_option, model_path);

  std::vector<ge::Tensor> inputs = {FloatTensor({2, 4}, {1, 2, 3, 4, -1, -2, -3, -4})};
  std::vector<ge::Tensor> outputs;
  if (ret == SUCCESS) ret = session->RunGraph(graph_id, inputs, outputs);
  if (ret != SUCCESS) {
    session.reset();
    ge::GEFinalize();
    return FAILED;
  }

  for (const ge::Tensor &output : outputs) {
    std::cout << "output";
    for (size_t i = 0; i < output.GetSize() / sizeof(float); ++i) {
      float value = 0;
      std::memcpy(&value, output.GetData() + i * sizeof(float), sizeof(float));
      std::cout << " " << value;
    }
    std::cout << std::endl;
  }
  session.reset();
  return ge::GEFinalize();
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::cerr << "usage: cann_example FOLDER" << std::endl;
    return 2;
  }
  const std::string folder = argv[1];
  if (BuildOfflineModel(folder) != GRAPH_SUCCESS || LoadAndRun(folder + "/mlp.om") != SUCCESS) {
    std::cerr << ge::GEGetErrorMsg() << std::endl;
    return 1;
  }
  return 0;
}
