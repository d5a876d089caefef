// The arithmetic of reductions.
#ifndef OMSERVE_CORE_COMM_REDUCE_H_
#define OMSERVE_CORE_COMM_REDUCE_H_

#include <cstddef>

#include "absl/types/span.h"
#include "core/device/device.h"
#include "core/tensor/data_type.h"

namespace omserve {

// True for numbers; bool and strings can only be moved.
bool IsReducible(DataType type);

// output[i] = inputs[0][i] op inputs[1][i] op ..., from left to right, so that equal inputs give equal bits
// wherever it runs. `output` may be one of the inputs; otherwise the arrays do not overlap. `type` must be
// reducible and `inputs` not be empty.
//
// Integers wrap around. The 16-bit floats are combined as float32 and rounded once, to nearest even. Maximum
// and minimum give NaN when any operand is NaN.
void Reduce(absl::Span<const void* const> inputs, void* output, size_t count, DataType type,
            CollectiveBackend::Reduction reduction);

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_REDUCE_H_
