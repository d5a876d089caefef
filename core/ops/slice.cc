// Joining, splitting, slicing and padding. The dimension that is touched is whole; all others are parallel.
#include <algorithm>
#include <cctype>
#include <cstdint>
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

// Outputs of a split are limited, because their number comes from a file.
constexpr int64_t kMaxPieces = 65536;

int RankOf(const NodeView& view, int input) { return static_cast<int>(view.input_shape(input).size()); }

std::string List(const std::vector<int64_t>& values) {
  return absl::StrCat("(", absl::StrJoin(values, ","), ")");
}

// Where a number comes from: a parameter, or an attribute of the ...D form.
struct Source {
  int parameter = -1;
  std::string attr;
};

absl::StatusOr<int64_t> IntFrom(const NodeView& view, const Source& source) {
  if (source.parameter < 0) return view.Attr<int64_t>(source.attr);
  return ConstantInt(view, source.parameter);
}

absl::StatusOr<int> AxisFrom(const NodeView& view, const Source& source, int rank) {
  ASSIGN_OR_RETURN(int64_t axis, IntFrom(view, source));
  ASSIGN_OR_RETURN_WITH(int normal, NormalizeAxis(axis, rank),
                        source.parameter < 0 ? source.attr : InputName(view, source.parameter));
  return normal;
}

// A rule for data inputs [begin, end) and all outputs of one rank, in which every dimension but those in
// `whole` is the same everywhere.
ShardingRule SameButRule(const NodeView& view, int begin, int end, const std::vector<int>& whole) {
  RuleBuilder rule(view);
  const Shape& shape = view.input_shape(begin);
  std::vector<int> inputs;
  for (int i = begin; i < end; ++i) inputs.push_back(i);
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    if (std::find(whole.begin(), whole.end(), d) != whole.end()) continue;
    const int factor = rule.Add(shape[d], FactorKind::kParallel, absl::StrCat("dim", d));
    for (int i : inputs) rule.Input(i, d, factor);
    for (int o = 0; o < view.node().num_outputs(); ++o) rule.Output(o, d, factor);
  }
  if (view.node().num_outputs() > 0) AddLinear(view, {{inputs}}, rule);
  return rule.Finish();
}

// --- Concat: [concat_dim,] x0, x1, … [, concat_dim]
// ---------------------------------------------------------------------

struct ConcatInputs {
  int begin, end;
  Source axis;
};

ConcatInputs InputsOfConcat(const NodeView& view) {
  const int n = view.num_inputs();
  if (view.node().is("Concat")) return {1, n, {0, ""}};
  if (view.node().is("ConcatV2")) return {0, n - 1, {n - 1, ""}};
  return {0, n, {-1, "concat_dim"}};
}

absl::Status CheckCount(const NodeView& view, int count) {
  const int64_t declared = view.Attr<int64_t>("N");
  if (count >= 1 && declared == count) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("attribute 'N' is ", declared, " but there are ", count, " tensors"));
}

absl::StatusOr<Descs> InferConcat(const NodeView& view) {
  const ConcatInputs inputs = InputsOfConcat(view);
  RETURN_IF_ERROR(CheckCount(view, inputs.end - inputs.begin));
  TensorDesc y = view.input(inputs.begin);
  const int rank = static_cast<int>(y.shape.size());
  ASSIGN_OR_RETURN(int axis, AxisFrom(view, inputs.axis, rank));
  for (int i = inputs.begin + 1; i < inputs.end; ++i) {
    RETURN_IF_ERROR(CheckSameType(view, inputs.begin, i));
    const Shape& shape = view.input_shape(i);
    RETURN_IF_ERROR(CheckRank(view, i, rank));
    for (int d = 0; d < rank; ++d) {
      if (d == axis) {
        y.shape[d] =
            y.shape[d] == kUnknownDim || shape[d] == kUnknownDim ? kUnknownDim : y.shape[d] + shape[d];
      } else if (DimsAgree(y.shape[d], shape[d])) {
        y.shape[d] = KnownDim(y.shape[d], shape[d]);
      } else {
        return absl::InvalidArgumentError(absl::StrCat(InputName(view, i), " is ", ToString(view.input(i)),
                                                       "; but in dimension ", axis, " it must fit ",
                                                       ToString(view.input(inputs.begin))));
      }
    }
  }
  return Descs{y};
}

