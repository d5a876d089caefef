// Layout and repetition: transposes, broadcasts, tiles, blocks of space; and the shape of a tensor as a
// value.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

// A list of numbers that is parameter 1 of an operator and an attribute of its ...D form.
absl::StatusOr<std::vector<int64_t>> ParameterOrAttr(const NodeView& view, const std::string& attr) {
  if (view.num_inputs() > 1) return view.ConstantInts(1);
  return view.Attr<std::vector<int64_t>>(attr);
}

// --- The shape as a value: known as soon as the shape is, hence without a rule
// ------------------------------------------

absl::StatusOr<Descs> InferShapeValue(const NodeView& view) {
  DataType type = DataType::kInt32;
  if (!view.node().is("Rank")) {
    ASSIGN_OR_RETURN(type, TypeAttr(view, "dtype"));
    if (type != DataType::kInt32 && type != DataType::kInt64) {
      return absl::InvalidArgumentError(
          absl::StrCat("attribute 'dtype' is ", AttrToString(type), "; it must be int32 or int64"));
    }
  }
  return Descs{{type, view.node().is("Shape") ? Shape{Rank(view)} : Shape{}}};
}

// --- Transpose
// ------------------------------------------------------------------------------------------------------

absl::StatusOr<std::vector<int>> Permutation(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int64_t> perm, ParameterOrAttr(view, "perm"));
  std::vector<bool> seen(perm.size(), false);
  bool valid = static_cast<int>(perm.size()) == Rank(view);
  std::vector<int> result;
  for (size_t i = 0; valid && i < perm.size(); ++i) {
    const int64_t from = perm[i] < 0 ? perm[i] + Rank(view) : perm[i];
    valid = from >= 0 && from < Rank(view) && !seen[from];
    if (!valid) break;
    seen[from] = true;
    result.push_back(static_cast<int>(from));
  }
  if (!valid) {
    return absl::InvalidArgumentError(absl::StrCat("perm is (", absl::StrJoin(perm, ","),
                                                   "); it must be a permutation of the ", Rank(view),
                                                   " dimensions of x"));
  }
  return result;
}

absl::StatusOr<Descs> InferTranspose(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int> perm, Permutation(view));
  TensorDesc y = view.input(0);
  for (int d = 0; d < Rank(view); ++d) y.shape[d] = view.input_shape(0)[perm[d]];
  return Descs{y};
}

absl::StatusOr<ShardingRule> TransposeRule(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int> perm, Permutation(view));
  RuleBuilder rule(view);
  for (int d = 0; d < Rank(view); ++d) {
    const int factor = rule.Add(view.output().shape[d], FactorKind::kParallel, absl::StrCat("dim", perm[d]));
    rule.Input(0, perm[d], factor).Output(0, d, factor);
  }
  AddLinear(view, {{{0}}}, rule);
  return rule.Finish();
}

// --- Expand, BroadcastTo
// --------------------------------------------------------------------------------------------

absl::StatusOr<Descs> InferBroadcast(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int64_t> target, view.ConstantInts(1));
  if (!IsStatic(target)) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape is (", absl::StrJoin(target, ","), "); it must not be negative"));
  }
  ASSIGN_OR_RETURN(Shape shape, BroadcastShapes(view.input_shape(0), target));
  // Expand may keep dimensions of x that are larger than asked for; BroadcastTo makes exactly the shape.
  if (view.node().is("BroadcastTo")) RETURN_IF_ERROR(CheckBroadcastsTo(view, 0, target));
  return Descs{{view.input(0).type, shape}};
}

absl::StatusOr<ShardingRule> BroadcastRule(const NodeView& view) {
  const Shape& y = view.output().shape;
  const int added = static_cast<int>(y.size()) - Rank(view);
  RuleBuilder rule(view);
  for (int d = 0; d < static_cast<int>(y.size()); ++d) {
    // Each device makes its own part of the copies, so a dimension that x does not have can be cut in y.
    const int factor = rule.Add(y[d], FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Output(0, d, factor);
    if (d >= added) rule.BroadcastInput(0, d - added, factor);
  }
  AddLinear(view, {{{0}}}, rule);
  return rule.Finish();
}

// --- Tile
// -----------------------------------------------------------------------------------------------------------

absl::StatusOr<std::vector<int64_t>> Multiples(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int64_t> multiples, ParameterOrAttr(view, "multiples"));
  if (static_cast<int>(multiples.size()) != Rank(view) || !IsStatic(multiples)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "multiples is (", absl::StrJoin(multiples, ","),
        "); it must have a number >= 0 for each dimension of x, which is ", ToString(view.input(0))));
  }
  return multiples;
}

absl::StatusOr<Descs> InferTile(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int64_t> multiples, Multiples(view));
  TensorDesc y = view.input(0);
  for (int d = 0; d < Rank(view); ++d) {
    ASSIGN_OR_RETURN(y.shape[d], MultiplyDims(y.shape[d], multiples[d]));
  }
  return Descs{y};
}

absl::StatusOr<ShardingRule> TileRule(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int64_t> multiples, Multiples(view));
  RuleBuilder rule(view);
  for (int d = 0; d < Rank(view); ++d) {
    if (multiples[d] != 1) continue;
    const int factor = rule.Add(view.input_shape(0)[d], FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, d, factor);
  }
  AddLinear(view, {{{0}}}, rule);
  return rule.Finish();
}

// --- DepthToSpace, SpaceToDepth
// -------------------------------------------------------------------------------------

struct ImageAxes {
  int channels, height, width;
};

