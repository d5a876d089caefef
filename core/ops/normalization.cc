// Softmax and normalisations. The axes that are normalised over may be cut where the parts can exchange what they need
// (ops/exchange.h): in softmax, normalisations and norms of types up to float32. Else they are whole; all others are
// parallel.
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

int Rank(const NodeView& view, int input) { return static_cast<int>(view.input_shape(input).size()); }

std::vector<int> AxesFrom(int begin, int rank) {
  std::vector<int> axes(std::max(0, rank - begin));
  std::iota(axes.begin(), axes.end(), begin);
  return axes;
}

absl::Status CheckFloat(const NodeView& view, int i) {
  if (IsFloatType(view.input(i).type)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(InputName(view, i), " is ", ToString(view.input(i)),
                                                 "; it must be of a floating-point type"));
}

// Statistics are kept in float32 when x is shorter.
DataType StatisticsType(DataType type) { return type == DataType::kDouble ? type : DataType::kFloat; }

// --- Softmax
// --------------------------------------------------------------------------------------------------------

absl::StatusOr<std::vector<int>> SoftmaxAxes(const NodeView& view) {
  return NormalizeAxes(view.Attr<std::vector<int64_t>>("axes"), Rank(view, 0));
}

absl::StatusOr<Descs> InferSoftmax(const NodeView& view) {
  RETURN_IF_ERROR(CheckFloat(view, 0));
  RETURN_IF_ERROR(SoftmaxAxes(view).status());
  TensorDesc y = view.input(0);
  if (view.node().is("SoftmaxV2") && view.Attr<bool>("half_to_float") && y.type == DataType::kFloat16) {
    y.type = DataType::kFloat;
  }
  return Descs{y};
}

absl::StatusOr<ShardingRule> SoftmaxRule(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int> axes, SoftmaxAxes(view));
  return AxesWhole(view, ExchangesIn(view.input(0).type) ? std::vector<int>{} : axes);
}

absl::StatusOr<std::vector<ValueId>> EmitSoftmax(EmitContext& context) {
  ASSIGN_OR_RETURN(const std::vector<int> axes, SoftmaxAxes(context.view()));
  if (!CutAlong(context, axes)) return EmitClone(context);
  return EmitCutSoftmax(context, axes, /*log=*/context.source().is("LogSoftmaxV2"));
}

// --- Layer normalisation
// -------------------------------------------------------------------------------------------- LayerNorm,
// LayerNormV3: x, gamma, beta; axes from begin_norm_axis. LayerNormV4: x, normalized_shape, gamma?, beta?.
// RmsNorm: x, gamma. AddRmsNorm: x1, x2, gamma.

struct LayerNormInputs {
  int gamma;
  int beta;  // -1: none
};

LayerNormInputs InputsOfLayerNorm(const NodeView& view) {
  if (view.node().is("LayerNormV4")) return {2, 3};
  if (view.node().is("RmsNorm")) return {1, -1};
  if (view.node().is("AddRmsNorm")) return {2, -1};
  return {1, 2};
}

// The first axis of x that is normalised over.
absl::StatusOr<int> BeginNormAxis(const NodeView& view) {
  const int rank = Rank(view, 0);
  if (view.node().is("LayerNorm") || view.node().is("LayerNormV3")) {
    ASSIGN_OR_RETURN_WITH(int axis, NormalizeAxis(view.Attr<int64_t>("begin_norm_axis"), rank),
                          "begin_norm_axis");
    return axis;
  }
  int normalized = 0;
  if (!view.node().is("LayerNormV4")) {
    normalized = Rank(view, InputsOfLayerNorm(view).gamma);
  } else {
    ASSIGN_OR_RETURN(std::vector<int64_t> shape, view.ConstantInts(1));
    normalized = static_cast<int>(shape.size());
    for (int d = 0; d < std::min(rank, normalized); ++d) {
      if (!DimsAgree(view.input_shape(0)[rank - 1 - d], shape[normalized - 1 - d])) {
        return absl::InvalidArgumentError(absl::StrCat("normalized_shape is ", ToString(shape),
                                                       "; it must be the last dimensions of x, ",
                                                       ToString(view.input_shape(0))));
      }
    }
  }
  if (normalized == 0 || normalized > rank) {
    return absl::InvalidArgumentError(
        absl::StrCat("normalises ", normalized, " dimensions of x, which is ", ToString(view.input(0))));
  }
  return rank - normalized;
}

