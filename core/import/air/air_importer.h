// AIR → Graph. An AIR file is a bare serialized ge.proto.ModelDef, what Graph::SaveToFile of CANN writes.
#ifndef OMSERVE_CORE_IMPORT_AIR_AIR_IMPORTER_H_
#define OMSERVE_CORE_IMPORT_AIR_AIR_IMPORTER_H_

#include <string>

#include "absl/status/statusor.h"
#include "core/graph/graph.h"

namespace omserve {

// Weights in files beside it stay mapped there; their paths may not leave the folder of the AIR file (PERMISSION_DENIED).
// INVALID_ARGUMENT "not an AIR file" for damaged files and what GraphFromGe refuses; UNIMPLEMENTED for what a Graph
// cannot hold.
absl::StatusOr<Graph> ImportAir(const std::string& path);

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_AIR_AIR_IMPORTER_H_
