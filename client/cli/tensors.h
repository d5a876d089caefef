// Between the client's tensors and core/tensor; bytes are shared, never copied.
#ifndef OMSERVE_CLIENT_CLI_TENSORS_H_
#define OMSERVE_CLIENT_CLI_TENSORS_H_

#include <string>

#include "absl/status/statusor.h"
#include "core/tensor/tensor.h"
#include "omserve/tensor.h"

namespace omserve::cli {

client::Tensor ToClient(std::string name, const Tensor& tensor);
// INVALID_ARGUMENT for an element type that is not known, or bytes that do not fit.
absl::StatusOr<Tensor> FromClient(const client::Tensor& tensor);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_TENSORS_H_
