// ONNX → Graph in the Ascend IR vocabulary.
#ifndef OMSERVE_CORE_IMPORT_ONNX_ONNX_IMPORTER_H_
#define OMSERVE_CORE_IMPORT_ONNX_ONNX_IMPORTER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/file.h"
#include "core/graph/graph.h"

namespace omserve {

// Imports an ONNX file (opset 7 to 21, IR 3 and later). Weights are not copied: raw initializers and external data
// stay references into the mapped files; external data must lie inside the model's folder.
// Errors: INVALID_ARGUMENT "not an ONNX model" with the offset for damaged files; UNIMPLEMENTED naming operator,
// domain, opset and node for what is not supported, and naming the operator and node that holds a subgraph (If, Loop,
// Scan); PERMISSION_DENIED for external data outside the folder; OUT_OF_RANGE for external data past its file's end.
absl::StatusOr<Graph> ImportOnnx(const std::string& path);

// As ImportOnnx for a model in memory; `folder` is where its external data may lie ("" refuses external data).
absl::StatusOr<Graph> ImportOnnx(Buffer model, const std::string& folder);

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_ONNX_ONNX_IMPORTER_H_
