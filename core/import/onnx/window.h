// The sliding window of convolutions and poolings.
#ifndef OMSERVE_CORE_IMPORT_ONNX_WINDOW_H_
#define OMSERVE_CORE_IMPORT_ONNX_WINDOW_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/import/onnx/conversion.h"

namespace omserve {

// Always over two spatial dimensions: a one-dimensional window becomes one of height 1.
struct Window {
  bool one_dimensional = false;
  std::vector<int64_t> kernel;     // height, width; empty when neither attribute nor weights tell
  std::vector<int64_t> strides;    // 2 entries, positive
  std::vector<int64_t> dilations;  // 2 entries, positive
  std::vector<int64_t> pads;       // top, left, bottom, right: ONNX's order; zeros when auto_pad says otherwise
  std::string auto_pad;            // NOTSET, VALID, SAME_UPPER, SAME_LOWER

  bool same() const { return auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER"; }
  // The extent of the dilated kernel along dimension i.
  int64_t reach(int i) const { return (kernel[i] - 1) * dilations[i] + 1; }

  // In Ascend's forms.
  std::vector<int64_t> Strides4() const { return {1, 1, strides[0], strides[1]}; }
  std::vector<int64_t> Dilations4() const { return {1, 1, dilations[0], dilations[1]}; }
  std::vector<int64_t> Kernel4() const { return {1, 1, kernel[0], kernel[1]}; }
  // top, bottom, left, right
  std::vector<int64_t> Pads4() const { return {pads[0], pads[2], pads[1], pads[3]}; }
};

// Reads kernel_shape, strides, dilations, pads and auto_pad. `weight` is the convolution's filter, invalid for
// poolings. INVALID_ARGUMENT for attributes that do not fit each other, UNIMPLEMENTED for other than one or two
// spatial dimensions.
absl::StatusOr<Window> ReadWindow(Conversion& c, ValueId weight);

// Sets the pads of auto_pad SAME_* where they do not depend on the input's size (all strides are 1) and tells whether
// it could.
bool ResolveSamePads(Window* window);

// Pads `x` (N, C, H, W) with `value` as SAME_* asks, computed from x's shape.
ValueId PadSame(Conversion& c, ValueId x, const Window& window, double value);

// (N, C, L) to (N, C, 1, L) and back when the window is one-dimensional.
ValueId ToTwoDimensions(Conversion& c, ValueId x, const Window& window);
ValueId FromTwoDimensions(Conversion& c, ValueId y, const Window& window);

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_ONNX_WINDOW_H_
