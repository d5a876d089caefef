// A GPT's programs (core/simulate) from a handful of rates: operators and collectives as core/cluster prices them,
// stages by the simulator.
#ifndef OMSERVE_TESTS_PERF_PREDICTION_GPT_MODEL_H_
#define OMSERVE_TESTS_PERF_PREDICTION_GPT_MODEL_H_

#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cluster/cost_file.h"
#include "tests/perf/prediction/latency_table.h"

namespace omserve::prediction {

// What is fitted. Seconds, bytes and flops. All but the last four are what a cost file says of a device and its links.
struct GptRates {
  OperatorRates product;              // of the device: what matrix products reach
  double moved_bytes_per_second = 0;  // element-wise operators, norms, softmax
  double cache_bytes_per_second = 0;  // keys and values of earlier positions
  LinkCost inside, between;           // a node; several nodes
  double collective_start = 0;        // of any collective
  double token_seconds = 0;           // per token: sampling, the host
  double sequence_token_seconds = 0;  // per token of each sequence: sampling
  double request_seconds = 0;

  // As logarithms, for fitting; and back.
  static const std::vector<std::string>& Names();
  std::vector<double> ToLogs() const;
  static GptRates FromLogs(const std::vector<double>& logs);
  // Where a fit begins, and what is kept of what the rows say nothing about: the figures of an A100's data sheet with
  // common efficiencies.
  static GptRates DataSheet();

  // Of devices of type kDevice: for `omctl plan --cost-file`.
  CostFile ToCostFile() const;
};

constexpr char kDevice[] = "A100";

// Devices of a node.
constexpr int kNodeSize = 8;

// Aborts on rows that ParseLatencyTable would not give.
double PredictSeconds(const GptRates& rates, const LatencyRow& row);
std::vector<double> PredictSeconds(const GptRates& rates, const std::vector<LatencyRow>& rows);

// Least squares of log(predicted / measured), gently pulled to DataSheet.
GptRates FitRates(const std::vector<LatencyRow>& rows);

// Mean of |predicted / measured - 1|.
double MeanError(const GptRates& rates, const std::vector<LatencyRow>& rows);

}  // namespace omserve::prediction

#endif  // OMSERVE_TESTS_PERF_PREDICTION_GPT_MODEL_H_
