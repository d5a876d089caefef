// Kernels of operators that packages bring (core/custom), beside those of KernelTable.
#ifndef OMSERVE_CORE_DEVICE_CPU_PACKAGED_KERNELS_H_
#define OMSERVE_CORE_DEVICE_CPU_PACKAGED_KERNELS_H_

#include <string>

#include "core/device/cpu/kernel.h"

namespace omserve::cpu {

// Gives an operator its kernel, before anything that holds such an operator is compiled. Thread-safe; a type has one
// factory, the first. KernelTable::Make asks it for types that are not built in.
void RegisterPackagedKernel(const std::string& type, KernelFactory factory);

// Null when there is none.
KernelFactory FindPackagedKernel(absl::string_view type);

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_PACKAGED_KERNELS_H_
