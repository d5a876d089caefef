// What coordinator and worker say to each other, without saying how it travels. WorkerLink is implemented by the
// worker itself (daemon/worker, used directly in standalone), by a gRPC stub (daemon/transport) and by fakes in tests.
// On the wire: protos/omserve/v1/worker.proto, where each step is explained.
#ifndef OMSERVE_DAEMON_PROTOCOL_WORKER_LINK_H_
#define OMSERVE_DAEMON_PROTOCOL_WORKER_LINK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/deadline.h"
#include "core/comm/communicator.h"
#include "core/tensor/buffer.h"
#include "core/tensor/tensor.h"

namespace omserve {

// A worker as it introduces itself.
struct WorkerDevice {
  int ordinal = 0;
  std::string kind;  // "cpu"
  uint64_t memory_bytes = 0;
  uint64_t memory_in_use = 0;
  int threads = 1;
};
struct WorkerHello {
  std::string name;
  // Which life of the worker this is: a random id of its process, a dot, and the number of its lease.
  std::string incarnation;
  std::string version;
  std::string address;      // where it can be called; empty in standalone
  std::vector<WorkerDevice> devices;
};

// One replica of one deployment for one life of its devices, on one worker.
struct EpochId {
  std::string incarnation;  // of the worker addressed
  std::string deployment;   // the model's name
  uint64_t epoch = 0;       // grows with every attempt to bring the deployment up
  int replica = 0;
};
// "'bert' epoch 3 replica 0"
std::string ToString(const EpochId& id);

struct SliceAssignment {
  int rank = 0;        // index of the slice in the model: its world rank
  int device = 0;      // ordinal on the worker
  std::string digest;  // of its nested OM
  uint64_t size = 0;
};

struct PrepareCall {
  EpochId id;
  std::vector<SliceAssignment> slices;
};

struct CompileCall {
  EpochId id;
  CommWorld world;  // processes are the workers of the replica
  int process = 0;  // the worker addressed
};
struct CompiledSlice {
  int rank = 0;
  uint64_t weight_bytes = 0;
  uint64_t arena_bytes = 0;
};
struct CompileReply {
  std::vector<CompiledSlice> slices;
  std::map<int, std::string> addresses;  // by rank
};

struct ConnectCall {
  EpochId id;
  std::map<int, std::string> addresses;  // of ranks on other workers
};

struct SliceInputs {
  int rank = 0;
  std::vector<int> inputs;   // for each Data of the slice, index into ExecuteCall::inputs
  std::vector<int> outputs;  // which of the slice's outputs to return
};
struct ExecuteCall {
  EpochId id;
  std::string request_id;
  std::vector<Tensor> inputs;  // model inputs this worker needs, each once
  std::vector<SliceInputs> slices;
  // Place of this run among those of the epoch, from 1 without gaps: every worker starts them in this order, whatever
  // the order in which they come. 0: it is started at once (the warm-up; slices that do not talk to each other).
  uint64_t sequence = 0;
};
struct SliceOutputs {
  int rank = 0;
  std::vector<Tensor> outputs;  // those asked for, in that order
};
using ExecuteReply = std::vector<SliceOutputs>;

struct ReleaseCall {
  EpochId id;
  absl::Status cause;  // what everything still waiting in the epoch is told
};

// How a call ends early. `cancellation` may be null.
struct CallContext {
  absl::Time deadline = absl::InfiniteFuture();
  std::shared_ptr<Cancellation> cancellation;

  WaitLimit limit() const { return WaitLimit{.deadline = deadline, .run = cancellation.get()}; }
};

// Thread-safe. Calls block until done, but for Execute. Every call may return FAILED_PRECONDITION (the incarnation or
// epoch is not the current one), UNAVAILABLE (the worker cannot be reached) and what ends its context.
class WorkerLink {
 public:
  virtual ~WorkerLink() = default;

  // Announces slices; answers the digests whose submodels must be pushed. RESOURCE_EXHAUSTED: a device cannot hold
  // its slices (need and have).
  virtual absl::StatusOr<std::vector<std::string>> Prepare(const PrepareCall& call, const CallContext& context) = 0;

  // Hands over a submodel; `content` keeps its bytes alive as long as they are needed. Calls `sent` (if any) with the
  // bytes of each part that went. Returns the bytes that left this process. DATA_LOSS: the content has another digest.
  using BytesSent = std::function<void(uint64_t)>;
  virtual absl::StatusOr<uint64_t> Push(const std::string& digest, const Buffer& content, const BytesSent& sent,
                                        const CallContext& context) = 0;

  // Compiles what was prepared. RESOURCE_EXHAUSTED, UNIMPLEMENTED: as Device::Compile.
  virtual absl::StatusOr<CompileReply> Compile(const CompileCall& call, const CallContext& context) = 0;

  // Connects the communicators; then the epoch can run.
  virtual absl::Status Connect(const ConnectCall& call, const CallContext& context) = 0;

  // One run of all slices this worker holds for the replica. Several may be under way, the later ones waiting for a
  // slice to be free. When slices talk to each other, the first failure ends the epoch on this worker. Never blocks; `done` is called exactly once, from any
  // thread, perhaps before Execute returns. The first slice to fail cancels `context.cancellation`, so that its peers
  // do not wait for it.
  using ExecuteDone = std::function<void(absl::StatusOr<ExecuteReply>)>;
  virtual void Execute(ExecuteCall call, CallContext context, ExecuteDone done) = 0;

  // Aborts what runs in the epoch, then frees it. OK when there is no such epoch.
  virtual absl::Status Release(const ReleaseCall& call, const CallContext& context) = 0;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_PROTOCOL_WORKER_LINK_H_
