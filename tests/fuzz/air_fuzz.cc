// Any bytes as an AIR file: a clean error, or a graph that verifies.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/graph/graph.h"
#include "core/import/air/air_importer.h"
#include "google/protobuf/stubs/logging.h"
#include "tests/fuzz/status_check.h"

// Else protobuf reports every text that is no UTF-8.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using omserve::fuzz::Check;
  const int fd = ::memfd_create("air", MFD_CLOEXEC);
  Check(fd >= 0 && ::write(fd, data, size) == static_cast<ssize_t>(size));
  absl::StatusOr<omserve::Graph> graph = omserve::ImportAir("/proc/self/fd/" + std::to_string(fd));
  ::close(fd);
  omserve::fuzz::CheckError(graph.status());
  if (!graph.ok()) return 0;
  Check(omserve::Verify(*graph).ok());
  // A dump reads the constants.
  omserve::Dump(*graph);
  return 0;
}
