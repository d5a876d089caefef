// Pooling.
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/import/onnx/converter.h"
#include "core/import/onnx/window.h"

namespace omserve {
namespace {

absl::StatusOr<Window> ReadPoolWindow(Conversion& c) {
  ASSIGN_OR_RETURN(Window window, ReadWindow(c, {}));
  if (window.kernel.empty()) return absl::InvalidArgumentError("its attribute 'kernel_shape' is missing");
  if (window.dilations != std::vector<int64_t>{1, 1}) {
    return c.Unsupported(absl::StrCat("dilations ", ToString(window.dilations), " of a pooling"));
  }
  return window;
}

AttrMap PoolAttrs(Conversion& c, const Window& window) {
  return {{"ksize", window.Kernel4()},
          {"strides", window.Strides4()},
          {"padding_mode", window.same() ? "SAME" : "CALCULATED"},
          {"pads", window.Pads4()},
          {"data_format", "NCHW"},
          {"global_pooling", false},
          {"ceil_mode", c.Int("ceil_mode", 0) != 0}};
}

// Brings SAME_* to what Ascend's "SAME" is: SAME_UPPER. `value` is what padding counts as; without one the padding
// must not count, which no pad can express.
absl::Status ResolvePads(Conversion& c, Window* window, ValueId* x, std::optional<double> value) {
  if (!window->same()) return absl::OkStatus();
  if (ResolveSamePads(window)) {
    window->auto_pad = "NOTSET";
  } else if (window->auto_pad == "SAME_LOWER") {
    if (!value) return c.Unsupported("auto_pad SAME_LOWER with strides, unless count_include_pad is set");
    *x = PadSame(c, *x, *window, *value);
    window->auto_pad = "NOTSET";
  }
  return absl::OkStatus();
}

absl::Status ConvertMaxPool(Conversion& c) {
  if (c.uses_output(1)) return c.Unsupported("its second output, the indices");
  c.Ignore("storage_order");  // of the indices
  ASSIGN_OR_RETURN(Window window, ReadPoolWindow(c));
  ValueId x = ToTwoDimensions(c, c.input(0), window);
  std::optional<double> lowest;
  if (!IsInteger(c.type(0))) lowest = -std::numeric_limits<double>::infinity();
  RETURN_IF_ERROR(ResolvePads(c, &window, &x, lowest));
  const ValueId y = c.Node("MaxPoolV3", {x}, PoolAttrs(c, window), c.info(x).OfRank(4));
  c.SetOutput(0, FromTwoDimensions(c, y, window));
  return absl::OkStatus();
}

absl::Status ConvertAveragePool(Conversion& c) {
  ASSIGN_OR_RETURN(Window window, ReadPoolWindow(c));
  const bool count_padding = c.Int("count_include_pad", 0) != 0;
  ValueId x = ToTwoDimensions(c, c.input(0), window);
  RETURN_IF_ERROR(ResolvePads(c, &window, &x, count_padding ? std::optional<double>(0) : std::nullopt));
  AttrMap attrs = PoolAttrs(c, window);
  attrs["exclusive"] = !count_padding;
  const ValueId y = c.Node("AvgPoolV2", {x}, std::move(attrs), c.info(x).OfRank(4));
  c.SetOutput(0, FromTwoDimensions(c, y, window));
  return absl::OkStatus();
}

absl::Status ConvertGlobalAveragePool(Conversion& c) {
  c.SetOutput(0, c.Node("GlobalAveragePool", {c.input(0)}, {}, c.info(0)));
  return absl::OkStatus();
}

absl::Status ConvertGlobalMaxPool(Conversion& c) {
  ValueId axes;
  if (c.rank(0) >= 0) {
    std::vector<int64_t> spatial;
    for (int i = 2; i < c.rank(0); ++i) spatial.push_back(i);
    axes = c.Ints64("axes", spatial);
  } else {
    axes = c.Helper("Range", {c.Int64("first", 2), c.RankOf(c.input(0)), c.Int64("step", 1)}, {},
                    {DataType::kInt64, 1});
  }
  c.SetOutput(0, c.Node("ReduceMax", {c.input(0), axes}, {{"keep_dims", true}}, c.info(0)));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"AveragePool", 7, kNewestOpset, 1, 1, ConvertAveragePool},
    {"GlobalAveragePool", 1, kNewestOpset, 1, 1, ConvertGlobalAveragePool},
    {"GlobalMaxPool", 1, kNewestOpset, 1, 1, ConvertGlobalMaxPool},
    {"MaxPool", 1, kNewestOpset, 1, 1, ConvertMaxPool},
};

}  // namespace

absl::Span<const Converter> PoolConverters() { return kConverters; }

}  // namespace omserve
