// The rates of a device's matrix products, from some that were measured.
#ifndef OMSERVE_CLIENT_CLI_RATE_FIT_H_
#define OMSERVE_CLIENT_CLI_RATE_FIT_H_

#include <vector>

#include "core/cluster/operator_cost.h"

namespace omserve::cli {

struct MeasuredProduct {
  OperatorWork work;
  double seconds = 0;
};

// Peak and half sizes that bring `rates` closest to what was measured, by squares of
// log(predicted / measured); its start and bandwidth stay. Deterministic.
OperatorRates FitProducts(OperatorRates rates, const std::vector<MeasuredProduct>& measured);

// Mean of |predicted / measured - 1|.
double MeanError(const OperatorRates& rates, const std::vector<MeasuredProduct>& measured);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_RATE_FIT_H_
