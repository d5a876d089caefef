#include "client/cli/tensors.h"

#include <utility>

#include "core/base/status.h"

namespace omserve::cli {

client::Tensor ToClient(std::string name, const Tensor& tensor) {
  return client::Tensor::Shared({std::move(name), std::string(Name(tensor.type())), tensor.shape()},
                                tensor.buffer().owner(), tensor.data(), tensor.byte_size());
}

absl::StatusOr<Tensor> FromClient(const client::Tensor& tensor) {
  TensorDesc desc{DataType::kUndefined, tensor.shape()};
  ASSIGN_OR_RETURN(desc.type, DataTypeFromName(tensor.dtype()));
  return Tensor::Create(std::move(desc),
                        Buffer(tensor.owner(), static_cast<const std::byte*>(tensor.data()), tensor.size()));
}

}  // namespace omserve::cli
