// Batch normalisation at inference is a scale and a shift by channel; both go into the convolution in front.
#include <cmath>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/passes/constants.h"
#include "core/passes/rules.h"

namespace omserve {
namespace {

// Where the channels of a tensor are: dimension 1, or the last one for formats ending in C.
size_t ChannelDim(const Node& node, const std::string& default_format, size_t rank) {
  const std::string format = node.AttrOr<std::string>("data_format", default_format);
  return !format.empty() && format.back() == 'C' ? rank - 1 : 1;
}

struct BatchNormForm {
  const char* type;
  float epsilon;  // defaults of the attributes
  const char* format;
};
constexpr BatchNormForm kBatchNormForms[] = {
    {"BatchNorm", 1e-4f, "NHWC"},
    {"BNInfer", 0, "NCHW"},
};

// BatchNorm and BNInfer with constant statistics → Mul and Add with constants.
absl::StatusOr<bool> BatchNormAsScaleAndShift(Rewriter& rewriter, Node& node) {
  const auto* form =
      absl::c_find_if(kBatchNormForms, [&](const BatchNormForm& f) { return node.is(f.type); });
  const bool training = !node.is("BNInfer") && node.AttrOr<bool>("is_training", true);
  const ValueId x = node.input(0);
  const size_t rank = rewriter.shape(x).size();
  if (training || !rewriter.OnlyFirstOutputUsed(node) || rank < 2) return false;
  const Graph& graph = rewriter.graph();
  const auto gamma = ConstantFloats(graph, node.input(1)), beta = ConstantFloats(graph, node.input(2)),
             mean = ConstantFloats(graph, node.input(3)), variance = ConstantFloats(graph, node.input(4));
  if (!gamma || !beta || !mean || !variance) return false;
  const size_t dim = ChannelDim(node, form->format, rank);
  const size_t channels = static_cast<size_t>(rewriter.shape(x)[dim]);
  for (const auto* values : {&*gamma, &*beta, &*mean, &*variance}) {
    if (values->size() != channels) return false;
  }
  const float epsilon = node.AttrOr<float>("epsilon", form->epsilon);
  std::vector<float> scale(channels), shift(channels);
  for (size_t c = 0; c < channels; ++c) {
    const double factor = (*gamma)[c] / std::sqrt(static_cast<double>((*variance)[c]) + epsilon);
    scale[c] = static_cast<float>(factor);
    shift[c] = static_cast<float>((*beta)[c] - (*mean)[c] * factor);
  }
  // Shaped to broadcast: [C,1,1] for NCHW, [C] for NHWC.
  Shape shape(rank - dim, 1);
  shape[0] = static_cast<int64_t>(channels);
  const ValueId scales =
      rewriter.AddConstant(absl::StrCat(node.name(), "/scale"), Tensor::Of<float>(shape, scale));
  const ValueId shifts =
      rewriter.AddConstant(absl::StrCat(node.name(), "/shift"), Tensor::Of<float>(shape, shift));
  ASSIGN_OR_RETURN(const ValueId scaled,
                   rewriter.Add("Mul", absl::StrCat(node.name(), "/scaled"), {x, scales}));
  RETURN_IF_ERROR(rewriter.Become(node, "Add", {scaled, shifts}));
  return true;
}

// The convolution behind a value that only one node reads, with channels in dimension 1 and a constant filter
// [out channels, ...] (and a constant bias, if any); null else.
Node* FoldableConvolution(Rewriter& rewriter, ValueId value) {
  for (const char* type : {"Conv2D", "Conv3D"}) {
    Node* conv = rewriter.Producer(value, type);
    if (conv == nullptr) continue;
    const size_t rank = conv->output().shape.size();
    const bool channels_second = rank >= 3 && ChannelDim(*conv, "NHWC", rank) == 1;
    const bool constant = rewriter.graph().ConstantOf(conv->input(1)) != nullptr &&
                          (!conv->input(2).valid() || rewriter.graph().ConstantOf(conv->input(2)) != nullptr);
    const bool plain = !conv->input(3).valid() && conv->output().type == DataType::kFloat;
    return channels_second && constant && plain && rewriter.HasOneUse(value) ? conv : nullptr;
  }
  return nullptr;
}

// The constant's value for each channel of `output` (channels in dimension 1), if it is the same in all other
// dimensions and broadcasts to the output.
std::optional<std::vector<float>> PerChannel(const Rewriter& rewriter, ValueId value,
                                             const TensorDesc& output) {
  std::optional<std::vector<float>> values = ConstantFloats(rewriter.graph(), value);
  const int64_t channels = output.shape[1];
  if (!values || values->empty() || rewriter.shape(value).size() > output.shape.size()) return std::nullopt;
  if (values->size() == 1) return std::vector<float>(static_cast<size_t>(channels), values->front());
  const Shape& shape = rewriter.shape(value);
  const size_t from_end = output.shape.size() - 1;
  if (static_cast<int64_t>(values->size()) != channels || shape.size() < from_end ||
      shape[shape.size() - from_end] != channels) {
    return std::nullopt;
  }
  return values;
}

Tensor ChannelTensor(const std::vector<float>& values) {
  return Tensor::Of<float>({static_cast<int64_t>(values.size())}, values);
}

// Conv(x) * constant by channel → a scaled filter and bias.
absl::StatusOr<bool> ScaleIntoConvolution(Rewriter& rewriter, Node& node) {
  const Node* conv = FoldableConvolution(rewriter, node.input(0));
  if (conv == nullptr || conv->output() != node.output()) return false;
  const std::optional<std::vector<float>> scale = PerChannel(rewriter, node.input(1), node.output());
  std::optional<std::vector<float>> filter = ConstantFloats(rewriter.graph(), conv->input(1));
  if (!scale || !filter || filter->size() % scale->size() != 0) return false;
  const size_t per_channel = filter->size() / scale->size();
  for (size_t i = 0; i < filter->size(); ++i) (*filter)[i] *= (*scale)[i / per_channel];
  std::vector<ValueId> inputs(conv->inputs().begin(), conv->inputs().end());
  if (conv->input(2).valid()) {
    std::optional<std::vector<float>> bias = ConstantFloats(rewriter.graph(), conv->input(2));
    if (!bias || bias->size() != scale->size()) return false;
    for (size_t c = 0; c < scale->size(); ++c) (*bias)[c] *= (*scale)[c];
    inputs[2] = rewriter.AddConstant(absl::StrCat(conv->name(), "/bias"), ChannelTensor(*bias));
  }
  inputs[1] = rewriter.AddConstant(absl::StrCat(conv->name(), "/filter"),
                                   Tensor::Of<float>(rewriter.shape(conv->input(1)), *filter));
  RETURN_IF_ERROR(rewriter.Become(node, conv->type(), std::move(inputs), conv->attrs()));
  return true;
}

// Conv(x) ± constant by channel → the bias of the convolution.
absl::StatusOr<bool> ShiftIntoConvolution(Rewriter& rewriter, Node& node) {
  const Node* conv = FoldableConvolution(rewriter, node.input(0));
  if (conv == nullptr || conv->output() != node.output()) return false;
  std::optional<std::vector<float>> shift = PerChannel(rewriter, node.input(1), node.output());
  if (!shift) return false;
  if (node.is("Sub")) absl::c_transform(*shift, shift->begin(), [](float v) { return -v; });
  if (conv->input(2).valid()) {
    const std::optional<std::vector<float>> bias = ConstantFloats(rewriter.graph(), conv->input(2));
    if (!bias || bias->size() != shift->size()) return false;
    for (size_t c = 0; c < shift->size(); ++c) (*shift)[c] += (*bias)[c];
  }
  std::vector<ValueId> inputs = {
      conv->input(0), conv->input(1),
      rewriter.AddConstant(absl::StrCat(conv->name(), "/bias"), ChannelTensor(*shift))};
  RETURN_IF_ERROR(rewriter.Become(node, conv->type(), std::move(inputs), conv->attrs()));
  return true;
}

}  // namespace

std::vector<Rule> ConvolutionRules() {
  return {
      {"batch-norm-as-scale-and-shift", {"BatchNorm", "BNInfer"}, BatchNormAsScaleAndShift},
      {"scale-into-convolution", {"Mul"}, ScaleIntoConvolution},
      {"shift-into-convolution", {"Add", "Sub"}, ShiftIntoConvolution},
  };
}

}  // namespace omserve
