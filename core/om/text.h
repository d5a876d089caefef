// Texts that protobuf and JSON can hold.
#ifndef OMSERVE_CORE_OM_TEXT_H_
#define OMSERVE_CORE_OM_TEXT_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace omserve {

// True for well-formed UTF-8 (RFC 3629).
bool IsUtf8(absl::string_view text);

// INVALID_ARGUMENT when `name` is empty or no UTF-8; `what` says whose name it is.
absl::Status CheckName(absl::string_view what, absl::string_view name);

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_TEXT_H_
