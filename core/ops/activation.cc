// Activation functions: element-wise on one tensor, and their gated forms.
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/rule_util.h"
#include "core/ops/schema.h"

namespace omserve {
namespace {

struct ActivationOp {
  const char* type;
  double flops;
  std::vector<AttrDef> attrs = {};
  const char* input = "x";
  const char* output = "y";
};

std::vector<ActivationOp> Table() {
  return {
      {"Relu", 1},
      {"Relu6", 2},
      {"LeakyRelu", 2, {DefaultAttr("negative_slope", 0.0f)}},
      {"Elu", 16, {DefaultAttr("alpha", 1.0f), DefaultAttr("scale", 1.0f), DefaultAttr("input_scale", 1.0f)}},
      {"Celu", 16, {DefaultAttr("alpha1", 1.0f), DefaultAttr("alpha2", 1.0f), DefaultAttr("alpha3", 1.0f)}},
      {"Selu", 16},
      {"Sigmoid", 16},
      {"HardSigmoid",
       3,
       {DefaultAttr("alpha", 0.16666666f), DefaultAttr("beta", 0.5f)},
       "input_x",
       "output_y"},
      {"HardSwish", 4},
      {"Softplus", 24},
      {"Softsign", 3},
      {"Mish", 32},
      {"Swish", 18, {DefaultAttr("scale", 1.0f)}},
      // x * Phi(x)
      {"Gelu", 20},
      // x / (1 + exp(-1.702 x))
      {"FastGelu", 18},
      // approximate: "none" is Gelu, "tanh" the tanh form
      {"GeluV2", 20, {DefaultAttr("approximate", std::string("none"))}},
  };
}

absl::StatusOr<Descs> InferActivation(const NodeView& view) {
  const DataType type = view.input(0).type;
  // Relu and its kin are defined for integers too; which types really run is for the device to say.
  if (!IsNumericType(type)) {
    return absl::InvalidArgumentError(
        absl::StrCat(InputName(view, 0), " is ", ToString(view.input(0)), "; it must be a number"));
  }
  return Descs{view.input(0)};
}

absl::StatusOr<Descs> InferGeluV2(const NodeView& view) {
  const std::string approximate = view.Attr<std::string>("approximate");
  if (approximate != "none" && approximate != "tanh") {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'approximate' is '", approximate, "'; it must be none or tanh"));
  }
  return InferActivation(view);
}

// --- PRelu
// ----------------------------------------------------------------------------------------------------------

// A one-dimensional weight of PRelu runs along the channels of x, dimension 1 (GE); any other broadcasts to
// x.
bool WeightPerChannel(const NodeView& view) {
  const Shape& weight = view.input_shape(1);
  return weight.size() == 1 && weight[0] != 1 && view.input_shape(0).size() > 1;
}

absl::StatusOr<Descs> InferPRelu(const NodeView& view) {
  RETURN_IF_ERROR(CheckSameType(view, 0, 1));
  if (!WeightPerChannel(view)) {
    RETURN_IF_ERROR(CheckBroadcastsTo(view, 1, view.input_shape(0)));
  } else if (!DimsAgree(view.input_shape(1)[0], view.input_shape(0)[1])) {
    return absl::InvalidArgumentError(absl::StrCat("weight is ", ToString(view.input(1)),
                                                   "; it must have the ", view.input_shape(0)[1],
                                                   " channels of x"));
  }
  return InferActivation(view);
}

absl::StatusOr<ShardingRule> PReluRule(const NodeView& view) {
  if (!WeightPerChannel(view)) return ElementwiseRule()(view);
  RuleBuilder rule(view);
  const Shape& shape = view.input_shape(0);
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    const int factor =
        rule.Add(shape[d], FactorKind::kParallel, d == 1 ? "channels" : absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, d, factor);
    if (d == 1) rule.Input(1, 0, factor);
  }
  return rule.Finish();
}

// --- SwiGlu: Swish(first half) * second half along `dim`
// --------------------------------------------------------------

absl::StatusOr<Descs> InferSwiGlu(const NodeView& view) {
  TensorDesc y = view.input(0);
  ASSIGN_OR_RETURN(int dim, NormalizeAxis(view.Attr<int64_t>("dim"), static_cast<int>(y.shape.size())));
  if (y.shape[dim] != kUnknownDim) {
    if (y.shape[dim] % 2 != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("x is ", ToString(y), "; dimension ", dim, " must be even to be halved"));
    }
    y.shape[dim] /= 2;
  }
  return Descs{y};
}

absl::StatusOr<ShardingRule> SwiGluRule(const NodeView& view) {
  const Shape& shape = view.input_shape(0);
  ASSIGN_OR_RETURN(int dim, NormalizeAxis(view.Attr<int64_t>("dim"), static_cast<int>(shape.size())));
  RuleBuilder rule(view);
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    if (d == dim) continue;
    const int factor = rule.Add(shape[d], FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, d, factor);
  }
  return rule.Finish();
}

}  // namespace

void AddActivationOps(OpRegistry& registry) {
  for (const ActivationOp& op : Table()) {
    registry.Add({.type = op.type,
                  .inputs = {Required(op.input)},
                  .outputs = {op.output},
                  .attrs = op.attrs,
                  .infer = op.type == std::string("GeluV2") ? InferGeluV2 : InferActivation,
                  .rule = ElementwiseRule(),
                  .cost = PerOutputElement(op.flops)});
  }
  registry.Add({.type = "PRelu",
                .inputs = {Required("x"), Required("weight")},
                .outputs = {"y"},
                .infer = InferPRelu,
                .rule = PReluRule,
                .cost = PerOutputElement(2)});
  registry.Add({.type = "SwiGlu",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("dim", int64_t{-1})},
                .infer = InferSwiGlu,
                .rule = SwiGluRule,
                .cost = PerOutputElement(19)});
}

}  // namespace omserve
