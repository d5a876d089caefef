#include "protos/support/grpc_status.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace omserve {
namespace {

// Both enumerations are google.rpc.Code.
static_assert(static_cast<int>(absl::StatusCode::kUnauthenticated) == grpc::StatusCode::UNAUTHENTICATED);
static_assert(static_cast<int>(absl::StatusCode::kDataLoss) == grpc::StatusCode::DATA_LOSS);

// Bytes one byte of a message takes in the grpc-message header (percent encoding of all but printable ASCII).
size_t EncodedSize(char c) { return c >= 0x20 && c <= 0x7e && c != '%' ? 1 : 3; }

bool StartsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

std::string FitToTrailers(absl::string_view message) {
  size_t encoded = 0;
  for (char c : message) encoded += EncodedSize(c);
  if (encoded <= kMaxEncodedStatusMessage) return std::string(message);

  constexpr size_t kRoomForNote = 64;
  size_t end = 0;
  encoded = 0;
  while (encoded + EncodedSize(message[end]) <= kMaxEncodedStatusMessage - kRoomForNote) {
    encoded += EncodedSize(message[end++]);
  }
  while (end > 0 && !StartsCharacter(message[end])) --end;
  return absl::StrCat(message.substr(0, end), "… (", message.size() - end, " more bytes)");
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), FitToTrailers(status.message()));
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const int code = status.error_code();
  if (code < 0 || code > static_cast<int>(absl::StatusCode::kUnauthenticated)) {
    return absl::UnknownError(absl::StrCat("status code ", code, ": ", status.error_message()));
  }
  return absl::Status(static_cast<absl::StatusCode>(code), status.error_message());
}

}  // namespace omserve
