// Metrics of the coordinator, in Prometheus form. Names, labels and units: docs/operations.md.
#ifndef OMSERVE_DAEMON_TELEMETRY_METRICS_H_
#define OMSERVE_DAEMON_TELEMETRY_METRICS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace prometheus {
class Exposer;
}

namespace omserve {

class Metrics;

// Where the time of a run goes.
enum class RunStage { kQueue, kDispatch, kRun, kAssemble, kTotal };

// Why bytes of tensors were copied.
enum class CopyReason { kReceive, kAssemble };

// The series of one model. Thread-safe; shared by all deployments of the name, removed with the last of them, so that
// names that come and go do not pile up.
class ModelMetrics {
 public:
  ModelMetrics(std::shared_ptr<Metrics> metrics, std::string name);
  ~ModelMetrics();
  ModelMetrics(const ModelMetrics&) = delete;
  ModelMetrics& operator=(const ModelMetrics&) = delete;

  void Observe(RunStage stage, absl::Duration duration);
  void CountRun(absl::StatusCode code);
  // A run that is given to a replica once more.
  void CountRetry();

 private:
  friend class Metrics;
  // Made when first counted; `users` is guarded by the mutex of Metrics.
  struct Series {
    int users = 0;
    std::array<std::atomic<prometheus::Histogram*>, 5> stages{};
    std::array<std::atomic<prometheus::Counter*>, 17> runs{};
    std::atomic<prometheus::Counter*> retries{};
  };
  const std::shared_ptr<Metrics> metrics_;
  const std::string name_;
  Series* const series_;
};

struct DeviceMemory {
  int device = 0;
  uint64_t used = 0;
  uint64_t limit = 0;
};
struct WorkerGauges {
  std::string worker;
  bool up = false;
  std::vector<DeviceMemory> devices;
};

// Thread-safe. Shared, because runs that end late still count.
class Metrics {
 public:
  explicit Metrics(std::shared_ptr<prometheus::Registry> registry);
  ~Metrics();

  void CountCopied(CopyReason reason, uint64_t bytes);
  void CountPushed(uint64_t bytes);
  void CountUploaded(uint64_t bytes);
  void ObserveLoad(absl::Duration duration);
  void ObserveBuild(absl::Duration duration);
  // The state of all workers; those not listed disappear.
  void SetWorkers(const std::vector<WorkerGauges>& workers);

 private:
  friend class ModelMetrics;
  using Counters = prometheus::Family<prometheus::Counter>;
  using Gauges = prometheus::Family<prometheus::Gauge>;
  using Histograms = prometheus::Family<prometheus::Histogram>;

  ModelMetrics::Series* AcquireSeries(const std::string& model);
  void ReleaseSeries(const std::string& model);

  const std::shared_ptr<prometheus::Registry> registry_;
  // Self-synchronised.
  Histograms& run_duration_;
  Counters& runs_;
  Counters& retries_;
  Counters& copied_;
  prometheus::Counter& pushed_;
  prometheus::Counter& uploaded_;
  prometheus::Histogram& load_duration_;
  prometheus::Histogram& build_duration_;
  Gauges& worker_up_;
  Gauges& device_memory_;
  const std::array<prometheus::Counter*, 2> copied_by_reason_;

  absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<ModelMetrics::Series>> models_ ABSL_GUARDED_BY(mutex_);
  std::vector<prometheus::Gauge*> shown_up_ ABSL_GUARDED_BY(mutex_);
  std::vector<prometheus::Gauge*> shown_memory_ ABSL_GUARDED_BY(mutex_);
};

// Serves /metrics over HTTP on "host:port" (port 0: any). UNAVAILABLE when it cannot listen.
class MetricsServer {
 public:
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const std::string& listen,
                                                              const std::shared_ptr<prometheus::Registry>& registry);
  ~MetricsServer();
  int port() const;

 private:
  explicit MetricsServer(std::unique_ptr<prometheus::Exposer> exposer);
  const std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TELEMETRY_METRICS_H_
