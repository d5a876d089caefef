// omserved: coordinator, worker, or both in one process. Flags: docs/operations.md.
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "daemon/roles/coordinator_process.h"
#include "daemon/roles/signals.h"
#include "daemon/roles/worker_process.h"
#include "daemon/telemetry/log.h"
#include "grpc/support/log.h"

namespace omserve {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;
constexpr char kCoordinatorListen[] = "127.0.0.1:7600";
constexpr char kWorkerListen[] = "127.0.0.1:0";

// libgomp reads the policy when it is loaded, before main: the process starts itself again with it set. Its default,
// waiting actively, takes the cores from the other devices and from collectives.
void WaitPassivelyInOpenMp(char** argv) {
  if (::getenv("OMP_WAIT_POLICY") != nullptr) return;
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  std::error_code error;
  // Not /proc/self/exe itself, which would become the name of the process.
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (!error) ::execv(self.c_str(), argv);
}

// gRPC's own messages, as lines of ours. Set before threads are started.
const Log* grpc_log = nullptr;

void LogOfGrpc(gpr_log_func_args* args) {
  const LogLevel level = args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarning : LogLevel::kDebug;
  grpc_log->Write(level, args->message, {{"source", "grpc"}});
}

struct CommonFlags {
  std::string listen;
  std::string address_file;
  std::string log_format = "text";
  std::string log_level = "info";
  int64_t max_message_bytes = int64_t{1} << 30;
  double drain_seconds = 30;
  std::vector<std::string> custom_ops;
};

struct CoordinatorFlags {
  std::string metrics_listen;
  std::string data_folder;
  uint64_t data_limit = uint64_t{256} << 30;
  int64_t queue_limit = QueueLimits{}.runs;
  uint64_t queue_bytes = QueueLimits{}.bytes;
  int parallel_builds = 1;
  double run_timeout_seconds = 300;
};

struct WorkerFlags {
  std::string coordinator;
  std::string advertise;
  std::string name;
  std::string cache_folder;
  uint64_t cache_limit = uint64_t{256} << 30;
};

CLI::Option* AddBytes(CLI::App* app, const std::string& name, uint64_t& value, const std::string& description) {
  return app->add_option(name, value, description + ", for example 4GiB")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true));
}

void AddCommonFlags(CLI::App* app, CommonFlags& flags, const std::string& default_listen) {
  app->add_option("--listen", flags.listen, "HOST:PORT to serve on; port 0: any")->default_str(default_listen);
  app->add_option("--address-file", flags.address_file, "File that gets the bound address once it serves");
  app->add_option("--log-format", flags.log_format, "How lines look")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app->add_option("--log-level", flags.log_level, "Least important lines to write")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  app->add_option("--max-message-bytes", flags.max_message_bytes, "Largest request, for example 2GiB")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true))
      ->capture_default_str();
  app->add_option("--drain-seconds", flags.drain_seconds, "How long runs under way may take after SIGTERM")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app->add_option("--custom-ops", flags.custom_ops,
                  "Folder with packages of custom operators; may be given again. Also: OMSERVE_CUSTOM_OPP_PATH, "
                  "ASCEND_CUSTOM_OPP_PATH")
      ->allow_extra_args(false);
}

