// Epilogues: elementwise operators that devices compute together with the product or convolution before them: its bias, an
// activation, a residual, and an activation of that sum. They cost less than they would alone.
#ifndef OMSERVE_CORE_PARTITION_EPILOGUES_H_
#define OMSERVE_CORE_PARTITION_EPILOGUES_H_

#include <cstdint>

#include "absl/container/flat_hash_set.h"
#include "core/graph/graph.h"

namespace omserve {

using Epilogues = absl::flat_hash_set<int32_t>;  // ids of nodes

Epilogues FindEpilogues(const Graph& graph);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_EPILOGUES_H_
