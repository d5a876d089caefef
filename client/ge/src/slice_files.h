// Slices of a model, given as graphs, as the files that a relation file speaks of.
#ifndef OMSERVE_CLIENT_GE_SRC_SLICE_FILES_H_
#define OMSERVE_CLIENT_GE_SRC_SLICE_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/graph.h"
#include "options.h"

namespace ge {

// Writes each graph as AIR into `folder` under the submodel name of the relation file that is the graph's name, with or
// without its extension. Returns the relation file's text, in which all names are those of the files now.
// INVALID_ARGUMENT EF1001 for a graph or a submodel without a counterpart; E10032, EF1001 and others for the relation file.
absl::StatusOr<std::string> WriteSlices(const std::vector<Graph>& graphs, const Options& options,
                                        const std::string& folder);

}  // namespace ge

#endif  // OMSERVE_CLIENT_GE_SRC_SLICE_FILES_H_
