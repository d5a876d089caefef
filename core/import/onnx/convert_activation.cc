// Activations.
#include <string>

#include "absl/strings/str_cat.h"
#include "core/import/onnx/converter.h"

namespace omserve {
namespace {

// Activations without attributes.
absl::Status ConvertPlain(Conversion& c) {
  c.SetOutput(0, c.Node(c.target(), {c.input(0)}, {}, c.info(0)));
  return absl::OkStatus();
}

absl::Status ConvertLeakyRelu(Conversion& c) {
  c.SetOutput(0, c.Node("LeakyRelu", {c.input(0)}, {{"negative_slope", c.Float("alpha", 0.01f)}}, c.info(0)));
  return absl::OkStatus();
}

// ONNX broadcasts the slope as numpy does; Ascend takes a vector for one slope per channel (dimension 1). A row of
// rank 2 is no such vector.
absl::Status ConvertPRelu(Conversion& c) {
  ValueId slope = c.input(1);
  if (c.rank(1) == 1 && c.rank(0) != 1 && c.rank(0) != 2) slope = c.Unsqueeze(slope, {0});
  c.SetOutput(0, c.Node("PRelu", {c.input(0), slope}, {}, c.info(0)));
  return absl::OkStatus();
}

absl::Status ConvertElu(Conversion& c) {
  c.SetOutput(0, c.Node("Elu", {c.input(0)}, {{"alpha", c.Float("alpha", 1.0f)}}, c.info(0)));
  return absl::OkStatus();
}

// Ascend's Selu has the published constants, which are ONNX's defaults; others are an Elu with a scale.
absl::Status ConvertSelu(Conversion& c) {
  constexpr float kAlpha = 1.67326319217681884765625f;
  constexpr float kGamma = 1.05070102214813232421875f;
  const float alpha = c.Float("alpha", kAlpha);
  const float gamma = c.Float("gamma", kGamma);
  c.SetOutput(0, alpha == kAlpha && gamma == kGamma
                     ? c.Node("Selu", {c.input(0)}, {}, c.info(0))
                     : c.Node("Elu", {c.input(0)}, {{"alpha", alpha}, {"scale", gamma}}, c.info(0)));
  return absl::OkStatus();
}

// alpha3 * max(0, x) + min(0, alpha1 * (exp(x / alpha2) - 1))
absl::Status ConvertCelu(Conversion& c) {
  const float alpha = c.Float("alpha", 1.0f);
  if (alpha == 0.0f) return absl::InvalidArgumentError("its attribute alpha must not be 0");
  c.SetOutput(0, c.Node("Celu", {c.input(0)}, {{"alpha1", alpha}, {"alpha2", alpha}, {"alpha3", 1.0f}}, c.info(0)));
  return absl::OkStatus();
}

absl::Status ConvertHardSigmoid(Conversion& c) {
  const AttrMap attrs{{"alpha", c.Float("alpha", 0.2f)}, {"beta", c.Float("beta", 0.5f)}};
  c.SetOutput(0, c.Node("HardSigmoid", {c.input(0)}, attrs, c.info(0)));
  return absl::OkStatus();
}

absl::Status ConvertGelu(Conversion& c) {
  const std::string approximate = c.String("approximate", "none");
  if (approximate == "none") {
    c.SetOutput(0, c.Node("Gelu", {c.input(0)}, {}, c.info(0)));
    return absl::OkStatus();
  }
  if (approximate != "tanh") {
    return absl::InvalidArgumentError(
        absl::StrCat("its attribute approximate = '", approximate, "' is neither 'none' nor 'tanh'"));
  }
  // Not FastGelu: that is x * sigmoid(1.702 x).
  c.SetOutput(0, c.Node("GeluV2", {c.input(0)}, {{"approximate", "tanh"}}, c.info(0)));
  return absl::OkStatus();
}

// x where x > alpha, 0 elsewhere
absl::Status ConvertThresholdedRelu(Conversion& c) {
  const ValueInfo info = c.info(0);
  const ValueId alpha = c.Scalar("alpha", c.Float("alpha", 1.0f), info.type);
  const ValueId above = c.Helper("Greater", {c.input(0), alpha}, {}, info.As(DataType::kBool));
  c.SetOutput(0, c.Node("SelectV2", {above, c.input(0), c.Scalar("zero", 0, info.type)}, {}, info));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"Celu", 12, kNewestOpset, 1, 1, ConvertCelu},
    {"Elu", 6, kNewestOpset, 1, 1, ConvertElu},
    {"Gelu", 20, kNewestOpset, 1, 1, ConvertGelu},
    {"HardSigmoid", 6, kNewestOpset, 1, 1, ConvertHardSigmoid},
    {"HardSwish", 14, kNewestOpset, 1, 1, ConvertPlain, "HardSwish"},
    {"LeakyRelu", 6, kNewestOpset, 1, 1, ConvertLeakyRelu},
    {"Mish", 18, kNewestOpset, 1, 1, ConvertPlain, "Mish"},
    {"PRelu", 7, kNewestOpset, 2, 2, ConvertPRelu},
    {"Relu", 6, kNewestOpset, 1, 1, ConvertPlain, "Relu"},
    {"Selu", 6, kNewestOpset, 1, 1, ConvertSelu},
    {"Sigmoid", 6, kNewestOpset, 1, 1, ConvertPlain, "Sigmoid"},
    {"Softplus", 1, kNewestOpset, 1, 1, ConvertPlain, "Softplus"},
    {"Softsign", 1, kNewestOpset, 1, 1, ConvertPlain, "Softsign"},
    {"Tanh", 6, kNewestOpset, 1, 1, ConvertPlain, "Tanh"},
    {"ThresholdedRelu", 10, kNewestOpset, 1, 1, ConvertThresholdedRelu},
};

}  // namespace

absl::Span<const Converter> ActivationConverters() { return kConverters; }

}  // namespace omserve
