#include "daemon/roles/signals.h"

#include <signal.h>
#include <unistd.h>

#include <thread>
#include <utility>

namespace omserve {
namespace {

sigset_t EndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

void BlockSignals() {
  const sigset_t signals = EndingSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

void HandleSignals(std::function<void(const char*)> on_first) {
  std::thread([on_first = std::move(on_first)] {
    const sigset_t signals = EndingSignals();
    int number = 0;
    sigwait(&signals, &number);
    on_first(number == SIGTERM ? "SIGTERM" : "SIGINT");
    sigwait(&signals, &number);
    ::_exit(128 + number);
  }).detach();
}

}  // namespace omserve
