// Which files an ONNX model consists of: itself and the external data its tensors name.
#ifndef OMSERVE_CLIENT_CPP_ONNX_FILES_H_
#define OMSERVE_CLIENT_CPP_ONNX_FILES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace omserve::client {

// The `location` of every tensor of a serialized onnx.ModelProto that keeps its data outside, each once, in
// order of first mention. Walks the wire format in place: weights inside the model are neither read nor
// copied. DATA_LOSS when the bytes are no protobuf message, INVALID_ARGUMENT when subgraphs nest too deep.
absl::StatusOr<std::vector<std::string>> ExternalDataLocations(std::string_view model);

}  // namespace omserve::client

#endif  // OMSERVE_CLIENT_CPP_ONNX_FILES_H_
