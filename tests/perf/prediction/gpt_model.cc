#include "tests/perf/prediction/gpt_model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/base/status.h"
#include "tests/perf/prediction/least_squares.h"

namespace omserve::prediction {
namespace {

constexpr double kHalf = 2;  // bytes of an element
constexpr int64_t kVocabulary = 51200;

double AllReduceIn(int p, const LinkCost& link, double bytes) {
  if (p <= 1) return 0;
  const double steps = std::ceil(std::log2(p)), share = (p - 1.0) / p;
  const double halving = 2 * steps * link.alpha_seconds + 2 * share * bytes * link.beta_seconds_per_byte;
  const double ring = 2 * (p - 1) * link.alpha_seconds + 2 * share * bytes * link.beta_seconds_per_byte;
  const double doubling = steps * link.Time(bytes);
  return std::min({halving, ring, doubling});
}

double GatherIn(int p, const LinkCost& link, double bytes) {
  if (p <= 1) return 0;
  return std::ceil(std::log2(p)) * link.alpha_seconds + (p - 1.0) / p * bytes * link.beta_seconds_per_byte;
}

class Gpt {
 public:
  Gpt(const GptRates& rates, const LatencyRow& row)
      : rates_(rates), row_(row), h_(row.heads * row.head_size), tp_(row.tensor_parallel) {}

  // Stages for `sequences` sequences of `tokens` new tokens each, with `past` tokens before them.
  PipelineProgram Program(int64_t sequences, int64_t tokens, int64_t past) const {
    PipelineProgram program;
    const double layer = Layer(sequences, tokens, past);
    for (int stage = 0; stage < row_.pipeline; ++stage) {
      std::vector<SimulatedStep> steps;
      if (stage > 0) steps.push_back({SimulatedStep::Kind::kReceive, 0, stage - 1});
      const int64_t layers = row_.layers * (stage + 1) / row_.pipeline - row_.layers * stage / row_.pipeline;
      double seconds = static_cast<double>(layers) * layer;
      if (stage == row_.pipeline - 1) seconds += Logits(sequences);
      steps.push_back({SimulatedStep::Kind::kCompute, seconds});
      if (stage + 1 < row_.pipeline) {
        const double bytes = static_cast<double>(sequences * tokens * h_) * kHalf;
        // Each rank sends its part to the rank of the same place; the receiving stage gathers.
        const LinkCost& link = tp_ * row_.pipeline > kNodeSize ? rates_.between : rates_.inside;
        const double gather = tp_ > 1 ? rates_.collective_start + GatherIn(tp_, rates_.inside, bytes) : 0;
        steps.push_back({SimulatedStep::Kind::kSend, rates_.collective_start + link.Time(bytes / tp_) + gather, stage});
      }
      program.stages.push_back(std::move(steps));
    }
    return program;
  }

 private:
  double Product(int64_t rows, int64_t columns, int64_t inner) const {
    const double r = static_cast<double>(rows), c = static_cast<double>(columns), k = static_cast<double>(inner);
    return rates_.product.Seconds({.type = "MatMulV2",
                                   .flops = 2 * r * c * k,
                                   .bytes = kHalf * (r * k + k * c + r * c),
                                   .rows = rows,
                                   .columns = columns,
                                   .inner = inner});
  }
  double Moved(double elements) const {
    return rates_.product.start_seconds + kHalf * elements / rates_.moved_bytes_per_second;
  }
  double AllReduce(double bytes) const {
    if (tp_ == 1) return 0;
    const int inside = std::min(tp_, kNodeSize), nodes = (tp_ + kNodeSize - 1) / kNodeSize;
    if (nodes == 1) return rates_.collective_start + AllReduceIn(tp_, rates_.inside, bytes);
    return rates_.collective_start + 2 * GatherIn(inside, rates_.inside, bytes) +
           AllReduceIn(nodes, rates_.between, bytes / inside);
  }

  double Layer(int64_t sequences, int64_t tokens, int64_t past) const {
    const int64_t m = sequences * tokens;
    const double rows = static_cast<double>(m), wide = static_cast<double>(h_), part = wide / tp_;
    double seconds = Product(m, 3 * h_ / tp_, h_) + Product(m, h_, h_ / tp_) + Product(m, 4 * h_ / tp_, h_) +
                     Product(m, h_, 4 * h_ / tp_);
    // Norms with residuals and biases, the activation, and what attention rearranges.
    seconds += 2 * Moved(4 * rows * wide) + Moved(2 * rows * 4 * part);
    const double heads = static_cast<double>(sequences * row_.heads) / tp_;
    if (tokens > 1) {
      const double scores = heads * static_cast<double>(tokens) * static_cast<double>(tokens + past);
      seconds += 2 * Moved(2 * 3 * rows * part) + Moved(3 * scores);
      const double flops = 4 * scores * static_cast<double>(row_.head_size);
      seconds += 2 * rates_.product.start_seconds +
                 flops / rates_.product.flops_per_second + kHalf * 2 * scores / rates_.product.bytes_per_second;
    } else {
      const double cached = heads * static_cast<double>((past + 1) * row_.head_size) * 2;
      seconds += rates_.product.start_seconds + kHalf * cached / rates_.cache_bytes_per_second;
    }
    return seconds + 2 * AllReduce(kHalf * rows * wide);
  }

