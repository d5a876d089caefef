// Simd: compiles a loop for several instruction sets and runs the best one this machine has, so that one binary runs
// everywhere and still uses AVX2 or AVX-512.
//
//   Simd([=]() OMSERVE_LOOP { for (int64_t i = 0; i < n; ++i) y[i] = Exp(x[i]); });
//
// What the loop calls must be inlined (OMSERVE_INLINE) to be compiled with it. Capture by value.
#ifndef OMSERVE_CORE_DEVICE_CPU_SIMD_H_
#define OMSERVE_CORE_DEVICE_CPU_SIMD_H_

#define OMSERVE_INLINE inline __attribute__((always_inline))
#define OMSERVE_LOOP __attribute__((always_inline))

namespace omserve::cpu {

enum class Isa { kBase, kAvx2, kAvx512 };

// Of this machine. The environment variable OMSERVE_CPU_ISA (base, avx2, avx512) lowers it, for tests.
Isa CurrentIsa();

namespace internal {

template <typename Loop>
void RunBase(Loop loop) {
  loop();
}

#if defined(__x86_64__)
template <typename Loop>
__attribute__((target("avx2,fma"))) void RunAvx2(Loop loop) {
  loop();
}

template <typename Loop>
__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512"))) void RunAvx512(
    Loop loop) {
  loop();
}
#endif

}  // namespace internal

template <typename Loop>
void Simd(Loop loop) {
#if defined(__x86_64__)
  switch (CurrentIsa()) {
    case Isa::kAvx512: internal::RunAvx512(loop); return;
    case Isa::kAvx2: internal::RunAvx2(loop); return;
    case Isa::kBase: break;
  }
#endif
  internal::RunBase(loop);
}

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_SIMD_H_