absl::StatusOr<ShardingRule> ConcatRule(const NodeView& view) {
  const ConcatInputs inputs = InputsOfConcat(view);
  ASSIGN_OR_RETURN(int axis, AxisFrom(view, inputs.axis, RankOf(view, inputs.begin)));
  return SameButRule(view, inputs.begin, inputs.end, {axis});
}

// --- Pack: stacks along a new dimension. Unpack: the inverse
// ------------------------------------------------------------

absl::StatusOr<Descs> InferPack(const NodeView& view) {
  RETURN_IF_ERROR(CheckCount(view, view.num_inputs()));
  TensorDesc y = view.input(0);
  for (int i = 1; i < view.num_inputs(); ++i) {
    RETURN_IF_ERROR(CheckSameType(view, 0, i));
    RETURN_IF_ERROR(CheckSameShape(view, 0, i));
    for (size_t d = 0; d < y.shape.size(); ++d) y.shape[d] = KnownDim(y.shape[d], view.input_shape(i)[d]);
  }
  ASSIGN_OR_RETURN(int axis, AxisFrom(view, {-1, "axis"}, static_cast<int>(y.shape.size()) + 1));
  y.shape.insert(y.shape.begin() + axis, view.num_inputs());
  return Descs{y};
}

absl::StatusOr<ShardingRule> PackRule(const NodeView& view) {
  const Shape& shape = view.input_shape(0);
  const int rank = static_cast<int>(shape.size());
  ASSIGN_OR_RETURN(int axis, AxisFrom(view, {-1, "axis"}, rank + 1));
  RuleBuilder rule(view);
  std::vector<int> inputs;
  for (int i = 0; i < view.num_inputs(); ++i) inputs.push_back(i);
  for (int d = 0; d < rank; ++d) {
    const int factor = rule.Add(shape[d], FactorKind::kParallel, absl::StrCat("dim", d));
    for (int i : inputs) rule.Input(i, d, factor);
    rule.Output(0, d < axis ? d : d + 1, factor);
  }
  AddLinear(view, {{inputs}}, rule);
  return rule.Finish();
}

absl::StatusOr<Descs> InferUnpack(const NodeView& view) {
  const TensorDesc& x = view.input(0);
  ASSIGN_OR_RETURN(int axis, AxisFrom(view, {-1, "axis"}, RankOf(view, 0)));
  const int64_t num = view.Attr<int64_t>("num");
  if (num < 1 || num > kMaxPieces || !DimsAgree(x.shape[axis], num)) {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'num' is ", num, "; dimension ", axis, " of x has ", x.shape[axis]));
  }
  return Descs(num, {x.type, ReducedShape(x.shape, {axis}, /*keep_dims=*/false)});
}

absl::StatusOr<ShardingRule> UnpackRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, AxisFrom(view, {-1, "axis"}, RankOf(view, 0)));
  return ReducedRule(view, {axis}, /*keep_dims=*/false, FactorKind::kWhole, {{{0}}});
}

// --- Split
// ------------------------------------------------------------------------------------------------------------

struct SplitInputs {
  int x;
  Source axis;
};

SplitInputs InputsOfSplit(const NodeView& view) {
  if (view.node().is("Split")) return {1, {0, ""}};
  if (view.node().is("SplitV")) return {0, {2, ""}};
  return {0, {-1, "split_dim"}};
}

