// The messages of an ONNX model without the bytes of its weights.
//
// Parsing a ModelProto with protobuf copies every `raw_data`. Here the model is walked at the wire level first: the
// messages are copied with each TensorProto.raw_data replaced by its place in the model (16 bytes), and that small
// copy is parsed. Weights stay where they are, in the mapped file.
#ifndef OMSERVE_CORE_IMPORT_ONNX_SKELETON_H_
#define OMSERVE_CORE_IMPORT_ONNX_SKELETON_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "protos/onnx/onnx.pb.h"

namespace omserve {

// Where a tensor's raw bytes lie in the model; inside it.
struct RawPlace {
  uint64_t offset = 0;
  uint64_t size = 0;
};

// Subgraphs of attributes come out empty (present, nothing inside), as do sparse tensors; training information and
// annotations are left out. The nesting that is followed is fixed, so hostile nesting cannot exhaust the stack.
// INVALID_ARGUMENT "not an ONNX model" with the byte offset of what is damaged.
absl::StatusOr<onnx::ModelProto> ParseSkeleton(std::string_view model);

// The place of a skeleton's raw data; none when the tensor has no raw_data.
std::optional<RawPlace> RawPlaceOf(const onnx::TensorProto& tensor);

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_ONNX_SKELETON_H_
