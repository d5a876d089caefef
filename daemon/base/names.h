// Names that come from outside and go into messages, metrics and logs.
#ifndef OMSERVE_DAEMON_BASE_NAMES_H_
#define OMSERVE_DAEMON_BASE_NAMES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace omserve {

// A name of a model or worker: 1 to 128 letters, digits, '.', '_', '-' or ':', not beginning with '.' or '-'.
// INVALID_ARGUMENT says what `kind` of name it is ("model name").
absl::Status CheckServiceName(absl::string_view kind, absl::string_view name);

// A request id: at most 128 printable ASCII characters. INVALID_ARGUMENT else.
absl::Status CheckRequestId(absl::string_view id);

// 16 random hexadecimal digits, from the operating system.
std::string RandomId();

// Orders "w2" before "w10": runs of digits compare as numbers.
bool NaturalLess(absl::string_view a, absl::string_view b);

}  // namespace omserve

#endif  // OMSERVE_DAEMON_BASE_NAMES_H_
