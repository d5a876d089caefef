#ifndef OMSERVE_CORE_PASSES_MERGE_EQUAL_H_
#define OMSERVE_CORE_PASSES_MERGE_EQUAL_H_

#include "absl/status/statusor.h"
#include "core/graph/graph.h"

namespace omserve {

// Common subexpression elimination in one walk: of nodes with equal type, inputs and attributes, and of equal
// constants, the first in topological order stays. Constants are equal when they are the same box of the same
// bytes, or small with equal contents. Returns how many nodes were removed.
absl::StatusOr<int> MergeEqualNodes(Graph& graph);

}  // namespace omserve

#endif  // OMSERVE_CORE_PASSES_MERGE_EQUAL_H_
