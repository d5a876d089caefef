// Makes ONNX models in memory, for tests.
//
//   OnnxModelBuilder model(/*opset=*/17);
//   model.AddInput("x", DataType::kFloat, {1, kUnknownDim});
//   model.AddInit("w", Tensor::Of<float>({2}, {1, 2}));
//   model.AddNode("Mul", {"x", "w"}, {"y"});
//   model.AddOutput("y");
//   absl::StatusOr<Graph> graph = ImportOnnx(model.ToBuffer(), "");
#ifndef OMSERVE_CORE_IMPORT_ONNX_TEST_MODELS_H_
#define OMSERVE_CORE_IMPORT_ONNX_TEST_MODELS_H_

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "core/tensor/buffer.h"
#include "core/tensor/tensor.h"
#include "protos/onnx/onnx.pb.h"

namespace omserve {

using OnnxAttr =
    std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>, std::vector<std::string>, Tensor>;
using OnnxAttrs = std::map<std::string, OnnxAttr>;

// Where an initializer's bytes are put.
enum class OnnxStorage {
  kRaw,    // raw_data
  kTyped,  // float_data, int64_data, int32_data, …
};

// Not thread-safe.
class OnnxModelBuilder {
 public:
  explicit OnnxModelBuilder(int opset = 17, int ir_version = 8);

  // A dimension kUnknownDim becomes a dim_param.
  void AddInput(const std::string& name, DataType type, const Shape& shape);
  void AddInit(const std::string& name, const Tensor& value, OnnxStorage storage = OnnxStorage::kRaw);
  // Bytes [offset, offset + length) of file `location`; a negative length is left out.
  void AddExternalInit(const std::string& name, const TensorDesc& desc, const std::string& location, int64_t offset,
                       int64_t length = -1);
  // An empty input name is an absent input. The returned node may be changed further.
  onnx::NodeProto* AddNode(const std::string& op_type, const std::vector<std::string>& inputs,
                           const std::vector<std::string>& outputs, const OnnxAttrs& attrs = {},
                           const std::string& name = "");
  void AddOutput(const std::string& name, DataType type = DataType::kFloat, const Shape& shape = {});

  // The message, for what has no method here.
  onnx::ModelProto& proto() { return model_; }

  std::string Serialize() const { return model_.SerializeAsString(); }
  Buffer ToBuffer() const;
  absl::Status WriteTo(const std::string& path) const;

 private:
  onnx::ModelProto model_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_ONNX_TEST_MODELS_H_
