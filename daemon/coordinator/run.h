// Run: one request to a model, from its arrival to its answer.
#ifndef OMSERVE_DAEMON_COORDINATOR_RUN_H_
#define OMSERVE_DAEMON_COORDINATOR_RUN_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/tensor/tensor.h"
#include "daemon/coordinator/run_layout.h"

namespace omserve {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

// A request as it comes.
struct RunCall {
  std::string model;
  std::string request_id;            // not empty
  std::vector<NamedTensor> inputs;   // in any order
  std::vector<std::string> outputs;  // names wanted; empty: all
  absl::Time deadline = absl::InfiniteFuture();
};
using RunDone = std::function<void(absl::StatusOr<std::vector<NamedTensor>>)>;

// A request that a deployment has accepted. Shared by queue, dispatcher and whoever may cancel it. Thread-safe.
class Run {
 public:
  Run(std::string request_id, std::vector<Tensor> inputs, std::shared_ptr<const RunLayout> layout, absl::Time arrived,
      absl::Time deadline, std::function<void(absl::StatusOr<std::vector<Tensor>>)> done)
      : request_id_(std::move(request_id)),
        inputs_(std::move(inputs)),
        layout_(std::move(layout)),
        arrived_(arrived),
        deadline_(deadline),
        done_(std::move(done)) {
    for (const Tensor& input : inputs_) bytes_ += input.byte_size();
  }

  const std::string& request_id() const { return request_id_; }
  const std::vector<Tensor>& inputs() const { return inputs_; }  // of the model, in its order
  const RunLayout& layout() const { return *layout_; }
  absl::Time arrived() const { return arrived_; }
  absl::Time deadline() const { return deadline_; }
  uint64_t bytes() const { return bytes_; }
  bool answered() const { return answered_.load(std::memory_order_acquire); }

  // For the deployment, guarded by its mutex: the place among all its runs, and whether this one is to be given to a
  // replica a second time.
  uint64_t number() const { return number_; }
  void set_number(uint64_t number) { number_ = number; }
  bool retried() const { return retried_; }
  void set_retried() { retried_ = true; }

  // An answer is given in two steps, so that what is to be counted is counted before the client sees it. Claim is true
  // for the first caller alone, which must then call Deliver, with no lock held.
  bool Claim() { return !answered_.exchange(true, std::memory_order_acq_rel); }
  void Deliver(absl::StatusOr<std::vector<Tensor>> result) { done_(std::move(result)); }

 private:
  const std::string request_id_;
  const std::vector<Tensor> inputs_;
  const std::shared_ptr<const RunLayout> layout_;
  const absl::Time arrived_;
  const absl::Time deadline_;
  const std::function<void(absl::StatusOr<std::vector<Tensor>>)> done_;
  uint64_t bytes_ = 0;
  uint64_t number_ = 0;
  bool retried_ = false;
  std::atomic<bool> answered_{false};
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_RUN_H_
