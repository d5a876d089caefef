// WorkerProcess: all that runs in `omserved worker`.
#ifndef OMSERVE_DAEMON_ROLES_WORKER_PROCESS_H_
#define OMSERVE_DAEMON_ROLES_WORKER_PROCESS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/temporary_folder.h"
#include "daemon/roles/parts.h"
#include "daemon/telemetry/log.h"
#include "daemon/transport/lease_client.h"
#include "daemon/transport/rpc_server.h"
#include "daemon/transport/worker_rpc_service.h"
#include "daemon/worker/worker_agent.h"

namespace omserve {

struct WorkerProcessOptions {
  RpcServerOptions server;
  std::string coordinator;   // address
  std::string advertise;     // where the coordinator calls this worker; empty: where it listens
  std::string name;          // empty: host name and a random suffix
  std::string version;
  std::string cache_folder;  // empty: a temporary one
  uint64_t cache_limit_bytes = uint64_t{256} << 30;
  DeviceOptions devices;
  std::vector<std::string> custom_folders;  // packages of operators, beside those of the environment
};

class WorkerProcess {
 public:
  // `log` must outlive the process. Errors are those of listening, folders and devices.
  static absl::StatusOr<std::unique_ptr<WorkerProcess>> Start(const WorkerProcessOptions& options, const Log* log);
  ~WorkerProcess();

  // See LeaseClient.
  absl::Status Run() { return lease_->Run(); }
  void Leave(absl::Duration patience) { lease_->Leave(absl::Now() + patience); }

 private:
  WorkerProcess() = default;

  // In the order in which they are made; each uses those before it.
  std::unique_ptr<TemporaryFolder> temporary_;
  std::unique_ptr<WorkerAgent> agent_;
  std::unique_ptr<WorkerRpcService> service_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<LeaseClient> lease_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_ROLES_WORKER_PROCESS_H_
