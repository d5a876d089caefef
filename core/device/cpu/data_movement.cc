// Operators that only move elements: views of the same bytes, transposing, slicing, joining, splitting, broadcasting,
// tiling, padding. All element types.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"
#include "core/device/cpu/strided_copy.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;
using Ints = std::vector<int64_t>;

int RankOf(const Shape& shape) { return static_cast<int>(shape.size()); }

absl::Status NeedSize(const KernelRequest& request, int input) {
  return SizeOf(request.inputs[input].type) == 0 ? request.UnsupportedType(input) : absl::OkStatus();
}

// One box moved from input to output.
class CopyKernel : public Kernel {
 public:
  CopyKernel(int input, StridedCopy copy, int64_t from_bytes, int64_t to_bytes, int threads)
      : input_(input), copy_(std::move(copy)), from_(from_bytes), to_(to_bytes), threads_(threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    copy_.Run(threads_, static_cast<const std::byte*>(inputs[input_]) + from_, static_cast<std::byte*>(outputs[0]) + to_);
    return absl::OkStatus();
  }

 private:
  const int input_;
  const StridedCopy copy_;
  const int64_t from_, to_;
  const int threads_;
};

// The whole output, dense, read from input 0 with these strides from `offset` (elements) on. A view when contiguous.
Made MakeGather(const KernelRequest& request, const Ints& dims, const Ints& strides, int64_t offset, int input = 0) {
  RETURN_IF_ERROR(NeedSize(request, input));
  const int64_t element = static_cast<int64_t>(SizeOf(request.inputs[input].type));
  StridedCopy copy(static_cast<size_t>(element), dims, strides, RowMajorStrides(dims));
  if (copy.is_contiguous()) return MakeView(input, static_cast<size_t>(offset * element));
  return std::make_unique<CopyKernel>(input, std::move(copy), offset * element, 0, request.threads);
}

Made MakeFirstView(const KernelRequest&) { return MakeView(0); }

Made MakeTranspose(const KernelRequest& request) {
  const Shape& shape = request.input_shape(0);
  Ints perm;
  if (request.type() == "TransposeD") {
    perm = request.Attr<Ints>("perm");
  } else {
    ASSIGN_OR_RETURN(perm, request.ConstantInts(1));
  }
  if (perm.size() != shape.size()) return absl::InvalidArgumentError("perm does not have one entry per dimension");
  const Ints strides = RowMajorStrides(shape);
  Ints dims, from;
  for (int64_t entry : perm) {
    ASSIGN_OR_RETURN(const int axis, NormalizeAxis(entry, RankOf(shape)));
    dims.push_back(shape[axis]);
    from.push_back(strides[axis]);
  }
  return MakeGather(request, dims, from, 0);
}

// Broadcasting to the output's shape (numpy rules).
Made MakeBroadcast(const KernelRequest& request) {
  const Shape& shape = request.input_shape(0);
  const Shape& output = request.output_shape();
  const int lead = RankOf(output) - RankOf(shape);
  if (lead < 0) return absl::InvalidArgumentError("cannot broadcast to fewer dimensions");
  const Ints dense = RowMajorStrides(shape);
  Ints strides(output.size(), 0);
  for (int d = lead; d < RankOf(output); ++d) {
    if (shape[d - lead] != 1) strides[d] = dense[d - lead];
  }
  return MakeGather(request, output, strides, 0);
}

Made MakeTile(const KernelRequest& request) {
  const Shape& shape = request.input_shape(0);
  const Shape& output = request.output_shape();
  const int lead = RankOf(output) - RankOf(shape);
  if (lead < 0) return absl::InvalidArgumentError("cannot tile to fewer dimensions");
  const Ints dense = RowMajorStrides(shape);
  // Each output dimension is (repeats, dimension).
  Ints dims, from;
  for (int d = 0; d < RankOf(output); ++d) {
    const int64_t size = d < lead ? 1 : shape[d - lead];
    dims.push_back(size == 0 ? 0 : output[d] / size);
    from.push_back(0);
    dims.push_back(size);
    from.push_back(d < lead ? 0 : dense[d - lead]);
  }
  RETURN_IF_ERROR(NeedSize(request, 0));
  return MakeGather(request, dims, from, 0);
}

// --- Slices ---------------------------------------------------------------------------------------------------------

