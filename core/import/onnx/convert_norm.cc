// Softmax and normalisation.
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/import/onnx/converter.h"

namespace omserve {
namespace {

constexpr int64_t kToTheEnd = std::numeric_limits<int64_t>::max();

ValueId Softmax(Conversion& c, ValueId x, int64_t axis) {
  return c.Node(c.target(), {x}, {{"axes", std::vector<int64_t>{axis}}}, c.info(x));
}

absl::Status ConvertSoftmax(Conversion& c) {
  c.SetOutput(0, Softmax(c, c.input(0), c.Axis("axis", -1)));
  return absl::OkStatus();
}

// Below opset 13 all dimensions from `axis` on are normalised together, as the rows of a matrix.
absl::Status ConvertSoftmaxOfRows(Conversion& c) {
  const int64_t axis = c.Axis("axis", 1);
  const ValueId x = c.input(0);
  if (axis == -1 || (c.rank(0) >= 1 && axis == c.rank(0) - 1)) {
    c.SetOutput(0, Softmax(c, x, -1));
    return absl::OkStatus();
  }
  const ValueId rows = c.Helper("Flatten", {x}, {{"axis", axis}}, c.info(x).OfRank(2));
  c.SetOutput(0, c.Helper("Reshape", {Softmax(c, rows, -1), c.ShapeOf(x)}, {}, c.info(x)));
  return absl::OkStatus();
}

// A scale or bias as a tensor of shape `normalized`. ONNX lets it broadcast; LayerNormV4 does not.
ValueId Spread(Conversion& c, ValueId parameter, ValueId normalized, const Shape* normalized_shape) {
  const TensorSlice* constant = c.constant(parameter);
  if (constant != nullptr && normalized_shape != nullptr && constant->shape() == *normalized_shape) return parameter;
  return c.Helper("Expand", {parameter, normalized}, {}, {c.info(parameter).type});
}

absl::Status ConvertLayerNorm(Conversion& c) {
  const int64_t axis = c.Axis("axis", -1);
  c.RequireInt("stash_type", 1);
  const ValueId x = c.input(0);
  const ValueId scale = c.input(1);
  const ValueId bias = c.optional_input(2);
  // The shape normalised over is that of a constant scale, when it is sure that the scale does not broadcast. That is
  // the common case; else it is a part of x's shape.
  const TensorSlice* constant = c.constant(scale);
  const Shape* known = nullptr;
  if (constant != nullptr) {
    const int64_t rank = static_cast<int64_t>(constant->shape().size());
    bool broadcasts = rank == 0;
    for (int64_t dim : constant->shape()) broadcasts |= dim == 1;
    const bool all = axis < 0 ? -axis == rank : c.rank(0) >= 0 && c.rank(0) - axis == rank;
    if (all && !broadcasts) known = &constant->shape();
  }
  const ValueId normalized = known != nullptr ? c.Ints64("normalized_shape", *known)
                                              : c.SliceVector(c.ShapeOf(x), axis, kToTheEnd);
  std::vector<ValueId> inputs{x, normalized, Spread(c, scale, normalized, known)};
  if (bias.valid()) inputs.push_back(Spread(c, bias, normalized, known));
  const ValueId y =
      c.Node("LayerNormV4", std::move(inputs), {{"epsilon", c.Float("epsilon", 1e-5f)}}, c.info(x), 3);
  for (int i = 0; i < 3; ++i) c.SetOutput(i, {y.node, i});
  c.SetInfo({y.node, 1}, c.info(x).As(DataType::kFloat));
  c.SetInfo({y.node, 2}, c.info(x).As(DataType::kFloat));
  return absl::OkStatus();
}

// RmsNorm normalises over the dimensions of gamma.
absl::Status ConvertRmsNorm(Conversion& c) {
  const int64_t axis = c.Axis("axis", -1);
  c.RequireInt("stash_type", 1);
  const int64_t normalized = axis < 0 ? -axis : c.rank(0) - axis;
  if (c.rank(1) != normalized) {
    return c.Unsupported(absl::StrCat("its scale has rank ", c.rank(1), "; it must have one dimension for each of the ",
                                      normalized, " that are normalised"));
  }
  const ValueId y = c.Node("RmsNorm", {c.input(0), c.input(1)}, {{"epsilon", c.Float("epsilon", 1e-5f)}},
                           c.info(0), 2);
  c.SetOutput(0, y);
  return absl::OkStatus();
}

absl::Status ConvertBatchNorm(Conversion& c) {
  c.RequireInt("training_mode", 0);
  c.RequireInt("spatial", 1);
  c.Ignore("momentum");
  const AttrMap attrs{{"epsilon", c.Float("epsilon", 1e-5f)}, {"data_format", "NCHW"}, {"is_training", false}};
  c.SetOutput(0, c.Node("BatchNorm", c.inputs(), attrs, c.info(0), 6));
  return absl::OkStatus();
}

absl::Status ConvertInstanceNorm(Conversion& c) {
  const AttrMap attrs{{"data_format", "NCHW"}, {"epsilon", c.Float("epsilon", 1e-5f)}};
  c.SetOutput(0, c.Node("InstanceNorm", c.inputs(), attrs, c.info(0), 3));
  return absl::OkStatus();
}

// One value per group, repeated for each channel of its group.
ValueId PerChannel(Conversion& c, ValueId per_group, int64_t groups, ValueId channels) {
  const ValueInfo info = c.info(per_group);
  const ValueId each =
      c.Helper("TruncateDiv", {channels, c.Ints64("groups", {groups})}, {}, {DataType::kInt64, 1});
  const ValueId column = c.Unsqueeze(per_group, {1});
  const ValueId table = c.ConcatVectors({c.Ints64("groups", {groups}), each});
  const ValueId spread = c.Helper("Expand", {column, table}, {}, info.OfRank(2));
  return c.Helper("Reshape", {spread, channels}, {}, info.OfRank(1));
}

// Opset 18 scales groups, opset 21 channels; Ascend's GroupNorm scales channels.
absl::Status ConvertGroupNorm(Conversion& c) {
  const int64_t groups = c.Int("num_groups", 0);
  if (groups < 1) {
    return absl::InvalidArgumentError(absl::StrCat("its attribute num_groups = ", groups, " must be positive"));
  }
  c.RequireInt("stash_type", 1);
  ValueId scale = c.input(1);
  ValueId bias = c.input(2);
  if (c.opset() < 21) {
    const ValueId channels = c.SliceVector(c.ShapeOf(c.input(0)), 1, 2);
    scale = PerChannel(c, scale, groups, channels);
    bias = PerChannel(c, bias, groups, channels);
  }
  const AttrMap attrs{{"num_groups", groups},
                      {"data_format", "NCHW"},
                      {"eps", c.Float("epsilon", 1e-5f)}};
  c.SetOutput(0, c.Node("GroupNorm", {c.input(0), scale, bias}, attrs, c.info(0), 3));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"BatchNormalization", 7, kNewestOpset, 5, 5, ConvertBatchNorm},
    {"GroupNormalization", 18, kNewestOpset, 3, 3, ConvertGroupNorm},
    {"InstanceNormalization", 6, kNewestOpset, 3, 3, ConvertInstanceNorm},
    {"LayerNormalization", 17, kNewestOpset, 2, 3, ConvertLayerNorm},
    {"LogSoftmax", 1, 12, 1, 1, ConvertSoftmaxOfRows, "LogSoftmaxV2"},
    {"LogSoftmax", 13, kNewestOpset, 1, 1, ConvertSoftmax, "LogSoftmaxV2"},
    {"RMSNormalization", 23, kNewestOpset, 2, 2, ConvertRmsNorm},
    {"Softmax", 1, 12, 1, 1, ConvertSoftmaxOfRows, "SoftmaxV2"},
    {"Softmax", 13, kNewestOpset, 1, 1, ConvertSoftmax, "SoftmaxV2"},
};

}  // namespace

absl::Span<const Converter> NormConverters() { return kConverters; }

}  // namespace omserve
