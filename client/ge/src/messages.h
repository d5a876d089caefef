// The texts behind GEGetErrorMsg and GEGetWarningMsg: collected in the process until they are read.
#ifndef OMSERVE_CLIENT_GE_SRC_MESSAGES_H_
#define OMSERVE_CLIENT_GE_SRC_MESSAGES_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "graph/ge_error_codes.h"

namespace ge {

// Collects the error of `status`, whose message may begin with a code of CANN ("EF1012: …"), and returns `code`.
Status Report(Status code, const absl::Status& status);
// The same for a text of which the code is known.
Status Report(Status code, absl::string_view error_code, absl::string_view text);
void Warn(absl::string_view text);

// Returns and clears.
std::string TakeErrors();
std::string TakeWarnings();

}  // namespace ge

#endif  // OMSERVE_CLIENT_GE_SRC_MESSAGES_H_
