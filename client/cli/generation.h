// omctl plan --generate: what a language model with past positions would take for a prompt and an answer.
#ifndef OMSERVE_CLIENT_CLI_GENERATION_H_
#define OMSERVE_CLIENT_CLI_GENERATION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/deadline.h"
#include "core/build/build.h"
#include "core/cluster/cluster.h"
#include "core/partition/parallel_options.h"
#include "core/simulate/generation.h"
#include "nlohmann/json.hpp"

namespace omserve::cli {

// "128,64": prompt and answer, both at least 1 and at most 2^20.
struct GenerationLengths {
  int64_t in = 1, out = 1;
};
absl::StatusOr<GenerationLengths> ParseGenerationLengths(const std::string& text);

// --input-shape with the words new, past and total (both together) in place of dimensions, and patterns with '*' in
// place of names: "input_ids:1,new;past_key_values.*:1,8,past,64". INVALID_ARGUMENT for what matches none of the
// inputs, and for inputs that two entries match.
absl::StatusOr<InputShapes> ShapesOfStep(const std::string& text, const std::vector<std::string>& inputs,
                                         int64_t new_tokens, int64_t past);

// Prefill of the whole prompt with no past, and decode steps of one token each. The decode step with the longest past
// is planned by `options`; its plan serves for all decode steps. The prefill, whose operators differ, is planned for
// the same devices in the same stages.
struct GenerationReport {
  GenerationLengths lengths;
  int replicas = 1, stages = 1, tensor = 1;
  std::vector<int64_t> past;     // where decode steps were simulated
  GenerationTimes alone;         // one batch in the pipeline
  double step_seconds_full = 0;  // one token of a batch in each stage, at the middle of the answer
};
absl::StatusOr<GenerationReport> PlanGeneration(const std::string& model, const std::string& input_shape,
                                                const GenerationLengths& lengths, const Cluster& cluster,
                                                const ParallelOptions& options,
                                                const std::function<void(const BuildProgress&)>& progress,
                                                const WaitLimit& limit);

nlohmann::ordered_json ToJson(const std::string& model, const GenerationReport& report);
std::string ToText(const std::string& model, const GenerationReport& report);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_GENERATION_H_
