// CostCurve: measured seconds over a size (bytes), a straight line between the points.
#ifndef OMSERVE_CORE_CLUSTER_COST_CURVE_H_
#define OMSERVE_CORE_CLUSTER_COST_CURVE_H_

#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace omserve {

class CostCurve {
 public:
  using Point = std::pair<double, double>;  // size, seconds

  // INVALID_ARGUMENT without points, for sizes that do not increase from 0 or more, and for seconds that are not
  // positive or decrease: a larger size is never faster.
  static absl::StatusOr<CostCurve> Make(std::vector<Point> points);

  // Below the first point its seconds; beyond the last one the line through the last two, through 0 if there is one.
  double At(double size) const;

  const std::vector<Point>& points() const { return points_; }

 private:
  explicit CostCurve(std::vector<Point> points) : points_(std::move(points)) {}
  std::vector<Point> points_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_CLUSTER_COST_CURVE_H_
