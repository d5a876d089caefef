#include "core/import/onnx/window.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// Larger sizes make no sense, and sums and products of sizes below it do not overflow.
constexpr int64_t kMaxSize = std::numeric_limits<int32_t>::max();

// The attribute, or `count` times `fallback` when absent.
absl::StatusOr<std::vector<int64_t>> Sizes(Conversion& c, const std::string& name, size_t count, int64_t fallback) {
  std::vector<int64_t> sizes = c.Ints(name);
  if (sizes.empty()) sizes.assign(count, fallback);
  if (sizes.size() != count) {
    return absl::InvalidArgumentError(
        absl::StrCat("its attribute ", name, " has ", sizes.size(), " entries; it needs ", count));
  }
  for (int64_t size : sizes) {
    if (size < fallback || size > kMaxSize) {
      return absl::InvalidArgumentError(absl::StrCat("its attribute ", name, " holds ", size));
    }
  }
  return sizes;
}

int SpatialRank(Conversion& c, ValueId weight) {
  if (const size_t kernel = c.Ints("kernel_shape").size(); kernel > 0) return static_cast<int>(kernel);
  if (weight.valid() && c.info(weight).rank > 0) return c.info(weight).rank - 2;
  if (c.rank(0) > 0) return c.rank(0) - 2;
  if (const size_t strides = c.Ints("strides").size(); strides > 0) return static_cast<int>(strides);
  return 2;
}

}  // namespace

absl::StatusOr<Window> ReadWindow(Conversion& c, ValueId weight) {
  Window window;
  const int rank = SpatialRank(c, weight);
  if (rank != 1 && rank != 2) return c.Unsupported(absl::StrCat("a window over ", rank, " spatial dimensions"));
  window.one_dimensional = rank == 1;
  const size_t count = static_cast<size_t>(rank);

  if (c.HasAttr("kernel_shape")) {
    ASSIGN_OR_RETURN(window.kernel, Sizes(c, "kernel_shape", count, 1));
  }
  if (const TensorSlice* constant = c.constant(weight)) {
    const Shape& shape = constant->shape();
    if (shape.size() != count + 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("its filter of shape ", ToString(shape), " does not fit ", rank, " spatial dimensions"));
    }
    const std::vector<int64_t> kernel(shape.begin() + 2, shape.end());
    if (!window.kernel.empty() && window.kernel != kernel) {
      return absl::InvalidArgumentError(absl::StrCat("its kernel_shape ", ToString(window.kernel),
                                                     " is not that of its filter, ", ToString(shape)));
    }
    for (int64_t size : kernel) {
      if (size < 1 || size > kMaxSize) {
        return absl::InvalidArgumentError(absl::StrCat("its filter has the shape ", ToString(shape)));
      }
    }
    window.kernel = kernel;
  }
  ASSIGN_OR_RETURN(window.strides, Sizes(c, "strides", count, 1));
  ASSIGN_OR_RETURN(window.dilations, Sizes(c, "dilations", count, 1));
  ASSIGN_OR_RETURN(window.pads, Sizes(c, "pads", 2 * count, 0));
  window.auto_pad = c.String("auto_pad", "NOTSET");
  if (window.auto_pad == "VALID" || window.same()) {
    window.pads.assign(2 * count, 0);
  } else if (window.auto_pad != "NOTSET" && !window.auto_pad.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "its attribute auto_pad = '", window.auto_pad, "' is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER"));
  }
  if (window.one_dimensional) {
    if (!window.kernel.empty()) window.kernel.insert(window.kernel.begin(), 1);
    window.strides.insert(window.strides.begin(), 1);
    window.dilations.insert(window.dilations.begin(), 1);
    window.pads = {0, window.pads[0], 0, window.pads[1]};
  }
  if (window.same() && window.kernel.empty()) {
    return c.Unsupported(absl::StrCat("auto_pad ", window.auto_pad, " without kernel_shape"));
  }
  return window;
}

bool ResolveSamePads(Window* window) {
  for (int64_t stride : window->strides) {
    if (stride != 1) return false;
  }
  for (int i = 0; i < 2; ++i) {
    const int64_t total = window->reach(i) - 1;
    const int64_t smaller = total / 2;
    const bool upper = window->auto_pad == "SAME_UPPER";
    window->pads[i] = upper ? smaller : total - smaller;
    window->pads[i + 2] = upper ? total - smaller : smaller;
  }
  return true;
}

ValueId PadSame(Conversion& c, ValueId x, const Window& window, double value) {
  const std::vector<int64_t>& s = window.strides;
  const ValueId stride = c.Ints64("strides", s);
  const ValueId size = c.SliceVector(c.ShapeOf(x), 2, 4);
  // out = ceil(size / stride); total = max(0, (out - 1) * stride + reach - size)
  const ValueId rounded = c.VectorMath("Add", {size, c.Ints64("strides_less_1", {s[0] - 1, s[1] - 1})});
  const ValueId steps = c.VectorMath("TruncateDiv", {rounded, stride});
  const ValueId last = c.VectorMath("Mul", {c.VectorMath("Sub", {steps, c.Ints64("ones", {1, 1})}), stride});
  const ValueId covered = c.VectorMath("Add", {last, c.Ints64("reach", {window.reach(0), window.reach(1)})});
  const ValueId none = c.Ints64("zeros", {0, 0});
  const ValueId total = c.VectorMath("Maximum", {c.VectorMath("Sub", {covered, size}), none});
  const ValueId smaller = c.VectorMath("TruncateDiv", {total, c.Ints64("twos", {2, 2})});
  const ValueId larger = c.VectorMath("Sub", {total, smaller});
  const bool upper = window.auto_pad == "SAME_UPPER";
  const ValueId paddings = c.ConcatVectors({none, upper ? smaller : larger, none, upper ? larger : smaller});
  return c.Helper("PadV3", {x, paddings, c.Scalar("pad_value", value, c.info(x).type)},
                  {{"mode", "constant"}, {"paddings_contiguous", false}}, c.info(x));
}

ValueId ToTwoDimensions(Conversion& c, ValueId x, const Window& window) {
  return window.one_dimensional ? c.Unsqueeze(x, {2}) : x;
}

ValueId FromTwoDimensions(Conversion& c, ValueId y, const Window& window) {
  return window.one_dimensional ? c.Squeeze(y, {2}) : y;
}

}  // namespace omserve
