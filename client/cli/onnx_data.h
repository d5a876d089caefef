// Folders in the layout of ONNX backend tests: model.onnx, test_data_set_N/{input,output}_K.pb.
#ifndef OMSERVE_CLIENT_CLI_ONNX_DATA_H_
#define OMSERVE_CLIENT_CLI_ONNX_DATA_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/tensor/tensor.h"

namespace omserve::cli {

struct DataSet {
  std::string name;             // of its folder
  std::vector<Tensor> inputs;   // in the order of the model's inputs
  std::vector<Tensor> outputs;  // in the order of the model's outputs
};

// A file that holds one onnx.TensorProto. Messages name it.
absl::StatusOr<Tensor> ReadOnnxTensor(const std::string& path);

// Inputs of the model's graph that a caller gives: those without an initializer.
absl::StatusOr<std::vector<std::string>> OnnxInputNames(const std::string& model_path);

// All data sets of the folder by number. NOT_FOUND when there is none; INVALID_ARGUMENT for one without
// outputs.
absl::StatusOr<std::vector<DataSet>> ReadDataSets(const std::string& folder);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_ONNX_DATA_H_