absl::StatusOr<Descs> InferLayerNorm(const NodeView& view) {
  RETURN_IF_ERROR(CheckFloat(view, 0));
  ASSIGN_OR_RETURN(int begin, BeginNormAxis(view));
  const LayerNormInputs inputs = InputsOfLayerNorm(view);
  for (int i : {inputs.gamma, inputs.beta}) {
    if (i < 0 || !view.has_input(i)) continue;
    RETURN_IF_ERROR(CheckFloat(view, i));
    RETURN_IF_ERROR(CheckBroadcastsTo(view, i, view.input_shape(0)));
  }
  TensorDesc statistics{StatisticsType(view.input(0).type), view.input_shape(0)};
  std::fill(statistics.shape.begin() + begin, statistics.shape.end(), 1);
  const TensorDesc& x = view.input(0);
  if (view.node().is("RmsNorm")) return Descs{x, statistics};
  if (view.node().is("AddRmsNorm")) {
    RETURN_IF_ERROR(CheckSameType(view, 0, 1));
    RETURN_IF_ERROR(CheckSameShape(view, 0, 1));
    return Descs{x, statistics, x};
  }
  return Descs{x, statistics, statistics};
}

absl::StatusOr<ShardingRule> LayerNormRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int begin, BeginNormAxis(view));
  const LayerNormInputs inputs = InputsOfLayerNorm(view);
  const Shape& shape = view.input_shape(0);
  bool exchanges = ExchangesIn(view.input(0).type);
  for (int i : {inputs.gamma, inputs.beta}) {
    if (i >= 0 && view.has_input(i)) exchanges = exchanges && ExchangesIn(view.input(i).type);
  }
  RuleBuilder rule(view);
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    const bool normalized = d >= begin;
    const int factor =
        rule.Add(shape[d], normalized && !exchanges ? FactorKind::kWhole : FactorKind::kParallel,
                 absl::StrCat("dim", d));
    rule.Input(0, d, factor);
    if (view.node().is("AddRmsNorm")) rule.Input(1, d, factor);
    for (int i : {inputs.gamma, inputs.beta}) {
      // Aligned to the right: GE's begin_params_axis is 0 by default, so what counts is the rank of gamma.
      if (i < 0 || !view.has_input(i)) continue;
      const int dim = d - (Rank(view, 0) - Rank(view, i));
      if (dim >= 0) rule.BroadcastInput(i, dim, factor);
    }
    for (int o = 0; o < view.node().num_outputs(); ++o) {
      if (!normalized || view.output(o).shape[d] == shape[d]) rule.Output(o, d, factor);
    }
  }
  return rule.Finish();
}

absl::StatusOr<std::vector<ValueId>> EmitLayerNorm(EmitContext& context) {
  ASSIGN_OR_RETURN(const int begin, BeginNormAxis(context.view()));
  const std::vector<int> axes = AxesFrom(begin, Rank(context.view(), 0));
  if (!CutAlong(context, axes)) return EmitClone(context);
  const LayerNormInputs inputs = InputsOfLayerNorm(context.view());
  return EmitCutLayerNorm(context, axes, inputs.gamma, inputs.beta);
}

// --- Group and instance normalisation
// ---------------------------------------------------------------------------------

absl::Status CheckChannelFirst(const NodeView& view) {
  const std::string format = view.Attr<std::string>("data_format");
  if (format == "NCHW" || format == "NCDHW") return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("attribute 'data_format' is '", format, "'; only NCHW is supported"));
}

// Per-channel parameters: [C].
absl::Status CheckPerChannel(const NodeView& view, int input, int64_t channels) {
  if (!view.has_input(input)) return absl::OkStatus();
  const Shape& shape = view.input_shape(input);
  if (shape.size() == 1 && DimsAgree(shape[0], channels)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(InputName(view, input), " is ", ToString(view.input(input)),
                                                 "; it must have one element for each of ", channels,
                                                 " channels"));
}

