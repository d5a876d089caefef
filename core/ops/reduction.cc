// Reductions along axes and cumulative sums.
#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/emit.h"
#include "core/ops/exchange_emit.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/rule_util.h"
#include "core/ops/schema.h"

namespace omserve {
namespace {

int Rank(const NodeView& view) { return static_cast<int>(view.input_shape(0).size()); }

// What happens when a reduced axis is cut.
enum class Cut {
  kSum,         // partial results add up, and the operator is linear
  kSumSquares,  // partial results add up
  kMean,        // as kSum once each part is divided by the number of parts
  kExchange,    // partial results are reduced again over the parts, at once
  kLogSum,      // as steps with all-reduces between them (exchange_emit.h)
  kLogSumExp,
};

struct ReduceOp {
  const char* type;
  Cut cut;
  double flops = 1;
  bool floats = false;  // only for floating-point types
  const char* exchange = "";  // the reduction over parts
};

constexpr ReduceOp kReduceOps[] = {
    {"ReduceSum", Cut::kSum},
    {"ReduceMean", Cut::kMean},
    {"ReduceMax", Cut::kExchange, 1, false, "max"},
    {"ReduceMin", Cut::kExchange, 1, false, "min"},
    {"ReduceProd", Cut::kExchange, 1, false, "prod"},
    {"ReduceLogSum", Cut::kLogSum, 2, true},
    {"ReduceLogSumExp", Cut::kLogSumExp, 18, true},
};

// The axes: parameter 1, or the attribute "axes" of the ...D operators, or "axis" of SquareSumV1.
absl::StatusOr<std::vector<int>> ReducedAxes(const NodeView& view) {
  std::vector<int64_t> axes;
  if (view.num_inputs() > 1) {
    ASSIGN_OR_RETURN(axes, view.ConstantInts(1));
  } else {
    axes = view.Attr<std::vector<int64_t>>(view.node().is("SquareSumV1") ? "axis" : "axes");
  }
  if (axes.empty() && !view.Attr<bool>("noop_with_empty_axes")) {
    axes.resize(Rank(view));
    std::iota(axes.begin(), axes.end(), 0);
  }
  return NormalizeAxes(axes, Rank(view));
}

InferFunction InferReduce(bool floats) {
  return [floats](const NodeView& view) -> absl::StatusOr<Descs> {
    const DataType type = view.input(0).type;
    if (floats ? !IsFloatType(type) : !IsNumericType(type)) {
      return absl::InvalidArgumentError(absl::StrCat("x is ", ToString(view.input(0)), "; it must be ",
                                                     floats ? "of a floating-point type" : "a number"));
    }
    ASSIGN_OR_RETURN(std::vector<int> axes, ReducedAxes(view));
    return Descs{{type, ReducedShape(view.input_shape(0), axes, view.Attr<bool>("keep_dims"))}};
  };
}

RuleFunction ReduceRule(Cut cut) {
  return [cut](const NodeView& view) -> absl::StatusOr<ShardingRule> {
    ASSIGN_OR_RETURN(std::vector<int> axes, ReducedAxes(view));
    FactorKind reduced = FactorKind::kSum;
    Linearity linearity;
    if (cut == Cut::kSum) linearity = {{{0}}};
    if (cut == Cut::kExchange) reduced = FactorKind::kParallel;
    if (cut == Cut::kLogSum || cut == Cut::kLogSumExp) {
      reduced = ExchangesIn(view.input(0).type) ? FactorKind::kParallel : FactorKind::kWhole;
    }
    if (cut == Cut::kMean) {
      linearity = {{{0}}, /*float_only=*/true};
      // EmitMean scales by a float32 attribute, which is exact enough up to float32; integer means round.
      const DataType type = view.input(0).type;
      if (!IsFloatType(type) || type == DataType::kDouble) reduced = FactorKind::kWhole;
    }
    return ReducedRule(view, axes, view.Attr<bool>("keep_dims"), reduced, linearity);
  };
}

// A maximum, minimum or product over axes that are cut.
EmitFunction EmitExchanged(const std::string& reduction) {
  return [reduction](EmitContext& context) -> absl::StatusOr<std::vector<ValueId>> {
    ASSIGN_OR_RETURN(std::vector<ValueId> outputs, EmitClone(context));
    ASSIGN_OR_RETURN(const std::vector<int> axes, ReducedAxes(context.view()));
    for (int axis : axes) {
      for (int factor : context.rule().inputs[0][axis]) {
        ASSIGN_OR_RETURN(outputs[0], context.AllReduce(factor, reduction,
                                                       absl::StrCat(context.source().name(), "/", reduction, "_", axis),
                                                       outputs[0]));
      }
    }
    return outputs;
  };
}

EmitFunction EmitInSteps(CutReduction reduction) {
  return [reduction](EmitContext& context) -> absl::StatusOr<std::vector<ValueId>> {
    ASSIGN_OR_RETURN(const std::vector<int> axes, ReducedAxes(context.view()));
    if (!CutAlong(context, axes)) return EmitClone(context);
    return EmitCutReduction(context, axes, reduction);
  };
}

// --- Cumsum
// ---------------------------------------------------------------------------------------------------------

absl::StatusOr<Descs> InferCumsum(const NodeView& view) {
  if (!IsNumericType(view.input(0).type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("x is ", ToString(view.input(0)), "; it must be a number"));
  }
  // The shape does not depend on the axis, but a wrong one is an error as soon as it is known.
  if (view.constant(1) != nullptr) RETURN_IF_ERROR(AxisParameter(view, 1).status());
  return Descs{view.input(0)};
}

absl::StatusOr<ShardingRule> CumsumRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, AxisParameter(view, 1));
  return AxesWhole(view, {axis}, {{{0}}});
}

}  // namespace

