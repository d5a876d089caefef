// Measured latencies of language models, as tables of comma-separated rows under comment lines that say what they hold:
//
//   # GPT-20B (48,128,44): batch,in_len,out_len,TP1,TP2,TP4,TP8   (ms; empty = OOM)
//   1,20,8,225,147,102,89
//
// Heads, head size and layers may also stand in an earlier comment ("20B (48,128,44); …"). A column without a layout
// ("ft_ms") is one device.
#ifndef OMSERVE_TESTS_PERF_PREDICTION_LATENCY_TABLE_H_
#define OMSERVE_TESTS_PERF_PREDICTION_LATENCY_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace omserve::prediction {

struct LatencyRow {
  std::string model;  // "20B"
  int64_t heads = 0, head_size = 0, layers = 0;
  int64_t batch = 1, in_length = 1, out_length = 1;
  int tensor_parallel = 1, pipeline = 1;
  double seconds = 0;  // measured

  std::string Layout() const;  // "20B TP4" or "530B TP8PP3"
};

// INVALID_ARGUMENT names the line.
absl::StatusOr<std::vector<LatencyRow>> ParseLatencyTable(absl::string_view text, absl::string_view source);

}  // namespace omserve::prediction

#endif  // OMSERVE_TESTS_PERF_PREDICTION_LATENCY_TABLE_H_