// Box [begin, begin + extent * step) of the input.
Made MakeBox(const KernelRequest& request, const Ints& begin, const Ints& steps, const Shape& extents) {
  const Ints dense = RowMajorStrides(request.input_shape(0));
  Ints strides(begin.size());
  int64_t offset = 0;
  for (size_t d = 0; d < begin.size(); ++d) {
    strides[d] = dense[d] * steps[d];
    offset += begin[d] * dense[d];
  }
  if (NumElements(extents) == 0) return MakeView(0);
  return MakeGather(request, extents, strides, offset);
}

Made MakeSlice(const KernelRequest& request) {
  const Shape& shape = request.input_shape(0);
  ASSIGN_OR_RETURN(const Ints offsets, request.ConstantInts(1));
  ASSIGN_OR_RETURN(const Ints sizes, request.ConstantInts(2));
  if (offsets.size() != shape.size() || sizes.size() != shape.size()) {
    return absl::InvalidArgumentError("offsets and size need one entry per dimension");
  }
  Shape extents;
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t extent = sizes[d] == -1 ? shape[d] - offsets[d] : sizes[d];
    if (offsets[d] < 0 || extent < 0 || offsets[d] > shape[d] || extent > shape[d] - offsets[d]) {
      return absl::InvalidArgumentError(absl::StrCat("slice [", offsets[d], ", +", extent, ") leaves dimension ", d,
                                                     " of ", shape[d]));
    }
    extents.push_back(extent);
  }
  return MakeBox(request, offsets, Ints(shape.size(), 1), extents);
}

// ONNX Slice: begin, end, optional axes and strides; numpy clamping.
Made MakeStridedSliceV2(const KernelRequest& request) {
  const Shape& shape = request.input_shape(0);
  for (const char* mask : {"begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"}) {
    if (request.Attr<int64_t>(mask) != 0) return request.Unsupported(absl::StrCat("attribute '", mask, "'"));
  }
  ASSIGN_OR_RETURN(const Ints begins, request.ConstantInts(1));
  ASSIGN_OR_RETURN(const Ints ends, request.ConstantInts(2));
  Ints axes, strides;
  if (request.has_input(3)) {
    ASSIGN_OR_RETURN(axes, request.ConstantInts(3));
  } else {
    for (size_t d = 0; d < begins.size(); ++d) axes.push_back(static_cast<int64_t>(d));
  }
  if (request.has_input(4)) {
    ASSIGN_OR_RETURN(strides, request.ConstantInts(4));
  } else {
    strides.assign(begins.size(), 1);
  }
  if (ends.size() != begins.size() || axes.size() != begins.size() || strides.size() != begins.size()) {
    return absl::InvalidArgumentError("begin, end, axes and strides differ in length");
  }
  Ints begin(shape.size(), 0), steps(shape.size(), 1);
  Shape extents = shape;
  for (size_t i = 0; i < begins.size(); ++i) {
    ASSIGN_OR_RETURN(const int d, NormalizeAxis(axes[i], RankOf(shape)));
    const int64_t size = shape[d], step = strides[i];
    if (step == 0) return absl::InvalidArgumentError("a stride is 0");
    const auto clamp = [&](int64_t position) {
      if (position < 0) position += size;
      return step > 0 ? std::clamp<int64_t>(position, 0, size) : std::clamp<int64_t>(position, -1, size - 1);
    };
    const int64_t first = clamp(begins[i]);
    // An end far below zero means "past the first element" when walking backwards.
    const int64_t last = clamp(std::max(ends[i], -(int64_t{1} << 62)));
    const int64_t distance = step > 0 ? last - first : first - last;
    const int64_t stride = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
    begin[d] = first;
    steps[d] = step;
    extents[d] = distance <= 0 ? 0 : (distance - 1) / stride + 1;
    // A single element needs no step, which may be too large to multiply.
    if (extents[d] <= 1) steps[d] = 1;
  }
  if (extents != request.output_shape()) {
    return absl::InvalidArgumentError(absl::StrCat("the slice has shape ", ToString(extents), ", the graph says ",
                                                   ToString(request.output_shape())));
  }
  return MakeBox(request, begin, steps, extents);
}

// --- Join and split -------------------------------------------------------------------------------------------------

// Inputs side by side along one dimension, each copied to its place.
class ConcatKernel : public Kernel {
 public:
  struct Part {
    int input;
    StridedCopy copy;
    int64_t to_bytes;
  };
  ConcatKernel(std::vector<Part> parts, int threads) : parts_(std::move(parts)), threads_(threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    for (const Part& part : parts_) {
      part.copy.Run(threads_, inputs[part.input], static_cast<std::byte*>(outputs[0]) + part.to_bytes);
    }
    return absl::OkStatus();
  }

 private:
  const std::vector<Part> parts_;
  const int threads_;
};

