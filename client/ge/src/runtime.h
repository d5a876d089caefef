// The state between GEInitialize and GEFinalize.
#ifndef OMSERVE_CLIENT_GE_SRC_RUNTIME_H_
#define OMSERVE_CLIENT_GE_SRC_RUNTIME_H_

#include <optional>

#include "options.h"

namespace ge {

// The options of GEInitialize, while it holds. Thread-safe.
std::optional<Options> RuntimeOptions();

}  // namespace ge

#endif  // OMSERVE_CLIENT_GE_SRC_RUNTIME_H_
