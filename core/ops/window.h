// Windows that slide over the spatial dimensions of an image: what convolutions and pools have in common.
// Images are NCHW (or NCDHW); strides and dilations have an entry for each of those dimensions, pads a pair
// for each spatial one.
#ifndef OMSERVE_CORE_OPS_WINDOW_H_
#define OMSERVE_CORE_OPS_WINDOW_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/ops/op.h"

namespace omserve {

// Of one spatial dimension.
struct Window {
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;

  // How far the taps of one position reach.
  int64_t reach() const { return dilation * (kernel - 1) + 1; }
};

// UNIMPLEMENTED unless the attribute data_format is channel-first for an image of `spatial` dimensions.
absl::Status CheckImageFormat(const NodeView& view, int spatial);

// The spatial entries of an attribute like strides: spatial + 2 numbers, those of N and C being 1.
absl::StatusOr<std::vector<int64_t>> SpatialAttr(const NodeView& view, const std::string& name, int spatial);

// Reads pads: a pair for each spatial dimension.
absl::Status ReadPads(const NodeView& view, const std::string& name, std::vector<Window>& windows);

// Positions of the window on a dimension of `size` (which may be unknown). INVALID_ARGUMENT when it does not
// fit once. With `ceil_mode`, a last position may hang over the end, unless it would begin in the padding
// there.
absl::StatusOr<int64_t> WindowPositions(const Window& window, int64_t size, bool ceil_mode);

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_WINDOW_H_
