// ParallelFor: a range split over the device's threads (OpenMP, which oneDNN uses too, so there is one pool;
// plain threads in builds for ThreadSanitizer).
#ifndef OMSERVE_CORE_DEVICE_CPU_PARALLEL_H_
#define OMSERVE_CORE_DEVICE_CPU_PARALLEL_H_

#include <omp.h>

#include <cstdint>
#if defined(_GLIBCXX_TSAN)
#include <thread>
#include <vector>
#endif

namespace omserve::cpu {

// Makes OpenMP (and oneDNN) use `threads` threads when called from this thread, and restores what was set before.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) {
    if (threads != before_) omp_set_num_threads(threads);
  }
  ~ThreadScope() {
    if (omp_get_max_threads() != before_) omp_set_num_threads(before_);
  }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  const int before_;
};

// Calls body(begin, end) on disjoint parts of [0, count), on at most `threads` threads, each part at least about
// `grain` long. One thread (or little work) is a plain call: no team is started.
template <typename Body>
void ParallelFor(int threads, int64_t count, int64_t grain, const Body& body) {
  if (count <= 0) return;
  if (threads <= 1 || count <= grain) {
    body(int64_t{0}, count);
    return;
  }
  const auto run_part = [&](int64_t part, int64_t parts) {
    const int64_t begin = count * part / parts;
    const int64_t end = count * (part + 1) / parts;
    if (begin < end) body(begin, end);
  };
#if defined(_GLIBCXX_TSAN)
  // ThreadSanitizer does not see what libgomp orders. In a part oneDNN has one thread, as within a team.
  const auto run_alone = [&](int part) {
    const ThreadScope alone(1);
    run_part(part, threads);
  };
  std::vector<std::jthread> others;
  for (int part = 1; part < threads; ++part) others.emplace_back(run_alone, part);
  run_alone(0);
#else
#pragma omp parallel num_threads(threads)
  run_part(omp_get_thread_num(), omp_get_num_threads());
#endif
}

// Elements of simple work (one load, a few operations, one store) worth waking another thread for.
inline constexpr int64_t kElementGrain = 32 * 1024;

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_PARALLEL_H_
