// Gathers and scatters: reading and writing at positions that are data.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

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

int RankOf(const NodeView& view, int input) { return static_cast<int>(view.input_shape(input).size()); }

// --- Gather: rows of x along an axis, at indices of any shape
// ----------------------------------------------------------- Gather: x, indices (axis 0). GatherV2: x,
// indices, axis. GatherV2D: the axis as an attribute.

absl::StatusOr<int> GatherAxis(const NodeView& view) {
  int64_t axis = 0;
  if (view.node().is("GatherV2")) {
    ASSIGN_OR_RETURN(axis, ConstantInt(view, 2));
  } else if (view.node().is("GatherV2D")) {
    axis = view.Attr<int64_t>("axis");
  }
  ASSIGN_OR_RETURN_WITH(int normal, NormalizeAxis(axis, RankOf(view, 0)), "axis");
  return normal;
}

// The rows that indices count. A table can have more (padding, which no index names) or be the part of them that
// begins at attribute 'first_row': rows that it does not have are zeros.
int64_t AllRows(const NodeView& view, int axis) {
  const int64_t rows = view.Attr<int64_t>("all_rows");
  return rows > 0 ? rows : view.input_shape(0)[axis];
}

absl::StatusOr<Descs> InferGather(const NodeView& view) {
  RETURN_IF_ERROR(CheckIndexType(view, 1));
  const int64_t all_rows = view.Attr<int64_t>("all_rows"), first_row = view.Attr<int64_t>("first_row");
  constexpr int64_t kMostRows = int64_t{1} << 62;
  if (all_rows < 0 || all_rows > kMostRows || first_row < 0 || (first_row > 0 && first_row >= all_rows)) {
    return absl::InvalidArgumentError(absl::StrCat("attribute 'first_row' is ", first_row, " and 'all_rows' ", all_rows,
                                                   "; they must be a row and the number of rows"));
  }
  if (view.Attr<int64_t>("batch_dims") != 0) {
    return absl::UnimplementedError(absl::StrCat("attribute 'batch_dims' is ",
                                                 view.Attr<int64_t>("batch_dims"), "; only 0 is supported"));
  }
  ASSIGN_OR_RETURN(int axis, GatherAxis(view));
  const Shape& x = view.input_shape(0);
  const Shape& indices = view.input_shape(1);
  Shape shape(x.begin(), x.begin() + axis);
  shape.insert(shape.end(), indices.begin(), indices.end());
  shape.insert(shape.end(), x.begin() + axis + 1, x.end());
  return Descs{{view.input(0).type, shape}};
}

// Cutting the axis that is read leaves each device with some of the rows: it gives zeros for those it does
// not have, and the parts sum to the whole (EmitGather). For floats only: sums of other types are not exact
// everywhere.
absl::StatusOr<ShardingRule> GatherRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, GatherAxis(view));
  const Shape& x = view.input_shape(0);
  const Shape& indices = view.input_shape(1);
  RuleBuilder rule(view);
  int out = 0;
  for (int d = 0; d < static_cast<int>(x.size()); ++d) {
    if (d == axis) {
      for (int i = 0; i < static_cast<int>(indices.size()); ++i) {
        const int factor = rule.Add(indices[i], FactorKind::kParallel, absl::StrCat("index", i));
        rule.Input(1, i, factor).Output(0, out++, factor);
      }
      const FactorKind kind = IsFloatType(view.input(0).type) ? FactorKind::kSum : FactorKind::kWhole;
      rule.Input(0, d, rule.Add(x[d], kind, "vocab"));
      continue;
    }
    const int factor = rule.Add(x[d], FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, out++, factor);
  }
  AddLinear(view, {{{0}}}, rule);
  return rule.Finish();
}

// The gather on a table that is cut along the axis it is read on. Every device checks the indices against all rows and
// gives zeros for the rows it does not have; exactly one has each row, so the sum over devices is bit-exact.
absl::StatusOr<std::vector<ValueId>> EmitGather(EmitContext& context) {
  const NodeView view = context.view();
  ASSIGN_OR_RETURN(int axis, GatherAxis(view));
  const DimFactors& row_factors = context.rule().inputs[0][axis];
  const int vocab = row_factors.empty() ? -1 : row_factors[0];
  if (vocab < 0 || context.factor_parts(vocab) == 1) return EmitClone(context);
  const std::vector<ValueId> inputs(context.local_inputs().begin(), context.local_inputs().end());
  return EmitCopy(context, inputs,
                  {{"all_rows", AllRows(view, axis)},
                   {"first_row", view.Attr<int64_t>("first_row") + context.local_begin(vocab)}});
}

// --- GatherElements: y[i][j] = x[index[i][j]][j] along `dim`. GatherD: the same, with dim a parameter
// -----------------------

