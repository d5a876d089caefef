// Probes of `omctl calibrate`: models that do one thing over and over, on several devices at the same time. The time of a
// long one less that of a short one is that of the repetitions between them, whatever a run costs besides.
#ifndef OMSERVE_CLIENT_CLI_PROBE_H_
#define OMSERVE_CLIENT_CLI_PROBE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cluster/cluster.h"
#include "core/om/model.h"

namespace omserve::cli {

struct Probe {
  enum class What { kOperator, kProduct, kConvolution, kCollective };
  What what = What::kOperator;
  std::string type;  // kOperator: "SoftmaxV2"
  CollectiveKind collective = CollectiveKind::kAllReduce;  // over all devices of the probe
  // kOperator: elements of a float tensor. kCollective: bytes of payload, as for Cluster::CollectiveTime. kProduct: rows.
  // kConvolution: height and width of the image.
  int64_t size = 0;
  // kProduct: of rows x inner by inner x columns. With a batch, of so many pairs of computed values, as in attention; else
  // by weights, each time others, and columns must equal inner. kConvolution: from `inner` channels (0: as many) to `columns`
  // and, unless it changes the image's size, back again.
  int64_t columns = 0, inner = 0, batch = 1;
  bool epilogue = false;  // kProduct by weights: an activation and a residual behind it
  // kConvolution: width and height of the window, its step, which is 1 or 2; whether each channel is by itself; whether it is
  // a transposed one, which makes the image larger by the step.
  int64_t window = 3, stride = 1;
  bool depthwise = false, transposed = false;
  int64_t row = 64;  // kOperator: elements that lie together: what an axis of a softmax has, a gather copies at once

  // The operators of one repetition as plans price them. Names live as long as the registry of operators. INVALID_ARGUMENT
  // names an operator of which there is no probe.
  absl::StatusOr<std::vector<OperatorWork>> Work() const;
  // Elements of weights that each repetition has for itself.
  int64_t weights() const;
};

// The model of `repetitions`, one slice on each device. INVALID_ARGUMENT names an operator of which there is no probe.
absl::StatusOr<SlicedModel> ProbeModel(const Probe& probe, const std::vector<LogicalDeviceId>& devices, int repetitions);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_PROBE_H_
