// Layouts: which values between kernels lie in another order than row-major.
//
// oneDNN's fastest convolutions want images with the channels last, or in blocks. A value is left that way when the kernel
// that makes it and all that read it take it so; elementwise kernels take whatever they get.
#ifndef OMSERVE_CORE_DEVICE_CPU_LAYOUTS_H_
#define OMSERVE_CORE_DEVICE_CPU_LAYOUTS_H_

#include <vector>

#include "core/device/cpu/kernel.h"

namespace omserve::cpu {

// A kernel with its values, by numbers below `values`; -1: absent.
struct LayoutUse {
  Kernel* kernel = nullptr;
  std::vector<int> inputs;
  int output = -1;  // the first
};

// Tells every kernel what is not row-major. Values of `plain` stay as they are: inputs, constants and results of the graph, and what
// is neither an input nor the first output of one of `uses`.
void ChooseLayouts(const std::vector<LayoutUse>& uses, std::vector<bool> plain);

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_LAYOUTS_H_
