// Tensor: the named values that go into a run and come out of it.
//
//   std::vector<int64_t> ids = {1, 403, 407};
//   auto input = omserve::client::Tensor::Of<int64_t>("input_ids", {1, 3}, ids);
//   ...
//   std::span<const float> logits = output.As<float>().value();
#ifndef OMSERVE_TENSOR_H_
#define OMSERVE_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace omserve::client {

// What is known of a tensor before it has a value. Unknown dimensions are -1.
struct TensorDesc {
  std::string name;
  std::string dtype;  // numpy's name: "float32", "int64", "bool"; "bfloat16"
  std::vector<int64_t> shape;

  bool operator==(const TensorDesc&) const = default;
};

// "float32[1,128]"; unknown dimensions print as "?".
std::string ToString(const TensorDesc& desc);

// DTypeName<float>() == "float32", for the C++ types that have a name.
template <typename T>
constexpr const char* DTypeName();

// A named value; copying shares the bytes, which are row-major, dense and little-endian. Thread-safe to read.
class Tensor {
 public:
  Tensor() = default;

  // A copy of `values`; their number must be the product of `shape`, or runs refuse the tensor.
  template <typename T>
  static Tensor Of(std::string name, std::vector<int64_t> shape, std::span<const T> values) {
    return Owned({std::move(name), DTypeName<T>(), std::move(shape)},
                 std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes()));
  }
  // Takes the bytes over.
  static Tensor Owned(TensorDesc desc, std::string bytes);
  // Bytes of somebody else, kept alive by `owner`. A run sends them without copying.
  static Tensor Shared(TensorDesc desc, std::shared_ptr<const void> owner, const void* data, size_t size);
  // Bytes of somebody else that stay alive and unchanged until the run they are given to has been started: a
  // run copies them once, because the network may still read them after a run was given up.
  static Tensor Borrowed(TensorDesc desc, const void* data, size_t size);

  const TensorDesc& desc() const { return desc_; }
  const std::string& name() const { return desc_.name; }
  const std::string& dtype() const { return desc_.dtype; }
  const std::vector<int64_t>& shape() const { return desc_.shape; }
  const void* data() const { return data_; }
  size_t size() const { return size_; }
  // Null for borrowed bytes.
  const std::shared_ptr<const void>& owner() const { return owner_; }

  // The elements; INVALID_ARGUMENT when T is not the element type. Valid as long as a copy of this tensor
  // lives.
  template <typename T>
  absl::StatusOr<std::span<const T>> As() const {
    if (absl::Status status = CheckElements(DTypeName<T>(), sizeof(T)); !status.ok()) return status;
    return std::span<const T>(static_cast<const T*>(data_), size_ / sizeof(T));
  }

  // The same value under another name.
  Tensor Renamed(std::string name) const;

 private:
  absl::Status CheckElements(const char* dtype, size_t element_size) const;

  TensorDesc desc_;
  std::shared_ptr<const void> owner_;
  const void* data_ = nullptr;
  size_t size_ = 0;
};

template <>
constexpr const char* DTypeName<float>() {
  return "float32";
}
template <>
constexpr const char* DTypeName<double>() {
  return "float64";
}
template <>
constexpr const char* DTypeName<int8_t>() {
  return "int8";
}
template <>
constexpr const char* DTypeName<int16_t>() {
  return "int16";
}
template <>
constexpr const char* DTypeName<int32_t>() {
  return "int32";
}
template <>
constexpr const char* DTypeName<int64_t>() {
  return "int64";
}
template <>
constexpr const char* DTypeName<uint8_t>() {
  return "uint8";
}
template <>
constexpr const char* DTypeName<uint16_t>() {
  return "uint16";
}
template <>
constexpr const char* DTypeName<uint32_t>() {
  return "uint32";
}
template <>
constexpr const char* DTypeName<uint64_t>() {
  return "uint64";
}
template <>
constexpr const char* DTypeName<bool>() {
  return "bool";
}

}  // namespace omserve::client

#endif  // OMSERVE_TENSOR_H_
