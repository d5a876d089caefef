// Epilogue: what a fused matrix product or convolution does to its result while that is in cache:
// y = last(activation(y + bias) + residual), each part optional.
#ifndef OMSERVE_CORE_DEVICE_CPU_EPILOGUE_H_
#define OMSERVE_CORE_DEVICE_CPU_EPILOGUE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/graph/graph.h"

namespace omserve::cpu {

enum class Activation {
  kNone, kRelu, kRelu6, kLeakyRelu, kSigmoid, kHardSigmoid, kHardSwish, kTanh, kSwish, kGelu, kGeluTanh
};

// The activation a node computes, with its parameters; nullopt if it is none of them.
struct ActivationSpec {
  Activation kind = Activation::kNone;
  float alpha = 0.0f;  // slope, scale
  float beta = 0.0f;
};
std::optional<ActivationSpec> ActivationOf(const Node& node);

// Applies it to x[0, n) in place. For use inside kernels; one thread.
void Activate(const ActivationSpec& activation, float* x, int64_t n);

struct Epilogue {
  ActivationSpec activation;
  bool residual = false;
  ActivationSpec last;  // after the residual

  bool empty() const {
    return activation.kind == Activation::kNone && !residual && last.kind == Activation::kNone;
  }

  // On one row: `bias` has an element per element of the row, or is null; `residual` is null without one.
  void Apply(float* y, const float* bias, const float* residual, int64_t n) const;
  // The same on one channel plane, whose elements share one bias.
  void ApplyPlane(float* y, float bias, const float* residual, int64_t n) const;

  // Attributes of a fused node (device/cpu/fusion.h).
  static Epilogue Of(const Node& node);
  void SetOn(Node& node) const;
};

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_EPILOGUE_H_
