// One function per family of operators; op.cc calls each once. (Explicit calls, because the linker drops
// static registration from static libraries.)
#ifndef OMSERVE_CORE_OPS_FAMILIES_H_
#define OMSERVE_CORE_OPS_FAMILIES_H_

#include "core/ops/op.h"

namespace omserve {

void AddActivationOps(OpRegistry& registry);
void AddCollectiveOps(OpRegistry& registry);
void AddConvolutionOps(OpRegistry& registry);
void AddEinsumOps(OpRegistry& registry);
void AddElementwiseOps(OpRegistry& registry);
void AddFillOps(OpRegistry& registry);
void AddGatherOps(OpRegistry& registry);
void AddMatrixOps(OpRegistry& registry);
void AddNormalizationOps(OpRegistry& registry);
void AddPoolingOps(OpRegistry& registry);
void AddReductionOps(OpRegistry& registry);
void AddReshapeOps(OpRegistry& registry);
void AddSearchOps(OpRegistry& registry);
void AddShapeOps(OpRegistry& registry);
void AddSliceOps(OpRegistry& registry);
void AddStructureOps(OpRegistry& registry);

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_FAMILIES_H_
