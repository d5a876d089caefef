// Any bytes as an ONNX model: a clean error or a graph that verifies. External data is refused (no folder).
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/graph/graph.h"
#include "core/import/onnx/onnx_importer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // CopyOf: raw data is referred to, and reads past the end must be seen.
  absl::StatusOr<omserve::Graph> graph = omserve::ImportOnnx(omserve::Buffer::CopyOf(data, size), "");
  if (graph.ok()) {
    if (!omserve::Verify(*graph).ok()) std::abort();
    // A dump reads every constant.
    omserve::Dump(*graph);
  } else if (graph.status().message().empty() || graph.status().code() == absl::StatusCode::kInternal) {
    std::abort();
  }
  return 0;
}