absl::StatusOr<ImageAxes> AxesOfImage(const NodeView& view) {
  RETURN_IF_ERROR(CheckRank(view, 0, 4));
  const std::string format = view.Attr<std::string>("data_format");
  if (format == "NCHW") return ImageAxes{1, 2, 3};
  if (format == "NHWC") return ImageAxes{3, 1, 2};
  return absl::InvalidArgumentError(
      absl::StrCat("attribute 'data_format' is '", format, "'; it must be NCHW or NHWC"));
}

absl::StatusOr<int64_t> DivideDim(int64_t dim, int64_t divisor, absl::string_view what) {
  if (dim == kUnknownDim) return kUnknownDim;
  if (dim % divisor == 0) return dim / divisor;
  return absl::InvalidArgumentError(absl::StrCat(what, " ", dim, " is not divisible by ", divisor));
}

absl::StatusOr<Descs> InferBlocks(const NodeView& view) {
  ASSIGN_OR_RETURN(ImageAxes axes, AxesOfImage(view));
  const int64_t block = view.Attr<int64_t>("block_size");
  if (block < 1 || block > (int64_t{1} << 20)) {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'block_size' is ", block, "; it must be at least 1"));
  }
  TensorDesc y = view.input(0);
  Shape& shape = y.shape;
  if (view.node().is("DepthToSpace")) {
    const std::string mode = view.Attr<std::string>("mode");
    if (mode != "DCR" && mode != "CRD") {
      return absl::InvalidArgumentError(
          absl::StrCat("attribute 'mode' is '", mode, "'; it must be DCR or CRD"));
    }
    ASSIGN_OR_RETURN(shape[axes.channels],
                     DivideDim(shape[axes.channels], block * block, "the number of channels"));
    ASSIGN_OR_RETURN(shape[axes.height], MultiplyDims(shape[axes.height], block));
    ASSIGN_OR_RETURN(shape[axes.width], MultiplyDims(shape[axes.width], block));
  } else {
    ASSIGN_OR_RETURN(shape[axes.channels], MultiplyDims(shape[axes.channels], block * block));
    ASSIGN_OR_RETURN(shape[axes.height], DivideDim(shape[axes.height], block, "the height"));
    ASSIGN_OR_RETURN(shape[axes.width], DivideDim(shape[axes.width], block, "the width"));
  }
  return Descs{y};
}

absl::StatusOr<ShardingRule> BlocksRule(const NodeView& view) {
  RuleBuilder rule(view);
  const int batch = rule.Add(view.input_shape(0)[0], FactorKind::kParallel, "batch");
  rule.Input(0, 0, batch).Output(0, 0, batch);
  AddLinear(view, {{{0}}}, rule);
  return rule.Finish();
}

}  // namespace

void AddShapeOps(OpRegistry& registry) {
  for (const char* type : {"Shape", "Size"}) {
    registry.Add({.type = type,
                  .inputs = {Required("x")},
                  .outputs = {"y"},
                  .attrs = {DefaultAttr("dtype", int64_t{ToAclNumber(DataType::kInt32)})},
                  .infer = InferShapeValue,
                  .cost = NoCost()});
  }
  registry.Add({.type = "Rank",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .infer = InferShapeValue,
                .cost = NoCost()});
  for (const char* type : {"Identity", "TensorMove", "Dropout"}) {
    OpDef def{.type = type,
              .inputs = {Required("x")},
              .outputs = {"y"},
              .infer = LikeInput(0),
              .rule = ElementwiseRule({{{0}}}),
              .cost = type == std::string("TensorMove") ? MoveCost() : NoCost()};
    // At inference a dropout does nothing.
    if (def.type == "Dropout") {
      def.attrs = {DefaultAttr("dropout_ratio", 0.5f), DefaultAttr("scale_train", true),
                   DefaultAttr("alpha", 1.0f), DefaultAttr("beta", 0.0f)};
    }
    registry.Add(std::move(def));
  }
  registry.Add({.type = "Transpose",
                .inputs = {Required("x"), Parameter("perm")},
                .outputs = {"y"},
                .infer = InferTranspose,
                .rule = TransposeRule,
                .cost = MoveCost()});
  registry.Add({.type = "TransposeD",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .attrs = {RequiredAttr<std::vector<int64_t>>("perm")},
                .infer = InferTranspose,
                .rule = TransposeRule,
                .cost = MoveCost()});
  for (const char* type : {"Expand", "BroadcastTo"}) {
    registry.Add({.type = type,
                  .inputs = {Required("x"), Parameter("shape")},
                  .outputs = {"y"},
                  .infer = InferBroadcast,
                  .rule = BroadcastRule,
                  .emit = [](EmitContext& context) { return EmitWithLocalShape(context, 1); },
                  .cost = PerOutputElement(0)});
  }
  registry.Add({.type = "Tile",
                .inputs = {Required("x"), Parameter("multiples")},
                .outputs = {"y"},
                .infer = InferTile,
                .rule = TileRule,
                .cost = PerOutputElement(0)});
  registry.Add({.type = "TileD",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .attrs = {RequiredAttr<std::vector<int64_t>>("multiples")},
                .infer = InferTile,
                .rule = TileRule,
                .cost = PerOutputElement(0)});
  registry.Add({.type = "DepthToSpace",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .attrs = {RequiredAttr<int64_t>("block_size"), DefaultAttr("mode", std::string("DCR")),
                          DefaultAttr("data_format", std::string("NHWC"))},
                .infer = InferBlocks,
                .rule = BlocksRule,
                .cost = MoveCost()});
  registry.Add(
      {.type = "SpaceToDepth",
       .inputs = {Required("x")},
       .outputs = {"y"},
       .attrs = {RequiredAttr<int64_t>("block_size"), DefaultAttr("data_format", std::string("NHWC"))},
       .infer = InferBlocks,
       .rule = BlocksRule,
       .cost = MoveCost()});
}

}  // namespace omserve
