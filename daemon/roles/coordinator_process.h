// CoordinatorProcess: all that runs in `omserved coordinator`, and with devices of its own in `omserved standalone`.
#ifndef OMSERVE_DAEMON_ROLES_COORDINATOR_PROCESS_H_
#define OMSERVE_DAEMON_ROLES_COORDINATOR_PROCESS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/temporary_folder.h"
#include "daemon/base/content_store.h"
#include "daemon/base/steady_clock.h"
#include "daemon/coordinator/build_runner.h"
#include "daemon/coordinator/coordinator.h"
#include "daemon/roles/parts.h"
#include "daemon/telemetry/log.h"
#include "daemon/telemetry/metrics.h"
#include "daemon/transport/build_service.h"
#include "daemon/transport/model_service.h"
#include "daemon/transport/registry_service.h"
#include "daemon/transport/rpc_server.h"
#include "daemon/transport/run_service.h"
#include "daemon/worker/worker_agent.h"

namespace omserve {

struct CoordinatorProcessOptions {
  RpcServerOptions server;
  std::string metrics_listen;  // empty: none
  std::string data_folder;     // empty: a temporary one
  uint64_t store_limit_bytes = uint64_t{256} << 30;
  CoordinatorOptions coordinator;
  int parallel_builds = 1;
  std::optional<DeviceOptions> devices;  // set: standalone
  std::vector<std::string> custom_folders;  // packages of operators, beside those of the environment
};

class CoordinatorProcess {
 public:
  // `log` must outlive the process. Errors are those of listening, folders and devices.
  static absl::StatusOr<std::unique_ptr<CoordinatorProcess>> Start(const CoordinatorProcessOptions& options,
                                                                   const Log* log);
  ~CoordinatorProcess();

  const std::string& address() const { return server_->address(); }

  // Readiness off, no new work; what is under way may finish for `patience`.
  void Drain(absl::Duration patience);

 private:
  CoordinatorProcess(const CoordinatorProcessOptions& options, const Log* log) : options_(options), log_(log) {}
  absl::Status StartParts();
  absl::Status StartAgent(const DeviceOptions& devices);

  const CoordinatorProcessOptions options_;
  const Log* const log_;
  const SteadyClock lease_clock_;

  // In the order in which they are made; each uses those before it.
  std::shared_ptr<prometheus::Registry> registry_;
  std::shared_ptr<Metrics> metrics_;
  std::unique_ptr<MetricsServer> metrics_server_;
  std::unique_ptr<TemporaryFolder> temporary_;
  std::unique_ptr<ContentStore> store_;
  std::unique_ptr<BuildRunner> builds_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<RunService> run_service_;
  std::unique_ptr<ModelService> model_service_;
  std::unique_ptr<ClusterService> cluster_service_;
  std::unique_ptr<BuildService> build_service_;
  std::unique_ptr<RegistryService> registry_service_;
  std::unique_ptr<RpcServer> server_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_ROLES_COORDINATOR_PROCESS_H_
