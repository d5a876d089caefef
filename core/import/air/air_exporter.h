// Graph → AIR: a bare serialized ge.proto.ModelDef, which atc, Graph::LoadFromFile and ImportAir read.
#ifndef OMSERVE_CORE_IMPORT_AIR_AIR_EXPORTER_H_
#define OMSERVE_CORE_IMPORT_AIR_AIR_EXPORTER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "core/graph/graph.h"

namespace omserve {

struct AirExportOptions {
  // A graph with more bytes of constants than this keeps them in `<file>.weights` beside the AIR file, as FileConstant
  // operators: protobuf ends at 2 GiB.
  uint64_t max_inline_bytes = uint64_t{1800} << 20;
};

// Memory use does not grow with weights that are kept beside the file. INVALID_ARGUMENT for names that GE IR cannot hold.
absl::Status ExportAir(const Graph& graph, const std::string& path, const AirExportOptions& options = {});

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_AIR_AIR_EXPORTER_H_
