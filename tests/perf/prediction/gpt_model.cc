#include "tests/perf/prediction/gpt_model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/simulate/generation.h"
#include "tests/perf/prediction/least_squares.h"

namespace omserve::prediction {
namespace {

constexpr double kHalf = 2;  // bytes of an element
constexpr int64_t kVocabulary = 51200;

// What core/cluster asks for the price of operators.
constexpr char kProduct[] = "MatMulV2", kScores[] = "BatchMatMulV2", kAttention[] = "IncreFlashAttention";
constexpr const char* kMoving[] = {"Add", "Gelu", "LayerNormV4", "SoftmaxV2", "Transpose"};

// Rates of devices and links do not depend on how many there are: a cluster of one prices groups of any size.
constexpr char kCluster[] = R"({"cluster": [{"cluster_nodes": [{"node_id": 0, "item_list": [{"item_id": 0}]}]}],
                               "item_def": [{"item_type": "A100"}]})";

Cluster ClusterOf(const GptRates& rates) {
  static const Cluster* const kBare = new Cluster(Cluster::FromJson(kCluster, "cluster").value());
  Cluster cluster = *kBare;
  const absl::Status status = cluster.ApplyCosts(rates.ToCostFile().ToJson(), "fitted rates");
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    std::abort();
  }
  return cluster;
}

class Gpt {
 public:
  Gpt(const GptRates& rates, const Cluster& cluster, const LatencyRow& row)
      : rates_(rates), cluster_(cluster), row_(row), h_(row.heads * row.head_size), tp_(row.tensor_parallel) {
    group_.size = tp_;
    group_.most_per_node = group_.least_per_node = std::min(tp_, kNodeSize);
    group_.nodes = (tp_ + kNodeSize - 1) / kNodeSize;
  }

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
        ConcurrentGroup pair;
        pair.size = 2;
        pair.nodes = tp_ * row_.pipeline > kNodeSize ? 2 : 1;
        const double seconds = rates_.collective_start +
                               cluster_.PriceGroup(CollectiveKind::kSendReceive, pair, bytes / tp_).seconds +
                               Collective(CollectiveKind::kAllGather, bytes);
        steps.push_back({SimulatedStep::Kind::kSend, seconds, stage});
      }
      program.stages.push_back(std::move(steps));
    }
    return program;
  }

 private:
  double Product(int64_t rows, int64_t columns, int64_t inner) const {
    const double r = static_cast<double>(rows), c = static_cast<double>(columns), k = static_cast<double>(inner);
    return cluster_.OperatorTime(0, {.type = kProduct,
                                     .flops = 2 * r * c * k,
                                     .bytes = kHalf * (r * k + k * c + r * c),
                                     .rows = rows,
                                     .columns = columns,
                                     .inner = inner});
  }
  double Moved(const char* type, double elements) const {
    return cluster_.OperatorTime(0, {.type = type, .bytes = kHalf * elements});
  }
  double Collective(CollectiveKind kind, double bytes) const {
    return tp_ == 1 ? 0 : rates_.collective_start + cluster_.PriceGroup(kind, group_, bytes).seconds;
  }

  double Layer(int64_t sequences, int64_t tokens, int64_t past) const {
    const int64_t m = sequences * tokens;
    const double rows = static_cast<double>(m), wide = static_cast<double>(h_), part = wide / tp_;
    double seconds = Product(m, 3 * h_ / tp_, h_) + Product(m, h_, h_ / tp_) + Product(m, 4 * h_ / tp_, h_) +
                     Product(m, h_, 4 * h_ / tp_);
    // Norms with residuals and biases, the activation, and what attention rearranges.
    seconds += 2 * Moved("LayerNormV4", 4 * rows * wide) + Moved("Gelu", 2 * rows * 4 * part);
    const double heads = static_cast<double>(sequences * row_.heads) / tp_;
    if (tokens > 1) {
      const double scores = heads * static_cast<double>(tokens) * static_cast<double>(tokens + past);
      seconds += 2 * Moved("Transpose", 6 * rows * part) + Moved("SoftmaxV2", 3 * scores);
      // Once for the scores, once for what they weigh.
      seconds += 2 * cluster_.OperatorTime(0, {.type = kScores,
                                               .flops = 2 * scores * static_cast<double>(row_.head_size),
                                               .bytes = kHalf * (scores + 2 * rows * part)});
    } else {
      const double cached = heads * static_cast<double>((past + 1) * row_.head_size) * 2;
      seconds += cluster_.OperatorTime(0, {.type = kAttention, .bytes = kHalf * cached});
    }
    return seconds + 2 * Collective(CollectiveKind::kAllReduce, kHalf * rows * wide);
  }

  double Logits(int64_t sequences) const {
    double seconds = Product(sequences, kVocabulary / tp_, h_) + rates_.token_seconds +
                     rates_.sequence_token_seconds * static_cast<double>(sequences);
    return seconds + Collective(CollectiveKind::kAllGather, 4.0 * static_cast<double>(sequences * kVocabulary));
  }

  const GptRates& rates_;
  const Cluster& cluster_;
  const LatencyRow& row_;
  const int64_t h_;
  const int tp_;
  ConcurrentGroup group_;  // of one stage
};