// The sizes of the pieces of a dimension; SplitV's may hold one -1 for what is left over.
absl::StatusOr<std::vector<int64_t>> PieceSizes(const NodeView& view, int64_t dim) {
  const int64_t num = view.Attr<int64_t>("num_split");
  if (num < 1 || num > kMaxPieces) {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'num_split' is ", num, "; it must be in [1, ", kMaxPieces, "]"));
  }
  if (view.node().is("Split") || view.node().is("SplitD")) {
    if (dim != kUnknownDim && dim % num != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("a dimension of ", dim, " cannot be split into ", num, " equal parts"));
    }
    return std::vector<int64_t>(num, dim == kUnknownDim ? kUnknownDim : dim / num);
  }
  std::vector<int64_t> sizes;
  if (view.node().is("SplitV")) {
    ASSIGN_OR_RETURN(sizes, view.ConstantInts(1));
  } else {
    sizes = view.Attr<std::vector<int64_t>>("size_splits");
  }
  auto error = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("size_splits is ", List(sizes), " for a dimension of ", dim, ": ", why));
  };
  if (static_cast<int64_t>(sizes.size()) != num) return error(absl::StrCat("num_split is ", num));
  int64_t sum = 0;
  int left_over = -1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] >= 0 && sizes[i] <= INT64_MAX / kMaxPieces) {
      sum += sizes[i];
    } else if (sizes[i] == -1 && left_over < 0) {
      left_over = static_cast<int>(i);
    } else {
      return error("only one may be -1, and none may be smaller or larger than any tensor");
    }
  }
  if (dim == kUnknownDim) return sizes;
  if (left_over >= 0) sizes[left_over] = dim - sum;
  if (left_over >= 0 ? sum > dim : sum != dim) return error("they do not add up to it");
  return sizes;
}

absl::StatusOr<Descs> InferSplit(const NodeView& view) {
  const SplitInputs inputs = InputsOfSplit(view);
  TensorDesc piece = view.input(inputs.x);
  ASSIGN_OR_RETURN(int axis, AxisFrom(view, inputs.axis, RankOf(view, inputs.x)));
  ASSIGN_OR_RETURN(std::vector<int64_t> sizes, PieceSizes(view, piece.shape[axis]));
  Descs pieces;
  for (int64_t size : sizes) {
    piece.shape[axis] = size;
    pieces.push_back(piece);
  }
  return pieces;
}

absl::StatusOr<ShardingRule> SplitRule(const NodeView& view) {
  const SplitInputs inputs = InputsOfSplit(view);
  ASSIGN_OR_RETURN(int axis, AxisFrom(view, inputs.axis, RankOf(view, inputs.x)));
  return SameButRule(view, inputs.x, inputs.x + 1, {axis});
}

// The rule of an operator of x that keeps some dimensions: those whose size changes are whole, and those that
// `touched` names although their size stays.
ShardingRule ChangedWhole(const NodeView& view, std::vector<int> touched) {
  for (int d = 0; d < RankOf(view, 0); ++d) {
    if (view.input_shape(0)[d] != view.output().shape[d]) touched.push_back(d);
  }
  return SameButRule(view, 0, 1, touched);
}

// --- Slice: x, offsets, size; -1 in size is "to the end"
// ------------------------------------------------------------------

absl::StatusOr<Descs> InferSlice(const NodeView& view) {
  TensorDesc y = view.input(0);
  const size_t rank = y.shape.size();
  ASSIGN_OR_RETURN(std::vector<int64_t> offsets, view.ConstantInts(1));
  ASSIGN_OR_RETURN(std::vector<int64_t> sizes, view.ConstantInts(2));
  if (offsets.size() != rank || sizes.size() != rank) {
    return absl::InvalidArgumentError(absl::StrCat("offsets ", List(offsets), " and size ", List(sizes),
                                                   " must have one number for each dimension of x, which is ",
                                                   ToString(y)));
  }
  for (size_t d = 0; d < rank; ++d) {
    const int64_t dim = y.shape[d];
    const bool inside =
        offsets[d] >= 0 && sizes[d] >= -1 &&
        (dim == kUnknownDim || (offsets[d] <= dim && (sizes[d] == -1 || sizes[d] <= dim - offsets[d])));
    if (!inside) {
      return absl::InvalidArgumentError(absl::StrCat("offsets ", List(offsets), " and size ", List(sizes),
                                                     " leave x, which is ", ToString(view.input(0))));
    }
    if (sizes[d] != -1) {
      y.shape[d] = sizes[d];
    } else if (dim != kUnknownDim) {
      y.shape[d] = dim - offsets[d];
    }
  }
  return Descs{y};
}

