// CollectiveFit: curves of all collectives of one system from few measurements of each, so that sizes between and beyond
// the measured ones are predicted from everything that is known of the system.
//
// Each curve (a kind and a number of ranks) is  T(n) = a + b n + g s(b n / a):  a floor, which rises a little where messages
// outgrow the shortest protocol, the time of the bytes, and the cost of filling the pipe, which s lets come in gradually
// when the bytes begin to outweigh the floor. log a, log b and log g/a of all curves are drawn together by a Gaussian prior:
// alike for equal kinds, like numbers of ranks. What remains (steps between protocols) is a Gaussian process over
// log(size), shared by like curves in the same way: a step seen on 4 ranks is expected on 8. What no other sample bears out
// is left to the sample alone: of heavy tails, so that one odd measurement bends nothing but its own surroundings.
// All of it is a least-squares problem in log(seconds), whose weights are found by repetition.
#ifndef OMSERVE_CORE_CLUSTER_COLLECTIVE_FIT_H_
#define OMSERVE_CORE_CLUSTER_COLLECTIVE_FIT_H_

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cluster/collective_algorithms.h"

namespace omserve {

struct CollectiveSample {
  CollectiveKind kind;
  int ranks = 2;
  double bytes = 0;  // payload as for Cluster::CollectiveTime
  double seconds = 0;
};

// The form that curves are expected to have. Dimensionless: places are in log(b n / a), so it holds for links of any speed.
struct CollectiveShape {
  double fill = 1.15;                 // log(g / a)
  double fill_place = 0.69;           // where half of g is there, on 4 ranks
  double fill_place_per_ranks = 0.4;  // more of that per log(ranks)
  double fill_steepness = 1.4;
  double floor_rise = 0.3;         // of log a
  double floor_rise_place = -6.2;  // where half of that is there
};

class CollectiveFit {
 public:
  // All samples of one system (one level of links). Deterministic. INVALID_ARGUMENT for no samples, sizes below 1 byte, times
  // that are not positive, fewer than 2 ranks.
  static absl::StatusOr<CollectiveFit> Make(std::vector<CollectiveSample> samples, const CollectiveShape& shape = {});

  // Of a kind and number of ranks there are samples of.
  double Seconds(CollectiveKind kind, int ranks, double bytes) const;
  // All of those from `smallest` to `largest` bytes in steps small enough for straight lines between; never decreasing.
  CollectiveCurves Curves(double smallest, double largest) const;

 private:
  using Curve = std::pair<CollectiveKind, int>;
  CollectiveFit() = default;

  size_t IndexOf(const Curve& curve) const;
  // log(seconds) of the formula; `gradient`, if given, of that over log a, log b, log g/a and the common place of s.
  double LogFormula(size_t curve, double log_bytes, double* gradient) const;
  void Start();
  std::vector<double> Descend(const std::vector<double>& weight, const std::vector<double>& centre,
                              const std::vector<double>& precision);
  void FitAll();

  CollectiveShape shape_;
  std::vector<CollectiveSample> samples_;
  std::vector<Curve> curves_;
  std::vector<size_t> curve_of_;    // of each sample
  std::vector<double> parameters_;  // log a of all curves, log b, log g/a, place of s
  std::vector<double> weights_;     // of the samples in the Gaussian process
  std::vector<double> own_;         // log(seconds) of each sample beyond all that
};

}  // namespace omserve

#endif  // OMSERVE_CORE_CLUSTER_COLLECTIVE_FIT_H_
