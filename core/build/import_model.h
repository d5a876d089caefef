// Reading a model file of any kind that is understood.
#ifndef OMSERVE_CORE_BUILD_IMPORT_MODEL_H_
#define OMSERVE_CORE_BUILD_IMPORT_MODEL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/graph/graph.h"

namespace omserve {

// Whether the extension is that of a model file: .onnx (ONNX), .air and .pb (GE IR).
bool IsModelFile(absl::string_view path);

// Imports by extension; a file without a known one is taken for ONNX.
absl::StatusOr<Graph> ImportModel(const std::string& path);

}  // namespace omserve

#endif  // OMSERVE_CORE_BUILD_IMPORT_MODEL_H_