// A dimension is untouched exactly when its size stays, because a box cannot move without shrinking.
absl::StatusOr<ShardingRule> SliceRule(const NodeView& view) { return ChangedWhole(view, {}); }

// --- StridedSliceV2: x, begin, end, axes?, strides? (the Slice of ONNX)
// -----------------------------------------------------

struct StridedDim {
  int axis;
  int64_t begin, end, stride;  // as given
};

absl::StatusOr<std::vector<StridedDim>> StridedDims(const NodeView& view) {
  for (const char* mask : {"begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"}) {
    if (view.Attr<int64_t>(mask) != 0) {
      return absl::UnimplementedError(
          absl::StrCat("attribute '", mask, "' is ", view.Attr<int64_t>(mask), "; only 0 is supported"));
    }
  }
  ASSIGN_OR_RETURN(std::vector<int64_t> begin, view.ConstantInts(1));
  ASSIGN_OR_RETURN(std::vector<int64_t> end, view.ConstantInts(2));
  std::vector<int64_t> axes(begin.size());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  std::vector<int64_t> strides(begin.size(), 1);
  if (view.has_input(3)) {
    ASSIGN_OR_RETURN(axes, view.ConstantInts(3));
  }
  if (view.has_input(4)) {
    ASSIGN_OR_RETURN(strides, view.ConstantInts(4));
  }
  if (end.size() != begin.size() || axes.size() != begin.size() || strides.size() != begin.size()) {
    return absl::InvalidArgumentError(absl::StrCat("begin ", List(begin), ", end ", List(end), ", axes ",
                                                   List(axes), " and strides ", List(strides),
                                                   " must have the same length"));
  }
  RETURN_IF_ERROR_WITH(NormalizeAxes(axes, RankOf(view, 0)).status(), "axes");
  std::vector<StridedDim> dims;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (strides[i] == 0) return absl::InvalidArgumentError("a stride is 0");
    const int axis = static_cast<int>(axes[i] < 0 ? axes[i] + RankOf(view, 0) : axes[i]);
    dims.push_back({axis, begin[i], end[i], strides[i]});
  }
  return dims;
}

// Number of elements that a slice takes of a known dimension: negative positions count from the end, and both
// ends are clamped, for a backward slice to [-1, size - 1].
int64_t StridedCount(const StridedDim& slice, int64_t size) {
  const bool forward = slice.stride > 0;
  auto place = [&](int64_t position) {
    if (position < 0) position += size;
    return forward ? std::clamp<int64_t>(position, 0, size) : std::clamp<int64_t>(position, -1, size - 1);
  };
  const int64_t begin = place(slice.begin);
  const int64_t end = place(slice.end);
  const int64_t distance = forward ? end - begin : begin - end;
  if (distance <= 0) return 0;
  // Not -stride: that overflows for the smallest number.
  const int64_t steps = forward ? (distance - 1) / slice.stride : -((distance - 1) / slice.stride);
  return steps + 1;
}

absl::StatusOr<Descs> InferStridedSlice(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<StridedDim> dims, StridedDims(view));
  TensorDesc y = view.input(0);
  for (const StridedDim& slice : dims) {
    int64_t& dim = y.shape[slice.axis];
    if (dim != kUnknownDim) dim = StridedCount(slice, dim);
  }
  return Descs{y};
}

absl::StatusOr<ShardingRule> StridedSliceRule(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<StridedDim> dims, StridedDims(view));
  // A backward slice of everything keeps the size but turns the dimension round.
  std::vector<int> touched;
  for (const StridedDim& slice : dims) {
    if (slice.stride != 1) touched.push_back(slice.axis);
  }
  return ChangedWhole(view, touched);
}

// --- Pad
// --------------------------------------------------------------------------------------------------------------