int IndexInput(const NodeView& view) { return view.node().is("GatherD") ? 2 : 1; }

absl::StatusOr<int> ElementsAxis(const NodeView& view) {
  int64_t dim = 0;
  if (view.node().is("GatherD")) {
    ASSIGN_OR_RETURN(dim, ConstantInt(view, 1));
  } else {
    dim = view.Attr<int64_t>(view.node().is("ScatterElements") ? "axis" : "dim");
  }
  ASSIGN_OR_RETURN_WITH(int axis, NormalizeAxis(dim, RankOf(view, 0)), "dim");
  return axis;
}

absl::StatusOr<Descs> InferGatherElements(const NodeView& view) {
  const int index = IndexInput(view);
  RETURN_IF_ERROR(CheckIndexType(view, index));
  RETURN_IF_ERROR(CheckRank(view, index, RankOf(view, 0)));
  RETURN_IF_ERROR(ElementsAxis(view).status());
  return Descs{{view.input(0).type, view.input_shape(index)}};
}

absl::StatusOr<ShardingRule> GatherElementsRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, ElementsAxis(view));
  const int index = IndexInput(view);
  RuleBuilder rule(view);
  for (int d = 0; d < RankOf(view, 0); ++d) {
    const int64_t size = view.input_shape(index)[d];
    if (d == axis) {
      // Each index is looked up alone, so these can be cut where x is whole.
      const int factor = rule.Add(size, FactorKind::kParallel, "index");
      rule.Input(index, d, factor).Output(0, d, factor);
    } else if (view.input_shape(0)[d] == size) {
      const int factor = rule.Add(size, FactorKind::kParallel, absl::StrCat("dim", d));
      rule.Input(0, d, factor).Input(index, d, factor).Output(0, d, factor);
    }
  }
  AddLinear(view, {{{0}}}, rule);
  return rule.Finish();
}

// --- GatherNd: the last dimension of the indices is a position in the first K dimensions of x
// ---------------------------------

absl::StatusOr<int> PositionDepth(const NodeView& view) {
  RETURN_IF_ERROR(CheckIndexType(view, 1));
  RETURN_IF_ERROR(CheckMinRank(view, 1, 1));
  const int64_t depth = view.input_shape(1).back();
  if (depth == kUnknownDim) {
    return absl::FailedPreconditionError(
        "the last dimension of indices, the length of a position, is not known");
  }
  if (depth > RankOf(view, 0)) {
    return absl::InvalidArgumentError(absl::StrCat("indices is ", ToString(view.input(1)), ": positions of ",
                                                   depth, " numbers in ", ToString(view.input(0))));
  }
  return static_cast<int>(depth);
}

absl::StatusOr<Descs> InferGatherNd(const NodeView& view) {
  ASSIGN_OR_RETURN(int depth, PositionDepth(view));
  const Shape& x = view.input_shape(0);
  const Shape& indices = view.input_shape(1);
  Shape shape(indices.begin(), indices.end() - 1);
  shape.insert(shape.end(), x.begin() + depth, x.end());
  return Descs{{view.input(0).type, shape}};
}

absl::StatusOr<ShardingRule> GatherNdRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int depth, PositionDepth(view));
  const int positions = RankOf(view, 1) - 1;
  RuleBuilder rule(view);
  for (int d = 0; d < positions; ++d) {
    const int factor = rule.Add(view.input_shape(1)[d], FactorKind::kParallel, absl::StrCat("index", d));
    rule.Input(1, d, factor).Output(0, d, factor);
  }
  for (int d = depth; d < RankOf(view, 0); ++d) {
    const int factor = rule.Add(view.input_shape(0)[d], FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, positions + d - depth, factor);
  }
  AddLinear(view, {{{0}}}, rule);
  return rule.Finish();
}

// --- Scatters: a copy of the data with some elements replaced
// ---------------------------------------------------------------

absl::StatusOr<Descs> InferScatterElements(const NodeView& view) {
  RETURN_IF_ERROR(CheckIndexType(view, 1));
  RETURN_IF_ERROR(CheckSameType(view, 0, 2));
  RETURN_IF_ERROR(CheckRank(view, 1, RankOf(view, 0)));
  RETURN_IF_ERROR(CheckSameShape(view, 1, 2));
  RETURN_IF_ERROR(ElementsAxis(view).status());
  const std::string reduction = view.Attr<std::string>("reduction");
  if (reduction != "none" && reduction != "add" && reduction != "mul" && reduction != "max" &&
      reduction != "min") {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'reduction' is '", reduction, "'; it must be none, add, mul, max or min"));
  }
  return Descs{view.input(0)};
}

