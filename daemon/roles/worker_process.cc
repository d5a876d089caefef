#include "daemon/roles/worker_process.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "daemon/base/names.h"

namespace omserve {
namespace {

std::string HostName() {
  char name[256] = "";
  if (::gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

bool IsAnyAddress(absl::string_view address) {
  return absl::StartsWith(address, "0.0.0.0:") || absl::StartsWith(address, "[::]:") ||
         absl::StartsWith(address, ":");
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerProcess>> WorkerProcess::Start(const WorkerProcessOptions& options,
                                                                    const Log* log) {
  RETURN_IF_ERROR(LoadCustomOperators(options.custom_folders, *log));
  std::unique_ptr<WorkerProcess> process(new WorkerProcess);
  ASSIGN_OR_RETURN(std::vector<std::unique_ptr<Device>> devices, MakeDevices(options.devices));
  std::string folder = options.cache_folder;
  if (folder.empty()) {
    ASSIGN_OR_RETURN(process->temporary_, TemporaryFolder::Create("omserve-cache-"));
    folder = process->temporary_->path();
  }
  ASSIGN_OR_RETURN(std::unique_ptr<ContentStore> store, ContentStore::Open(folder, options.cache_limit_bytes));
  WorkerOptions worker{.name = options.name, .version = options.version, .process = RandomId()};
  if (worker.name.empty()) worker.name = absl::StrCat(HostName(), "-", worker.process.substr(0, 6));
  process->agent_ = std::make_unique<WorkerAgent>(worker, std::move(devices), RealWorkerParts(), std::move(store), log);
  process->service_ = std::make_unique<WorkerRpcService>(process->agent_.get());
  ASSIGN_OR_RETURN(process->server_, RpcServer::Start(options.server, {process->service_.get()}));
  std::string address = options.advertise;
  if (address.empty()) {
    address = process->server_->address();
    if (IsAnyAddress(address)) address = absl::StrCat(HostName(), ":", process->server_->port());
  }
  process->lease_ = std::make_unique<LeaseClient>(
      LeaseClientOptions{.coordinator = options.coordinator, .address = address}, process->agent_.get(), log);
  log->Info("listening", {{"address", process->server_->address()},
                          {"advertised", address},
                          {"worker", worker.name}});
  return process;
}

WorkerProcess::~WorkerProcess() {
  if (server_ != nullptr) server_->Shutdown(absl::Now());
}

}  // namespace omserve
