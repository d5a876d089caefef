// NumPy's .npy files (format: numpy.lib.format, versions 1.0 to 3.0), C order, little-endian.
#ifndef OMSERVE_CLIENT_CLI_NPY_H_
#define OMSERVE_CLIENT_CLI_NPY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/tensor/tensor.h"

namespace omserve::cli {

// The array in `file`, whose bytes the tensor shares. INVALID_ARGUMENT for a damaged header or a size that
// does not fit it; UNIMPLEMENTED for Fortran order, big-endian numbers and element types that models do not
// have.
absl::StatusOr<Tensor> ParseNpy(const Buffer& file);
// As ParseNpy on a mapped file; messages name it.
absl::StatusOr<Tensor> ReadNpy(const std::string& path);

// Version 1.0. bfloat16, which NumPy does not have, is written as the uint16 of the same bits. UNIMPLEMENTED
// for strings.
absl::StatusOr<std::string> NpyHeader(const TensorDesc& desc);
absl::Status WriteNpy(const std::string& path, const Tensor& tensor);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_NPY_H_