// Elements added before and after each dimension; negative ones remove.
absl::StatusOr<std::vector<std::pair<int64_t, int64_t>>> Paddings(const NodeView& view) {
  const size_t rank = view.input_shape(0).size();
  std::vector<int64_t> flat;
  if (view.node().is("PadD")) {
    for (const std::vector<int64_t>& pair : view.Attr<std::vector<std::vector<int64_t>>>("paddings")) {
      flat.insert(flat.end(), pair.begin(), pair.end());
    }
  } else {
    ASSIGN_OR_RETURN(flat, view.ConstantInts(1));
  }
  if (flat.size() != 2 * rank) {
    return absl::InvalidArgumentError(absl::StrCat(
        "paddings is ", List(flat), "; it must have two numbers for each of ", rank, " dimensions"));
  }
  // PadV3 may hold ONNX's order: all begins, then all ends.
  const bool pairs = !view.node().is("PadV3") || view.Attr<bool>("paddings_contiguous");
  std::vector<std::pair<int64_t, int64_t>> paddings;
  for (size_t d = 0; d < rank; ++d) {
    paddings.push_back(pairs ? std::pair(flat[2 * d], flat[2 * d + 1]) : std::pair(flat[d], flat[rank + d]));
  }
  return paddings;
}

std::string PadMode(const NodeView& view) {
  std::string mode = "constant";
  if (view.node().is("PadV3") || view.node().is("MirrorPad")) mode = view.Attr<std::string>("mode");
  std::transform(mode.begin(), mode.end(), mode.begin(), [](unsigned char c) { return std::tolower(c); });
  return mode;
}

absl::StatusOr<Descs> InferPad(const NodeView& view) {
  ASSIGN_OR_RETURN(auto paddings, Paddings(view));
  const std::string mode = PadMode(view);
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "symmetric") {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'mode' is '", mode, "'; it must be constant, reflect, symmetric or edge"));
  }
  if (view.has_input(2)) RETURN_IF_ERROR(CheckSameType(view, 0, 2));
  TensorDesc y = view.input(0);
  for (size_t d = 0; d < paddings.size(); ++d) {
    const auto [before, after] = paddings[d];
    const int64_t dim = y.shape[d];
    if (dim == kUnknownDim) {
      continue;
    }
    constexpr int64_t kLimit = int64_t{1} << 60;
    const bool sane = before > -kLimit && before < kLimit && after > -kLimit && after < kLimit;
    if (!sane || dim + before + after < 0) {
      return absl::InvalidArgumentError(absl::StrCat("paddings ", before, " and ", after,
                                                     " do not fit dimension ", d, " of x, which is ", dim));
    }
    // A mirror has to be as long as what it shows; reflection leaves out the border itself.
    const int64_t longest = std::max(before, after);
    const int64_t available = mode == "reflect" ? dim - 1 : dim;
    if ((mode == "reflect" || mode == "symmetric") && longest > 0 && longest > available) {
      return absl::InvalidArgumentError(absl::StrCat(
          "padding ", longest, " of mode ", mode, " is more than dimension ", d, " (", dim, ") can mirror"));
    }
    if (mode == "edge" && longest > 0 && dim == 0) {
      return absl::InvalidArgumentError(absl::StrCat("dimension ", d, " is empty and has no edge to repeat"));
    }
    y.shape[d] = dim + before + after;
  }
  return Descs{y};
}

absl::StatusOr<ShardingRule> PadRule(const NodeView& view) {
  ASSIGN_OR_RETURN(auto paddings, Paddings(view));
  std::vector<int> touched;
  for (size_t d = 0; d < paddings.size(); ++d) {
    if (paddings[d].first != 0 || paddings[d].second != 0) touched.push_back(static_cast<int>(d));
  }
  ShardingRule rule = ChangedWhole(view, touched);
  // Padding with a constant that is not known to be 0 would add it once for each part of a sum.
  if (PadMode(view) == "constant" && view.has_input(2)) rule.linear.clear();
  return rule;
}

OpDef PadDef(std::string type, std::vector<InputDef> inputs, std::vector<AttrDef> attrs) {
  return {.type = std::move(type),
          .inputs = std::move(inputs),
          .outputs = {"y"},
          .attrs = std::move(attrs),
          .infer = InferPad,
          .rule = PadRule,
          .cost = PerOutputElement(0)};
}

