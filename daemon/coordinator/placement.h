// Placement: which live device takes which slice of a model. A pure function of what is there.
#ifndef OMSERVE_DAEMON_COORDINATOR_PLACEMENT_H_
#define OMSERVE_DAEMON_COORDINATOR_PLACEMENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/om/model.h"

namespace omserve {

struct PlacementDevice {
  uint64_t memory_bytes = 0;
  uint64_t memory_in_use = 0;
};
struct PlacementWorker {
  std::string name;
  std::vector<PlacementDevice> devices;  // by ordinal
};

struct PlacedSlice {
  int replica = 0;
  int slice = 0;       // index in the model: its world rank
  LogicalDeviceId id;  // what the OM calls the device
  int worker = 0;      // index into the workers
  int device = 0;      // ordinal there
};
struct Placement {
  std::vector<PlacedSlice> slices;  // by replica, then slice
  int num_replicas = 0;
  std::string note;  // set when devices are not those that the OM names
};

// The devices of a live cluster as cluster files count them: worker `node` (in the given order) holds the items of
// node `node` of cluster 0, its device ordinals being the items; each has one chip.
LogicalDeviceId LogicalIdOf(int worker, int device);

// Takes the devices that the OM names when they are there and can hold their slices. Else each named device is given
// to the first live one, in order, that can hold it and is not taken by this model yet; the note says so.
//   UNAVAILABLE: fewer live devices than the OM names. RESOURCE_EXHAUSTED: enough, but too small: need and have.
//   UNIMPLEMENTED: slices of one model with different numbers of replicas.
absl::StatusOr<Placement> PlaceModel(const ModelInfo& model, absl::Span<const PlacementWorker> workers);

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_PLACEMENT_H_
