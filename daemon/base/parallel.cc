#include "daemon/base/parallel.h"

#include <utility>

namespace omserve {

absl::Status ParallelForEach(int count, const std::function<absl::Status(int)>& work) {
  absl::Mutex mutex;
  absl::Status first;
  auto run = [&](int index) {
    absl::Status status = work(index);
    absl::MutexLock lock(&mutex);
    first.Update(status);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i + 1 < count; ++i) threads.emplace_back(run, i);
  if (count > 0) run(count - 1);
  for (std::thread& thread : threads) thread.join();
  return first;
}

TaskPool::TaskPool(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

TaskPool::~TaskPool() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void TaskPool::Post(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  tasks_.push_back(std::move(task));
}

void TaskPool::Work() {
  auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !tasks_.empty(); };
  while (true) {
    std::function<void()> task;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&ready));
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace omserve
