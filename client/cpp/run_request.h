// The request of a run on the wire, without copying its tensors.
#ifndef OMSERVE_CLIENT_CPP_RUN_REQUEST_H_
#define OMSERVE_CLIENT_CPP_RUN_REQUEST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/support/byte_buffer.h"
#include "omserve/client.h"

namespace omserve::client {

// A serialized v1::RunRequest. The bytes of shared tensors are referenced until the network has let go of
// them, which may be after the call has ended; borrowed ones are copied once. INVALID_ARGUMENT when the whole
// passes the 2 GiB that one message can carry.
absl::StatusOr<grpc::ByteBuffer> EncodeRunRequest(const std::string& model, const std::vector<Tensor>& inputs,
                                                  const RunOptions& options);

}  // namespace omserve::client

#endif  // OMSERVE_CLIENT_CPP_RUN_REQUEST_H_
