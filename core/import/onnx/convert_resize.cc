// Resize and its predecessor Upsample.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/import/onnx/converter.h"

namespace omserve {
namespace {

// Upsample and Resize 10 have no attributes for this: output pixel i reads input pixel floor(i / scale).
AttrMap OldAttrs(Conversion& c) {
  return {{"mode", c.String("mode", "nearest")},
          {"coordinate_transformation_mode", "asymmetric"},
          {"nearest_mode", "floor"}};
}

absl::Status ConvertUpsample7(Conversion& c) {
  const std::vector<float> scales = c.Floats("scales");
  if (scales.empty()) return absl::InvalidArgumentError("its attribute 'scales' is missing");
  const Shape shape{static_cast<int64_t>(scales.size())};
  const ValueId input = c.Const("scales", TensorSlice(Tensor::Of<float>(shape, scales)));
  c.SetOutput(0, c.Node("Resize", {c.input(0), {}, input}, OldAttrs(c), c.info(0)));
  return absl::OkStatus();
}

// Upsample 9 and Resize 10
absl::Status ConvertResize10(Conversion& c) {
  c.SetOutput(0, c.Node("Resize", {c.input(0), {}, c.input(1)}, OldAttrs(c), c.info(0)));
  return absl::OkStatus();
}

// Scales or sizes given for some axes only (opset 18), as those of all axes: written over `all`.
absl::StatusOr<ValueId> OfAllAxes(Conversion& c, const std::vector<int64_t>& axes, ValueId all, ValueId some) {
  const int rank = c.rank(0);
  if (rank < 0) return c.Unsupported("axes for an input whose rank is not known before shape inference");
  std::vector<int64_t> indices;
  for (int64_t axis : axes) {
    ASSIGN_OR_RETURN(int index, NormalizeAxis(axis, rank));
    indices.push_back(index);
  }
  const Shape column{static_cast<int64_t>(indices.size()), 1};
  const ValueId places = c.Const("places", TensorSlice(Tensor::Of<int64_t>(column, indices)));
  return c.Helper("TensorScatterUpdate", {all, places, some}, {}, c.info(all));
}

// An absent input, written as no input or as an empty constant.
ValueId UnlessEmpty(Conversion& c, int input) {
  const TensorSlice* constant = c.constant(c.optional_input(input));
  return constant != nullptr && constant->byte_size() == 0 ? ValueId{} : c.optional_input(input);
}

absl::Status ConvertResize11(Conversion& c) {
  c.RequireInt("antialias", 0);
  c.RequireString("keep_aspect_ratio_policy", "stretch");
  const std::string transformation = c.String("coordinate_transformation_mode", "half_pixel");
  const AttrMap attrs{{"coordinate_transformation_mode", transformation},
                      {"cubic_coeff_a", c.Float("cubic_coeff_a", -0.75f)},
                      {"exclude_outside", c.Int("exclude_outside", 0)},
                      {"extrapolation_value", c.Float("extrapolation_value", 0.0f)},
                      {"mode", c.String("mode", "nearest")},
                      {"nearest_mode", c.String("nearest_mode", "round_prefer_floor")}};
  const ValueId x = c.input(0);
  // Other modes do not read the region of interest, though exporters write one.
  const ValueId roi = transformation == "tf_crop_and_resize" ? UnlessEmpty(c, 1) : ValueId{};
  ValueId scales = UnlessEmpty(c, 2);
  ValueId sizes = UnlessEmpty(c, 3);
  if (scales.valid() == sizes.valid()) {
    return absl::InvalidArgumentError(
        absl::StrCat("it needs either scales or sizes and has ", scales.valid() ? "both" : "neither"));
  }
  if (c.HasAttr("axes")) {
    if (roi.valid()) return c.Unsupported("axes together with a region of interest");
    const std::vector<int64_t> axes = c.Ints("axes");
    if (scales.valid()) {
      const size_t rank = static_cast<size_t>(std::max(c.rank(0), 0));
      const ValueId ones = c.Const(
          "scales", TensorSlice(Tensor::Of<float>({static_cast<int64_t>(rank)}, std::vector<float>(rank, 1.0f))));
      ASSIGN_OR_RETURN(scales, OfAllAxes(c, axes, ones, scales));
    } else {
      ASSIGN_OR_RETURN(sizes, OfAllAxes(c, axes, c.ShapeOf(x), sizes));
    }
  }
  c.SetOutput(0, c.Node("Resize", {x, roi, scales, sizes}, attrs, c.info(0)));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"Resize", 10, 10, 2, 2, ConvertResize10},
    {"Resize", 11, kNewestOpset, 1, 4, ConvertResize11},
    {"Upsample", 7, 8, 1, 1, ConvertUpsample7},
    {"Upsample", 9, 9, 2, 2, ConvertResize10},
};

}  // namespace

absl::Span<const Converter> ResizeConverters() { return kConverters; }

}  // namespace omserve
