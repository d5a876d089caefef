// The error codes of CANN's tools ("E10001", "EF1012"): which one an error has, and the block that tools print for it.
//
// A message of core or service that has such a code begins with it, perhaps after the phases of a build:
// "plan: EF1012: tensor_parallel_size 3 must equal …".
#ifndef OMSERVE_CLIENT_CANN_ERRORS_H_
#define OMSERVE_CLIENT_CANN_ERRORS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace omserve::cann {

struct ErrorReport {
  std::string code;            // "E10001"
  std::string message;         // without the code
  std::string possible_cause;  // may be empty
  std::string solution;        // may be empty
};

struct CodedText {
  std::string code;
  std::string text;  // what is left of the message, phases included
};
// Nothing for a message that names no code.
std::optional<CodedText> SplitCode(absl::string_view message);

// The report of an error. One without a code of its own gets the one that fits its kind: E10501 for an operator that is
// not supported, E10410 for a file that is not there, E19022 where memory is short, E19027 for a service that cannot be
// reached, else E19999.
ErrorReport ReportFor(const absl::Status& status);

// The block that tools print:
//   E10032: …
//           Possible Cause: …
//           Solution: …
std::string FormatBlock(const ErrorReport& report);

}  // namespace omserve::cann

#endif  // OMSERVE_CLIENT_CANN_ERRORS_H_
