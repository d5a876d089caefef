// Convolutions.
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/checked.h"
#include "core/base/status.h"
#include "core/import/onnx/converter.h"
#include "core/import/onnx/window.h"

namespace omserve {
namespace {

constexpr int64_t kMaxSize = std::numeric_limits<int32_t>::max();

// The filter with two spatial dimensions. A constant one is only described anew: its bytes stay where they are.
ValueId Filter(Conversion& c, const Window& window) {
  const ValueId filter = c.input(1);
  if (!window.one_dimensional) return filter;
  const TensorSlice* constant = c.constant(filter);
  if (constant == nullptr) return c.Unsqueeze(filter, {2});
  Shape shape = constant->shape();
  shape.insert(shape.begin() + 2, 1);
  return c.Const("filter", TensorSlice(constant->Materialize().Reshaped(std::move(shape))));
}

absl::StatusOr<int64_t> Groups(Conversion& c) {
  const int64_t groups = c.Int("group", 1);
  if (groups < 1 || groups > kMaxSize) {
    return absl::InvalidArgumentError(absl::StrCat("its attribute group = ", groups, " is out of range"));
  }
  return groups;
}

absl::Status ConvertConv(Conversion& c) {
  ASSIGN_OR_RETURN(Window window, ReadWindow(c, c.input(1)));
  ASSIGN_OR_RETURN(int64_t groups, Groups(c));
  ValueId x = ToTwoDimensions(c, c.input(0), window);
  if (window.same() && !ResolveSamePads(&window)) x = PadSame(c, x, window, 0);
  const AttrMap attrs{{"strides", window.Strides4()},
                      {"pads", window.Pads4()},
                      {"dilations", window.Dilations4()},
                      {"groups", groups},
                      {"data_format", "NCHW"}};
  const ValueId y =
      c.Node("Conv2D", {x, Filter(c, window), c.optional_input(2)}, attrs, c.info(x).OfRank(4));
  c.SetOutput(0, FromTwoDimensions(c, y, window));
  return absl::OkStatus();
}

// SAME_* of a transposed convolution: the output is stride times the input.
absl::Status ResolveTransposedSamePads(Window* window, const std::vector<int64_t>& output_padding) {
  for (int i = 0; i < 2; ++i) {
    const int64_t total = window->reach(i) - window->strides[i] + output_padding[i];
    if (total < 0) {
      return absl::UnimplementedError(
          absl::StrCat("auto_pad ", window->auto_pad, " with a stride larger than the kernel"));
    }
    const bool upper = window->auto_pad == "SAME_UPPER";
    window->pads[i] = upper ? total / 2 : total - total / 2;
    window->pads[i + 2] = total - window->pads[i];
  }
  return absl::OkStatus();
}

// Conv2DTranspose wants the shape of its output as an input: (size - 1) * stride + reach + output_padding - pads.
ValueId TransposedShape(Conversion& c, ValueId x, ValueId filter, const Window& window, int64_t groups,
                        const std::vector<int64_t>& output_padding) {
  std::vector<int64_t> fixed(2);
  for (int i = 0; i < 2; ++i) {
    fixed[i] =
        window.reach(i) + output_padding[i] - window.strides[i] - window.pads[i] - window.pads[i + 2];
  }
  const ValueId shape = c.ShapeOf(x);
  const ValueId scaled =
      c.VectorMath("Mul", {c.SliceVector(shape, 2, 4), c.Ints64("strides", window.strides)});
  const ValueId size = c.VectorMath("Add", {scaled, c.Ints64("fixed_size", fixed)});
  const TensorSlice* constant = c.constant(filter);
  const std::optional<int64_t> known =
      constant != nullptr ? CheckedMul(constant->shape()[1], groups) : std::nullopt;
  const ValueId channels =
      known ? c.Ints64("channels", {*known})
            : c.VectorMath("Mul", {c.SliceVector(c.ShapeOf(filter), 1, 2), c.Ints64("groups", {groups})});
  return c.ConcatVectors({c.SliceVector(shape, 0, 1), channels, size});
}

// Cuts the output down to `size`, as pads of the right amount would have.
ValueId Crop(Conversion& c, ValueId y, const Window& window, const std::vector<int64_t>& size) {
  const ValueId wanted = c.Ints64("output_shape", size);
  const ValueId total = c.VectorMath("Sub", {c.SliceVector(c.ShapeOf(y), 2, 4), wanted});
  const ValueId smaller = c.VectorMath("TruncateDiv", {total, c.Ints64("twos", {2, 2})});
  const ValueId begin = window.auto_pad == "SAME_UPPER" ? smaller : c.VectorMath("Sub", {total, smaller});
  const ValueId end = c.VectorMath("Add", {begin, wanted});
  return c.Helper("StridedSliceV2", {y, begin, end, c.Ints64("axes", {2, 3}), c.Ints64("steps", {1, 1})}, {},
                  c.info(y));
}

// `name` (output_padding, output_shape) as height and width; empty when absent.
absl::StatusOr<std::vector<int64_t>> SpatialSizes(Conversion& c, const std::string& name, const Window& window,
                                                  int64_t height) {
  std::vector<int64_t> sizes = c.Ints(name);
  if (sizes.empty()) return sizes;
  const size_t count = window.one_dimensional ? 1 : 2;
  // Old exporters write the whole output shape.
  if (sizes.size() == count + 2) sizes.erase(sizes.begin(), sizes.begin() + 2);
  bool good = sizes.size() == count;
  for (int64_t size : sizes) good = good && size >= 0 && size <= kMaxSize;
  if (!good) {
    return absl::InvalidArgumentError(
        absl::StrCat("its attribute ", name, " = ", ToString(c.Ints(name)), " must have ", count, " sizes"));
  }
  if (window.one_dimensional) sizes.insert(sizes.begin(), height);
  return sizes;
}

absl::Status ConvertConvTranspose(Conversion& c) {
  ASSIGN_OR_RETURN(Window window, ReadWindow(c, c.input(1)));
  if (window.kernel.empty()) return c.Unsupported("a filter of unknown size without kernel_shape");
  ASSIGN_OR_RETURN(int64_t groups, Groups(c));
  ASSIGN_OR_RETURN(std::vector<int64_t> output_padding, SpatialSizes(c, "output_padding", window, 0));
  if (output_padding.empty()) output_padding = {0, 0};
  ASSIGN_OR_RETURN(std::vector<int64_t> output_shape, SpatialSizes(c, "output_shape", window, 1));
  if (!output_shape.empty()) {
    window.pads = {0, 0, 0, 0};
  } else if (window.same()) {
    RETURN_IF_ERROR(ResolveTransposedSamePads(&window, output_padding));
  }
  const ValueId x = ToTwoDimensions(c, c.input(0), window);
  const ValueId filter = Filter(c, window);
  const ValueId size = TransposedShape(c, x, filter, window, groups, output_padding);
  const AttrMap attrs{{"strides", window.Strides4()},
                      {"pads", window.Pads4()},
                      {"dilations", window.Dilations4()},
                      {"groups", groups},
                      {"data_format", "NCHW"},
                      {"output_padding", std::vector<int64_t>{0, 0, output_padding[0], output_padding[1]}}};
  ValueId y =
      c.Node("Conv2DTranspose", {size, x, filter, c.optional_input(2)}, attrs, c.info(x).OfRank(4));
  if (!output_shape.empty()) y = Crop(c, y, window, output_shape);
  c.SetOutput(0, FromTwoDimensions(c, y, window));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"Conv", 1, kNewestOpset, 2, 3, ConvertConv},
    {"ConvTranspose", 1, kNewestOpset, 2, 3, ConvertConvTranspose},
};

}  // namespace

absl::Span<const Converter> ConvConverters() { return kConverters; }

}  // namespace omserve
