// Convolutions and transposed convolutions, on oneDNN. It chooses the layouts its fastest code wants; image and result
// are brought from and to NCHW around it, weights once.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/checked.h"
#include "core/base/status.h"
#include "core/device/cpu/epilogue.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/memory_plan.h"
#include "core/device/cpu/onednn.h"
#include "core/device/cpu/parallel.h"
#include "core/ops/window.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;
using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;

enum class Form { kForward, kTransposed, kDepthwise };

// A node in oneDNN's terms. Weights are [groups,] out, in, spatial, with the strides they have in the filter.
struct Problem {
  Form form = Form::kForward;
  int source = 0, filter = 1, bias = 2, residual = 4;  // input positions
  Dims source_dims, result_dims, weights_dims, weights_strides;
  Dims strides, dilations, pads_begin, pads_end;
  bool has_bias = false;
  Epilogue epilogue;
};

absl::StatusOr<Problem> ProblemOf(const KernelRequest& request) {
  Problem problem;
  const std::string& type = request.type();
  if (type == "DepthwiseConv2D") problem.form = Form::kDepthwise;
  if (type == "Conv2DTranspose" || type == "Conv2DTransposeD") problem.form = Form::kTransposed;
  if (type == "Conv2DTranspose") {
    problem.source = 1;
    problem.filter = 2;
    problem.bias = 3;
  }
  problem.has_bias = request.has_input(problem.bias);
  problem.epilogue = Epilogue::Of(request.view.node());
  const Shape& source = request.input_shape(problem.source);
  const Shape& filter = request.input_shape(problem.filter);
  const Shape& result = request.output_shape();
  problem.source_dims = source;
  problem.result_dims = result;

  const int spatial = static_cast<int>(source.size()) - 2;
  std::vector<Window> windows(static_cast<size_t>(spatial));
  ASSIGN_OR_RETURN(problem.strides, SpatialAttr(request.view, "strides", spatial));
  ASSIGN_OR_RETURN(std::vector<int64_t> dilations, SpatialAttr(request.view, "dilations", spatial));
  RETURN_IF_ERROR(ReadPads(request.view, "pads", windows));
  for (int d = 0; d < spatial; ++d) {
    Window& window = windows[static_cast<size_t>(d)];
    window.kernel = filter[static_cast<size_t>(2 + d)];
    window.stride = problem.strides[static_cast<size_t>(d)];
    window.dilation = dilations[static_cast<size_t>(d)];
    problem.dilations.push_back(window.dilation - 1);  // oneDNN counts the gap
    problem.pads_begin.push_back(window.pad_begin);
    // What is left when the other side, the filter and the sizes are given; the attribute may say more than is used.
    const bool forward = problem.form != Form::kTransposed;
    const int64_t positions = (forward ? result : source)[static_cast<size_t>(2 + d)];
    const int64_t covered = (forward ? source : result)[static_cast<size_t>(2 + d)];
    problem.pads_end.push_back((positions - 1) * window.stride + window.reach() - covered - window.pad_begin);
  }

  const std::vector<int64_t> dense = RowMajorStrides(filter);
  const int64_t groups = problem.form == Form::kDepthwise ? source[1] : request.Attr<int64_t>("groups");
  const int64_t in = source[1] / groups, out = result[1] / groups;
  int64_t group_stride = 0, out_stride = 0, in_stride = 0;
  switch (problem.form) {
    case Form::kForward:  // [groups * out, in, ...]
      group_stride = out * dense[0];
      out_stride = dense[0];
      in_stride = dense[1];
      break;
    case Form::kTransposed:  // [groups * in, out, ...]
      group_stride = in * dense[0];
      in_stride = dense[0];
      out_stride = dense[1];
      break;
    case Form::kDepthwise:  // [1, groups, ...] or [groups, 1, ...]
      group_stride = out_stride = in_stride = dense[1];
      break;
  }
  if (groups > 1) {
    problem.weights_dims = {groups, out, in};
    problem.weights_strides = {group_stride, out_stride, in_stride};
  } else {
    problem.weights_dims = {out, in};
    problem.weights_strides = {out_stride, in_stride};
  }
  for (int d = 0; d < spatial; ++d) {
    problem.weights_dims.push_back(filter[static_cast<size_t>(2 + d)]);
    problem.weights_strides.push_back(dense[static_cast<size_t>(2 + d)]);
  }
  return problem;
}

class ConvolutionKernel : public Kernel {
 public:
  static Made Make(const KernelRequest& request, Problem problem) {
    auto kernel = std::make_unique<ConvolutionKernel>(request, std::move(problem));
    RETURN_IF_ERROR(CatchOneDnn("convolution", [&] { kernel->Build(); }));
    return kernel;
  }

  ConvolutionKernel(const KernelRequest& request, Problem problem)
      : problem_(std::move(problem)), threads_(request.threads) {
    if (const Tensor* weights = request.constant(problem_.filter)) {
      weights_ = *weights;
      constant_weights_ = true;
    }
  }

