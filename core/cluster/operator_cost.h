// What one operator costs on one device: a roofline whose peaks are reached gradually, or what was measured.
//
//   seconds = start + max( flops / (peak * e),  bytes / bandwidth )
//   e = rows / (rows + half_rows) * columns / (columns + half_columns) * inner / (inner + half_inner)
//
// e is of matrix products; a half size is the size at which half of the peak is reached, 0: at once.
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
  // A product of rows x inner by inner x columns; leading dimensions count as rows. 0: no such product.
  int64_t rows = 0, columns = 0, inner = 0;
};

struct OperatorRates {
  double flops_per_second = 0;  // peak
  double bytes_per_second = 0;  // of the device's memory
  double start_seconds = 3e-6;  // of any operator: call, scheduling, cold caches
  double half_rows = 0, half_columns = 0, half_inner = 0;

  double Seconds(const OperatorWork& work) const;
};

// What a cost file says of one type of operator on one type of device.
struct MeasuredOperator {
  std::optional<OperatorRates> rates;                   // instead of the device's
  std::map<std::array<int64_t, 3>, double> by_product;  // {rows, columns, inner} -> seconds, for exactly these
  std::optional<CostCurve> by_bytes;                    // bytes -> seconds
};
using MeasuredOperators = std::map<std::string, MeasuredOperator, std::less<>>;

}  // namespace omserve

#endif  // OMSERVE_CORE_CLUSTER_OPERATOR_COST_H_
