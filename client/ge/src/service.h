// Where the work happens: the coordinator at OMSERVE_ADDRESS, or one with CPU devices inside this process.
#ifndef OMSERVE_CLIENT_GE_SRC_SERVICE_H_
#define OMSERVE_CLIENT_GE_SRC_SERVICE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "omserve/client.h"
#include "omserve/standalone.h"

namespace ge {

// A connection, and what is behind it when that is in this process. Thread-safe.
struct Service {
  std::unique_ptr<omserve::Standalone> standalone;  // null: elsewhere
  std::unique_ptr<omserve::Client> client;          // goes before what it talks to
  int devices = 0;                                  // of the standalone
};

// The process's service, started when there is none, or none with the devices that `resource_config` asks for (the
// cluster file; RESOURCE_CONFIG_PATH of the environment stands before it; neither: whatever there is, else two). Those
// who hold an older one keep it.
absl::StatusOr<std::shared_ptr<Service>> GetService(const std::string& resource_config);

// The number of devices that a cluster file describes. Errors begin with E10032 or EF2001.
absl::StatusOr<int> DevicesOf(const std::string& cluster_file);

// Users of the service: with the last one it ends.
void HoldService();
void ReleaseService();

}  // namespace ge

#endif  // OMSERVE_CLIENT_GE_SRC_SERVICE_H_
