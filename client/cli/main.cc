// omctl: the command line client.
#include <signal.h>
#include <unistd.h>

#include <stop_token>
#include <thread>

#include "client/cli/app.h"
#include "client/cli/session.h"

namespace {

// Ctrl-C and SIGTERM stop what is going on, so that the service gives up the work too and a server that was
// started ends in order. A second signal ends the program at once.
void StopOnSignals(std::stop_source stop) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  // Inherited by all threads: only the one below takes them.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, stop = std::move(stop)]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    stop.request_stop();
    sigwait(&signals, &signal);
    _exit(128 + signal);
  }).detach();
}

}  // namespace

int main(int argc, char** argv) {
  int exit_code = omserve::cli::kExitOk;
  const auto command = omserve::cli::ParseCommandLine(argc, argv, &exit_code);
  if (!command) return exit_code;

  std::stop_source stop;
  StopOnSignals(stop);
  omserve::cli::Session session(command->options, stop.get_token());
  const absl::StatusOr<int> result = command->run(session);
  if (result.ok()) return *result;
  session.PrintError(result.status());
  return omserve::cli::kExitFailure;
}