absl::StatusOr<Descs> InferGroupNorm(const NodeView& view) {
  RETURN_IF_ERROR(CheckFloat(view, 0));
  RETURN_IF_ERROR(CheckMinRank(view, 0, 2));
  RETURN_IF_ERROR(CheckChannelFirst(view));
  const int64_t groups = view.Attr<int64_t>("num_groups");
  const TensorDesc& x = view.input(0);
  if (groups <= 0 || (x.shape[1] != kUnknownDim && x.shape[1] % groups != 0)) {
    return absl::InvalidArgumentError(absl::StrCat("attribute 'num_groups' is ", groups,
                                                   "; it must divide the ", x.shape[1], " channels of x"));
  }
  for (int i : {1, 2}) RETURN_IF_ERROR(CheckPerChannel(view, i, x.shape[1]));
  const TensorDesc statistics{x.type, {x.shape[0], groups}};
  return Descs{x, statistics, statistics};
}

// What happens to an image that is cut.
FactorKind SpatialKind(const NodeView& view) {
  for (int i : {0, 1, 2}) {
    if (!ExchangesIn(view.input(i).type)) return FactorKind::kWhole;
  }
  return FactorKind::kParallel;
}

std::vector<int> SpatialAxes(const NodeView& view) { return AxesFrom(2, Rank(view, 0)); }

absl::StatusOr<ShardingRule> GroupNormRule(const NodeView& view) {
  const Shape& shape = view.input_shape(0);
  const int64_t num_groups = view.Attr<int64_t>("num_groups");
  RuleBuilder rule(view);
  const int batch = rule.Add(shape[0], FactorKind::kParallel, "batch");
  const int groups = rule.Add(num_groups, FactorKind::kParallel, "groups");
  const int channels = rule.Add(shape[1] / num_groups, FactorKind::kWhole, "channels of a group");
  for (int i : {1, 2}) rule.Input(i, 0, groups).Input(i, 0, channels);
  rule.Input(0, 0, batch).Input(0, 1, groups).Input(0, 1, channels);
  rule.Output(0, 0, batch).Output(0, 1, groups).Output(0, 1, channels);
  for (int o : {1, 2}) rule.Output(o, 0, batch).Output(o, 1, groups);
  for (int d = 2; d < static_cast<int>(shape.size()); ++d) {
    const int factor = rule.Add(shape[d], SpatialKind(view), absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, d, factor);
  }
  return rule.Finish();
}

absl::StatusOr<std::vector<ValueId>> EmitGroupNorm(EmitContext& context) {
  // The statistics' second dimension is the groups.
  const int64_t groups = context.LocalOutputShape(1)[1];
  if (CutAlong(context, SpatialAxes(context.view()))) {
    return EmitCutGroupNorm(context, groups, context.view().Attr<float>("eps"));
  }
  return EmitCopy(context, {context.local_inputs().begin(), context.local_inputs().end()},
                  {{"num_groups", groups}});
}

absl::StatusOr<Descs> InferInstanceNorm(const NodeView& view) {
  RETURN_IF_ERROR(CheckFloat(view, 0));
  RETURN_IF_ERROR(CheckMinRank(view, 0, 3));
  RETURN_IF_ERROR(CheckChannelFirst(view));
  const TensorDesc& x = view.input(0);
  for (int i : {1, 2}) RETURN_IF_ERROR(CheckPerChannel(view, i, x.shape[1]));
  TensorDesc statistics{StatisticsType(x.type), x.shape};
  std::fill(statistics.shape.begin() + 2, statistics.shape.end(), 1);
  return Descs{x, statistics, statistics};
}

absl::StatusOr<ShardingRule> InstanceNormRule(const NodeView& view) {
  const Shape& shape = view.input_shape(0);
  RuleBuilder rule(view);
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    const int factor =
        rule.Add(shape[d], d < 2 ? FactorKind::kParallel : SpatialKind(view), absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, d, factor);
    if (d == 1) rule.Input(1, 0, factor).Input(2, 0, factor);
    if (d < 2) rule.Output(1, d, factor).Output(2, d, factor);
  }
  return rule.Finish();
}

absl::StatusOr<std::vector<ValueId>> EmitInstanceNorm(EmitContext& context) {
  if (!CutAlong(context, SpatialAxes(context.view()))) return EmitClone(context);
  return EmitCutGroupNorm(context, context.LocalOutputShape(1)[1], context.view().Attr<float>("epsilon"));
}

// --- Batch normalisation at inference: a scale and a shift per channel
// -------------------------------------------------

