// The real things behind what coordinator and worker take as functions: devices, OM files, the compiler.
#ifndef OMSERVE_DAEMON_ROLES_PARTS_H_
#define OMSERVE_DAEMON_ROLES_PARTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/device/device.h"
#include "daemon/coordinator/build_runner.h"
#include "daemon/coordinator/model_content.h"
#include "daemon/telemetry/log.h"
#include "daemon/worker/worker_epoch.h"

namespace omserve {

struct DeviceOptions {
  std::string devices = "cpu:1";  // "cpu:N"
  int threads = 0;                // of a run on one device; 0: the machine's cores, shared out
  uint64_t memory_bytes = 0;      // of one device; 0: the machine's memory, shared out
};

// INVALID_ARGUMENT for a text that is not "cpu:N" with N from 1 to 64.
absl::StatusOr<int> ParseDevices(const std::string& text);
absl::StatusOr<std::vector<std::unique_ptr<Device>>> MakeDevices(const DeviceOptions& options);

// Loads the packages of custom operators in the folders of the environment and in `folders`, and logs what they bring.
absl::Status LoadCustomOperators(const std::vector<std::string>& folders, const Log& log);

WorkerParts RealWorkerParts();

absl::StatusOr<std::shared_ptr<const ModelContent>> OpenModel(const std::string& path);

// BuildOm with the texts of `call` parsed.
absl::Status BuildFromCall(const std::string& model_path, const std::string& om_path, const BuildCall& call,
                           const ProgressFunction& progress, const WaitLimit& limit);

}  // namespace omserve

#endif  // OMSERVE_DAEMON_ROLES_PARTS_H_