// Inputs [first, last) joined along `axis`; with `extent` 1, along a new dimension (Pack).
Made MakeJoin(const KernelRequest& request, int first, int last, int64_t axis, bool stack) {
  const Shape& output = request.output_shape();
  ASSIGN_OR_RETURN(const int d, NormalizeAxis(axis, RankOf(output)));
  const Ints to = RowMajorStrides(output);
  const int64_t element = static_cast<int64_t>(SizeOf(request.outputs[0].type));
  if (element == 0) return request.UnsupportedType(first);
  std::vector<ConcatKernel::Part> parts;
  int64_t position = 0;
  for (int i = first; i < last; ++i) {
    Shape shape = request.input_shape(i);
    if (stack) shape.insert(shape.begin() + d, 1);
    if (shape.size() != output.size()) return absl::InvalidArgumentError("joined tensors differ in rank");
    if (NumElements(shape) != 0) {
      parts.push_back({i, StridedCopy(static_cast<size_t>(element), shape, RowMajorStrides(shape), to),
                       position * to[d] * element});
    }
    position += shape[d];
  }
  if (parts.size() == 1) return MakeView(parts[0].input);
  return std::make_unique<ConcatKernel>(std::move(parts), request.threads);
}

Made MakeConcat(const KernelRequest& request) {
  const int inputs = request.num_inputs();
  int64_t axis = 0;
  int first = 0, last = inputs;
  if (request.type() == "ConcatV2" || request.type() == "Concat") {
    const int parameter = request.type() == "Concat" ? 0 : inputs - 1;
    ASSIGN_OR_RETURN(const Ints value, request.ConstantInts(parameter));
    if (value.size() != 1) return absl::InvalidArgumentError("concat_dim is not one number");
    axis = value[0];
    (parameter == 0 ? first : last) = parameter == 0 ? 1 : parameter;
  } else {
    axis = request.Attr<int64_t>("concat_dim");
  }
  return MakeJoin(request, first, last, axis, false);
}

Made MakePack(const KernelRequest& request) {
  return MakeJoin(request, 0, request.num_inputs(), request.Attr<int64_t>("axis"), true);
}

// One copy per output.
class SplitKernel : public Kernel {
 public:
  struct Part {
    StridedCopy copy;
    int64_t from_bytes;
  };
  SplitKernel(int input, std::vector<Part> parts, int threads)
      : input_(input), parts_(std::move(parts)), threads_(threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (ViewOf(static_cast<int>(i))) continue;
      parts_[i].copy.Run(threads_, static_cast<const std::byte*>(inputs[input_]) + parts_[i].from_bytes, outputs[i]);
    }
    return absl::OkStatus();
  }
  // A part of the outermost dimension needs no copy.
  std::optional<View> ViewOf(int output) const override {
    const Part& part = parts_[output];
    if (!part.copy.is_contiguous()) return std::nullopt;
    return View{input_, static_cast<size_t>(part.from_bytes)};
  }

 private:
  const int input_;
  const std::vector<Part> parts_;
  const int threads_;
};

// The outputs' extents are already those of the split; only the axis is needed.
Made MakeParts(const KernelRequest& request, int input, int64_t axis, bool unstack) {
  RETURN_IF_ERROR(NeedSize(request, input));
  const Shape& shape = request.input_shape(input);
  ASSIGN_OR_RETURN(const int d, NormalizeAxis(axis, RankOf(shape)));
  const Ints from = RowMajorStrides(shape);
  const int64_t element = static_cast<int64_t>(SizeOf(request.inputs[input].type));
  std::vector<SplitKernel::Part> parts;
  int64_t position = 0;
  for (const TensorDesc& output : request.outputs) {
    Shape extents = output.shape;
    if (unstack) extents.insert(extents.begin() + d, 1);
    parts.push_back({StridedCopy(static_cast<size_t>(element), extents, from, RowMajorStrides(extents)),
                     position * from[d] * element});
    position += extents[d];
  }
  if (position != shape[d]) {
    return absl::InvalidArgumentError(absl::StrCat("parts of ", position, " in a dimension of ", shape[d]));
  }
  return std::make_unique<SplitKernel>(input, std::move(parts), request.threads);
}

Made MakeSplit(const KernelRequest& request) {
  const std::string& type = request.type();
  if (type == "SplitD" || type == "SplitVD") return MakeParts(request, 0, request.Attr<int64_t>("split_dim"), false);
  const int parameter = type == "Split" ? 0 : 2;
  ASSIGN_OR_RETURN(const Ints axis, request.ConstantInts(parameter));
  if (axis.size() != 1) return absl::InvalidArgumentError("split_dim is not one number");
  return MakeParts(request, type == "Split" ? 1 : 0, axis[0], false);
}