  double Logits(int64_t sequences) const {
    double seconds = Product(sequences, kVocabulary / tp_, h_) + rates_.token_seconds +
                     rates_.sequence_token_seconds * static_cast<double>(sequences);
    if (tp_ > 1) {
      const double bytes = 4.0 * static_cast<double>(sequences * kVocabulary);
      seconds += rates_.collective_start + GatherIn(std::min(tp_, kNodeSize), rates_.inside, bytes);
      if (tp_ > kNodeSize) seconds += GatherIn(tp_ / kNodeSize, rates_.between, bytes / kNodeSize);
    }
    return seconds;
  }

  const GptRates& rates_;
  const LatencyRow& row_;
  const int64_t h_;
  const int tp_;
};

std::vector<double*> Fields(GptRates& r) {
  return {&r.product.flops_per_second, &r.product.bytes_per_second, &r.product.start_seconds, &r.product.half_rows,
          &r.product.half_columns, &r.product.half_inner, &r.moved_bytes_per_second, &r.cache_bytes_per_second, &r.collective_start,
          &r.inside.alpha_seconds, &r.inside.beta_seconds_per_byte, &r.between.alpha_seconds,
          &r.between.beta_seconds_per_byte, &r.token_seconds, &r.sequence_token_seconds, &r.request_seconds};
}

}  // namespace

const std::vector<std::string>& GptRates::Names() {
  static const auto* const kNames = new std::vector<std::string>{
      "peak flop/s", "memory B/s", "operator start s", "half rows", "half columns", "half inner", "moved B/s", "cache B/s",
      "collective start s", "alpha in node s", "beta in node s/B", "alpha between s", "beta between s/B", "token s",
      "sequence token s", "request s"};
  return *kNames;
}

std::vector<double> GptRates::ToLogs() const {
  GptRates copy = *this;
  std::vector<double> logs;
  for (double* field : Fields(copy)) logs.push_back(std::log(*field));
  return logs;
}

GptRates GptRates::FromLogs(const std::vector<double>& logs) {
  GptRates rates;
  const std::vector<double*> fields = Fields(rates);
  for (size_t i = 0; i < fields.size(); ++i) *fields[i] = std::exp(logs[i]);
  return rates;
}

GptRates GptRates::DataSheet() {
  GptRates rates;
  rates.product = {.flops_per_second = 0.8 * 312e12, .bytes_per_second = 0.8 * 2039e9, .start_seconds = 3e-6, .half_rows = 64,
                   .half_columns = 128, .half_inner = 128};
  rates.moved_bytes_per_second = 0.8 * 2039e9;
  rates.cache_bytes_per_second = 0.7 * 2039e9;
  rates.collective_start = 10e-6;
  rates.inside = {5e-6, 1 / 200e9};
  rates.between = {10e-6, 1 / 20e9};
  rates.token_seconds = 300e-6;
  rates.sequence_token_seconds = 2e-6;
  rates.request_seconds = 1e-3;
  return rates;
}

absl::StatusOr<GenerationTimes> PredictTimes(const GptRates& rates, const LatencyRow& row) {
  const Gpt gpt(rates, row);
  // Micro-batches as the system that was measured makes them.
  auto local_batch = [&](int64_t tokens) {
    int64_t local = row.batch;
    if (row.pipeline == 1) return local;
    if (local % row.pipeline == 0) local /= row.pipeline;
    while (local * tokens > 1024 && local % 2 == 0) local /= 2;
    return local;
  };
  Generation generation;
  generation.in_length = row.in_length;
  generation.out_length = row.out_length;
  const int64_t prefill = local_batch(row.in_length), decode = local_batch(1);
  generation.prefill = gpt.Program(prefill, row.in_length, 0);
  generation.prefill_micro_batches = static_cast<int>(row.batch / prefill);
  generation.decode_micro_batches = static_cast<int>(row.batch / decode);
  generation.tokens_in_step = true;  // its stages meet after every token
  if (row.out_length > 1) {
    const int64_t last = row.in_length + row.out_length;
    generation.decode.push_back({row.in_length, gpt.Program(decode, 1, row.in_length)});
    generation.decode.push_back({last, gpt.Program(decode, 1, last)});
  }
  return PredictGeneration(generation);
}

double PredictSeconds(const GptRates& rates, const LatencyRow& row) {
  const absl::StatusOr<GenerationTimes> times = PredictTimes(rates, row);
  if (!times.ok()) {
    std::fprintf(stderr, "%s: %s\n", row.Layout().c_str(), times.status().ToString().c_str());
    std::abort();
  }
  return times->seconds + rates.request_seconds;
}

GptRates FitRates(const std::vector<LatencyRow>& rows) {
  const std::vector<double> start = GptRates::DataSheet().ToLogs();
  constexpr double kPull = 0.05;  // of what the rows say nothing about, to where it began
  return GptRates::FromLogs(LeastSquares(
      [&](const std::vector<double>& logs) {
        const GptRates rates = GptRates::FromLogs(logs);
        std::vector<double> residuals;
        for (const LatencyRow& row : rows) residuals.push_back(std::log(PredictSeconds(rates, row) / row.seconds));
        for (size_t i = 0; i < logs.size(); ++i) residuals.push_back(kPull * (logs[i] - start[i]));
        return residuals;
      },
      start));
}

double MeanError(const GptRates& rates, const std::vector<LatencyRow>& rows) {
  double sum = 0;
  for (const LatencyRow& row : rows) sum += std::abs(PredictSeconds(rates, row) / row.seconds - 1);
  return rows.empty() ? 0 : sum / static_cast<double>(rows.size());
}

}  // namespace omserve::prediction
