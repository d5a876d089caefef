// Convolutions of NCHW (NCDHW) images.
#include <algorithm>
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
#include "core/ops/halo.h"
#include "core/ops/infer_util.h"
#include "core/ops/rule_util.h"
#include "core/ops/schema.h"
#include "core/ops/window.h"

namespace omserve {
namespace {

// Filters are [out channels, in channels / groups, spatial…] (convolution) or [in channels, out channels /
// groups, spatial…] (transposed). A depthwise filter has one map for each channel: [1, C, H, W] (GE), or [C,
// 1, H, W], which is the same bytes.
enum class Form { kForward, kTransposed, kDepthwise };

struct Convolution {
  Form form = Form::kForward;
  int spatial = 2;
  int x = 0;  // input positions
  int filter = 1;
  int bias = 2;
  int64_t groups = 1;
  int64_t in_channels = 0;  // may be unknown
  int64_t out_channels = 0;
  std::vector<Window> windows;
};

absl::Status ReadWindows(const NodeView& view, Convolution& conv) {
  conv.windows.resize(conv.spatial);
  ASSIGN_OR_RETURN(std::vector<int64_t> strides, SpatialAttr(view, "strides", conv.spatial));
  ASSIGN_OR_RETURN(std::vector<int64_t> dilations, SpatialAttr(view, "dilations", conv.spatial));
  RETURN_IF_ERROR(ReadPads(view, "pads", conv.windows));
  for (int d = 0; d < conv.spatial; ++d) {
    Window& window = conv.windows[d];
    window.kernel = view.input_shape(conv.filter)[2 + d];
    window.stride = strides[d];
    window.dilation = dilations[d];
    if (window.kernel < 1 || window.kernel > (int64_t{1} << 20)) {
      return absl::InvalidArgumentError(
          absl::StrCat("filter is ", ToString(view.input(conv.filter)),
                       "; its spatial dimensions must be known and at least 1"));
    }
  }
  return absl::OkStatus();
}

absl::Status FilterError(const NodeView& view, const Convolution& conv, absl::string_view must) {
  return absl::InvalidArgumentError(absl::StrCat("filter is ", ToString(view.input(conv.filter)), " for x ",
                                                 ToString(view.input(conv.x)), " and ", conv.groups,
                                                 " groups; ", must));
}

// Channels and groups; in_channels comes from x, or from the filter where x leaves it open.
absl::Status ReadChannels(const NodeView& view, Convolution& conv) {
  const Shape& filter = view.input_shape(conv.filter);
  const int64_t channels = view.input_shape(conv.x)[1];
  if (conv.form == Form::kDepthwise) {
    if (filter[0] != 1 && filter[1] != 1) {
      return absl::UnimplementedError(absl::StrCat("filter is ", ToString(view.input(conv.filter)),
                                                   "; only one map for each channel is supported"));
    }
    conv.groups = conv.in_channels = conv.out_channels = filter[0] == 1 ? filter[1] : filter[0];
  } else {
    conv.groups = view.Attr<int64_t>("groups");
    if (conv.groups < 1 || conv.groups > (int64_t{1} << 20)) {
      return absl::InvalidArgumentError(
          absl::StrCat("attribute 'groups' is ", conv.groups, "; it must be at least 1"));
    }
    const int outer = conv.form == Form::kForward ? 0 : 1;
    if (filter[0] == kUnknownDim || filter[1] == kUnknownDim)
      return FilterError(view, conv, "its shape must be known");
    if (filter[0] % conv.groups != 0)
      return FilterError(view, conv, "its dimension 0 must be divisible by the groups");
    conv.in_channels = conv.form == Form::kForward ? filter[1] * conv.groups : filter[0];
    conv.out_channels = outer == 0 ? filter[0] : filter[1] * conv.groups;
  }
  if (!DimsAgree(channels, conv.in_channels)) {
    return FilterError(view, conv, absl::StrCat("it is for ", conv.in_channels, " channels"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Convolution> Read(const NodeView& view) {
  Convolution conv;
  const Node& node = view.node();
  if (node.is("DepthwiseConv2D")) conv.form = Form::kDepthwise;
  if (node.is("Conv2DTranspose") || node.is("Conv2DTransposeD")) conv.form = Form::kTransposed;
  if (node.is("Conv3D")) conv.spatial = 3;
  if (node.is("Conv2DTranspose")) conv.x = 1;
  conv.filter = conv.x + 1;
  conv.bias = conv.x + 2;
  RETURN_IF_ERROR(CheckImageFormat(view, conv.spatial));
  RETURN_IF_ERROR(CheckRank(view, conv.x, conv.spatial + 2));
  RETURN_IF_ERROR(CheckRank(view, conv.filter, conv.spatial + 2));
  RETURN_IF_ERROR(CheckSameType(view, conv.x, conv.filter));
  RETURN_IF_ERROR(CheckAbsent(view, conv.bias + 1));  // offset_w
  RETURN_IF_ERROR(ReadChannels(view, conv));
  RETURN_IF_ERROR(ReadWindows(view, conv));
  if (view.has_input(conv.bias)) {
    const Shape& bias = view.input_shape(conv.bias);
    if (bias.size() != 1 || !DimsAgree(bias[0], conv.out_channels)) {
      return absl::InvalidArgumentError(absl::StrCat("bias is ", ToString(view.input(conv.bias)),
                                                     "; it must have one element for each of ",
                                                     conv.out_channels, " output channels"));
    }
  }
  return conv;
}

absl::StatusOr<Descs> InferConvolution(const NodeView& view) {
  ASSIGN_OR_RETURN(Convolution conv, Read(view));
  const TensorDesc& x = view.input(conv.x);
  Shape shape = {x.shape[0], conv.out_channels};
  for (int d = 0; d < conv.spatial; ++d) {
    ASSIGN_OR_RETURN(int64_t positions,
                     WindowPositions(conv.windows[d], x.shape[2 + d], /*ceil_mode=*/false));
    shape.push_back(positions);
  }
  // Products of int8 are summed in int32.
  return Descs{{x.type == DataType::kInt8 ? DataType::kInt32 : x.type, shape}};
}

// --- Transposed: input_size is the shape of the output, 0 standing for "as it follows"
// --------------------------------------

absl::StatusOr<std::vector<int64_t>> RequestedSize(const NodeView& view) {
  std::vector<int64_t> size;
  if (view.node().is("Conv2DTranspose")) {
    ASSIGN_OR_RETURN(size, view.ConstantInts(0));
  } else {
    size = view.Attr<std::vector<int64_t>>("input_size");
  }
  if (size.size() != 4 || !IsStatic(size)) {
    return absl::InvalidArgumentError(absl::StrCat("input_size is (", absl::StrJoin(size, ","),
                                                   "); it must be four numbers, the shape of the output"));
  }
  return size;
}

absl::StatusOr<Descs> InferTransposed(const NodeView& view) {
  ASSIGN_OR_RETURN(Convolution conv, Read(view));
  ASSIGN_OR_RETURN(std::vector<int64_t> requested, RequestedSize(view));
  const std::vector<int64_t> extra = view.Attr<std::vector<int64_t>>("output_padding");
  if (extra.size() != 4) {
    return absl::InvalidArgumentError(absl::StrCat("attribute 'output_padding' is (",
                                                   absl::StrJoin(extra, ","), "); it must have 4 numbers"));
  }
  const TensorDesc& x = view.input(conv.x);
  Shape shape = {x.shape[0], conv.out_channels};
  for (int d = 0; d < 2; ++d) {
    const Window& window = conv.windows[d];
    const int64_t size = x.shape[2 + d];
    if (extra[2 + d] < 0 || extra[2 + d] >= std::max(window.stride, window.dilation)) {
      return absl::InvalidArgumentError(absl::StrCat("attribute 'output_padding' holds ", extra[2 + d],
                                                     "; it must be smaller than stride or dilation"));
    }
    // The smallest size whose convolution has `size` positions; up to stride - 1 more have as many.
    const int64_t smallest = window.stride * (size - 1) + window.reach() - window.pad_begin - window.pad_end;
    const int64_t wanted = requested[2 + d];
    if (size == kUnknownDim) {
      shape.push_back(wanted == 0 ? kUnknownDim : wanted);
    } else if (wanted == 0) {
      shape.push_back(size == 0 ? 0 : smallest + extra[2 + d]);
    } else if (wanted >= smallest && wanted < smallest + std::max(window.stride, window.dilation)) {
      shape.push_back(wanted);
    } else {
      return absl::InvalidArgumentError(absl::StrCat("input_size asks for ", wanted, " in dimension ", 2 + d,
                                                     "; strides and pads give ", smallest));
    }
    if (shape.back() < 0 && shape.back() != kUnknownDim) {
      return absl::InvalidArgumentError(
          absl::StrCat("the pads are larger than dimension ", 2 + d, " of the output"));
    }
  }
  for (int d : {0, 1}) {
    if (requested[d] != 0 && !DimsAgree(requested[d], shape[d])) {
      return absl::InvalidArgumentError(
          absl::StrCat("input_size asks for ", requested[d], " in dimension ", d, " but it is ", shape[d]));
    }
    if (requested[d] != 0) shape[d] = requested[d];
  }
  return Descs{{x.type, shape}};
}

// --- Sharding
// -----------------------------------------------------------------------------------------------------------

// Batch and output channels are parallel; input channels are summed. With groups, the groups are parallel and
// a group is whole (its channels are the minor part of the channel dimension). The image may be cut where its parts can
// exchange their borders; that of a transposed convolution is whole.
absl::StatusOr<ShardingRule> ConvolutionRule(const NodeView& view) {
  ASSIGN_OR_RETURN(Convolution conv, Read(view));
  RuleBuilder rule(view);
  const int batch = rule.Add(view.input_shape(conv.x)[0], FactorKind::kParallel, "batch");
  rule.Input(conv.x, 0, batch).Output(0, 0, batch);
  const int groups = rule.Add(conv.groups, FactorKind::kParallel, "groups");
  rule.Input(conv.x, 1, groups).Output(0, 1, groups).Input(conv.bias, 0, groups);
  if (conv.form == Form::kDepthwise) {
    rule.Input(conv.filter, view.input_shape(conv.filter)[0] == 1 ? 1 : 0, groups);
  } else {
    const bool grouped = conv.groups > 1;
    const int out = rule.Add(conv.out_channels / conv.groups,
                             grouped ? FactorKind::kWhole : FactorKind::kParallel, "out channels");
    const int in = rule.Add(conv.in_channels / conv.groups, grouped ? FactorKind::kWhole : FactorKind::kSum,
                            "in channels");
    const bool forward = conv.form == Form::kForward;
    rule.Input(conv.x, 1, in).Output(0, 1, out).Input(conv.bias, 0, out);
    rule.Input(conv.filter, 0, groups).Input(conv.filter, 0, forward ? out : in);
    rule.Input(conv.filter, 1, forward ? in : out);
  }
  if (conv.form != Form::kTransposed) {
    for (int d = 0; d < conv.spatial; ++d) AddWindowDim(view, conv.windows[d], conv.x, 2 + d, rule);
  }
  if (!view.has_input(conv.bias)) AddLinear(view, {{{conv.x}, {conv.filter}}}, rule);
  return rule.Finish();
}

absl::StatusOr<std::vector<ValueId>> EmitConvolution(EmitContext& context) {
  ASSIGN_OR_RETURN(Convolution conv, Read(context.view()));
  AttrMap changed;
  if (conv.form != Form::kDepthwise) {
    int64_t groups = conv.groups;
    // The groups are the major factor of the output channels where there is more than one.
    if (groups > 1) groups = context.local_size(context.rule().outputs[0][1][0]);
    changed["groups"] = groups;
  }
  if (conv.form != Form::kTransposed) {
    ValueId x = context.local_inputs()[conv.x];
    std::vector<int64_t> pads;
    for (int d = 0; d < conv.spatial; ++d) {
      ASSIGN_OR_RETURN(x, ExchangeHalo(context, conv.x, 2 + d, x, &conv.windows[d]));
      pads.push_back(conv.windows[d].pad_begin);
      pads.push_back(conv.windows[d].pad_end);
    }
    context.set_local_input(conv.x, x);
    changed["pads"] = pads;
  }
  const Shape shape = context.LocalOutputShape(0);
  if (context.source().is("Conv2DTransposeD")) changed["input_size"] = std::vector<int64_t>(shape);
  if (context.source().is("Conv2DTranspose")) {
    context.set_local_input(
        0, context.Constant(absl::StrCat(context.source().name(), "/input_size"), Tensor::Int64s(shape)));
  }
  return EmitBiasOnce(context, conv.bias, changed);
}

OpCost ConvolutionCost(const NodeView& view) {
  OpCost cost{0, TensorBytes(view)};
  absl::StatusOr<Convolution> conv = Read(view);
  if (!conv.ok()) return cost;
  // Each element on the side of the positions meets every tap of every channel that its group has on the
  // other side.
  const bool forward = conv->form != Form::kTransposed;
  const Shape& positions = forward ? view.output().shape : view.input_shape(conv->x);
  const int64_t channels = forward ? conv->in_channels : conv->out_channels;
  cost.flops = 2 * static_cast<double>(NumElements(positions)) * static_cast<double>(channels) /
               static_cast<double>(conv->groups);
  for (const Window& window : conv->windows) cost.flops *= static_cast<double>(window.kernel);
  return cost;
}

OpDef ConvolutionDef(std::string type, int spatial, std::vector<AttrDef> attrs, InferFunction infer) {
  attrs.push_back(RequiredAttr<std::vector<int64_t>>("strides"));
  attrs.push_back(RequiredAttr<std::vector<int64_t>>("pads"));
  attrs.push_back(DefaultAttr("dilations", std::vector<int64_t>(spatial + 2, 1)));
  attrs.push_back(DefaultAttr("data_format", std::string(spatial == 3 ? "NDHWC" : "NHWC")));
  attrs.push_back(DefaultAttr("offset_x", int64_t{0}));
  return {.type = std::move(type),
          .inputs = {Required("x"), Required("filter"), Optional("bias"), Optional("offset_w")},
          .outputs = {"y"},
          .attrs = std::move(attrs),
          .infer = std::move(infer),
          .rule = ConvolutionRule,
          .emit = EmitConvolution,
          .cost = ConvolutionCost};
}

}  // namespace

void AddConvolutionOps(OpRegistry& registry) {
  const AttrDef groups = DefaultAttr("groups", int64_t{1});
  const AttrDef output_padding = DefaultAttr("output_padding", std::vector<int64_t>(4, 0));
  registry.Add(ConvolutionDef("Conv2D", 2, {groups}, InferConvolution));
  registry.Add(ConvolutionDef("Conv3D", 3, {groups}, InferConvolution));
  registry.Add(ConvolutionDef("DepthwiseConv2D", 2, {}, InferConvolution));
  registry.Add(ConvolutionDef("Conv2DTransposeD", 2,
                              {groups, output_padding, RequiredAttr<std::vector<int64_t>>("input_size")},
                              InferTransposed));
  OpDef transposed = ConvolutionDef("Conv2DTranspose", 2, {groups, output_padding}, InferTransposed);
  transposed.inputs.insert(transposed.inputs.begin(), Parameter("input_size"));
  registry.Add(std::move(transposed));
}

}  // namespace omserve
