#include "client/cpp/run_request.h"

#include <cstdint>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "core/om/wire.h"
#include "grpcpp/support/slice.h"
#include "omserve/v1/common.pb.h"
#include "omserve/v1/run.pb.h"

namespace omserve::client {
namespace {

// Below this a copy is cheaper than keeping track of a reference.
constexpr size_t kMinSharedBytes = 4096;

grpc::Slice SliceOf(const Tensor& tensor) {
  if (tensor.owner() == nullptr || tensor.size() < kMinSharedBytes)
    return grpc::Slice(tensor.data(), tensor.size());
  // gRPC takes a mutable pointer and never writes through it.
  return grpc::Slice(
      const_cast<void*>(tensor.data()), tensor.size(),
      [](void* owner) { delete static_cast<std::shared_ptr<const void>*>(owner); },
      new std::shared_ptr<const void>(tensor.owner()));
}

}  // namespace

absl::StatusOr<grpc::ByteBuffer> EncodeRunRequest(const std::string& model, const std::vector<Tensor>& inputs,
                                                  const RunOptions& options) {
  // Concatenated messages merge: first everything but the inputs, then each input as one more element of its
  // field.
  v1::RunRequest rest;
  rest.set_model(model);
  rest.set_request_id(options.request_id);
  for (const std::string& output : options.outputs) rest.add_outputs(output);
  std::vector<grpc::Slice> slices = {grpc::Slice(rest.SerializeAsString())};
  uint64_t total = slices.front().size();

  for (const Tensor& input : inputs) {
    v1::Tensor proto;
    proto.set_name(input.name());
    proto.set_dtype(input.dtype());
    proto.mutable_shape()->Assign(input.shape().begin(), input.shape().end());
    std::string body = proto.SerializeAsString();
    AppendFieldHead(v1::Tensor::kDataFieldNumber, input.size(), &body);
    std::string head;
    AppendFieldHead(v1::RunRequest::kInputsFieldNumber, body.size() + input.size(), &head);
    slices.push_back(grpc::Slice(head + body));
    total += slices.back().size();
    if (input.size() > 0) slices.push_back(SliceOf(input));
    total += input.size();
  }
  if (total > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
    return absl::InvalidArgumentError(
        absl::StrCat("the inputs make a request of ", total, " bytes; one request carries at most 2 GiB"));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace omserve::client
