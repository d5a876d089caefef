#include "service.h"

#include <cstdlib>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "core/cluster/cluster.h"
#include "options.h"

namespace ge {
namespace {

constexpr int kDefaultDevices = 2;

struct State {
  std::mutex mutex;
  std::shared_ptr<Service> service;
  int users = 0;
};

State& TheState() {
  static auto* const state = new State;
  return *state;
}

// A program may end without finalizing: its service ends before the libraries that it stands on.
void EndAtExit() {
  static const bool registered = std::atexit([] {
                                   std::shared_ptr<Service> last;
                                   const std::lock_guard<std::mutex> lock(TheState().mutex);
                                   last = std::move(TheState().service);
                                 }) == 0;
  (void)registered;
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<std::shared_ptr<Service>> Start(int devices) {
  auto service = std::make_shared<Service>();
  std::string address = Environment("OMSERVE_ADDRESS");
  if (address.empty()) {
    const std::string level = Environment("OMSERVE_LOG_LEVEL");
    ASSIGN_OR_RETURN_WITH(service->standalone,
                          omserve::Standalone::Start({.devices = devices, .log_level = level.empty() ? "error" : level}),
                          "cannot start devices in this process");
    service->devices = devices;
    address = service->standalone->address();
  }
  ASSIGN_OR_RETURN_WITH(service->client, omserve::Client::Connect(address), "OMSERVE_ADDRESS");
  return service;
}

}  // namespace

absl::StatusOr<int> DevicesOf(const std::string& cluster_file) {
  RETURN_IF_ERROR(WithCode(omserve::JsonDocument::ReadFile(cluster_file).status(), "E10032"));
  const absl::StatusOr<omserve::Cluster> cluster = omserve::Cluster::FromFile(cluster_file);
  if (!cluster.ok()) return WithCode(cluster.status(), "EF2001");
  return cluster->num_devices();
}

absl::StatusOr<std::shared_ptr<Service>> GetService(const std::string& resource_config) {
  std::string file = Environment("RESOURCE_CONFIG_PATH");
  if (file.empty()) file = resource_config;
  int devices = 0;
  const bool embedded = Environment("OMSERVE_ADDRESS").empty();
  if (embedded && !file.empty()) {
    ASSIGN_OR_RETURN(devices, DevicesOf(file));
  }
  State& state = TheState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  const bool fits = state.service != nullptr && embedded == (state.service->standalone != nullptr) &&
                    (devices == 0 || devices == state.service->devices);
  if (!fits) {
    ASSIGN_OR_RETURN(state.service, Start(devices == 0 ? kDefaultDevices : devices));
    EndAtExit();
  }
  return state.service;
}

void HoldService() {
  const std::lock_guard<std::mutex> lock(TheState().mutex);
  ++TheState().users;
}

void ReleaseService() {
  std::shared_ptr<Service> last;
  const std::lock_guard<std::mutex> lock(TheState().mutex);
  if (--TheState().users == 0) last = std::move(TheState().service);
}

}  // namespace ge
