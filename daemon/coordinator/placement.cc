#include "daemon/coordinator/placement.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"

namespace omserve {
namespace {

using DeviceAt = std::pair<int, int>;  // worker, ordinal

// Bytes of weights that each device named by the OM must hold.
std::map<LogicalDeviceId, uint64_t> NeededBytes(const ModelInfo& model) {
  std::map<LogicalDeviceId, uint64_t> needed;
  for (const SliceInfo& slice : model.slices) {
    for (const LogicalDeviceId& id : slice.devices) needed[id] += static_cast<uint64_t>(slice.weight_bytes);
  }
  return needed;
}

uint64_t FreeBytes(const PlacementDevice& device) {
  return device.memory_bytes - std::min(device.memory_bytes, device.memory_in_use);
}

const PlacementDevice* FindDevice(absl::Span<const PlacementWorker> workers, const LogicalDeviceId& id) {
  if (id.cluster != 0 || id.chip != 0 || id.node < 0 || id.node >= static_cast<int>(workers.size())) return nullptr;
  const std::vector<PlacementDevice>& devices = workers[id.node].devices;
  return id.item >= 0 && id.item < static_cast<int>(devices.size()) ? &devices[id.item] : nullptr;
}

std::string Describe(absl::Span<const PlacementWorker> workers) {
  if (workers.empty()) return "no worker is registered";
  std::vector<std::string> parts;
  for (const PlacementWorker& worker : workers) {
    parts.push_back(absl::StrCat("'", worker.name, "' with ", worker.devices.size()));
  }
  return absl::StrCat("live are: ", absl::StrJoin(parts, ", "));
}

absl::StatusOr<std::map<LogicalDeviceId, DeviceAt>> AssignFreeDevices(
    const std::map<LogicalDeviceId, uint64_t>& needed, absl::Span<const PlacementWorker> workers) {
  size_t live = 0;
  for (const PlacementWorker& worker : workers) live += worker.devices.size();
  if (live < needed.size()) {
    std::vector<std::string> names;
    for (const auto& [id, bytes] : needed) names.push_back(id.ToString());
    return absl::UnavailableError(absl::StrCat("the model needs ", needed.size(), " devices (",
                                               absl::StrJoin(names, ", "), "), ", live, " are live; ",
                                               Describe(workers)));
  }
  std::map<LogicalDeviceId, DeviceAt> assigned;
  std::set<DeviceAt> taken;
  for (const auto& [id, bytes] : needed) {
    bool found = false;
    uint64_t most = 0;
    for (int worker = 0; worker < static_cast<int>(workers.size()) && !found; ++worker) {
      for (int device = 0; device < static_cast<int>(workers[worker].devices.size()) && !found; ++device) {
        if (taken.count({worker, device}) > 0) continue;
        const uint64_t free = FreeBytes(workers[worker].devices[device]);
        most = std::max(most, free);
        if (free < bytes) continue;
        found = true;
        assigned[id] = {worker, device};
        taken.insert({worker, device});
      }
    }
    if (!found) {
      return absl::ResourceExhaustedError(absl::StrCat("device ", id.ToString(), " of the model: need ", bytes,
                                                       " bytes for weights, have at most ", most,
                                                       " free on a live device that the model does not use yet"));
    }
  }
  return assigned;
}

}  // namespace

LogicalDeviceId LogicalIdOf(int worker, int device) {
  return LogicalDeviceId{.cluster = 0, .node = worker, .item = device, .chip = 0};
}

absl::StatusOr<Placement> PlaceModel(const ModelInfo& model, absl::Span<const PlacementWorker> workers) {
  if (model.slices.empty()) return absl::InvalidArgumentError("the model has no slices");
  Placement placement;
  placement.num_replicas = static_cast<int>(model.slices[0].devices.size());
  for (const SliceInfo& slice : model.slices) {
    if (static_cast<int>(slice.devices.size()) != placement.num_replicas || slice.devices.empty()) {
      return absl::UnimplementedError(absl::StrCat("slice '", slice.name, "' has ", slice.devices.size(),
                                                   " devices, slice '", model.slices[0].name, "' has ",
                                                   placement.num_replicas, "; all must have as many"));
    }
  }
  const std::map<LogicalDeviceId, uint64_t> needed = NeededBytes(model);
  std::map<LogicalDeviceId, DeviceAt> assigned;
  bool literal = true;
  for (const auto& [id, bytes] : needed) {
    const PlacementDevice* device = FindDevice(workers, id);
    literal = literal && device != nullptr && FreeBytes(*device) >= bytes;
    assigned[id] = {id.node, id.item};
  }
  if (!literal) {
    ASSIGN_OR_RETURN(assigned, AssignFreeDevices(needed, workers));
    std::vector<std::string> parts;
    for (const auto& [id, at] : assigned) {
      parts.push_back(absl::StrCat(id.ToString(), " → '", workers[at.first].name, "' device ", at.second));
    }
    placement.note = absl::StrCat("the devices that the OM names are not there or not free; placed ",
                                  absl::StrJoin(parts, ", "));
  }
  for (int replica = 0; replica < placement.num_replicas; ++replica) {
    for (int slice = 0; slice < static_cast<int>(model.slices.size()); ++slice) {
      const LogicalDeviceId& id = model.slices[slice].devices[replica];
      const auto [worker, device] = assigned.at(id);
      placement.slices.push_back({replica, slice, id, worker, device});
    }
  }
  return placement;
}

}  // namespace omserve
