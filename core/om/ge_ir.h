// Graph ↔ GE IR (ge.proto): what AIR files and the MODEL_DEF partition of OM files hold.
#ifndef OMSERVE_CORE_OM_GE_IR_H_
#define OMSERVE_CORE_OM_GE_IR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/graph/graph.h"
#include "core/om/weights.h"
#include "core/tensor/buffer.h"
#include "ge/ge_ir.pb.h"

namespace omserve {

// Attributes: every kind of AttrValue has one form in GE IR.
void AttrToGe(const AttrValue& value, ge::proto::AttrDef* def);
// Nothing for an attribute without a value, which readers of GE IR skip too; UNIMPLEMENTED for a kind that
// AttrValue does not have (tensors, graphs, functions, …).
absl::StatusOr<std::optional<AttrValue>> AttrFromGe(const ge::proto::AttrDef& def);

// The descriptor with all attributes that readers expect.
ge::proto::TensorDescriptor DescToGe(const TensorDesc& desc);
// INVALID_ARGUMENT for a shape that cannot be (rank, negative or too many elements); UNIMPLEMENTED for a data
// type.
absl::StatusOr<TensorDesc> DescFromGe(const ge::proto::TensorDescriptor& def);

// The order in which the operators of a graph are written: Data by position, then all others in topological
// order. Reading keeps it, so collectives keep theirs.
absl::StatusOr<std::vector<int32_t>> GeOperatorOrder(const Graph& graph);

// "<node>:<output>" for each graph output, as model attribute "attr_model_out_nodes_name" lists them.
std::vector<std::string> OutputNodeNames(const Graph& graph);

// Fills `def`. Constants with an entry in `weights` keep only their place, others their bytes.
// INVALID_ARGUMENT for names that GE IR cannot hold.
absl::Status GraphToGe(const Graph& graph, const WeightRanges& weights, ge::proto::GraphDef* def);

// The inverse, for bytes from outside; `weights` is the WEIGHTS_DATA partition, whose bytes the constants
// share (a constant that lies at an odd address is copied). The result passes Verify. INVALID_ARGUMENT names
// the operator; UNIMPLEMENTED for subgraphs and kinds of attributes or types that a Graph cannot hold.
absl::StatusOr<Graph> GraphFromGe(const ge::proto::GraphDef& def, const Buffer& weights);

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_GE_IR_H_
