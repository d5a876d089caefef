// What a Session holds: graphs by id, and for each the models that run it on the service.
#ifndef OMSERVE_CLIENT_GE_SRC_SESSION_IMPL_H_
#define OMSERVE_CLIENT_GE_SRC_SESSION_IMPL_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ge/ge_api.h"
#include "options.h"
#include "service.h"

namespace ge {

// A model that the service holds for this session; unloaded with it.
struct LoadedModel {
  ~LoadedModel();
  std::shared_ptr<Service> service;
  std::string name;
  std::vector<omserve::client::TensorDesc> inputs;
};

struct SessionGraph {
  std::optional<Graph> graph;  // absent: loaded from an OM
  std::string air;             // of the graph, from its first compilation
  Options options;
  // By the shapes of its inputs, as INPUT_SHAPE has them; a graph whose shapes are fixed has one, under "".
  std::map<std::string, std::shared_ptr<LoadedModel>> models;
};

// Calls of one session come one after another; runs of RunGraphAsync are made by a thread of the session's own, which the
// mutex keeps apart from them.
class SessionImpl {
 public:
  SessionImpl(uint64_t id, Options options, std::shared_ptr<Service> service)
      : id_(id), options_(std::move(options)), service_(std::move(service)) {}
  // Makes the runs that wait, then unloads everything.
  ~SessionImpl();

  uint64_t id() const { return id_; }
  const Options& options() const { return options_; }

  // False when the id is taken: the first graph stays.
  bool Add(uint32_t graph_id, Graph graph, Options options);
  absl::Status Load(uint32_t graph_id, const std::string& om_path);
  absl::Status Remove(uint32_t graph_id);
  bool Has(uint32_t graph_id);
  bool IsBuilt(uint32_t graph_id);
  // Builds and loads for inputs of these shapes.
  absl::Status Build(uint32_t graph_id, const std::vector<std::vector<int64_t>>* shapes);
  absl::StatusOr<std::vector<Tensor>> Run(uint32_t graph_id, const std::vector<Tensor>& inputs);
  void RunLater(uint32_t graph_id, std::vector<Tensor> inputs, RunAsyncCallback callback);

 private:
  absl::StatusOr<SessionGraph*> Find(uint32_t graph_id);
  absl::StatusOr<std::shared_ptr<LoadedModel>> ModelFor(uint32_t graph_id, const std::vector<std::vector<int64_t>>* shapes);
  absl::StatusOr<std::shared_ptr<LoadedModel>> LoadOm(uint32_t graph_id, const std::string& om_path);
  void RunQueue();

  const uint64_t id_;
  const Options options_;
  const std::shared_ptr<Service> service_;

  std::mutex mutex_;  // graphs_ and next_model_
  std::map<uint32_t, SessionGraph> graphs_;
  uint64_t next_model_ = 0;

  std::mutex queue_mutex_;  // all below
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool ending_ = false;
  std::thread thread_;  // started by the first asynchronous run
};

// The status of a run for those who asked for it: 545601 when its time was up, FAILED else.
Status ReportRun(const absl::Status& status);

}  // namespace ge

#endif  // OMSERVE_CLIENT_GE_SRC_SESSION_IMPL_H_
