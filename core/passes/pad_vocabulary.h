// Padding: vocabularies are cut although they do not divide. 50,257 rows become 50,260 for four devices.
#ifndef OMSERVE_CORE_PASSES_PAD_VOCABULARY_H_
#define OMSERVE_CORE_PASSES_PAD_VOCABULARY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/graph/graph.h"

namespace omserve {

struct PaddedWeight {
  int32_t node = -1;  // the Const, padded with zeros
  int dim = 0;
  int64_t size = 0;   // before
};

// Pads constant matrices along a dimension of 1,024 or more to a multiple of `multiple`, where all that read them can do
// with that:
//  - Gather* of their rows or columns, which remember how many there are (attribute all_rows);
//  - products whose columns they are, more than four times as many as rows: the heads of language models. (Narrower
//    layers are made to divide, and cutting their result to size would cost more than it gives.) The product, or the sum
//    with a constant bias that follows it, is cut to its size again by a Slice named "<it>/unpadded".
// A table that is embedding and head stays one constant. No byte is copied: the constants are boxes beyond the end of
// their source. Values do not change, nor what is refused. For an optimised graph (Optimize); deterministic.
absl::StatusOr<std::vector<PaddedWeight>> PadVocabularies(Graph& graph, int64_t multiple);

}  // namespace omserve

#endif  // OMSERVE_CORE_PASSES_PAD_VOCABULARY_H_
