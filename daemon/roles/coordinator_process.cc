#include "daemon/roles/coordinator_process.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "daemon/base/names.h"
#include "daemon/transport/grpc_worker_link.h"

namespace omserve {

absl::StatusOr<std::unique_ptr<CoordinatorProcess>> CoordinatorProcess::Start(
    const CoordinatorProcessOptions& options, const Log* log) {
  std::unique_ptr<CoordinatorProcess> process(new CoordinatorProcess(options, log));
  RETURN_IF_ERROR(process->StartParts());
  return process;
}

CoordinatorProcess::~CoordinatorProcess() = default;

absl::Status CoordinatorProcess::StartAgent(const DeviceOptions& options) {
  ASSIGN_OR_RETURN(std::vector<std::unique_ptr<Device>> devices, MakeDevices(options));
  // Without a store: submodels are used where the coordinator has them.
  auto agent = std::make_shared<WorkerAgent>(
      WorkerOptions{.name = "local", .version = options_.coordinator.registry.version, .process = RandomId()},
      std::move(devices), RealWorkerParts(), nullptr, log_);
  WorkerHello hello = agent->Hello(/*address=*/"");
  return coordinator_->RegisterWorker(std::move(hello), std::move(agent), /*leased=*/false, nullptr).status();
}

absl::Status CoordinatorProcess::StartParts() {
  RETURN_IF_ERROR(LoadCustomOperators(options_.custom_folders, *log_));
  registry_ = std::make_shared<prometheus::Registry>();
  metrics_ = std::make_shared<Metrics>(registry_);
  if (!options_.metrics_listen.empty()) {
    ASSIGN_OR_RETURN(metrics_server_, MetricsServer::Start(options_.metrics_listen, registry_));
    log_->Info("serving metrics", {{"path", "/metrics"}, {"port", absl::StrCat(metrics_server_->port())}});
  }
  std::string folder = options_.data_folder;
  if (folder.empty()) {
    ASSIGN_OR_RETURN(temporary_, TemporaryFolder::Create("omserve-data-"));
    folder = temporary_->path();
  }
  const std::string build_folder = folder + "/builds";
  std::error_code error;
  std::filesystem::create_directories(build_folder, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("create folder ", build_folder));
  ASSIGN_OR_RETURN(store_, ContentStore::Open(folder + "/files", options_.store_limit_bytes));
  builds_ = std::make_unique<BuildRunner>(
      BuildRunnerOptions{.folder = build_folder, .parallel_builds = options_.parallel_builds}, BuildFromCall,
      OpenModel, log_, metrics_);
  coordinator_ = std::make_unique<Coordinator>(options_.coordinator, store_.get(), OpenModel, Clock::Real(),
                                               &lease_clock_, log_, metrics_);
  if (options_.devices.has_value()) RETURN_IF_ERROR(StartAgent(*options_.devices));
  run_service_ = std::make_unique<RunService>(coordinator_.get(), metrics_);
  model_service_ = std::make_unique<ModelService>(coordinator_.get());
  cluster_service_ = std::make_unique<ClusterService>(coordinator_.get());
  build_service_ = std::make_unique<BuildService>(builds_.get());
  registry_service_ = std::make_unique<RegistryService>(
      coordinator_.get(), [](const WorkerHello& hello) { return std::make_shared<GrpcWorkerLink>(hello.address); });
  ASSIGN_OR_RETURN(server_, RpcServer::Start(options_.server,
                                             {run_service_.get(), model_service_.get(), cluster_service_.get(),
                                              build_service_.get(), registry_service_.get()}));
  log_->Info("listening", {{"address", server_->address()}});
  return absl::OkStatus();
}

void CoordinatorProcess::Drain(absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  server_->SetServing(false);
  coordinator_->BeginDrain();
  const bool drained = coordinator_->WaitDrained(deadline);
  log_->Info("drained", {{"runs_left", drained ? "no" : "yes"}});
  // Lease streams never end by themselves, and all runs have been answered or had their time.
  server_->Shutdown(absl::Now());
}

}  // namespace omserve