void AddJoins(OpRegistry& registry) {
  const AttrDef count = DefaultAttr("N", int64_t{1});
  auto add = [&](const char* type, std::vector<InputDef> inputs, std::vector<AttrDef> attrs) {
    registry.Add({.type = type,
                  .inputs = std::move(inputs),
                  .outputs = {"y"},
                  .attrs = std::move(attrs),
                  .infer = InferConcat,
                  .rule = ConcatRule,
                  .cost = MoveCost()});
  };
  add("Concat", {Parameter("concat_dim"), Dynamic("x")}, {count});
  add("ConcatV2", {Dynamic("x"), Parameter("concat_dim")}, {count});
  add("ConcatD", {Dynamic("x")}, {RequiredAttr<int64_t>("concat_dim"), count});
  add("ConcatV2D", {Dynamic("x")}, {RequiredAttr<int64_t>("concat_dim"), count});
  registry.Add({.type = "Pack",
                .inputs = {Dynamic("x")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("axis", int64_t{0}), count},
                .infer = InferPack,
                .rule = PackRule,
                .cost = MoveCost()});
}

void AddSplits(OpRegistry& registry) {
  const AttrDef count = RequiredAttr<int64_t>("num_split");
  const AttrDef axis = RequiredAttr<int64_t>("split_dim");
  auto add = [&](const char* type, std::vector<InputDef> inputs, std::vector<AttrDef> attrs) {
    registry.Add({.type = type,
                  .inputs = std::move(inputs),
                  .outputs = {"y*"},
                  .attrs = std::move(attrs),
                  .infer = InferSplit,
                  .rule = SplitRule,
                  .cost = MoveCost()});
  };
  add("Split", {Parameter("split_dim"), Required("x")}, {count});
  add("SplitD", {Required("x")}, {axis, count});
  add("SplitV", {Required("x"), Parameter("size_splits"), Parameter("split_dim")}, {count});
  add("SplitVD", {Required("x")}, {RequiredAttr<std::vector<int64_t>>("size_splits"), axis, count});
  registry.Add({.type = "Unpack",
                .inputs = {Required("x")},
                .outputs = {"y*"},
                .attrs = {RequiredAttr<int64_t>("num"), DefaultAttr("axis", int64_t{0})},
                .infer = InferUnpack,
                .rule = UnpackRule,
                .cost = MoveCost()});
}

}  // namespace

void AddSliceOps(OpRegistry& registry) {
  AddJoins(registry);
  AddSplits(registry);
  registry.Add({.type = "Slice",
                .inputs = {Required("x"), Parameter("offsets"), Parameter("size")},
                .outputs = {"y"},
                .infer = InferSlice,
                .rule = SliceRule,
                .emit = [](EmitContext& context) { return EmitWithLocalShape(context, 2); },
                .cost = MoveCost()});
  // Dimensions that are not touched end at or after their size, which is also after their local size: a copy
  // is right.
  registry.Add({.type = "StridedSliceV2",
                .inputs = {Required("x"), Parameter("begin"), Parameter("end"), OptionalParameter("axes"),
                           OptionalParameter("strides")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("begin_mask", int64_t{0}), DefaultAttr("end_mask", int64_t{0}),
                          DefaultAttr("ellipsis_mask", int64_t{0}), DefaultAttr("new_axis_mask", int64_t{0}),
                          DefaultAttr("shrink_axis_mask", int64_t{0})},
                .infer = InferStridedSlice,
                .rule = StridedSliceRule,
                .cost = MoveCost()});
  registry.Add(PadDef("Pad", {Required("x"), Parameter("paddings")}, {}));
  registry.Add(
      PadDef("PadD", {Required("x")}, {RequiredAttr<std::vector<std::vector<int64_t>>>("paddings")}));
  registry.Add(PadDef("PadV2", {Required("x"), Parameter("paddings"), Required("constant_values")}, {}));
  registry.Add(
      PadDef("PadV3", {Required("x"), Parameter("paddings"), Optional("constant_values")},
             {DefaultAttr("mode", std::string("constant")), DefaultAttr("paddings_contiguous", true)}));
  registry.Add(
      PadDef("MirrorPad", {Required("x"), Parameter("paddings")}, {RequiredAttr<std::string>("mode")}));
}

}  // namespace omserve
