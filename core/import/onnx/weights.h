// Tensors of an ONNX model: initializers and the values of constants.
#ifndef OMSERVE_CORE_IMPORT_ONNX_WEIGHTS_H_
#define OMSERVE_CORE_IMPORT_ONNX_WEIGHTS_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/file.h"
#include "core/import/onnx/onnx_importer.h"
#include "core/tensor/tensor.h"
#include "protos/onnx/onnx.pb.h"

namespace omserve {

// Turns TensorProtos of a skeleton into Tensors that refer to the model's bytes or to external files, mapped once
// each. Copied are only typed data (float_data, int64_data, …: a list of numbers on the wire), and raw data that does
// not begin on a multiple of its element size, since Tensor::values() promises aligned elements: ONNX aligns nothing
// within the model file, external data normally begins on pages. Not thread-safe.
class WeightLoader {
 public:
  // `folder`: where external data may lie; "" refuses external data.
  WeightLoader(Buffer model, std::string folder) : model_(std::move(model)), folder_(std::move(folder)) {}

  // INVALID_ARGUMENT for dimensions and data that do not fit, UNIMPLEMENTED for an element type without a Tensor
  // type, PERMISSION_DENIED for external data outside the folder, OUT_OF_RANGE for external data past its file's end,
  // NOT_FOUND for a missing file. Messages do not name the tensor: callers do.
  absl::StatusOr<Tensor> Load(const onnx::TensorProto& proto);

  const OnnxImportStats& stats() const { return stats_; }

 private:
  absl::StatusOr<Buffer> External(const onnx::TensorProto& proto, size_t bytes);
  absl::StatusOr<std::shared_ptr<const MappedFile>> Map(const std::string& location);
  absl::StatusOr<Tensor> Refer(TensorDesc desc, Buffer bytes);

  const Buffer model_;
  const std::string folder_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;  // by location
  OnnxImportStats stats_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_ONNX_WEIGHTS_H_
