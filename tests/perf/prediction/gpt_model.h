// A GPT's programs (core/simulate) from a handful of rates: operators by the roofline of core/cluster, all-reduces by its
// α–β formulas on two levels, stages by the simulator.
#ifndef OMSERVE_TESTS_PERF_PREDICTION_GPT_MODEL_H_
#define OMSERVE_TESTS_PERF_PREDICTION_GPT_MODEL_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cluster/cluster.h"
#include "core/simulate/generation.h"
#include "tests/perf/prediction/latency_table.h"

namespace omserve::prediction {

// What is fitted. Seconds, bytes and flops.
struct GptRates {
  OperatorRates product;     // matrix products with weights
  double moved_bytes_per_second = 0;   // element-wise operators, norms, softmax
  double cache_bytes_per_second = 0;   // keys and values of earlier positions
  double collective_start = 0;         // of any collective
  LinkCost inside, between;            // a node; several nodes
  double token_seconds = 0;            // per token: sampling, the host
  double sequence_token_seconds = 0;   // per token of each sequence: sampling
  double request_seconds = 0;

  // As logarithms, for fitting; and back.
  static const std::vector<std::string>& Names();
  std::vector<double> ToLogs() const;
  static GptRates FromLogs(const std::vector<double>& logs);
  // Where a fit begins, and what is kept of what the rows say nothing about: the figures of an A100's data sheet with
  // common efficiencies.
  static GptRates DataSheet();
};

// Devices of a node.
constexpr int kNodeSize = 8;

absl::StatusOr<GenerationTimes> PredictTimes(const GptRates& rates, const LatencyRow& row);
// The whole of a row, with the request's own overhead. Aborts on rows that ParseLatencyTable would not give.
double PredictSeconds(const GptRates& rates, const LatencyRow& row);

// Least squares of log(predicted / measured), gently pulled to DataSheet.
GptRates FitRates(const std::vector<LatencyRow>& rows);

// Mean of |predicted / measured - 1|.
double MeanError(const GptRates& rates, const std::vector<LatencyRow>& rows);

}  // namespace omserve::prediction

#endif  // OMSERVE_TESTS_PERF_PREDICTION_GPT_MODEL_H_
