#include "core/device/cpu/simd.h"

#include <cstdlib>
#include <string_view>

namespace omserve::cpu {

namespace {

Isa Detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  Isa best = Isa::kBase;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    best = Isa::kAvx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
      best = Isa::kAvx512;
    }
  }
  if (const char* limit = std::getenv("OMSERVE_CPU_ISA")) {
    const std::string_view name(limit);
    if (name == "base") return Isa::kBase;
    if (name == "avx2" && best == Isa::kAvx512) return Isa::kAvx2;
  }
  return best;
#else
  return Isa::kBase;
#endif
}

}  // namespace

Isa CurrentIsa() {
  static const Isa isa = Detect();
  return isa;
}

}  // namespace omserve::cpu
