// Costs that several operators share.
#ifndef OMSERVE_CORE_OPS_COST_UTIL_H_
#define OMSERVE_CORE_OPS_COST_UTIL_H_

#include "core/ops/op.h"

namespace omserve {

// All inputs and outputs, each once.
double TensorBytes(const NodeView& view);

// `flops` per element of output 0, and TensorBytes.
OpCost ElementCost(const NodeView& view, double flops);

CostFunction PerOutputElement(double flops);
CostFunction PerInputElement(double flops);

// Renames dimensions or is known at build time: no work.
CostFunction NoCost();

// Copies elements: no flops; bytes of the outputs, read and written. For operators that read only a part of
// an input.
CostFunction MoveCost();

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_COST_UTIL_H_
