// Reductions along axes, cumulative sums, and searches (TopK, ArgMax).
#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/emit.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/rule_util.h"
#include "core/ops/schema.h"

namespace omserve {
namespace {

int Rank(const NodeView& view) { return static_cast<int>(view.input_shape(0).size()); }

// What happens when a reduced axis is cut.
enum class Cut {
  kNever,
  kSum,         // partial results add up, and the operator is linear
  kSumSquares,  // partial results add up
  kMean,        // as kSum once each part is divided by the number of parts
  kExchange,    // partial results are reduced again over the parts, at once
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
    {"ReduceLogSum", Cut::kNever, 2, true},
    {"ReduceLogSumExp", Cut::kNever, 18, true},
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
    FactorKind reduced = cut == Cut::kNever ? FactorKind::kWhole : FactorKind::kSum;
    Linearity linearity;
    if (cut == Cut::kSum) linearity = {{{0}}};
    if (cut == Cut::kExchange) reduced = FactorKind::kParallel;
    if (cut == Cut::kMean) {
      linearity = {{{0}}, /*float_only=*/true};
      // EmitMean scales by a float32 attribute, which is exact enough up to float32; integer means round.
      const DataType type = view.input(0).type;
      if (!IsFloatType(type) || type == DataType::kDouble) reduced = FactorKind::kWhole;
    }
    return ReducedRule(view, axes, view.Attr<bool>("keep_dims"), reduced, linearity);
  };
}

// A mean over an axis that is cut: the mean of the local part, divided by the number of parts, so that the
// parts sum to the mean of the whole.
absl::StatusOr<std::vector<ValueId>> EmitMean(EmitContext& context) {
  int64_t parts = 1;
  for (size_t f = 0; f < context.rule().factors.size(); ++f) {
    if (context.rule().factors[f].kind == FactorKind::kSum)
      parts *= context.factor_parts(static_cast<int>(f));
  }
  ASSIGN_OR_RETURN(std::vector<ValueId> means, EmitClone(context));
  if (parts == 1) return means;
  ASSIGN_OR_RETURN(means[0], context.Add("Muls", absl::StrCat(context.source().name(), "/share"), {means[0]},
                                         {{"value", 1.0f / static_cast<float>(parts)}}));
  return means;
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

// --- Cumsum
// ---------------------------------------------------------------------------------------------------------

absl::StatusOr<int> AxisParameter(const NodeView& view) {
  ASSIGN_OR_RETURN(int64_t axis, ConstantInt(view, 1));
  ASSIGN_OR_RETURN_WITH(int normal, NormalizeAxis(axis, Rank(view)), InputName(view, 1));
  return normal;
}

absl::StatusOr<Descs> InferCumsum(const NodeView& view) {
  if (!IsNumericType(view.input(0).type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("x is ", ToString(view.input(0)), "; it must be a number"));
  }
  // The shape does not depend on the axis, but a wrong one is an error as soon as it is known.
  if (view.constant(1) != nullptr) RETURN_IF_ERROR(AxisParameter(view).status());
  return Descs{view.input(0)};
}

absl::StatusOr<ShardingRule> CumsumRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, AxisParameter(view));
  return AxesWhole(view, {axis}, {{{0}}});
}

// --- TopK
// -----------------------------------------------------------------------------------------------------------

absl::StatusOr<int> TopKDim(const NodeView& view) {
  ASSIGN_OR_RETURN_WITH(int dim, NormalizeAxis(view.Attr<int64_t>("dim"), Rank(view)), "dim");
  return dim;
}

absl::StatusOr<Descs> InferTopK(const NodeView& view) {
  ASSIGN_OR_RETURN(int dim, TopKDim(view));
  ASSIGN_OR_RETURN(int64_t k, ConstantInt(view, 1));
  TensorDesc values = view.input(0);
  if (k < 0 || (values.shape[dim] != kUnknownDim && k > values.shape[dim])) {
    return absl::InvalidArgumentError(
        absl::StrCat("k is ", k, "; dimension ", dim, " of x has ", values.shape[dim], " elements"));
  }
  values.shape[dim] = k;
  return Descs{values, {DataType::kInt32, values.shape}};
}

absl::StatusOr<ShardingRule> TopKRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int dim, TopKDim(view));
  RuleBuilder rule(view);
  const Shape& shape = view.input_shape(0);
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    if (d == dim) continue;
    const int factor = rule.Add(shape[d], FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, d, factor).Output(1, d, factor);
  }
  return rule.Finish();
}

// --- ArgMax, ArgMin: the first extreme wins; the axis is removed
// --------------------------------------------------------

absl::StatusOr<Descs> InferArg(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, AxisParameter(view));
  const DataType type = view.Attr<DataType>("dtype");
  if (type != DataType::kInt32 && type != DataType::kInt64) {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'dtype' is ", AttrToString(type), "; it must be int32 or int64"));
  }
  if (view.input_shape(0)[axis] == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("x is ", ToString(view.input(0)), "; dimension ", axis, " is empty and has no extreme"));
  }
  return Descs{{type, ReducedShape(view.input_shape(0), {axis}, /*keep_dims=*/false)}};
}

absl::StatusOr<ShardingRule> ArgRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, AxisParameter(view));
  return ReducedRule(view, {axis}, /*keep_dims=*/false, FactorKind::kWhole);
}

}  // namespace

void AddReductionOps(OpRegistry& registry) {
  for (const ReduceOp& op : kReduceOps) {
    EmitFunction emit;
    if (op.cut == Cut::kMean) emit = EmitMean;
    if (op.cut == Cut::kExchange) emit = EmitExchanged(op.exchange);
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
  for (const char* type : {"TopK", "TopKV2"}) {
    registry.Add({.type = type,
                  .inputs = {Required("x"), Parameter("k")},
                  .outputs = {"values", "indices"},
                  .attrs = {DefaultAttr("sorted", true), DefaultAttr("largest", true),
                            DefaultAttr("dim", int64_t{-1})},
                  .infer = InferTopK,
                  .rule = TopKRule,
                  .cost = PerInputElement(8)});
  }
  for (const char* type : {"ArgMaxV2", "ArgMin"}) {
    registry.Add({.type = type,
                  .inputs = {Required("x"), Parameter("dimension")},
                  .outputs = {"y"},
                  .attrs = {DefaultAttr("dtype", DataType::kInt64)},
                  .infer = InferArg,
                  .rule = ArgRule,
                  .cost = PerInputElement(1)});
  }
}

}  // namespace omserve
