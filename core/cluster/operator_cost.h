// What one operator costs on one device: a roofline whose peaks are reached gradually, or what was measured.
//
//   seconds = start + max(computing, moving) + (1 - overlap) * min(computing, moving)
//   computing = flops / (peak * e),  moving = bytes / bandwidth
//   e = rows / (rows + half_rows) * columns / (columns + half_columns) * inner / (inner + half_inner)
//
// e is of matrix products and convolutions; a half size is the size at which half of the peak is reached, 0: at once.
#ifndef OMSERVE_CORE_CLUSTER_OPERATOR_COST_H_
#define OMSERVE_CORE_CLUSTER_OPERATOR_COST_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "core/cluster/cost_curve.h"

namespace omserve {

// Of one device, its operands as it holds them.
struct OperatorWork {
  absl::string_view type;  // of the graph's vocabulary: "MatMulV2"; may be empty
  double flops = 0;
  double bytes = 0;  // read and written, each once
  // A product of rows x inner by inner x columns; leading dimensions count as rows. A convolution is one too: of its
  // positions by the channels out of a group, with the taps of its window inside. 0: no such product.
  int64_t rows = 0, columns = 0, inner = 0;
  int64_t pieces = 0;  // that are treated one by one: rows of a softmax, runs of bytes of a gather
  // Under what measurements are looked up before `type`: "Conv2D/pointwise". Empty: only under `type`.
  absl::string_view variant = {};
  bool epilogue = false;  // elementwise on what a product before it has made, for nobody else
};

struct OperatorRates {
  double flops_per_second = 0;  // peak
  double bytes_per_second = 0;  // of the device's memory
  double start_seconds = 3e-6;  // of any operator: call, scheduling, cold caches
  double half_rows = 0, half_columns = 0, half_inner = 0;
  double overlap = 1;         // how much of the shorter one of computing and moving the longer one hides
  double epilogue_share = 1;  // what an epilogue costs of what it would cost alone

  double ComputingSeconds(const OperatorWork& work) const;
  double Seconds(const OperatorWork& work) const;
};

// What a cost file says of one type of operator on one type of device.
struct MeasuredOperator {
  std::optional<OperatorRates> rates;                   // instead of the device's
  std::map<std::array<int64_t, 3>, double> by_product;  // {rows, columns, inner} -> seconds, for exactly these
  std::optional<CostCurve> by_bytes;                    // bytes -> seconds; with `rates` of moving alone
  double piece_seconds = 0;                             // beside by_bytes, for each piece

  double Seconds(const OperatorWork& work, const OperatorRates& device) const;
};
using MeasuredOperators = std::map<std::string, MeasuredOperator, std::less<>>;

}  // namespace omserve

#endif  // OMSERVE_CORE_CLUSTER_OPERATOR_COST_H_