Made MakeUnpack(const KernelRequest& request) { return MakeParts(request, 0, request.Attr<int64_t>("axis"), true); }

// --- Blocks of space and depth --------------------------------------------------------------------------------------

// NCHW. DCR: depth is (block, block, channels); CRD: (channels, block, block).
Made MakeDepthToSpace(const KernelRequest& request) {
  const Shape& x = request.input_shape(0);
  const int64_t b = request.Attr<int64_t>("block_size");
  if (request.Attr<std::string>("data_format") != "NCHW" || x.size() != 4) return request.Unsupported("this layout");
  if (b <= 0 || x[1] % (b * b) != 0) return absl::InvalidArgumentError("channels do not form blocks");
  const int64_t channels = x[1] / (b * b), plane = x[2] * x[3];
  const bool crd = request.Attr<std::string>("mode") == "CRD";
  const int64_t channel_step = crd ? b * b * plane : plane;
  const int64_t row_step = crd ? b * plane : b * channels * plane;
  const int64_t column_step = crd ? plane : channels * plane;
  return MakeGather(request, {x[0], channels, x[2], b, x[3], b},
                    {x[1] * plane, channel_step, x[3], row_step, 1, column_step}, 0);
}

Made MakeSpaceToDepth(const KernelRequest& request) {
  const Shape& x = request.input_shape(0);
  const int64_t b = request.Attr<int64_t>("block_size");
  if (request.Attr<std::string>("data_format") != "NCHW" || x.size() != 4) return request.Unsupported("this layout");
  if (b <= 0 || x[2] % b != 0 || x[3] % b != 0) return absl::InvalidArgumentError("space does not form blocks");
  const int64_t plane = x[2] * x[3];
  return MakeGather(request, {x[0], b, b, x[1], x[2] / b, x[3] / b},
                    {x[1] * plane, x[3], 1, plane, b * x[3], b}, 0);
}

// --- Padding --------------------------------------------------------------------------------------------------------

enum class PadMode { kConstant, kReflect, kEdge, kWrap };

// Where output coordinate `i` of a padded dimension comes from; -1 outside (constant).
int64_t SourceOf(int64_t i, int64_t begin, int64_t size, PadMode mode) {
  int64_t at = i - begin;
  if (at >= 0 && at < size) return at;
  switch (mode) {
    case PadMode::kConstant: return -1;
    case PadMode::kEdge: return at < 0 ? 0 : size - 1;
    case PadMode::kWrap: return ((at % size) + size) % size;
    case PadMode::kReflect: {
      if (size == 1) return 0;
      const int64_t period = 2 * (size - 1);
      at = ((at % period) + period) % period;
      return at < size ? at : period - at;
    }
  }
  return -1;
}

// Every dimension has a table from output to input coordinate.
template <typename U>
class PadKernel : public Kernel {
 public:
  PadKernel(const KernelRequest& request, std::vector<Ints> sources, int value_input)
      : sources_(std::move(sources)), dims_(request.output_shape()), strides_(RowMajorStrides(request.input_shape(0))),
        value_input_(value_input), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const U* x = static_cast<const U*>(inputs[0]);
    U value{};
    if (value_input_ >= 0) value = *static_cast<const U*>(inputs[value_input_]);
    U* y = static_cast<U*>(outputs[0]);
    const int inner = RankOf(dims_) - 1;
    const int64_t n = dims_[inner];
    const Ints& columns = sources_[inner];
    ParallelFor(threads_, NumElements(dims_) / std::max<int64_t>(1, n), std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, n)),
                [&](int64_t begin, int64_t end) {
                  for (int64_t row = begin; row < end; ++row) {
                    int64_t rest = row, offset = 0;
                    bool outside = false;
                    for (int d = inner - 1; d >= 0; --d) {
                      const int64_t source = sources_[d][rest % dims_[d]];
                      rest /= dims_[d];
                      outside = outside || source < 0;
                      offset += source * strides_[d];
                    }
                    U* to = y + row * n;
                    if (outside) {
                      std::fill_n(to, n, value);
                    } else {
                      for (int64_t i = 0; i < n; ++i) to[i] = columns[i] < 0 ? value : x[offset + columns[i]];
                    }
                  }
                });
    return absl::OkStatus();
  }

 private:
  const std::vector<Ints> sources_;
  const Shape dims_;
  const Ints strides_;
  const int value_input_;
  const int threads_;
};

