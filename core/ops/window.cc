#include "core/ops/window.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/ops/infer_util.h"

namespace omserve {
namespace {

// Bounds what comes from files, so that sums and products below cannot overflow.
constexpr int64_t kMaxWindow = int64_t{1} << 20;

absl::Status AttrError(const std::string& name, const std::vector<int64_t>& values, absl::string_view must) {
  return absl::InvalidArgumentError(
      absl::StrCat("attribute '", name, "' is (", absl::StrJoin(values, ","), "); it must ", must));
}

}  // namespace

absl::Status CheckImageFormat(const NodeView& view, int spatial) {
  const std::string format = view.Attr<std::string>("data_format");
  const absl::string_view wanted = spatial == 3 ? "NCDHW" : "NCHW";
  if (format == wanted) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("attribute 'data_format' is '", format, "'; only ", wanted, " is supported"));
}

absl::StatusOr<std::vector<int64_t>> SpatialAttr(const NodeView& view, const std::string& name, int spatial) {
  const std::vector<int64_t> values = view.Attr<std::vector<int64_t>>(name);
  if (static_cast<int>(values.size()) != spatial + 2) {
    return AttrError(name, values, absl::StrCat("have ", spatial + 2, " numbers"));
  }
  for (int64_t value : values) {
    if (value < 1 || value > kMaxWindow)
      return AttrError(name, values, absl::StrCat("hold numbers in [1, ", kMaxWindow, "]"));
  }
  if (values[0] != 1 || values[1] != 1) {
    return absl::UnimplementedError(
        AttrError(name, values, "be 1 for batch and channels; other values are not supported").message());
  }
  return std::vector<int64_t>(values.begin() + 2, values.end());
}

absl::Status ReadPads(const NodeView& view, const std::string& name, std::vector<Window>& windows) {
  const std::vector<int64_t> pads = view.Attr<std::vector<int64_t>>(name);
  if (pads.size() != 2 * windows.size()) {
    return AttrError(name, pads, absl::StrCat("have ", 2 * windows.size(), " numbers"));
  }
  for (size_t d = 0; d < windows.size(); ++d) {
    windows[d].pad_begin = pads[2 * d];
    windows[d].pad_end = pads[2 * d + 1];
    for (int64_t pad : {pads[2 * d], pads[2 * d + 1]}) {
      if (pad < 0 || pad > kMaxWindow)
        return AttrError(name, pads, absl::StrCat("hold numbers in [0, ", kMaxWindow, "]"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> WindowPositions(const Window& window, int64_t size, bool ceil_mode) {
  if (size == kUnknownDim) return kUnknownDim;
  const int64_t padded = size + window.pad_begin + window.pad_end;
  if (padded < window.reach()) {
    // An image without rows has no positions; a kernel that is too large for an image is a mistake.
    if (size == 0) return 0;
    return absl::InvalidArgumentError(absl::StrCat(
        "a window of ", window.reach(), " does not fit a dimension of ", size, " padded to ", padded));
  }
  const int64_t room = padded - window.reach();
  int64_t positions = room / window.stride + 1;
  if (ceil_mode && room % window.stride != 0 && positions * window.stride < size + window.pad_begin)
    ++positions;
  return positions;
}

}  // namespace omserve
