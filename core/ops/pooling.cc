// Pools and resizing of NCHW images: batch and channels are parallel. The image may be cut where the parts of a pool
// can exchange their borders; else it is whole.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/emit.h"
#include "core/ops/exchange_emit.h"
#include "core/ops/families.h"
#include "core/ops/halo.h"
#include "core/ops/infer_util.h"
#include "core/ops/rule_util.h"
#include "core/ops/schema.h"
#include "core/ops/window.h"

namespace omserve {
namespace {

void AddBatchAndChannels(const NodeView& view, RuleBuilder& rule) {
  for (int d = 0; d < 2; ++d) {
    const int factor = rule.Add(view.input_shape(0)[d], FactorKind::kParallel, d == 0 ? "batch" : "channels");
    rule.Input(0, d, factor).Output(0, d, factor);
  }
}

ShardingRule BatchAndChannelsRule(const NodeView& view, const Linearity& linearity) {
  RuleBuilder rule(view);
  AddBatchAndChannels(view, rule);
  AddLinear(view, linearity, rule);
  return rule.Finish();
}

// --- MaxPoolV3, AvgPoolV2
// -------------------------------------------------------------------------------------------

// Padding of mode SAME: as many positions as strides, the odd element of padding at the end.
void PadToSame(int64_t size, Window& window) {
  if (size == kUnknownDim || size == 0) return;
  const int64_t positions = (size + window.stride - 1) / window.stride;
  const int64_t total = std::max<int64_t>(0, (positions - 1) * window.stride + window.reach() - size);
  window.pad_begin = total / 2;
  window.pad_end = total - total / 2;
}

// Of height and width, with their padding. Not for global_pooling, which has none.
absl::StatusOr<std::vector<Window>> ReadPool(const NodeView& view) {
  std::vector<Window> windows(2);
  ASSIGN_OR_RETURN(std::vector<int64_t> kernel, SpatialAttr(view, "ksize", 2));
  ASSIGN_OR_RETURN(std::vector<int64_t> strides, SpatialAttr(view, "strides", 2));
  const std::string mode = view.Attr<std::string>("padding_mode");
  if (mode == "CALCULATED") {
    RETURN_IF_ERROR(ReadPads(view, "pads", windows));
  } else if (mode != "SAME" && mode != "VALID") {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'padding_mode' is '", mode, "'; it must be CALCULATED, SAME or VALID"));
  }
  for (int d = 0; d < 2; ++d) {
    Window& window = windows[d];
    window.kernel = kernel[d];
    window.stride = strides[d];
    if (mode == "SAME") PadToSame(view.input_shape(0)[2 + d], window);
    if (mode == "CALCULATED" && std::max(window.pad_begin, window.pad_end) >= window.kernel) {
      return absl::InvalidArgumentError(absl::StrCat("pads ", window.pad_begin, " and ", window.pad_end,
                                                     " must be smaller than the window ", window.kernel));
    }
  }
  return windows;
}

// Whether a last window may hang over the end.
bool RoundsUp(const NodeView& view) {
  return view.Attr<bool>("ceil_mode") && view.Attr<std::string>("padding_mode") == "CALCULATED";
}

absl::StatusOr<Descs> InferPool(const NodeView& view) {
  RETURN_IF_ERROR(CheckRank(view, 0, 4));
  RETURN_IF_ERROR(CheckImageFormat(view, 2));
  TensorDesc y = view.input(0);
  if (view.Attr<bool>("global_pooling")) {
    y.shape[2] = y.shape[3] = 1;
    return Descs{y};
  }
  ASSIGN_OR_RETURN(const std::vector<Window> windows, ReadPool(view));
  for (int d = 0; d < 2; ++d) {
    int64_t& size = y.shape[2 + d];
    ASSIGN_OR_RETURN(size, WindowPositions(windows[d], size, RoundsUp(view)));
  }
  return Descs{y};
}

absl::StatusOr<ShardingRule> PoolRule(const NodeView& view, const Linearity& linearity) {
  RuleBuilder rule(view);
  AddBatchAndChannels(view, rule);
  if (!view.Attr<bool>("global_pooling")) {
    ASSIGN_OR_RETURN(const std::vector<Window> windows, ReadPool(view));
    for (int d = 0; d < 2; ++d) AddWindowDim(view, windows[d], 0, 2 + d, rule, RoundsUp(view));
  }
  AddLinear(view, linearity, rule);
  return rule.Finish();
}

absl::StatusOr<std::vector<ValueId>> EmitPool(EmitContext& context) {
  if (!CutAlong(context, {2, 3})) return EmitClone(context);
  ASSIGN_OR_RETURN(std::vector<Window> windows, ReadPool(context.view()));
  ValueId x = context.local_inputs()[0];
  std::vector<int64_t> pads;
  for (int d = 0; d < 2; ++d) {
    ASSIGN_OR_RETURN(x, ExchangeHalo(context, 0, 2 + d, x, &windows[d]));
    pads.push_back(windows[d].pad_begin);
    pads.push_back(windows[d].pad_end);
  }
  return EmitCopy(context, {x},
                  {{"pads", pads},
                   {"padding_mode", std::string("CALCULATED")},
                   {"ceil_mode", RoundsUp(context.view())}});
}

OpCost PoolCost(const NodeView& view) {
  const std::vector<int64_t> kernel = view.Attr<std::vector<int64_t>>("ksize");
  double taps = 1;
  if (!view.Attr<bool>("global_pooling")) {
    for (int64_t size : kernel) taps *= static_cast<double>(size);
  }
  return ElementCost(view, taps);
}

OpDef PoolDef(std::string type, std::vector<AttrDef> extra, const Linearity& linearity) {
  std::vector<AttrDef> attrs = {RequiredAttr<std::vector<int64_t>>("ksize"),
                                RequiredAttr<std::vector<int64_t>>("strides"),
                                DefaultAttr("padding_mode", std::string("CALCULATED")),
                                DefaultAttr("pads", std::vector<int64_t>(4, 0)),
                                DefaultAttr("data_format", std::string("NCHW")),
                                DefaultAttr("global_pooling", false),
                                DefaultAttr("ceil_mode", false)};
  attrs.insert(attrs.end(), extra.begin(), extra.end());
  return {.type = std::move(type),
          .inputs = {Required("x")},
          .outputs = {"y"},
          .attrs = std::move(attrs),
          .infer = InferPool,
          .rule = [linearity](const NodeView& view) { return PoolRule(view, linearity); },
          .emit = EmitPool,
          .cost = PoolCost};
}

// --- Averages over the image
// ------------------------------------------------------------------------------------------

absl::StatusOr<Descs> InferGlobalAverage(const NodeView& view) {
  RETURN_IF_ERROR(CheckMinRank(view, 0, 3));
  TensorDesc y = view.input(0);
  std::fill(y.shape.begin() + 2, y.shape.end(), 1);
  return Descs{y};
}

absl::StatusOr<ShardingRule> GlobalAverageRule(const NodeView& view) {
  RuleBuilder rule(view);
  AddBatchAndChannels(view, rule);
  // As ReduceMean: what scales the parts is a float32.
  const DataType type = view.input(0).type;
  const bool scales = IsFloatType(type) && type != DataType::kDouble;
  for (int d = 2; d < static_cast<int>(view.input_shape(0).size()); ++d) {
    const FactorKind kind = scales ? FactorKind::kSum : FactorKind::kWhole;
    rule.Input(0, d, rule.Add(view.input_shape(0)[d], kind, absl::StrCat("dim", d)));
  }
  AddLinear(view, {{{0}}, /*float_only=*/true}, rule);
  return rule.Finish();
}

absl::StatusOr<Descs> InferAdaptiveAverage(const NodeView& view) {
  RETURN_IF_ERROR(CheckRank(view, 0, 4));
  const std::vector<int64_t> size = view.Attr<std::vector<int64_t>>("output_size");
  if (size.size() != 2 || size[0] < 1 || size[1] < 1) {
    return absl::InvalidArgumentError(absl::StrCat("attribute 'output_size' is (", absl::StrJoin(size, ","),
                                                   "); it must be height and width"));
  }
  TensorDesc y = view.input(0);
  y.shape[2] = size[0];
  y.shape[3] = size[1];
  return Descs{y};
}

// --- Resize: to `sizes`, or by `scales`
// ----------------------------------------------------------------------------------

constexpr int kRoi = 1;
constexpr int kScales = 2;
constexpr int kSizes = 3;

// A parameter may be present but empty, which is how older ONNX models leave it out.
bool HasElements(const NodeView& view, int i) {
  return view.has_input(i) && ProductOfDims(view.input_shape(i)).value_or(0) != 0;
}

absl::StatusOr<Shape> ScaledShape(const NodeView& view) {
  const TensorSlice* scales = view.constant(kScales);
  if (scales == nullptr) return absl::FailedPreconditionError("parameter 'scales' is not constant");
  Shape shape = view.input_shape(0);
  if (scales->desc() != TensorDesc{DataType::kFloat, {static_cast<int64_t>(shape.size())}}) {
    return absl::InvalidArgumentError(absl::StrCat("scales is ", ToString(view.input(kScales)),
                                                   "; it must have a float32 for each dimension of x"));
  }
  const Tensor values = scales->Materialize();
  for (size_t d = 0; d < shape.size(); ++d) {
    const double scale = values.values<float>()[d];
    if (!(scale > 0 && scale <= 1 << 20)) {
      return absl::InvalidArgumentError(absl::StrCat("scales holds ", scale, "; it must be above 0"));
    }
    if (shape[d] != kUnknownDim)
      shape[d] = static_cast<int64_t>(std::floor(static_cast<double>(shape[d]) * scale));
  }
  return shape;
}

absl::StatusOr<Descs> InferResize(const NodeView& view) {
  const std::string coordinates = view.Attr<std::string>("coordinate_transformation_mode");
  if (coordinates == "tf_crop_and_resize") {
    return absl::UnimplementedError("coordinate_transformation_mode tf_crop_and_resize is not supported");
  }
  RETURN_IF_ERROR(CheckMinRank(view, 0, 3));
  TensorDesc y = view.input(0);
  if (HasElements(view, kSizes)) {
    ASSIGN_OR_RETURN(std::vector<int64_t> sizes, view.ConstantInts(kSizes));
    if (sizes.size() != y.shape.size() || !IsStatic(sizes)) {
      return absl::InvalidArgumentError(
          absl::StrCat("sizes is (", absl::StrJoin(sizes, ","),
                       "); it must have a size for each dimension of x, which is ", ToString(y)));
    }
    y.shape = sizes;
  } else if (HasElements(view, kScales)) {
    ASSIGN_OR_RETURN(y.shape, ScaledShape(view));
  } else {
    return absl::InvalidArgumentError("it has neither scales nor sizes");
  }
  for (int d : {0, 1}) {
    if (!DimsAgree(y.shape[d], view.input_shape(0)[d])) {
      return absl::UnimplementedError(absl::StrCat("resizing dimension ", d, " (batch or channels) of ",
                                                   ToString(view.input(0)), " is not supported"));
    }
  }
  return Descs{y};
}

absl::StatusOr<std::vector<ValueId>> EmitResize(EmitContext& context) {
  if (HasElements(context.view(), kSizes)) return EmitWithLocalShape(context, kSizes);
  return EmitClone(context);
}

}  // namespace

void AddPoolingOps(OpRegistry& registry) {
  const Linearity linear = {{{0}}, /*float_only=*/true};
  const RuleFunction image_rule = [linear](const NodeView& view) -> absl::StatusOr<ShardingRule> {
    return BatchAndChannelsRule(view, linear);
  };
  registry.Add(PoolDef("MaxPoolV3", {}, {}));
  registry.Add(PoolDef(
      "AvgPoolV2", {DefaultAttr("exclusive", true), DefaultAttr("divisor_override", int64_t{0})}, linear));
  registry.Add({.type = "GlobalAveragePool",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .infer = InferGlobalAverage,
                .rule = GlobalAverageRule,
                .emit = EmitMean,
                .cost = PerInputElement(1)});
  registry.Add({.type = "AdaptiveAvgPool2d",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .attrs = {RequiredAttr<std::vector<int64_t>>("output_size")},
                .infer = InferAdaptiveAverage,
                .rule = image_rule,
                .cost = PerInputElement(1)});
  registry.Add(
      {.type = "Resize",
       .inputs = {Required("x"), OptionalParameter("roi"), OptionalParameter("scales"),
                  OptionalParameter("sizes")},
       .outputs = {"y"},
       .attrs = {DefaultAttr("coordinate_transformation_mode", std::string("half_pixel")),
                 DefaultAttr("cubic_coeff_a", -0.75f), DefaultAttr("exclude_outside", int64_t{0}),
                 DefaultAttr("extrapolation_value", 0.0f), DefaultAttr("mode", std::string("nearest")),
                 DefaultAttr("nearest_mode", std::string("round_prefer_floor"))},
       .infer = InferResize,
       // The interpolations are sums weighted by position.
       .rule = image_rule,
       .emit = EmitResize,
       .cost = PerOutputElement(8)});
}

}  // namespace omserve
