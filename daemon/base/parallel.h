// Threads for control work: a bounded fan-out that waits, and a pool for work nobody waits for. Runs of models never
// pass through here.
#ifndef OMSERVE_DAEMON_BASE_PARALLEL_H_
#define OMSERVE_DAEMON_BASE_PARALLEL_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace omserve {

// Calls work(0) … work(count - 1), each on its own thread (the last on the caller's), and waits for all. Returns the
// error that came first in time, which is the cause when later ones follow from it. For small counts: workers, devices.
absl::Status ParallelForEach(int count, const std::function<absl::Status(int)>& work);

// A fixed number of threads that take posted tasks in order. Thread-safe.
class TaskPool {
 public:
  explicit TaskPool(int threads);
  // Finishes what was posted.
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  // Never blocks. A task may post further tasks.
  void Post(std::function<void()> task);

 private:
  void Work();

  absl::Mutex mutex_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // constant between constructor and destructor
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_BASE_PARALLEL_H_
