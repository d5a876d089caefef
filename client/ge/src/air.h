// ge::Graph ↔ AIR, a serialized ge.proto.ModelDef.
#ifndef OMSERVE_CLIENT_GE_SRC_AIR_H_
#define OMSERVE_CLIENT_GE_SRC_AIR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "graph/graph.h"

namespace ge {

// INVALID_ARGUMENT names what is wrong with the graph (wiring, names, missing inputs); RESOURCE_EXHAUSTED past 2 GiB.
absl::StatusOr<std::string> GraphToAir(const Graph& graph);
// For bytes from outside. INVALID_ARGUMENT for what is no AIR; UNIMPLEMENTED for subgraphs and kinds of attributes
// that AttrValue does not have.
absl::StatusOr<Graph> GraphFromAir(absl::string_view bytes);

// For people: the AIR as protobuf text.
absl::StatusOr<std::string> GraphToText(const Graph& graph);

// What a graph in AIR takes, by position.
struct AirInput {
  std::string name;
  std::vector<int64_t> dims;
};
absl::StatusOr<std::vector<AirInput>> InputsOfAir(absl::string_view bytes);

}  // namespace ge

#endif  // OMSERVE_CLIENT_GE_SRC_AIR_H_
