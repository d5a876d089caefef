// Client: builds models into offline models (OM), loads them on a cluster and runs them.
//
//   auto client = omserve::Client::Connect("127.0.0.1:9090");
//   if (!client.ok()) return client.status();
//   auto loaded = (*client)->Load("model.om", {.name = "model"});
//   auto result = (*client)->Run("model", {omserve::client::Tensor::Of<int64_t>("input_ids", {1, 3}, ids)});
//   std::span<const float> logits = result->outputs[0].As<float>().value();
//
// Every error is the absl::Status that the service answered: NOT_FOUND is NOT_FOUND here, and the message is
// the service's own (docs/errors.md says what each code means and whether to retry). Nothing here throws.
#ifndef OMSERVE_CLIENT_H_
#define OMSERVE_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "omserve/tensor.h"

namespace omserve::client {

// What ends a call early. Whichever comes first also ends the work on the service.
struct CallOptions {
  absl::Duration timeout = absl::InfiniteDuration();  // DEADLINE_EXCEEDED when it has passed
  std::stop_token stop;                               // CANCELLED when stop is requested
};

struct ConnectOptions {
  absl::Duration timeout = absl::Seconds(10);
  std::stop_token stop;
  // Keep trying until the timeout when nobody listens at the address yet, instead of failing at once.
  bool wait_until_listening = false;
};

// How far a long call is. Phases of the client: "digest" (reading files), "upload", "download"; the others
// are the service's: "import", "optimize", "plan", "cut", "write"; "push", "compile", "connect", "warmup".
struct Progress {
  std::string phase;
  double fraction = 0;  // of the phase, 0 to 1
  std::string message;
};
using ProgressCallback = std::function<void(const Progress&)>;

struct BuildOptions : CallOptions {
  std::string model_name;       // default: the graph's name
  std::string cluster_config;   // text of the cluster file; empty: one device
  std::string parallel_config;  // text of the graph_parallel_option file; empty: no partitioning asked
  std::string input_shapes;     // "input_ids:1,128;mask:1,128"
  // Text of the relation file of a model that is already cut (docs/slices.md): the model is then the folder of its
  // slices, of which all files are sent.
  std::string relation_config;
  std::string cost_config;  // text of a cost file (`omctl calibrate`); empty: what the cluster file lets assume
};

struct BuildResult {
  std::string model_name;
  std::string digest;  // of the model's content
  std::string plan;    // a summary for people
  std::vector<TensorDesc> inputs;
  std::vector<TensorDesc> outputs;
  std::vector<std::string> files;  // paths written, the OM first
  uint64_t bytes = 0;              // of all files
};

enum class ModelState { kUnspecified, kLoading, kReady, kUnloading, kFailed };
const char* ToString(ModelState state);  // "READY"

// Where one slice of a model is.
struct SlicePlacement {
  std::string slice;
  std::string device;  // logical id in the OM: "0:0:1:0"
  std::string worker;
  int worker_device = 0;  // ordinal on that worker
  uint64_t weight_bytes = 0;
  uint64_t arena_bytes = 0;
  int replica = 0;
};

struct ModelStatus {
  std::string name;
  std::string digest;
  ModelState state = ModelState::kUnspecified;
  std::string cause;  // why FAILED
  uint64_t epoch = 0;
  std::vector<TensorDesc> inputs;
  std::vector<TensorDesc> outputs;
  std::vector<SlicePlacement> slices;
  std::string plan;           // a summary for people
  uint64_t runs = 0;          // answered since loaded
  uint64_t bytes_pushed = 0;  // by the load
};

struct LoadOptions : CallOptions {
  std::string name;  // default: the model's own name
};

struct LoadResult {
  ModelStatus model;
  uint64_t bytes_uploaded = 0;  // client to coordinator
  uint64_t bytes_pushed = 0;    // coordinator to workers
};

struct DeviceStatus {
  int ordinal = 0;
  std::string kind;  // "cpu"
  uint64_t memory_bytes = 0;
  uint64_t memory_in_use = 0;
  int threads = 0;
  std::string logical_id;  // what cluster files call it
};

struct WorkerStatus {
  std::string name;
  std::string incarnation;  // new at every start
  std::string address;
  std::string version;
  bool alive = false;
  double lease_age_seconds = 0;
  std::string lost_cause;  // when not alive
  std::vector<DeviceStatus> devices;
};

struct ClusterStatus {
  std::string coordinator_version;
  std::vector<WorkerStatus> workers;
};

struct RunOptions : CallOptions {
  std::string request_id;            // chosen by the service when empty; on every log line of the run
  std::vector<std::string> outputs;  // names wanted; empty: all
};

struct RunResult {
  std::string request_id;
  std::vector<Tensor> outputs;
};
using RunCallback = std::function<void(absl::StatusOr<RunResult>)>;

// A connection to a coordinator. Thread-safe; one connection carries any number of calls at once. Destroying
// it cancels the asynchronous runs still in flight and waits for their callbacks.
class Client {
 public:
  // `address` is "HOST:PORT" or another gRPC target ("unix:/path"). INVALID_ARGUMENT for something else;
  // UNAVAILABLE when nobody listens there; DEADLINE_EXCEEDED; CANCELLED.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& address,
                                                         const ConnectOptions& options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends a model with the external data files it names, which must lie in its folder, or a folder of slices
  // with all its files (`options.relation_config`), and writes the OM to `om_path`. Files appear under their names only when all have arrived whole; parts that are kept
  // beside the OM go into a folder beside `om_path`. `progress` is called on the calling thread.
  absl::StatusOr<BuildResult> Build(const std::string& model_path, const std::string& om_path,
                                    const BuildOptions& options = {},
                                    const ProgressCallback& progress = nullptr);

  // Brings an OM to the cluster and makes it ready; sends only files that the coordinator does not hold yet.
  // OK when the same model already has this name. `progress` is called on the calling thread.
  absl::StatusOr<LoadResult> Load(const std::string& om_path, const LoadOptions& options = {},
                                  const ProgressCallback& progress = nullptr);

  // Waits for runs in flight, then releases the model's memory.
  absl::Status Unload(const std::string& name, const CallOptions& options = {});

  // By name.
  absl::StatusOr<std::vector<ModelStatus>> ListModels(const CallOptions& options = {});
  absl::StatusOr<ClusterStatus> DescribeCluster(const CallOptions& options = {});

  // Inputs in any order. Outputs come in the model's order, or as asked for.
  absl::StatusOr<RunResult> Run(const std::string& model, const std::vector<Tensor>& inputs,
                                const RunOptions& options = {});
  // Returns at once; `done` is called exactly once, on a thread of the network library: it must not block and
  // must not destroy the client.
  void RunAsync(const std::string& model, const std::vector<Tensor>& inputs, const RunOptions& options,
                RunCallback done);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace omserve::client

namespace omserve {
using client::Client;
}  // namespace omserve

#endif  // OMSERVE_CLIENT_H_
