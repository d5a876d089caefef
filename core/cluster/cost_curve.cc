#include "core/cluster/cost_curve.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace omserve {

absl::StatusOr<CostCurve> CostCurve::Make(std::vector<Point> points) {
  if (points.empty()) return absl::InvalidArgumentError("expected at least one point [size, seconds]");
  for (size_t i = 0; i < points.size(); ++i) {
    const auto& [size, seconds] = points[i];
    if (!std::isfinite(size) || size < 0 || (i > 0 && size <= points[i - 1].first)) {
      return absl::InvalidArgumentError(
          absl::StrCat("point ", i, ": size ", size, "; sizes must increase from 0 or more"));
    }
    if (!std::isfinite(seconds) || seconds <= 0 || (i > 0 && seconds < points[i - 1].second)) {
      return absl::InvalidArgumentError(
          absl::StrCat("point ", i, ": ", seconds, " seconds; expected more than 0 and never less than before"));
    }
  }
  return CostCurve(std::move(points));
}

double CostCurve::At(double size) const {
  if (size <= points_.front().first) return points_.front().second;
  if (points_.size() == 1) return points_[0].second * size / std::max(points_[0].first, 1.0);
  auto above = std::upper_bound(points_.begin(), points_.end(), size,
                                [](double value, const Point& point) { return value < point.first; });
  if (above == points_.end()) --above;
  const Point& low = *(above - 1);
  return low.second + (above->second - low.second) * (size - low.first) / (above->first - low.first);
}

}  // namespace omserve