double PredictOn(const GptRates& rates, const Cluster& cluster, const LatencyRow& row) {
  const Gpt gpt(rates, cluster, row);
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
  const absl::StatusOr<GenerationTimes> times = PredictGeneration(generation);
  if (!times.ok()) {
    std::fprintf(stderr, "%s: %s\n", row.Layout().c_str(), times.status().ToString().c_str());
    std::abort();
  }
  return times->seconds + rates.request_seconds;
}

std::vector<double*> Fields(GptRates& r) {
  return {&r.product.flops_per_second,
          &r.product.bytes_per_second,
          &r.product.start_seconds,
          &r.product.half_rows,
          &r.product.half_columns,
          &r.product.half_inner,
          &r.moved_bytes_per_second,
          &r.cache_bytes_per_second,
          &r.collective_start,
          &r.inside.alpha_seconds,
          &r.inside.beta_seconds_per_byte,
          &r.between.alpha_seconds,
          &r.between.beta_seconds_per_byte,
          &r.token_seconds,
          &r.sequence_token_seconds,
          &r.request_seconds};
}

}  // namespace

const std::vector<std::string>& GptRates::Names() {
  static const auto* const kNames = new std::vector<std::string>{
      "peak flop/s",      "memory B/s", "operator start s",   "half rows",       "half columns",     "half inner",
      "moved B/s",        "cache B/s",  "collective start s", "alpha in node s", "beta in node s/B", "alpha between s",
      "beta between s/B", "token s",    "sequence token s",   "request s"};
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
  rates.product = {.flops_per_second = 0.8 * 312e12,
                   .bytes_per_second = 0.8 * 2039e9,
                   .start_seconds = 3e-6,
                   .half_rows = 64,
                   .half_columns = 128,
                   .half_inner = 128};
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

CostFile GptRates::ToCostFile() const {
  CostFile file;
  CostFile::Device& device = file.devices[kDevice];
  device.rates = {{"flops_per_second", product.flops_per_second}, {"bytes_per_second", product.bytes_per_second},
                  {"start_seconds", product.start_seconds},       {"half_rows", product.half_rows},
                  {"half_columns", product.half_columns},         {"half_inner", product.half_inner}};
  for (const char* type : kMoving) device.operators[type].rates = {{"bytes_per_second", moved_bytes_per_second}};
  device.operators[kAttention].rates = {{"bytes_per_second", cache_bytes_per_second}};
  for (const auto& [level, link] :
       {std::pair<CostFile::Level*, const LinkCost*>{&file.intra_node, &inside}, {&file.inter_node, &between}}) {
    level->alpha_seconds = link->alpha_seconds;
    level->bytes_per_second = 1 / link->beta_seconds_per_byte;
    level->gamma_seconds_per_byte = 0;  // in the bandwidth
  }
  return file;
}

double PredictSeconds(const GptRates& rates, const LatencyRow& row) { return PredictOn(rates, ClusterOf(rates), row); }

std::vector<double> PredictSeconds(const GptRates& rates, const std::vector<LatencyRow>& rows) {
  const Cluster cluster = ClusterOf(rates);
  std::vector<double> seconds;
  for (const LatencyRow& row : rows) seconds.push_back(PredictOn(rates, cluster, row));
  return seconds;
}

GptRates FitRates(const std::vector<LatencyRow>& rows) {
  const std::vector<double> start = GptRates::DataSheet().ToLogs();
  constexpr double kPull = 0.05;  // of what the rows say nothing about, to where it began
  return GptRates::FromLogs(LeastSquares(
      [&](const std::vector<double>& logs) {
        const GptRates rates = GptRates::FromLogs(logs);
        std::vector<double> residuals;
        const std::vector<double> predicted = PredictSeconds(rates, rows);
        for (size_t i = 0; i < rows.size(); ++i) residuals.push_back(std::log(predicted[i] / rows[i].seconds));
        for (size_t i = 0; i < logs.size(); ++i) residuals.push_back(kPull * (logs[i] - start[i]));
        return residuals;
      },
      start));
}

double MeanError(const GptRates& rates, const std::vector<LatencyRow>& rows) {
  if (rows.empty()) return 0;
  const std::vector<double> predicted = PredictSeconds(rates, rows);
  double sum = 0;
  for (size_t i = 0; i < rows.size(); ++i) sum += std::abs(predicted[i] / rows[i].seconds - 1);
  return sum / static_cast<double>(rows.size());
}

}  // namespace omserve::prediction
