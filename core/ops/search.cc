// Searches along an axis: the k first in order, the position of an extreme.
#include <algorithm>
#include <string>
#include <vector>

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

// --- TopK: in order, ties by position

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
    const int factor = rule.Add(shape[d], FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor);
    if (d != dim) rule.Output(0, d, factor).Output(1, d, factor);
  }
  return rule.Finish();
}

// Along an axis that is cut: each part finds its own first k, all are gathered, and the first k of these are the
// answer. Candidates stand in the order of their parts, within a part in the order found, so ties still go by position.
absl::StatusOr<std::vector<ValueId>> EmitTopK(EmitContext& context) {
  ASSIGN_OR_RETURN(const int dim, TopKDim(context.view()));
  if (!CutAlong(context, {dim})) return EmitClone(context);
  const int factor = context.rule().inputs[0][dim][0];
  const Node& source = context.source();
  const int64_t k = source.output(0).shape[dim];
  const std::string prefix = absl::StrCat(source.name(), "/");
  auto first = [&](const char* what, ValueId x, int64_t count) -> absl::StatusOr<Node*> {
    const ValueId parameter = context.Constant(absl::StrCat(prefix, what, "_k"), Tensor::Int64s({count}));
    Node* node = context.slice().AddNode(source.type(), absl::StrCat(prefix, what), {x, parameter});
    for (const auto& [name, value] : source.attrs()) node->SetAttr(name, value);
    node->SetAttr("sorted", true);
    RETURN_IF_ERROR(InferNode(context.slice(), *node));
    return node;
  };
  ASSIGN_OR_RETURN(const Node* part,
                   first("part", context.local_inputs()[0], std::min(k, context.local_size(factor))));
  const ValueId part_values = part->out(0), part_indices = part->out(1);
  ASSIGN_OR_RETURN(const ValueId values, context.AllGather(factor, dim, prefix + "values_of_all", part_values));
  const ValueId begin = context.Constant(
      prefix + "begin", Tensor::Scalar<int32_t>(static_cast<int32_t>(context.local_begin(factor))));
  ASSIGN_OR_RETURN(ValueId indices, context.Add("Add", prefix + "indices", {part_indices, begin}));
  ASSIGN_OR_RETURN(indices, context.AllGather(factor, dim, prefix + "indices_of_all", indices));
  ASSIGN_OR_RETURN(const Node* best, first("best", values, k));
  const ValueId best_values = best->out(0), places = best->out(1);
  ASSIGN_OR_RETURN(indices, context.Add("GatherElements", prefix + "y", {indices, places}, {{"dim", int64_t{dim}}}));
  return std::vector<ValueId>{best_values, indices};
}

// --- ArgMax, ArgMin: the first extreme wins; the axis is removed

absl::StatusOr<Descs> InferArg(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, AxisParameter(view, 1));
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
  ASSIGN_OR_RETURN(int axis, AxisParameter(view, 1));
  return ReducedRule(view, {axis}, /*keep_dims=*/false, FactorKind::kParallel);
}

// Along an axis that is cut: each part's first extreme with its position, all gathered; the first extreme of these.
absl::StatusOr<std::vector<ValueId>> EmitArg(EmitContext& context) {
  ASSIGN_OR_RETURN(const int axis, AxisParameter(context.view(), 1));
  if (!CutAlong(context, {axis})) return EmitClone(context);
  const int factor = context.rule().inputs[0][axis][0];
  const Node& source = context.source();
  const std::string prefix = absl::StrCat(source.name(), "/");
  const ValueId x = context.local_inputs()[0];
  const AttrMap dim{{"dim", int64_t{axis}}};
  // The position of the extreme, with the axis kept as size 1.
  auto search = [&](const std::string& what, ValueId from) -> absl::StatusOr<ValueId> {
    const ValueId parameter = context.Constant(prefix + what + "_axis", Tensor::Int64s({axis}));
    ASSIGN_OR_RETURN(const ValueId found, context.Add(source.type(), prefix + what, {from, parameter},
                                                      {{"dtype", source.output(0).type}}));
    Shape kept = context.slice().desc(from).shape;
    kept[axis] = 1;
    return context.Add("Reshape", prefix + what + "_kept",
                       {found, context.Constant(prefix + what + "_shape", Tensor::Int64s(kept))},
                       {{"allowzero", int64_t{1}}});
  };
  ASSIGN_OR_RETURN(ValueId position, search("part", x));
  ASSIGN_OR_RETURN(ValueId extreme, context.Add("GatherElements", prefix + "extreme", {x, position}, dim));
  ASSIGN_OR_RETURN(extreme, context.AllGather(factor, axis, prefix + "extremes_of_all", extreme));
  const int64_t first = context.local_begin(factor);
  const ValueId begin =
      context.Constant(prefix + "begin", source.output(0).type == DataType::kInt32
                                             ? Tensor::Scalar<int32_t>(static_cast<int32_t>(first))
                                             : Tensor::Scalar<int64_t>(first));
  ASSIGN_OR_RETURN(position, context.Add("Add", prefix + "position", {position, begin}));
  ASSIGN_OR_RETURN(position, context.AllGather(factor, axis, prefix + "positions_of_all", position));
  ASSIGN_OR_RETURN(const ValueId best, search("best", extreme));
  ASSIGN_OR_RETURN(const ValueId kept, context.Add("GatherElements", prefix + "kept", {position, best}, dim));
  const ValueId shape = context.Constant(prefix + "shape", Tensor::Int64s(context.LocalOutputShape(0)));
  ASSIGN_OR_RETURN(const ValueId y, context.Add("Reshape", prefix + "y", {kept, shape}, {{"allowzero", int64_t{1}}}));
  return std::vector<ValueId>{y};
}

}  // namespace

void AddSearchOps(OpRegistry& registry) {
  for (const char* type : {"TopK", "TopKV2"}) {
    registry.Add({.type = type,
                  .inputs = {Required("x"), Parameter("k")},
                  .outputs = {"values", "indices"},
                  .attrs = {DefaultAttr("sorted", true), DefaultAttr("largest", true),
                            DefaultAttr("dim", int64_t{-1})},
                  .infer = InferTopK,
                  .rule = TopKRule,
                  .emit = EmitTopK,
                  .cost = PerInputElement(8)});
  }
  for (const char* type : {"ArgMaxV2", "ArgMin"}) {
    registry.Add({.type = type,
                  .inputs = {Required("x"), Parameter("dimension")},
                  .outputs = {"y"},
                  .attrs = {DefaultAttr("dtype", DataType::kInt64)},
                  .infer = InferArg,
                  .rule = ArgRule,
                  .emit = EmitArg,
                  .cost = PerInputElement(1)});
  }
}

}  // namespace omserve
