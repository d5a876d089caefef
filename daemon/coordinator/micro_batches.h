// Micro-batches: a request that is run as several runs of the model, rows after rows, each a part of its first dimension.
#ifndef OMSERVE_DAEMON_COORDINATOR_MICRO_BATCHES_H_
#define OMSERVE_DAEMON_COORDINATOR_MICRO_BATCHES_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/om/model.h"
#include "core/tensor/tensor.h"

namespace omserve {

// The inputs of each of `model.micro_batches` runs, from those of a request (as BindInputs gives them). Nothing is
// copied: parts refer to the request's memory; a scalar goes to all runs.
std::vector<std::vector<Tensor>> SplitRequest(const ModelInfo& model, const std::vector<Tensor>& inputs);

// Puts the answers of a request's runs together. Thread-safe; shared by the runs.
class MicroBatchAnswers {
 public:
  using Done = std::function<void(absl::StatusOr<std::vector<Tensor>>, uint64_t copied_bytes)>;

  // `done` is called once, when the last run has been answered: with the outputs one behind the other, or the first
  // error.
  MicroBatchAnswers(int runs, Done done) : done_(std::move(done)), outputs_(static_cast<size_t>(std::max(1, runs))), waiting_(runs) {}

  void Answer(int run, absl::StatusOr<std::vector<Tensor>> outputs);

 private:
  absl::StatusOr<std::vector<Tensor>> Join(uint64_t* copied_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Done done_;
  absl::Mutex mutex_;
  std::vector<std::vector<Tensor>> outputs_ ABSL_GUARDED_BY(mutex_);  // by run
  int waiting_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_MICRO_BATCHES_H_
