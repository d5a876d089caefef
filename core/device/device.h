// Device: something that compiles slice graphs and runs them. The CPU is built in (device/cpu); others join by
// plug-in and by passing the conformance suite (device/conformance).
#ifndef OMSERVE_CORE_DEVICE_DEVICE_H_
#define OMSERVE_CORE_DEVICE_DEVICE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/base/deadline.h"
#include "core/graph/graph.h"
#include "core/tensor/tensor.h"

namespace omserve {

// The collectives a slice may call while it runs, by group name: what exec/ binds to communicators. All pointers are
// to device memory (host memory for the CPU), dense and row-major, sizes in elements of `type`. Calls block until
// done; they return the first cause when the run or the epoch is aborted. Called from the thread that runs the slice.
class CollectiveBackend {
 public:
  virtual ~CollectiveBackend() = default;
  enum class Reduction { kSum, kProd, kMax, kMin };

  // Devices in the group, and this device's rank among them. NOT_FOUND for an unknown group.
  virtual absl::StatusOr<int> GroupSize(const std::string& group) const = 0;
  virtual absl::StatusOr<int> GroupRank(const std::string& group) const = 0;

  // output[count] = reduction of all input[count]; input == output is allowed.
  virtual absl::Status AllReduce(const std::string& group, const void* input, void* output, size_t count,
                                 DataType type, Reduction reduction, const WaitLimit& limit) = 0;
  // output[count * size]: the inputs in rank order.
  virtual absl::Status AllGather(const std::string& group, const void* input, void* output, size_t count,
                                 DataType type, const WaitLimit& limit) = 0;
  // input[count * size]; output[count] = reduction of everybody's part `rank`.
  virtual absl::Status ReduceScatter(const std::string& group, const void* input, void* output, size_t count,
                                     DataType type, Reduction reduction, const WaitLimit& limit) = 0;
  // input and output [count * size]: part r goes to rank r, part r comes from rank r.
  virtual absl::Status AllToAll(const std::string& group, const void* input, void* output, size_t count,
                                DataType type, const WaitLimit& limit) = 0;
  // output[count] = root's input[count].
  virtual absl::Status Broadcast(const std::string& group, const void* input, void* output, size_t count,
                                 DataType type, int root, const WaitLimit& limit) = 0;
  // Point to point; `tag` pairs a send with its receive. A send may return before the peer has received.
  virtual absl::Status Send(const std::string& group, const void* data, size_t count, DataType type, int peer,
                            int64_t tag, const WaitLimit& limit) = 0;
  virtual absl::Status Receive(const std::string& group, void* data, size_t count, DataType type, int peer,
                               int64_t tag, const WaitLimit& limit) = 0;
};

struct RunContext {
  WaitLimit limit;
  CollectiveBackend* collectives = nullptr;  // may be null for slices without collectives
};

// A compiled slice: weights prepacked, memory planned. One Run at a time.
class Executable {
 public:
  virtual ~Executable() = default;

  // `inputs`: one per graph input, exactly of the declared type and shape (INVALID_ARGUMENT else), any alignment.
  // Returns one tensor per graph output, in fresh memory that the caller owns. No shape work, no allocation but the
  // outputs. On error (a collective aborted, a deadline) the executable may be run again.
  virtual absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs, const RunContext& context) = 0;

  // Bytes held on the device: weights (own copies, prepacked) and arena.
  virtual size_t weight_bytes() const = 0;
  virtual size_t arena_bytes() const = 0;
};

struct DeviceInfo {
  std::string kind;  // "cpu"
  int ordinal = 0;
  size_t memory_bytes = 0;  // what models may use on it
  int threads = 1;
};

// Thread-safe.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  // Compiles a slice with static shapes. The graph's constants stay referenced (mapped weights are used in place
  // where they need no repacking). UNIMPLEMENTED names an operator (and type) the device has no kernel for;
  // RESOURCE_EXHAUSTED says need and have.
  virtual absl::StatusOr<std::unique_ptr<Executable>> Compile(const Graph& slice) = 0;
};

// Runs one node on constants, for folding at build time. Inputs that are absent have an empty Tensor.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  // UNIMPLEMENTED when there is no kernel; the outputs' descriptions are those inferred on `node`.
  virtual absl::StatusOr<std::vector<Tensor>> Evaluate(const Graph& graph, const Node& node,
                                                       absl::Span<const Tensor> inputs) = 0;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_DEVICE_DEVICE_H_
