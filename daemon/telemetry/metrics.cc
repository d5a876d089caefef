#include "daemon/telemetry/metrics.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "prometheus/exposer.h"

namespace omserve {
namespace {

constexpr std::array<const char*, 5> kStageNames = {"queue", "dispatch", "run", "assemble", "total"};

// 100 µs to 52 s, doubling.
std::vector<double> RunBuckets() {
  std::vector<double> bounds;
  for (double bound = 1e-4; bound < 60; bound *= 2) bounds.push_back(bound);
  return bounds;
}

std::vector<double> LongBuckets() { return {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}; }

}  // namespace

ModelMetrics::ModelMetrics(std::shared_ptr<Metrics> metrics, std::string name)
    : metrics_(std::move(metrics)), name_(std::move(name)), series_(metrics_->AcquireSeries(name_)) {}

ModelMetrics::~ModelMetrics() { metrics_->ReleaseSeries(name_); }

void ModelMetrics::Observe(RunStage stage, absl::Duration duration) {
  const size_t index = static_cast<size_t>(stage);
  std::atomic<prometheus::Histogram*>& slot = series_->stages[index];
  prometheus::Histogram* histogram = slot.load(std::memory_order_acquire);
  if (histogram == nullptr) {
    // Adding what is there already gives it again, so it does not matter who is first.
    histogram = &metrics_->run_duration_.Add({{"model", name_}, {"stage", kStageNames[index]}}, RunBuckets());
    slot.store(histogram, std::memory_order_release);
  }
  histogram->Observe(absl::ToDoubleSeconds(duration));
}

void ModelMetrics::CountRun(absl::StatusCode code) {
  size_t index = static_cast<size_t>(code);
  if (index >= series_->runs.size()) index = static_cast<size_t>(absl::StatusCode::kUnknown);
  std::atomic<prometheus::Counter*>& slot = series_->runs[index];
  prometheus::Counter* counter = slot.load(std::memory_order_acquire);
  if (counter == nullptr) {
    const std::string name = absl::StatusCodeToString(static_cast<absl::StatusCode>(index));
    counter = &metrics_->runs_.Add({{"model", name_}, {"code", name}});
    slot.store(counter, std::memory_order_release);
  }
  counter->Increment();
}

void ModelMetrics::CountRetry() {
  prometheus::Counter* counter = series_->retries.load(std::memory_order_acquire);
  if (counter == nullptr) {
    counter = &metrics_->retries_.Add({{"model", name_}});
    series_->retries.store(counter, std::memory_order_release);
  }
  counter->Increment();
}

Metrics::Metrics(std::shared_ptr<prometheus::Registry> registry)
    : registry_(std::move(registry)),
      run_duration_(prometheus::BuildHistogram()
                        .Name("omserve_run_duration_seconds")
                        .Help("Time of answered runs, by stage: queue, dispatch, run, assemble, total")
                        .Register(*registry_)),
      runs_(prometheus::BuildCounter()
                .Name("omserve_runs_total")
                .Help("Runs answered, by status code")
                .Register(*registry_)),
      retries_(prometheus::BuildCounter()
                   .Name("omserve_run_retries_total")
                   .Help("Runs given to a replica once more, because another run ended its epoch")
                   .Register(*registry_)),
      copied_(prometheus::BuildCounter()
                  .Name("omserve_copied_bytes_total")
                  .Help("Bytes of tensors copied in the coordinator, by reason")
                  .Register(*registry_)),
      pushed_(prometheus::BuildCounter()
                  .Name("omserve_pushed_bytes_total")
                  .Help("Bytes of submodels sent to workers")
                  .Register(*registry_)
                  .Add({})),
      uploaded_(prometheus::BuildCounter()
                    .Name("omserve_uploaded_bytes_total")
                    .Help("Bytes of OM files received from clients")
                    .Register(*registry_)
                    .Add({})),
      load_duration_(prometheus::BuildHistogram()
                         .Name("omserve_load_duration_seconds")
                         .Help("Time to bring up a model on its workers, uploads not included")
                         .Register(*registry_)
                         .Add({}, LongBuckets())),
      build_duration_(prometheus::BuildHistogram()
                          .Name("omserve_build_duration_seconds")
                          .Help("Time to build a model, uploads not included")
                          .Register(*registry_)
                          .Add({}, LongBuckets())),
      worker_up_(prometheus::BuildGauge()
                     .Name("omserve_worker_up")
                     .Help("1 while the worker holds its lease")
                     .Register(*registry_)),
      device_memory_(prometheus::BuildGauge()
                         .Name("omserve_device_memory_bytes")
                         .Help("Device memory for models: kind is used or limit")
                         .Register(*registry_)),
      copied_by_reason_{&copied_.Add({{"reason", "receive"}}), &copied_.Add({{"reason", "assemble"}})} {}

Metrics::~Metrics() = default;

void Metrics::CountCopied(CopyReason reason, uint64_t bytes) {
  copied_by_reason_[static_cast<size_t>(reason)]->Increment(static_cast<double>(bytes));
}

void Metrics::CountPushed(uint64_t bytes) { pushed_.Increment(static_cast<double>(bytes)); }
void Metrics::CountUploaded(uint64_t bytes) { uploaded_.Increment(static_cast<double>(bytes)); }
void Metrics::ObserveLoad(absl::Duration duration) { load_duration_.Observe(absl::ToDoubleSeconds(duration)); }
void Metrics::ObserveBuild(absl::Duration duration) { build_duration_.Observe(absl::ToDoubleSeconds(duration)); }

void Metrics::SetWorkers(const std::vector<WorkerGauges>& workers) {
  absl::MutexLock lock(&mutex_);
  std::vector<prometheus::Gauge*> up;
  std::vector<prometheus::Gauge*> memory;
  const auto set = [](Gauges& family, const prometheus::Labels& labels, double value,
                      std::vector<prometheus::Gauge*>& shown) {
    prometheus::Gauge& gauge = family.Add(labels);
    gauge.Set(value);
    shown.push_back(&gauge);
  };
  for (const WorkerGauges& worker : workers) {
    set(worker_up_, {{"worker", worker.worker}}, worker.up ? 1 : 0, up);
    for (const DeviceMemory& device : worker.devices) {
      const std::string ordinal = absl::StrCat(device.device);
      set(device_memory_, {{"worker", worker.worker}, {"device", ordinal}, {"kind", "used"}},
          static_cast<double>(device.used), memory);
      set(device_memory_, {{"worker", worker.worker}, {"device", ordinal}, {"kind", "limit"}},
          static_cast<double>(device.limit), memory);
    }
  }
  const auto remove_missing = [](Gauges& family, const std::vector<prometheus::Gauge*>& before,
                                 const std::vector<prometheus::Gauge*>& now) {
    for (prometheus::Gauge* gauge : before) {
      if (std::find(now.begin(), now.end(), gauge) == now.end()) family.Remove(gauge);
    }
  };
  remove_missing(worker_up_, shown_up_, up);
  remove_missing(device_memory_, shown_memory_, memory);
  shown_up_ = std::move(up);
  shown_memory_ = std::move(memory);
}

ModelMetrics::Series* Metrics::AcquireSeries(const std::string& model) {
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<ModelMetrics::Series>& series = models_[model];
  if (series == nullptr) series = std::make_unique<ModelMetrics::Series>();
  ++series->users;
  return series.get();
}

void Metrics::ReleaseSeries(const std::string& model) {
  absl::MutexLock lock(&mutex_);
  auto it = models_.find(model);
  if (--it->second->users > 0) return;
  for (prometheus::Histogram* histogram : it->second->stages) {
    if (histogram != nullptr) run_duration_.Remove(histogram);
  }
  for (prometheus::Counter* counter : it->second->runs) {
    if (counter != nullptr) runs_.Remove(counter);
  }
  if (it->second->retries != nullptr) retries_.Remove(it->second->retries);
  models_.erase(it);
}

MetricsServer::MetricsServer(std::unique_ptr<prometheus::Exposer> exposer) : exposer_(std::move(exposer)) {}
MetricsServer::~MetricsServer() = default;

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& listen, const std::shared_ptr<prometheus::Registry>& registry) {
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(listen, /*num_threads=*/1);
    exposer->RegisterCollectable(registry);
    return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(exposer)));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("cannot serve metrics on '", listen, "': ", error.what()));
  }
}

int MetricsServer::port() const {
  const std::vector<int> ports = exposer_->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

}  // namespace omserve
