// What every fuzz target demands.
#ifndef OMSERVE_TESTS_FUZZ_STATUS_CHECK_H_
#define OMSERVE_TESTS_FUZZ_STATUS_CHECK_H_

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"

namespace omserve::fuzz {

inline void Check(bool holds) {
  if (!holds) std::abort();
}

// Nothing from outside may look like a mistake of our own, and every error says something.
inline void CheckError(const absl::Status& status) {
  if (status.ok() || (!status.message().empty() && status.code() != absl::StatusCode::kInternal)) return;
  std::fprintf(stderr, "not a clean error: %s\n", status.ToString().c_str());
  std::abort();
}

}  // namespace omserve::fuzz

#endif  // OMSERVE_TESTS_FUZZ_STATUS_CHECK_H_
