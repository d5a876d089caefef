// Any text as the partition policy: a clean error, or options that make sense.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/partition/parallel_options.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto options = omserve::ParallelOptions::FromJson(
      absl::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
  if (!options.ok()) {
    if (options.status().message().empty() || options.status().code() == absl::StatusCode::kInternal)
      std::abort();
    return 0;
  }
  if (options->opt_level != "O1" && options->opt_level != "O2") std::abort();
  if (options->tensor_parallel_size && *options->tensor_parallel_size < 1) std::abort();
  return 0;
}
