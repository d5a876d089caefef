// Fusion: an affine operator takes the elementwise operators behind it into its epilogue.
#ifndef OMSERVE_CORE_DEVICE_CPU_FUSION_H_
#define OMSERVE_CORE_DEVICE_CPU_FUSION_H_

#include "core/graph/graph.h"

namespace omserve::cpu {

// Replaces chains  MatMul | BatchMatMul | Conv2D  →  Add of a constant bias  →  activation  →  Add of a residual  →
// Relu  (each optional, each read by the next alone, float32) by one node, which stands where the last node of the
// chain stood: the others' order, and with it the order of collectives, does not change. `graph` has inferred, static
// shapes. Returns how many nodes were taken in.
int FuseEpilogues(Graph& graph);

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_FUSION_H_
