// The rates of a device's matrix products, from some that were measured.
#ifndef OMSERVE_CLIENT_CLI_RATE_FIT_H_
#define OMSERVE_CLIENT_CLI_RATE_FIT_H_

#include <optional>
#include <vector>

#include "core/cluster/operator_cost.h"

namespace omserve::cli {

struct MeasuredProduct {
  std::vector<OperatorWork> works;  // one after the other
  double seconds = 0;               // of all
};

// Peak, half sizes and a start of at least that of `rates` that bring it closest to what was measured, by the squares of
// log(predicted / measured), or its size where it is large, most where it is of long products; its bandwidth and overlap stay. With `moving` (bytes -> seconds)
// that is in the place of start and bandwidth. Deterministic.
OperatorRates FitProducts(OperatorRates rates, const std::vector<MeasuredProduct>& measured,
                          const std::optional<CostCurve>& moving = std::nullopt);

// Mean of |predicted / measured - 1|.
double MeanError(const OperatorRates& rates, const std::vector<MeasuredProduct>& measured,
                 const std::optional<CostCurve>& moving = std::nullopt);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_RATE_FIT_H_