int ChannelAxis(const NodeView& view) {
  if (view.node().is("BNInfer")) return 1;
  const std::string format = view.Attr<std::string>("data_format");
  return format == "NHWC" || format == "NDHWC" ? Rank(view, 0) - 1 : 1;
}

absl::StatusOr<Descs> InferBatchNorm(const NodeView& view) {
  RETURN_IF_ERROR(CheckFloat(view, 0));
  RETURN_IF_ERROR(CheckMinRank(view, 0, 2));
  const TensorDesc& x = view.input(0);
  const bool with_statistics = view.node().is("BatchNorm");
  if (with_statistics) {
    if (view.Attr<bool>("is_training")) {
      return absl::UnimplementedError("training mode (attribute 'is_training' true) is not supported");
    }
    for (int i : {3, 4}) {
      if (!view.has_input(i)) {
        return absl::InvalidArgumentError(absl::StrCat(InputName(view, i), " is needed at inference"));
      }
    }
  }
  const int64_t channels = x.shape[ChannelAxis(view)];
  for (int i = 1; i < 5; ++i) RETURN_IF_ERROR(CheckPerChannel(view, i, channels));
  if (!with_statistics) return Descs{x};
  // The five statistics are unused at inference.
  return Descs{x, view.input(1), view.input(1), view.input(1), view.input(1), view.input(1)};
}

absl::StatusOr<ShardingRule> BatchNormRule(const NodeView& view) {
  const Shape& shape = view.input_shape(0);
  const int channel_axis = ChannelAxis(view);
  RuleBuilder rule(view);
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    const int factor =
        rule.Add(shape[d], FactorKind::kParallel, d == channel_axis ? "channels" : absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, d, factor);
    if (d != channel_axis) continue;
    for (int i = 1; i < view.num_inputs(); ++i) rule.Input(i, 0, factor);
    for (int o = 1; o < view.node().num_outputs(); ++o) rule.Output(o, 0, factor);
  }
  return rule.Finish();
}

// --- Vector norms: keeps or drops the axes it reduces
// ------------------------------------------------------------------

absl::StatusOr<std::vector<int>> LpNormAxes(const NodeView& view) {
  const std::vector<int64_t> axes = view.Attr<std::vector<int64_t>>("axes");
  if (axes.empty()) return AxesFrom(0, Rank(view, 0));
  return NormalizeAxes(axes, Rank(view, 0));
}

absl::StatusOr<Descs> InferLpNorm(const NodeView& view) {
  RETURN_IF_ERROR(CheckFloat(view, 0));
  ASSIGN_OR_RETURN(std::vector<int> axes, LpNormAxes(view));
  return Descs{{view.input(0).type, ReducedShape(view.input_shape(0), axes, view.Attr<bool>("keepdim"))}};
}

absl::StatusOr<ShardingRule> LpNormRule(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int> axes, LpNormAxes(view));
  const float p = view.Attr<float>("p");
  const bool exchanges = ExchangesIn(view.input(0).type) && (p == 1.0f || p == 2.0f);
  return ReducedRule(view, axes, view.Attr<bool>("keepdim"), exchanges ? FactorKind::kParallel : FactorKind::kWhole);
}

absl::StatusOr<std::vector<ValueId>> EmitLpNorm(EmitContext& context) {
  ASSIGN_OR_RETURN(const std::vector<int> axes, LpNormAxes(context.view()));
  if (!CutAlong(context, axes)) return EmitClone(context);
  const bool absolute = context.view().Attr<float>("p") == 1.0f;
  return EmitCutReduction(context, axes, absolute ? CutReduction::kSumAbs : CutReduction::kRootOfSquares);
}

}  // namespace