// `pads[d]`: elements added before dimension d (negative: removed); the rest follows from the output's shape.
Made MakePadded(const KernelRequest& request, const Ints& before, PadMode mode, int value_input) {
  const Shape& shape = request.input_shape(0);
  const Shape& output = request.output_shape();
  if (before.size() != shape.size() || output.size() != shape.size()) {
    return absl::InvalidArgumentError("paddings do not have one pair per dimension");
  }
  if (shape.empty()) return MakeView(0);
  std::vector<Ints> sources(shape.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && mode != PadMode::kConstant && output[d] > 0) {
      return absl::InvalidArgumentError("an empty dimension cannot be repeated");
    }
    for (int64_t i = 0; i < output[d]; ++i) sources[d].push_back(SourceOf(i, before[d], shape[d], mode));
  }
  std::unique_ptr<Kernel> kernel;
  DispatchSize(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<PadKernel<typename decltype(tag)::type>>(request, std::move(sources), value_input);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

absl::StatusOr<PadMode> PadModeOf(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "constant") return PadMode::kConstant;
  if (name == "reflect") return PadMode::kReflect;
  if (name == "edge") return PadMode::kEdge;
  if (name == "wrap") return PadMode::kWrap;
  return absl::InvalidArgumentError(
      absl::StrCat("attribute 'mode' is '", name, "', expected constant, reflect, edge or wrap"));
}

Made MakePad(const KernelRequest& request) {
  const std::string& type = request.type();
  const size_t rank = request.input_shape(0).size();
  Ints before;
  if (type == "PadD") {
    for (const Ints& pair : request.Attr<std::vector<Ints>>("paddings")) {
      if (pair.size() != 2) return absl::InvalidArgumentError("paddings are not pairs");
      before.push_back(pair[0]);
    }
    return MakePadded(request, before, PadMode::kConstant, -1);
  }
  ASSIGN_OR_RETURN(const Ints paddings, request.ConstantInts(1));
  if (paddings.size() != 2 * rank) return absl::InvalidArgumentError("paddings do not have one pair per dimension");
  const bool pairs = type != "PadV3" || request.Attr<bool>("paddings_contiguous");
  for (size_t d = 0; d < rank; ++d) before.push_back(paddings[pairs ? 2 * d : d]);
  const int value_input = (type == "PadV2" || type == "PadV3") && request.has_input(2) ? 2 : -1;
  PadMode mode = PadMode::kConstant;
  if (type == "PadV3" || type == "MirrorPad") {
    ASSIGN_OR_RETURN(mode, PadModeOf(request.Attr<std::string>("mode")));
  }
  return MakePadded(request, before, mode, value_input);
}

// Flips of some dimensions.
Made MakeReverse(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const Ints axes, request.ConstantInts(1));
  const Shape& shape = request.input_shape(0);
  Ints begin(shape.size(), 0), steps(shape.size(), 1);
  for (int64_t axis : axes) {
    ASSIGN_OR_RETURN(const int d, NormalizeAxis(axis, RankOf(shape)));
    begin[d] = shape[d] - 1;
    steps[d] = -1;
  }
  return MakeBox(request, begin, steps, shape);
}

}  // namespace

void AddDataMovementKernels(KernelTable& table) {
  table.Add({"Identity", "TensorMove", "Reshape", "Unsqueeze", "UnsqueezeV2", "UnsqueezeV3", "Squeeze", "SqueezeV2",
             "SqueezeV3", "ExpandDims", "Flatten", "FlattenV2", "Bitcast", "Dropout"},
            MakeFirstView);
  table.Add({"Transpose", "TransposeD"}, MakeTranspose);
  table.Add({"BroadcastTo", "Expand"}, MakeBroadcast);
  table.Add({"Tile", "TileD"}, MakeTile);
  table.Add({"Slice"}, MakeSlice);
  table.Add({"StridedSliceV2"}, MakeStridedSliceV2);
  table.Add({"Concat", "ConcatV2", "ConcatD", "ConcatV2D"}, MakeConcat);
  table.Add({"Pack"}, MakePack);
  table.Add({"Split", "SplitD", "SplitV", "SplitVD"}, MakeSplit);
  table.Add({"Unpack"}, MakeUnpack);
  table.Add({"DepthToSpace"}, MakeDepthToSpace);
  table.Add({"SpaceToDepth"}, MakeSpaceToDepth);
  table.Add({"Pad", "PadD", "PadV2", "PadV3", "MirrorPad"}, MakePad);
  table.Add({"ReverseV2"}, MakeReverse);
}

}  // namespace omserve::cpu
