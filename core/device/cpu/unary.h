// Unary: kernels that apply a function to each element, from a functor (with its parameters) on one element.
#ifndef OMSERVE_CORE_DEVICE_CPU_UNARY_H_
#define OMSERVE_CORE_DEVICE_CPU_UNARY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"
#include "core/device/cpu/simd.h"
#include "core/tensor/shape.h"

namespace omserve::cpu {

// y[i] = f(x[i]). F is a small literal type with an always-inlined `To operator()(From) const`.
template <typename F, typename From, typename To = From>
class UnaryKernel : public Kernel {
 public:
  // `cost`: about how many simple operations one element takes; it sets when a second thread is worth waking.
  UnaryKernel(const KernelRequest& request, F function, int cost)
      : function_(function),
        count_(NumElements(request.output_shape())),
        grain_(kElementGrain / cost),
        threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const From* x = static_cast<const From*>(inputs[0]);
    To* y = static_cast<To*>(outputs[0]);
    ParallelFor(threads_, count_, grain_, [&](int64_t begin, int64_t end) {
      Simd([=, function = function_]() OMSERVE_LOOP {
#pragma GCC ivdep
        for (int64_t i = begin; i < end; ++i) y[i] = function(x[i]);
      });
    });
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return sizeof(From) == sizeof(To); }
  std::optional<Layout> InputLayout(int) const override { return std::nullopt; }
  std::optional<Layout> OutputLayout() const override { return std::nullopt; }

 private:
  const F function_;
  const int64_t count_;
  const int64_t grain_;
  const int threads_;
};

template <typename From, typename To = From, typename F>
std::unique_ptr<Kernel> MakeUnary(const KernelRequest& request, F function, int cost = 1) {
  return std::make_unique<UnaryKernel<F, From, To>>(request, function, cost);
}

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_UNARY_H_
