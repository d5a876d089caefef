// Signals of a daemon: the first SIGTERM or SIGINT asks it to end in order, the second ends it at once.
#ifndef OMSERVE_DAEMON_ROLES_SIGNALS_H_
#define OMSERVE_DAEMON_ROLES_SIGNALS_H_

#include <functional>

namespace omserve {

// To be called before any thread is started, because threads inherit what is blocked.
void BlockSignals();

// Calls `on_first` (its argument: "SIGTERM" or "SIGINT") from a thread that lives as long as the process.
void HandleSignals(std::function<void(const char*)> on_first);

}  // namespace omserve

#endif  // OMSERVE_DAEMON_ROLES_SIGNALS_H_