void AddNormalizationOps(OpRegistry& registry) {
  const CostFunction softmax_cost = PerOutputElement(20);
  const CostFunction norm_cost = PerOutputElement(8);
  registry.Add({.type = "SoftmaxV2",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("axes", std::vector<int64_t>{-1}), DefaultAttr("half_to_float", false)},
                .infer = InferSoftmax,
                .rule = SoftmaxRule,
                .emit = EmitSoftmax,
                .cost = softmax_cost});
  registry.Add({.type = "LogSoftmaxV2",
                .inputs = {Required("logits")},
                .outputs = {"logsoftmax"},
                .attrs = {DefaultAttr("axes", std::vector<int64_t>{-1})},
                .infer = InferSoftmax,
                .rule = SoftmaxRule,
                .emit = EmitSoftmax,
                .cost = softmax_cost});
  for (const bool v3 : {false, true}) {
    registry.Add(
        {.type = v3 ? "LayerNormV3" : "LayerNorm",
         .inputs = {Required("x"), Required("gamma"), Required("beta")},
         .outputs = {"y", "mean", v3 ? "rstd" : "variance"},
         .attrs = {DefaultAttr("begin_norm_axis", int64_t{0}), DefaultAttr("begin_params_axis", int64_t{0}),
                   DefaultAttr("epsilon", v3 ? 1e-5f : 1e-7f)},
         .infer = InferLayerNorm,
         .rule = LayerNormRule,
                .emit = EmitLayerNorm,
         .cost = norm_cost});
  }
  registry.Add({.type = "LayerNormV4",
                .inputs = {Required("x"), Parameter("normalized_shape"), Optional("gamma"), Optional("beta")},
                .outputs = {"y", "mean", "rstd"},
                .attrs = {DefaultAttr("epsilon", 1e-5f)},
                .infer = InferLayerNorm,
                .rule = LayerNormRule,
                .emit = EmitLayerNorm,
                .cost = norm_cost});
  registry.Add({.type = "RmsNorm",
                .inputs = {Required("x"), Required("gamma")},
                .outputs = {"y", "rstd"},
                .attrs = {DefaultAttr("epsilon", 1e-6f)},
                .infer = InferLayerNorm,
                .rule = LayerNormRule,
                .emit = EmitLayerNorm,
                .cost = PerOutputElement(5)});
  registry.Add({.type = "AddRmsNorm",
                .inputs = {Required("x1"), Required("x2"), Required("gamma")},
                .outputs = {"y", "rstd", "x"},
                .attrs = {DefaultAttr("epsilon", 1e-6f)},
                .infer = InferLayerNorm,
                .rule = LayerNormRule,
                .emit = EmitLayerNorm,
                .cost = PerOutputElement(6)});
  registry.Add(
      {.type = "GroupNorm",
       .inputs = {Required("x"), Required("gamma"), Required("beta")},
       .outputs = {"y", "mean", "variance"},
       .attrs = {RequiredAttr<int64_t>("num_groups"), DefaultAttr("data_format", std::string("NHWC")),
                 DefaultAttr("eps", 1e-4f), DefaultAttr("is_training", true)},
       .infer = InferGroupNorm,
       .rule = GroupNormRule,
       .emit = EmitGroupNorm,
       .cost = norm_cost});
  registry.Add({.type = "InstanceNorm",
                .inputs = {Required("x"), Required("gamma"), Required("beta")},
                .outputs = {"y", "mean", "variance"},
                .attrs = {DefaultAttr("data_format", std::string("NDHWC")), DefaultAttr("epsilon", 1e-6f)},
                .infer = InferInstanceNorm,
                .rule = InstanceNormRule,
                .emit = EmitInstanceNorm,
                .cost = norm_cost});
  registry.Add({.type = "BatchNorm",
                .inputs = {Required("x"), Required("scale"), Required("offset"), Optional("mean"),
                           Optional("variance")},
                .outputs = {"y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2",
                            "reserve_space_3"},
                .attrs = {DefaultAttr("epsilon", 1e-4f), DefaultAttr("data_format", std::string("NHWC")),
                          DefaultAttr("is_training", true), DefaultAttr("exponential_avg_factor", 1.0f)},
                .infer = InferBatchNorm,
                .rule = BatchNormRule,
                .cost = PerOutputElement(2)});
  registry.Add({.type = "BNInfer",
                .inputs = {Required("x"), Required("scale"), Required("offset"), Required("mean"),
                           Required("variance")},
                .outputs = {"y"},
                .attrs = {RequiredAttr<float>("epsilon")},
                .infer = InferBatchNorm,
                .rule = BatchNormRule,
                .cost = PerOutputElement(2)});
  registry.Add({.type = "LpNormV2",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("p", 2.0f), DefaultAttr("axes", std::vector<int64_t>{}),
                          DefaultAttr("keepdim", false), DefaultAttr("epsilon", 1e-12f)},
                .infer = InferLpNorm,
                .rule = LpNormRule,
                .emit = EmitLpNorm,
                .cost = PerInputElement(4)});
}

}  // namespace omserve
