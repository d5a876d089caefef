// SteadyClock: a clock that runs evenly, whatever is done to the time of day. For durations only: its zero is arbitrary.
#ifndef OMSERVE_DAEMON_BASE_STEADY_CLOCK_H_
#define OMSERVE_DAEMON_BASE_STEADY_CLOCK_H_

#include <chrono>

#include "absl/time/time.h"
#include "core/base/deadline.h"

namespace omserve {

class SteadyClock : public Clock {
 public:
  absl::Time Now() const override {
    return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_BASE_STEADY_CLOCK_H_
