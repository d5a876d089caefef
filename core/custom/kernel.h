// The CPU kernel of a package's operator: its `compute` as a cpu::Kernel.
#ifndef OMSERVE_CORE_CUSTOM_KERNEL_H_
#define OMSERVE_CORE_CUSTOM_KERNEL_H_

#include "core/custom/include/omserve/custom_op.h"

namespace omserve {

// `op` must have passed OpsOfPackage and live as long as the process. Its type must be registered in OpRegistry.
void RegisterCustomKernel(const omserve_op& op);

}  // namespace omserve

#endif  // OMSERVE_CORE_CUSTOM_KERNEL_H_
