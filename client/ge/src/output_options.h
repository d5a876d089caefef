// OUT_NODES and OUTPUT_TYPE: options that choose and convert the outputs of a graph.
#ifndef OMSERVE_CLIENT_GE_SRC_OUTPUT_OPTIONS_H_
#define OMSERVE_CLIENT_GE_SRC_OUTPUT_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "graph/graph.h"
#include "options.h"

namespace ge {

// `graph` itself without such options, else a copy with other outputs. INVALID_ARGUMENT E10016 for a node that the graph
// does not have, E10001 for a type that is none.
absl::StatusOr<Graph> WithOutputOptions(const Graph& graph, const Options& options);

// What the service builds: WithOutputOptions as AIR. INVALID_ARGUMENT E10055 for a graph with variables.
absl::StatusOr<std::string> BuildableAir(const Graph& graph, const Options& options);

}  // namespace ge

#endif  // OMSERVE_CLIENT_GE_SRC_OUTPUT_OPTIONS_H_