void AddReductionOps(OpRegistry& registry) {
  for (const ReduceOp& op : kReduceOps) {
    EmitFunction emit;
    if (op.cut == Cut::kMean) emit = EmitMean;
    if (op.cut == Cut::kExchange) emit = EmitExchanged(op.exchange);
    if (op.cut == Cut::kLogSum) emit = EmitInSteps(CutReduction::kLogSum);
    if (op.cut == Cut::kLogSumExp) emit = EmitInSteps(CutReduction::kLogSumExp);
    registry.Add({.type = op.type,
                  .inputs = {Required("x"), Parameter("axes")},
                  .outputs = {"y"},
                  .attrs = {DefaultAttr("keep_dims", false), DefaultAttr("noop_with_empty_axes", true)},
                  .infer = InferReduce(op.floats),
                  .rule = ReduceRule(op.cut),
                  .emit = emit,
                  .cost = PerInputElement(op.flops)});
    registry.Add({.type = absl::StrCat(op.type, "D"),
                  .inputs = {Required("x")},
                  .outputs = {"y"},
                  .attrs = {RequiredAttr<std::vector<int64_t>>("axes"), DefaultAttr("keep_dims", false),
                            DefaultAttr("noop_with_empty_axes", false)},
                  .infer = InferReduce(op.floats),
                  .rule = ReduceRule(op.cut),
                  .emit = emit,
                  .cost = PerInputElement(op.flops)});
  }
  registry.Add({.type = "SquareSumV1",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .attrs = {RequiredAttr<std::vector<int64_t>>("axis"), DefaultAttr("keep_dims", false)},
                .infer = InferReduce(/*floats=*/false),
                .rule = ReduceRule(Cut::kSumSquares),
                .cost = PerInputElement(2)});
  registry.Add({.type = "Cumsum",
                .inputs = {Required("x"), Parameter("axis")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("exclusive", false), DefaultAttr("reverse", false)},
                .infer = InferCumsum,
                .rule = CumsumRule});
}

}  // namespace omserve
