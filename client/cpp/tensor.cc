#include "omserve/tensor.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace omserve::client {

std::string ToString(const TensorDesc& desc) {
  return absl::StrCat(desc.dtype, "[",
                      absl::StrJoin(desc.shape, ",",
                                    [](std::string* out, int64_t dim) {
                                      if (dim < 0) {
                                        out->push_back('?');
                                      } else {
                                        absl::StrAppend(out, dim);
                                      }
                                    }),
                      "]");
}

Tensor Tensor::Owned(TensorDesc desc, std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  const void* data = owner->data();
  const size_t size = owner->size();
  return Shared(std::move(desc), std::move(owner), data, size);
}

Tensor Tensor::Shared(TensorDesc desc, std::shared_ptr<const void> owner, const void* data, size_t size) {
  Tensor tensor = Borrowed(std::move(desc), data, size);
  tensor.owner_ = std::move(owner);
  return tensor;
}

Tensor Tensor::Borrowed(TensorDesc desc, const void* data, size_t size) {
  Tensor tensor;
  tensor.desc_ = std::move(desc);
  tensor.data_ = data;
  tensor.size_ = size;
  return tensor;
}

Tensor Tensor::Renamed(std::string name) const {
  Tensor tensor = *this;
  tensor.desc_.name = std::move(name);
  return tensor;
}

absl::Status Tensor::CheckElements(const char* dtype, size_t element_size) const {
  if (desc_.dtype != dtype) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor '", desc_.name, "' is ", ToString(desc_), ", not of ", dtype));
  }
  if (size_ % element_size != 0) {
    return absl::InvalidArgumentError(absl::StrCat("tensor '", desc_.name, "' has ", size_,
                                                   " bytes, which is no multiple of ", element_size));
  }
  return absl::OkStatus();
}

}  // namespace omserve::client