void AddCoordinatorFlags(CLI::App* app, CoordinatorFlags& flags) {
  app->add_option("--metrics-listen", flags.metrics_listen, "HOST:PORT for Prometheus (/metrics)");
  app->add_option("--data-dir", flags.data_folder, "Folder for models and builds; default: a temporary one");
  AddBytes(app, "--data-limit", flags.data_limit, "Most bytes of OM files to keep");
  app->add_option("--queue-limit", flags.queue_limit, "Most runs that may wait per model")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  AddBytes(app, "--queue-bytes", flags.queue_bytes, "Most bytes of inputs that may wait per model");
  app->add_option("--parallel-builds", flags.parallel_builds, "Builds at one time; others wait")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app->add_option("--run-timeout", flags.run_timeout_seconds, "Seconds after which a run ends that has no deadline")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void AddDeviceFlags(CLI::App* app, DeviceOptions& options) {
  app->add_option("--devices", options.devices, "Devices of this process: cpu:N")
      ->check([](const std::string& text) { return std::string(ParseDevices(text).status().message()); })
      ->capture_default_str();
  app->add_option("--device-threads", options.threads, "Threads of a run on one device; default: the cores, shared out")
      ->check(CLI::Range(1, 1024));
  AddBytes(app, "--device-memory", options.memory_bytes, "Memory for models on one device")
      ->default_str("the machine's, shared out");
}

CoordinatorProcessOptions OptionsOf(const CommonFlags& common, const CoordinatorFlags& flags) {
  CoordinatorProcessOptions options;
  options.server = {common.listen, common.address_file, common.max_message_bytes};
  options.custom_folders = common.custom_ops;
  options.metrics_listen = flags.metrics_listen;
  options.data_folder = flags.data_folder;
  options.store_limit_bytes = flags.data_limit;
  options.parallel_builds = flags.parallel_builds;
  options.coordinator.registry.version = OMSERVE_VERSION;
  options.coordinator.deployment.queue = {flags.queue_limit, flags.queue_bytes};
  options.coordinator.run_timeout = absl::Seconds(flags.run_timeout_seconds);
  return options;
}

int Fail(const Log& log, absl::string_view what, const absl::Status& status) {
  log.Error(what, {{"status", status.ToString()}});
  return kExitFailure;
}

int RunCoordinator(const CoordinatorProcessOptions& options, absl::Duration drain, const Log& log) {
  absl::Notification ending;
  absl::StatusOr<std::unique_ptr<CoordinatorProcess>> process = CoordinatorProcess::Start(options, &log);
  if (!process.ok()) return Fail(log, "cannot start", process.status());
  HandleSignals([&](const char* signal) {
    log.Info("ending in order; a second signal ends at once", {{"signal", signal}});
    ending.Notify();
  });
  ending.WaitForNotification();
  (*process)->Drain(drain);
  return 0;
}

int RunWorker(const WorkerProcessOptions& options, absl::Duration drain, const Log& log) {
  absl::StatusOr<std::unique_ptr<WorkerProcess>> process = WorkerProcess::Start(options, &log);
  if (!process.ok()) return Fail(log, "cannot start", process.status());
  HandleSignals([&, worker = process->get()](const char* signal) {
    log.Info("ending in order; a second signal ends at once", {{"signal", signal}});
    worker->Leave(drain);
  });
  absl::Status status = (*process)->Run();
  return status.ok() ? 0 : Fail(log, "worker ended", status);
}

int Main(int argc, char** argv) {
  CLI::App app("omserved: serves models cut over the devices of a cluster", "omserved");
  app.set_version_flag("--version", "omserved " OMSERVE_VERSION);
  app.require_subcommand(1);
  CommonFlags common;
  CoordinatorFlags coordinator_flags;
  WorkerFlags worker_flags;
  DeviceOptions devices;

  CLI::App* coordinator = app.add_subcommand("coordinator", "Builds, loads and runs models on workers");
  CLI::App* worker = app.add_subcommand("worker", "Holds devices and runs slices on them");
  CLI::App* standalone = app.add_subcommand("standalone", "Coordinator and devices in one process");
  AddCommonFlags(coordinator, common, kCoordinatorListen);
  AddCoordinatorFlags(coordinator, coordinator_flags);
  AddCommonFlags(standalone, common, kCoordinatorListen);
  AddCoordinatorFlags(standalone, coordinator_flags);
  AddDeviceFlags(standalone, devices);
  AddCommonFlags(worker, common, kWorkerListen);
  AddDeviceFlags(worker, devices);
  worker->add_option("--coordinator", worker_flags.coordinator, "HOST:PORT of the coordinator")->required();
  worker->add_option("--advertise", worker_flags.advertise,
                     "HOST:PORT where the coordinator calls this worker; default: where it listens");
  worker->add_option("--name", worker_flags.name, "Name in the cluster; default: the host's and a random suffix");
  worker->add_option("--cache-dir", worker_flags.cache_folder,
                     "Folder that keeps submodels over restarts; default: a temporary one");
  AddBytes(worker, "--cache-limit", worker_flags.cache_limit, "Most bytes of submodels to keep");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (common.listen.empty()) common.listen = worker->parsed() ? kWorkerListen : kCoordinatorListen;

  const std::string role = app.get_subcommands().front()->get_name();
  const Log log({.level = LogLevelFromName(common.log_level).value(), .json = common.log_format == "json", .role = role});
  grpc_log = &log;
  gpr_set_log_function(LogOfGrpc);
  const absl::Duration drain = absl::Seconds(common.drain_seconds);
  log.Info("starting", {{"version", OMSERVE_VERSION}, {"pid", absl::StrCat(::getpid())}});
  if (worker->parsed()) {
    WorkerProcessOptions options;
    options.server = {common.listen, common.address_file, common.max_message_bytes};
    options.coordinator = worker_flags.coordinator;
    options.advertise = worker_flags.advertise;
    options.name = worker_flags.name;
    options.version = OMSERVE_VERSION;
    options.cache_folder = worker_flags.cache_folder;
    options.cache_limit_bytes = worker_flags.cache_limit;
    options.devices = devices;
    options.custom_folders = common.custom_ops;
    return RunWorker(options, drain, log);
  }
  CoordinatorProcessOptions options = OptionsOf(common, coordinator_flags);
  if (standalone->parsed()) options.devices = devices;
  return RunCoordinator(options, drain, log);
}

}  // namespace
}  // namespace omserve

int main(int argc, char** argv) {
  omserve::WaitPassivelyInOpenMp(argv);
  omserve::BlockSignals();
#ifdef NDEBUG
  // Debian's absl keeps the order of all locks, which doubles the price of each.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  const int code = omserve::Main(argc, argv);
  // The thread that waits for signals, and gRPC's, are still there: no destructors of globals below them.
  std::fflush(nullptr);
  ::_exit(code);
}
