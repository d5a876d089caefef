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
  std::string type;  // of the operator: "SoftmaxV2"; of one or two equal operands, or "Transpose", "ReduceMean" (of rows)
  CollectiveKind collective = CollectiveKind::kAllReduce;  // over all devices of the probe
  // kOperator: elements of a float tensor. kCollective: bytes of payload, as for Cluster::CollectiveTime. kProduct: rows.
  // kConvolution: height and width of an image of `columns` channels, in and out.
  int64_t size = 0;
  // kProduct: of rows x inner by inner x columns. With a batch, of so many pairs of computed values, as in attention; else
  // by weights, each time others, and columns must equal inner.
  int64_t columns = 0, inner = 0, batch = 1;
  // kConvolution: width and height of the window; whether each channel is by itself.
  int64_t window = 3;
  bool depthwise = false;

  // Read and written by one repetition, each once.
  double bytes() const;
  // Of products and convolutions: what it is to a device.
  OperatorWork work() const;
  // Elements of weights that each repetition has for itself.
  int64_t weights() const;
  // kConvolution: what one element of the result is a sum of.
  int64_t taps() const { return window * window * (depthwise ? 1 : columns); }
};

// The model of `repetitions`, one slice on each device. INVALID_ARGUMENT names an operator of which there is no probe.
absl::StatusOr<SlicedModel> ProbeModel(const Probe& probe, const std::vector<LogicalDeviceId>& devices, int repetitions);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_PROBE_H_
