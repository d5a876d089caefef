// Weights that an AIR file keeps in files beside it: FileConstant operators, and constants whose descriptor names a
// `location` (what GE's writer does above 2 GiB).
#ifndef OMSERVE_CORE_OM_EXTERNAL_WEIGHTS_H_
#define OMSERVE_CORE_OM_EXTERNAL_WEIGHTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/graph/graph.h"
#include "ge/ge_ir.pb.h"

namespace omserve {

// The files that a serialized ge.proto.ModelDef names, relative to the folder of the AIR file, each once, in order of first
// mention; none for bytes that are no such message. A model that holds its weights is searched where it lies, not parsed.
std::vector<std::string> ExternalWeightFiles(std::string_view air);

// Constants with a `location` become FileConstants, so that the graph can be read without their bytes.
void NormalizeExternalWeights(ge::proto::GraphDef* graph);

// Turns every FileConstant into a Const that maps its file in `folder`. PERMISSION_DENIED for a path that leaves the
// folder, NOT_FOUND for a file that is not there, INVALID_ARGUMENT (names the node) for attributes that do not fit.
absl::Status MapExternalWeights(const std::string& folder, Graph* graph);

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_EXTERNAL_WEIGHTS_H_