  absl::Status Prepare() override {
    if (!constant_weights_) return absl::OkStatus();
    std::byte* packed = nullptr;
    packed_ = Buffer::Allocate(packed_desc_.get_size(), &packed);
    RETURN_IF_ERROR(Reorder(plain_weights_, weights_.data(), packed_desc_, packed));
    weights_ = Tensor();
    return absl::OkStatus();
  }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    std::byte* scratch = context.scratch;
    const void* source = inputs[problem_.source];
    if (to_source_.active) {
      RETURN_IF_ERROR(to_source_.Run(source, scratch + source_room_));
      source = scratch + source_room_;
    }
    const void* weights = packed_.data();
    if (!constant_weights_) {
      RETURN_IF_ERROR(to_weights_.Run(inputs[problem_.filter], scratch + weights_room_));
      weights = scratch + weights_room_;
    }
    void* result = from_result_.active ? scratch + result_room_ : outputs[0];
    call_.Set(source_at_, source);
    call_.Set(weights_at_, weights);
    call_.Set(result_at_, result);
    if (bias_at_ >= 0) call_.Set(bias_at_, inputs[problem_.bias]);
    RETURN_IF_ERROR(call_.Run(scratch + scratchpad_room_));
    if (from_result_.active) RETURN_IF_ERROR(from_result_.Run(result, outputs[0]));
    Finish(static_cast<float*>(outputs[0]),
           problem_.epilogue.residual ? static_cast<const float*>(inputs[problem_.residual]) : nullptr);
    return absl::OkStatus();
  }

  std::optional<Layout> InputLayout(int input) const override {
    if (input == problem_.source) return source_layout_;
    if (input == problem_.residual && problem_.epilogue.residual) return std::nullopt;
    return Layout::kPlain;
  }
  std::optional<Layout> OutputLayout() const override { return result_layout_; }
  void KeepLayouts(const std::vector<bool>& inputs, bool output) override {
    if (inputs[static_cast<size_t>(problem_.source)]) to_source_.active = false;
    if (output) from_result_.active = false;
    PlaceScratch();
  }

  size_t scratch_bytes() const override { return scratch_bytes_; }
  size_t weight_bytes() const override { return constant_weights_ ? packed_desc_.get_size() : 0; }
  bool ReadsInput(int input) const override { return input != problem_.filter || !constant_weights_; }

 private:
  static constexpr auto kFloat = dnnl::memory::data_type::f32;
  static constexpr auto kAny = dnnl::memory::format_tag::any;

  // A change of layout between two fixed descriptions.
  struct Relayout {
    bool active = false;
    OneDnnCall call;
    int from = 0, to = 0;

    void Build(const Desc& from_desc, const Desc& to_desc) {
      active = true;
      const dnnl::reorder::primitive_desc desc(OneDnnEngine(), from_desc, OneDnnEngine(), to_desc);
      call = OneDnnCall(dnnl::reorder(desc), Desc());
      from = call.AddArgument(DNNL_ARG_FROM, from_desc);
      to = call.AddArgument(DNNL_ARG_TO, to_desc);
    }
    absl::Status Run(const void* source, void* target) {
      call.Set(from, source);
      call.Set(to, target);
      return call.Run(nullptr);
    }
  };

  // Of an image; kPlain for layouts that have no name, which nobody else knows.
  static Layout LayoutOf(const Desc& desc, const Dims& dims) {
    using Tag = dnnl::memory::format_tag;
    if (dims.size() != 4) return Layout::kPlain;
    if (desc == Desc(dims, kFloat, Tag::nhwc)) return Layout::kChannelsLast;
    if (dims[1] % 8 == 0 && desc == Desc(dims, kFloat, Tag::nChw8c)) return Layout::kBlocks8;
    if (dims[1] % 16 == 0 && desc == Desc(dims, kFloat, Tag::nChw16c)) return Layout::kBlocks16;
    return Layout::kPlain;
  }

  static Desc Plain(const Dims& dims) { return Desc(dims, kFloat, Dims(RowMajorStrides(dims))); }

  void Build() {
    const Desc source(problem_.source_dims, kFloat, kAny), result(problem_.result_dims, kFloat, kAny);
    const Desc weights(problem_.weights_dims, kFloat, kAny);
    const Desc bias = problem_.has_bias ? Plain({problem_.result_dims[1]}) : Desc();
    plain_weights_ = Desc(problem_.weights_dims, kFloat, problem_.weights_strides);
    dnnl::primitive_attr attr = UserScratchpad();
    relu_inside_ = problem_.epilogue.activation.kind == Activation::kRelu;
    if (relu_inside_) {
      dnnl::post_ops post;
      post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
      attr.set_post_ops(post);
    }
    if (problem_.form == Form::kTransposed) {
      const dnnl::deconvolution_forward::desc desc(dnnl::prop_kind::forward_inference,
                                                   dnnl::algorithm::deconvolution_direct, source, weights, bias, result,
                                                   problem_.strides, problem_.dilations, problem_.pads_begin,
                                                   problem_.pads_end);
      Connect<dnnl::deconvolution_forward>(dnnl::deconvolution_forward::primitive_desc(desc, attr, OneDnnEngine()));
    } else {
      const dnnl::convolution_forward::desc desc(dnnl::prop_kind::forward_inference,
                                                 dnnl::algorithm::convolution_direct, source, weights, bias, result,
                                                 problem_.strides, problem_.dilations, problem_.pads_begin,
                                                 problem_.pads_end);
      Connect<dnnl::convolution_forward>(dnnl::convolution_forward::primitive_desc(desc, attr, OneDnnEngine()));
    }
  }

  template <typename Primitive>
  void Connect(const typename Primitive::primitive_desc& primitive) {
    const Desc source = primitive.src_desc(), result = primitive.dst_desc();
    const Desc plain_source = Plain(problem_.source_dims), plain_result = Plain(problem_.result_dims);
    packed_desc_ = primitive.weights_desc();
    call_ = OneDnnCall(Primitive(primitive), primitive.scratchpad_desc());
    source_at_ = call_.AddArgument(DNNL_ARG_SRC, source);
    weights_at_ = call_.AddArgument(DNNL_ARG_WEIGHTS, packed_desc_);
    result_at_ = call_.AddArgument(DNNL_ARG_DST, result);
    if (problem_.has_bias) bias_at_ = call_.AddArgument(DNNL_ARG_BIAS, primitive.bias_desc());
    source_layout_ = LayoutOf(source, problem_.source_dims);
    result_layout_ = LayoutOf(result, problem_.result_dims);
    if (source != plain_source) to_source_.Build(plain_source, source);
    if (result != plain_result) from_result_.Build(result, plain_result);
    if (!constant_weights_) to_weights_.Build(plain_weights_, packed_desc_);
    source_bytes_ = source.get_size();
    result_bytes_ = result.get_size();
    PlaceScratch();
  }

  void PlaceScratch() {
    size_t room = 0;
    const auto take = [&room](size_t bytes) { return std::exchange(room, room + AlignUp(bytes, kArenaAlignment)); };
    scratchpad_room_ = take(call_.scratch_bytes());
    source_room_ = take(to_source_.active ? source_bytes_ : 0);
    result_room_ = take(from_result_.active ? result_bytes_ : 0);
    weights_room_ = take(to_weights_.active ? packed_desc_.get_size() : 0);
    scratch_bytes_ = room;
  }

  void Finish(float* y, const float* residual) const {
    Epilogue rest = problem_.epilogue;
    if (relu_inside_) rest.activation = {};
    if (rest.empty()) return;
    ParallelFor(threads_, NumElements(problem_.result_dims), kElementGrain / 4, [&](int64_t begin, int64_t end) {
      // In pieces that stay in the first cache through all parts of the epilogue.
      constexpr int64_t kPiece = 2048;
      for (int64_t at = begin; at < end; at += kPiece) {
        rest.Apply(y + at, nullptr, residual == nullptr ? nullptr : residual + at, std::min(kPiece, end - at));
      }
    });
  }

  const Problem problem_;
  const int threads_;
  Tensor weights_;  // until Prepare
  bool constant_weights_ = false;
  bool relu_inside_ = false;
  Buffer packed_;
  Desc plain_weights_, packed_desc_;
  OneDnnCall call_;
  Relayout to_source_, to_weights_, from_result_;
  int source_at_ = 0, weights_at_ = 0, result_at_ = 0, bias_at_ = -1;
  Layout source_layout_ = Layout::kPlain, result_layout_ = Layout::kPlain;
  size_t source_bytes_ = 0, result_bytes_ = 0;
  size_t scratchpad_room_ = 0, source_room_ = 0, result_room_ = 0, weights_room_ = 0, scratch_bytes_ = 0;
};

// A result without elements.
class NothingKernel : public Kernel {
 public:
  absl::Status Run(const void* const*, void* const*, KernelContext&) override { return absl::OkStatus(); }
};

Made MakeConvolution(const KernelRequest& request) {
  ASSIGN_OR_RETURN(Problem problem, ProblemOf(request));
  if (request.inputs[problem.source].type != DataType::kFloat) return request.UnsupportedType(problem.source);
  if (NumElements(problem.result_dims) == 0) return std::make_unique<NothingKernel>();
  if (NumElements(problem.source_dims) == 0 || NumElements(problem.weights_dims) == 0) {
    return request.Unsupported("an empty image");
  }
  return ConvolutionKernel::Make(request, std::move(problem));
}

}  // namespace

void AddConvolutionKernels(KernelTable& table) {
  table.Add({"Conv2D", "Conv3D", "DepthwiseConv2D", "Conv2DTranspose", "Conv2DTransposeD"}, MakeConvolution);
}

}  // namespace omserve::cpu
