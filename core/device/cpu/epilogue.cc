#include "core/device/cpu/epilogue.h"

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "core/device/cpu/simd.h"
#include "core/device/cpu/vector_math.h"
#include "core/ops/op.h"

namespace omserve::cpu {

namespace {

constexpr char kActivation[] = "_activation";
constexpr char kLast[] = "_last_activation";
constexpr char kResidual[] = "_residual";

template <typename F>
OMSERVE_INLINE void Each(float* x, int64_t n, F function) {
  Simd([=]() OMSERVE_LOOP {
    for (int64_t i = 0; i < n; ++i) x[i] = function(x[i]);
  });
}

// As a list of floats: kind, alpha, beta.
std::vector<float> Encode(const ActivationSpec& spec) {
  return {static_cast<float>(spec.kind), spec.alpha, spec.beta};
}

ActivationSpec Decode(const Node& node, const char* name) {
  const auto* values = node.FindAttr<std::vector<float>>(name);
  if (values == nullptr || values->size() != 3) return {};
  return {static_cast<Activation>(static_cast<int>((*values)[0])), (*values)[1], (*values)[2]};
}

float FloatAttr(const Node& node, const std::string& name) {
  // Attributes with their schema defaults; the graph plays no part in it.
  static const Graph& graph = *new Graph;
  return NodeView(graph, node).Attr<float>(name);
}

}  // namespace

std::optional<ActivationSpec> ActivationOf(const Node& node) {
  const std::string& type = node.type();
  if (type == "Relu") return ActivationSpec{Activation::kRelu};
  if (type == "Relu6") return ActivationSpec{Activation::kRelu6};
  if (type == "LeakyRelu") return ActivationSpec{Activation::kLeakyRelu, FloatAttr(node, "negative_slope")};
  if (type == "Sigmoid") return ActivationSpec{Activation::kSigmoid};
  if (type == "HardSigmoid") {
    return ActivationSpec{Activation::kHardSigmoid, FloatAttr(node, "alpha"), FloatAttr(node, "beta")};
  }
  if (type == "HardSwish") return ActivationSpec{Activation::kHardSwish};
  if (type == "Tanh") return ActivationSpec{Activation::kTanh};
  if (type == "Swish") return ActivationSpec{Activation::kSwish, FloatAttr(node, "scale")};
  if (type == "FastGelu") return ActivationSpec{Activation::kSwish, 1.702f};
  if (type == "Gelu") return ActivationSpec{Activation::kGelu};
  if (type == "GeluV2") {
    const std::string form = node.AttrOr<std::string>("approximate", "none");
    if (form == "none" || form.empty()) return ActivationSpec{Activation::kGelu};
    if (form == "tanh") return ActivationSpec{Activation::kGeluTanh};
  }
  return std::nullopt;
}

void Activate(const ActivationSpec& activation, float* x, int64_t n) {
  const float alpha = activation.alpha, beta = activation.beta;
  switch (activation.kind) {
    case Activation::kNone: return;
    case Activation::kRelu:
      return Each(x, n, [](float v) OMSERVE_LOOP { return v < 0.0f ? 0.0f : v; });
    case Activation::kRelu6:
      return Each(x, n, [](float v) OMSERVE_LOOP { return Clamp(v, 0.0f, 6.0f); });
    case Activation::kLeakyRelu:
      return Each(x, n, [=](float v) OMSERVE_LOOP { return v < 0.0f ? v * alpha : v; });
    case Activation::kSigmoid:
      return Each(x, n, [](float v) OMSERVE_LOOP { return Sigmoid(v); });
    case Activation::kHardSigmoid:
      return Each(x, n, [=](float v) OMSERVE_LOOP { return Clamp(v * alpha + beta, 0.0f, 1.0f); });
    case Activation::kHardSwish:
      return Each(x, n, [](float v) OMSERVE_LOOP { return v * Clamp(v * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f); });
    case Activation::kTanh:
      return Each(x, n, [](float v) OMSERVE_LOOP { return Tanh(v); });
    case Activation::kSwish:
      return Each(x, n, [=](float v) OMSERVE_LOOP { return Swish(v, alpha); });
    case Activation::kGelu:
      return Each(x, n, [](float v) OMSERVE_LOOP { return GeluErf(v); });
    case Activation::kGeluTanh:
      return Each(x, n, [](float v) OMSERVE_LOOP { return GeluTanh(v); });
  }
}

void Epilogue::Apply(float* y, const float* bias, const float* residual, int64_t n) const {
  if (bias != nullptr) {
    Simd([=]() OMSERVE_LOOP {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) y[i] += bias[i];
    });
  }
  Activate(activation, y, n);
  if (residual != nullptr) {
    Simd([=]() OMSERVE_LOOP {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) y[i] += residual[i];
    });
  }
  Activate(last, y, n);
}

void Epilogue::ApplyPlane(float* y, float bias, const float* residual, int64_t n) const {
  if (bias != 0.0f) {
    Each(y, n, [=](float v) OMSERVE_LOOP { return v + bias; });
  }
  Apply(y, nullptr, residual, n);
}

Epilogue Epilogue::Of(const Node& node) {
  Epilogue epilogue;
  epilogue.activation = Decode(node, kActivation);
  epilogue.last = Decode(node, kLast);
  epilogue.residual = node.AttrOr<bool>(kResidual, false);
  return epilogue;
}

void Epilogue::SetOn(Node& node) const {
  if (activation.kind != Activation::kNone) node.SetAttr(kActivation, Encode(activation));
  if (last.kind != Activation::kNone) node.SetAttr(kLast, Encode(last));
  if (residual) node.SetAttr(kResidual, true);
}

}  // namespace omserve::cpu
