// Fakes of what a worker is made of, so that the daemon is tested without kernels, sockets or models.
#ifndef OMSERVE_DAEMON_TESTING_FAKE_PARTS_H_
#define OMSERVE_DAEMON_TESTING_FAKE_PARTS_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/worker/worker_epoch.h"

namespace omserve {

// A device that only has a size.
class FakeDevice : public Device {
 public:
  FakeDevice(int ordinal, size_t memory_bytes) : info_{"fake", ordinal, memory_bytes, 1} {}
  const DeviceInfo& info() const override { return info_; }
  absl::StatusOr<std::unique_ptr<Executable>> Compile(const Graph&) override {
    return absl::UnimplementedError("a fake device does not compile");
  }

 private:
  const DeviceInfo info_;
};

std::vector<std::unique_ptr<Device>> FakeDevices(int count, size_t memory_bytes = 1 << 20);

// What fake slices do; shared by all parts that it makes, which it must outlive.
class FakeMachine {
 public:
  // The work of one run of the slice on device `ordinal`; by default gives its first input for each output.
  using Behaviour = std::function<absl::StatusOr<std::vector<Tensor>>(int ordinal, const Graph& slice,
                                                                      const std::vector<Tensor>&, const WaitLimit&)>;
  FakeMachine();

  // Not while something runs.
  void set_behaviour(Behaviour behaviour) { behaviour_ = std::move(behaviour); }
  const Behaviour& behaviour() const { return behaviour_; }
  // Blocks a run until its limit ends it, then gives that cause: what a collective whose peer is missing does.
  static absl::StatusOr<std::vector<Tensor>> Hang(int ordinal, const Graph& slice, const std::vector<Tensor>& inputs,
                                                  const WaitLimit& limit);

  WorkerParts parts();

  std::atomic<int> hubs_alive{0};
  std::atomic<int> runners_alive{0};
  std::atomic<int> hubs_connected{0};
  std::atomic<int> runs_started{0};
  std::atomic<bool> fail_compile{false};
  size_t arena_bytes = 0;

 private:
  Behaviour behaviour_;
};

// A nested OM that the fake parts can read: a slice with inputs and outputs float32[4], weighing `size` bytes.
std::string FakeSlice(int inputs, int outputs, size_t size = 64);

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TESTING_FAKE_PARTS_H_
