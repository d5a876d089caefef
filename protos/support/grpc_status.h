// The one place where absl::Status becomes grpc::Status and back; the daemon and the C++ client share it.
#ifndef OMSERVE_PROTOS_SUPPORT_GRPC_STATUS_H_
#define OMSERVE_PROTOS_SUPPORT_GRPC_STATUS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace omserve {

// A status travels in HTTP/2 trailers, percent-encoded, and a peer with default settings refuses more than 8
// KiB of them: the call would then fail with another code than the one sent. Longer messages are cut to fit.
inline constexpr size_t kMaxEncodedStatusMessage = 6 * 1024;

// The same code; the message, cut at a character with "… (N more bytes)" when it is too long to travel.
// Payloads stay behind.
grpc::Status ToGrpc(const absl::Status& status);

// The same code; a number that is no status code becomes UNKNOWN and is named in the message.
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace omserve

#endif  // OMSERVE_PROTOS_SUPPORT_GRPC_STATUS_H_
