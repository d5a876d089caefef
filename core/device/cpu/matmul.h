// MatMulProblem: a MatMul or BatchMatMul node as plain numbers.
#ifndef OMSERVE_CORE_DEVICE_CPU_MATMUL_H_
#define OMSERVE_CORE_DEVICE_CPU_MATMUL_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/device/cpu/broadcast.h"
#include "core/device/cpu/epilogue.h"
#include "core/device/cpu/kernel.h"

namespace omserve::cpu {

// y[i] = epilogue(a[i] b[i] + bias), a[i] being m x k (k x m when transposed), b[i] k x n (n x k).
struct MatMulProblem {
  int64_t m = 0, k = 0, n = 0;
  bool transpose_a = false, transpose_b = false;
  bool bias = false;
  Epilogue epilogue;
  // Where the matrices of each product begin, in elements; products are dense in the output.
  std::vector<int64_t> a_offsets, b_offsets;

  int64_t batch() const { return static_cast<int64_t>(a_offsets.size()); }

  static absl::StatusOr<MatMulProblem> Of(const KernelRequest& request);
};

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_MATMUL_H_
