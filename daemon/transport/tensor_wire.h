// Tensors on the wire. Outgoing messages are put together by hand, so that the bytes of tensors go to the socket from
// where they lie; incoming ones are parsed by generated code, and tensors take over the bytes of the parsed message.
#ifndef OMSERVE_DAEMON_TRANSPORT_TENSOR_WIRE_H_
#define OMSERVE_DAEMON_TRANSPORT_TENSOR_WIRE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/tensor/tensor.h"
#include "google/protobuf/message_lite.h"
#include "grpcpp/support/byte_buffer.h"
#include "omserve/v1/common.pb.h"

namespace omserve {

// Takes the data out of `proto`: the tensor owns the bytes afterwards.
// INVALID_ARGUMENT names the tensor and what does not fit: type, rank, number of bytes, a bool that is neither 0 nor 1.
absl::StatusOr<Tensor> TakeTensor(v1::Tensor& proto);

// A slice of `buffer` that keeps its owner alive.
grpc::Slice SliceOf(const Buffer& buffer);

// Builds one protobuf message out of encoded parts and tensors that are only referred to.
class MessageWriter {
 public:
  // Bytes that AppendTensor adds.
  static size_t TensorFieldSize(int field, absl::string_view name, const Tensor& tensor);

  // All fields of `fields`, as part of this message.
  void AppendFields(const google::protobuf::MessageLite& fields);
  // The beginning of a message or bytes field of `size` bytes, which must follow.
  void AppendLengthPrefix(int field, size_t size);
  // A field of type omserve.v1.Tensor.
  void AppendTensor(int field, absl::string_view name, const Tensor& tensor);
  // Bytes by reference.
  void AppendBuffer(const Buffer& buffer);

  grpc::ByteBuffer Finish();

 private:
  void FlushHead();

  std::string head_;  // encoded, not yet in slices_
  std::vector<grpc::Slice> slices_;
};

// INVALID_ARGUMENT when the bytes are no such message.
absl::Status ParseMessage(const grpc::ByteBuffer& bytes, google::protobuf::MessageLite& message);

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_TENSOR_WIRE_H_
