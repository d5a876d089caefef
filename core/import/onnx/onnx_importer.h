// ONNX → Graph in the Ascend IR vocabulary.
#ifndef OMSERVE_CORE_IMPORT_ONNX_ONNX_IMPORTER_H_
#define OMSERVE_CORE_IMPORT_ONNX_ONNX_IMPORTER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "core/graph/graph.h"
#include "core/tensor/buffer.h"

namespace omserve {

// What became of the weights that were used.
struct OnnxImportStats {
  int64_t referenced_bytes = 0;  // left in the mapped files
  int64_t copied_bytes = 0;      // typed data, and raw data that is not aligned to its elements
};

// Imports an ONNX file (opset 7 to 23, IR 3 and later). Weights are not copied: raw initializers and external data
// stay references into the mapped files; external data must lie inside the model's folder.
// Errors: INVALID_ARGUMENT "not an ONNX model" with the offset for damaged files; UNIMPLEMENTED naming operator,
// domain, opset and node for what is not supported, and naming the operator and node that holds a subgraph (If, Loop,
// Scan); PERMISSION_DENIED for external data outside the folder; OUT_OF_RANGE for external data past its file's end.
// `stats` may be null.
absl::StatusOr<Graph> ImportOnnx(const std::string& path, OnnxImportStats* stats = nullptr);

// As ImportOnnx for a model in memory; `folder` is where its external data may lie ("" refuses external data).
absl::StatusOr<Graph> ImportOnnx(Buffer model, const std::string& folder, OnnxImportStats* stats = nullptr);

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_ONNX_ONNX_IMPORTER_H_
