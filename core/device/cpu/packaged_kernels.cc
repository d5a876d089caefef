#include "core/device/cpu/packaged_kernels.h"

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace omserve::cpu {
namespace {

struct Packaged {
  absl::Mutex mutex;
  absl::flat_hash_map<std::string, KernelFactory> by_type ABSL_GUARDED_BY(mutex);
};

Packaged& Process() {
  static Packaged* const packaged = new Packaged;
  return *packaged;
}

}  // namespace

void RegisterPackagedKernel(const std::string& type, KernelFactory factory) {
  Packaged& process = Process();
  absl::MutexLock lock(&process.mutex);
  process.by_type.emplace(type, factory);
}

KernelFactory FindPackagedKernel(absl::string_view type) {
  Packaged& process = Process();
  absl::MutexLock lock(&process.mutex);
  auto it = process.by_type.find(type);
  return it == process.by_type.end() ? nullptr : it->second;
}

}  // namespace omserve::cpu
