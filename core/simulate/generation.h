// Predicting a language model's answer: the prompt in one go (prefill), then a token at a time (decode), each attending
// to all before it.
#ifndef OMSERVE_CORE_SIMULATE_GENERATION_H_
#define OMSERVE_CORE_SIMULATE_GENERATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/simulate/pipeline.h"

namespace omserve {

// One token of every sequence of a micro-batch, with `past` positions before it.
struct DecodeProgram {
  int64_t past = 0;
  PipelineProgram program;
};

// A batch of sequences, in micro-batches that go through the pipeline one behind the other.
struct Generation {
  PipelineProgram prefill;  // of one micro-batch; gives the first token
  int prefill_micro_batches = 1;
  std::vector<DecodeProgram> decode;  // by increasing past; between them time grows in a straight line
  int decode_micro_batches = 1;
  int64_t in_length = 1;
  int64_t out_length = 1;
  bool overlap_sends = true;
  // Every token waits for the one before it in all micro-batches, as where one place decides whether to go on; else
  // only for that of its own micro-batch.
  bool tokens_in_step = false;
};

struct GenerationTimes {
  double prefill_seconds = 0;         // until the first tokens of all sequences are there
  std::vector<double> token_seconds;  // one token of all sequences, at each of `decode`
  double decode_seconds = 0;          // of the other out_length - 1 tokens
  double seconds = 0;
};

// INVALID_ARGUMENT for lengths below 1, and when more than one token is asked for without a decode program.
absl::StatusOr<GenerationTimes> PredictGeneration(const Generation& generation);

}  // namespace omserve

#endif  // OMSERVE_CORE_SIMULATE_GENERATION_H_