absl::StatusOr<ShardingRule> ScatterElementsRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, ElementsAxis(view));
  RuleBuilder rule(view);
  for (int d = 0; d < RankOf(view, 0); ++d) {
    const int64_t size = view.input_shape(0)[d];
    if (d == axis || view.input_shape(1)[d] != size) continue;
    const int factor = rule.Add(size, FactorKind::kParallel, absl::StrCat("dim", d));
    for (int i = 0; i < 3; ++i) rule.Input(i, d, factor);
    rule.Output(0, d, factor);
  }
  return rule.Finish();
}

absl::StatusOr<Descs> InferScatterUpdate(const NodeView& view) {
  RETURN_IF_ERROR(CheckSameType(view, 0, 2));
  ASSIGN_OR_RETURN(int depth, PositionDepth(view));
  const Shape& x = view.input_shape(0);
  const Shape& indices = view.input_shape(1);
  Shape wanted(indices.begin(), indices.end() - 1);
  wanted.insert(wanted.end(), x.begin() + depth, x.end());
  const Shape& updates = view.input_shape(2);
  if (!std::equal(updates.begin(), updates.end(), wanted.begin(), wanted.end(), DimsAgree)) {
    return absl::InvalidArgumentError(absl::StrCat("updates is ", ToString(view.input(2)),
                                                   "; for these indices it must be ", ToString(wanted)));
  }
  return Descs{view.input(0)};
}

absl::StatusOr<ShardingRule> ScatterUpdateRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int depth, PositionDepth(view));
  const int positions = RankOf(view, 1) - 1;
  RuleBuilder rule(view);
  for (int d = depth; d < RankOf(view, 0); ++d) {
    const int factor = rule.Add(view.input_shape(0)[d], FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor).Input(2, positions + d - depth, factor).Output(0, d, factor);
  }
  return rule.Finish();
}

// --- NonZero: how many there are is data
// ------------------------------------------------------------------------------------

absl::StatusOr<Descs> InferNonZero(const NodeView& view) {
  const int64_t rank = RankOf(view, 0);
  const bool transpose = view.Attr<bool>("transpose");
  return Descs{
      {view.Attr<DataType>("dtype"), transpose ? Shape{rank, kUnknownDim} : Shape{kUnknownDim, rank}}};
}

OpDef GatherDef(std::string type, std::vector<InputDef> inputs, std::vector<AttrDef> attrs) {
  attrs.push_back(DefaultAttr("all_rows", int64_t{0}));
  attrs.push_back(DefaultAttr("batch_dims", int64_t{0}));
  attrs.push_back(DefaultAttr("first_row", int64_t{0}));
  attrs.push_back(DefaultAttr("is_preprocessed", false));
  attrs.push_back(DefaultAttr("negative_index_support", false));
  return {.type = std::move(type),
          .inputs = std::move(inputs),
          .outputs = {"y"},
          .attrs = std::move(attrs),
          .infer = InferGather,
          .rule = GatherRule,
          .emit = EmitGather,
          .cost = MoveCost()};
}

}  // namespace

void AddGatherOps(OpRegistry& registry) {
  registry.Add(
      GatherDef("Gather", {Required("x"), Required("indices")}, {DefaultAttr("validate_indices", true)}));
  registry.Add(GatherDef("GatherV2", {Required("x"), Required("indices"), Parameter("axis")}, {}));
  registry.Add(GatherDef("GatherV2D", {Required("x"), Required("indices")}, {RequiredAttr<int64_t>("axis")}));
  registry.Add({.type = "GatherElements",
                .inputs = {Required("x"), Required("index")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("dim", int64_t{0})},
                .infer = InferGatherElements,
                .rule = GatherElementsRule,
                .cost = MoveCost()});
  registry.Add({.type = "GatherD",
                .inputs = {Required("x"), Parameter("dim"), Required("index")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("dim", int64_t{0})},
                .infer = InferGatherElements,
                .rule = GatherElementsRule,
                .cost = MoveCost()});
  registry.Add({.type = "GatherNd",
                .inputs = {Required("x"), Required("indices")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("negative_index_support", false)},
                .infer = InferGatherNd,
                .rule = GatherNdRule,
                .cost = MoveCost()});
  registry.Add({.type = "ScatterElements",
                .inputs = {Required("data"), Required("indices"), Required("updates")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("axis", int64_t{0}), DefaultAttr("reduction", std::string("none"))},
                .infer = InferScatterElements,
                .rule = ScatterElementsRule,
                .cost = PerOutputElement(0)});
  registry.Add({.type = "TensorScatterUpdate",
                .inputs = {Required("x"), Required("indices"), Required("updates")},
                .outputs = {"y"},
                .infer = InferScatterUpdate,
                .rule = ScatterUpdateRule,
                .cost = PerOutputElement(0)});
  registry.Add({.type = "NonZero",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("transpose", false), DefaultAttr("dtype", DataType::kInt64)},
                .infer = InferNonZero,
                .cost = PerInputElement(1)});
}

}  // namespace omserve
