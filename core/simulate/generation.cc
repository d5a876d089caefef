#include "core/simulate/generation.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// A token of every micro-batch, each waiting for its own last one. Filling the pipeline is over after the first round.
absl::StatusOr<double> TokenSeconds(const PipelineProgram& program, int micro_batches, bool overlap_sends) {
  constexpr int kRounds = 4;
  const int stages = static_cast<int>(program.stages.size());
  if (stages == 1) {
    double seconds = 0;
    for (const SimulatedStep& step : program.stages[0]) seconds += step.seconds;
    return micro_batches * seconds;
  }
  std::vector<SimulatedRun> runs;
  for (int i = 0; i < kRounds * micro_batches; ++i) runs.push_back({.after = i - micro_batches});
  for (int i = 0; i < micro_batches; ++i) runs[static_cast<size_t>(i)].after = -1;
  ASSIGN_OR_RETURN(const Simulation all, SimulateRuns({program}, runs, {.overlap_sends = overlap_sends}));
  const size_t last = runs.size() - 1;
  return (all.runs[last].end - all.runs[last - 2 * static_cast<size_t>(micro_batches)].end) / 2;
}

}  // namespace

absl::StatusOr<GenerationTimes> PredictGeneration(const Generation& generation) {
  if (generation.in_length < 1 || generation.out_length < 1 || generation.decode_micro_batches < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a generation has a prompt, an answer and micro-batches of at least 1, not ", generation.in_length,
                     ", ", generation.out_length, ", ", generation.decode_micro_batches));
  }
  GenerationTimes times;
  ASSIGN_OR_RETURN(times.prefill_seconds,
                   MicroBatchedSeconds(generation.prefill, generation.prefill_micro_batches, generation.overlap_sends));
  times.seconds = times.prefill_seconds;
  if (generation.out_length == 1) return times;
  if (generation.decode.empty()) return absl::InvalidArgumentError("answers of several tokens need a decode program");
  for (size_t i = 0; i < generation.decode.size(); ++i) {
    if (i > 0 && generation.decode[i].past <= generation.decode[i - 1].past) {
      return absl::InvalidArgumentError(absl::StrCat("decode programs come by increasing past, not ",
                                                     generation.decode[i - 1].past, " and then ",
                                                     generation.decode[i].past));
    }
    const auto token_seconds = generation.tokens_in_step ? MicroBatchedSeconds : TokenSeconds;
    ASSIGN_OR_RETURN(const double seconds, token_seconds(generation.decode[i].program, generation.decode_micro_batches,
                                                         generation.overlap_sends));
    times.token_seconds.push_back(seconds);
  }
  // Outside of what is given, the nearest line goes on.
  size_t right = std::min<size_t>(1, times.token_seconds.size() - 1);
  for (int64_t token = 1; token < generation.out_length; ++token) {
    const int64_t past = generation.in_length + token - 1;
    while (right + 1 < times.token_seconds.size() && past > generation.decode[right].past) ++right;
    if (right == 0) {
      times.decode_seconds += times.token_seconds[0];
      continue;
    }
    const DecodeProgram &a = generation.decode[right - 1], &b = generation.decode[right];
    const double weight = static_cast<double>(past - a.past) / static_cast<double>(b.past - a.past);
    times.decode_seconds += (1 - weight) * times.token_seconds[right - 1] + weight * times.token_seconds[right];
  }
  times.seconds += times.decode_seconds;
  return times;
}

}  // namespace omserve
