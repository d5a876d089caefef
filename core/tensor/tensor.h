// Tensor: a description and its bytes, row-major, dense. TensorSlice: a box of a tensor, not yet copied out.
#ifndef OMSERVE_CORE_TENSOR_TENSOR_H_
#define OMSERVE_CORE_TENSOR_TENSOR_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/tensor/buffer.h"
#include "core/tensor/shape.h"

namespace omserve {

// A value; copying shares the bytes. Invariant: data().size() == ByteSize(desc()).
class Tensor {
 public:
  Tensor() = default;
  // INVALID_ARGUMENT when the bytes do not fit the description.
  static absl::StatusOr<Tensor> Create(TensorDesc desc, Buffer data);
  // Fresh memory; `*writable` is to be filled before the tensor is shared. `desc` must be static and valid.
  static Tensor Allocate(TensorDesc desc, std::byte** writable);

  // A tensor of type T from values in row-major order; their number must fit the shape.
  template <typename T>
  static Tensor Of(Shape shape, const std::vector<T>& values);
  template <typename T>
  static Tensor Scalar(T value) {
    return Of<T>({}, std::vector<T>{value});
  }
  static Tensor Int64s(const std::vector<int64_t>& values) {
    return Of<int64_t>({static_cast<int64_t>(values.size())}, values);
  }

  const TensorDesc& desc() const { return desc_; }
  DataType type() const { return desc_.type; }
  const Shape& shape() const { return desc_.shape; }
  int64_t num_elements() const { return NumElements(desc_.shape); }
  const Buffer& buffer() const { return data_; }
  const std::byte* data() const { return data_.data(); }
  size_t byte_size() const { return data_.size(); }

  // The elements as T; T must be the element type. Only for aligned data (all that this project allocates or maps).
  template <typename T>
  absl::Span<const T> values() const {
    return absl::MakeConstSpan(reinterpret_cast<const T*>(data_.data()), data_.size() / sizeof(T));
  }

  // The elements of an int32 or int64 tensor, widened. INVALID_ARGUMENT for another type.
  absl::StatusOr<std::vector<int64_t>> AsInt64s() const;

  // The same bytes under another shape of as many elements.
  Tensor Reshaped(Shape shape) const;

 private:
  Tensor(TensorDesc desc, Buffer data) : desc_(std::move(desc)), data_(std::move(data)) {}
  TensorDesc desc_;
  Buffer data_;
};

// The box [begin, begin + extent) of a source tensor; beyond the source's ends it holds zeros (padding). Cheap to copy:
// weight shards stay byte ranges of the mapped source until they are streamed out.
class TensorSlice {
 public:
  TensorSlice() = default;
  // The whole tensor.
  explicit TensorSlice(Tensor source);
  // INVALID_ARGUMENT when the box has another rank than the source, begins before it or is too large for memory.
  static absl::StatusOr<TensorSlice> Create(Tensor source, std::vector<int64_t> begin, Shape extent);

  // A box inside this slice, in its coordinates.
  absl::StatusOr<TensorSlice> Slice(absl::Span<const int64_t> begin, absl::Span<const int64_t> extent) const;

  const Tensor& source() const { return source_; }
  const std::vector<int64_t>& begin() const { return begin_; }
  TensorDesc desc() const { return TensorDesc{source_.type(), extent_}; }
  const Shape& shape() const { return extent_; }
  bool is_whole() const { return extent_ == source_.shape(); }
  size_t byte_size() const { return ByteSize(desc()); }

  // Calls `visit(data, size)` for runs of contiguous bytes (of a box inside the source: maximal ones); stops at an error.
  absl::Status ForEachRun(const std::function<absl::Status(const std::byte*, size_t)>& visit) const;

  // The slice as a dense tensor: shares the source's bytes when they are contiguous, copies else.
  Tensor Materialize() const;

 private:
  Tensor source_;
  std::vector<int64_t> begin_;
  Shape extent_;
};

// "[1, 2, 3, ...]", at most `limit` elements; for dumps and messages.
std::string ValuesToString(const Tensor& tensor, int limit = 8);

template <typename T>
Tensor Tensor::Of(Shape shape, const std::vector<T>& values) {
  std::byte* writable = nullptr;
  Tensor tensor = Allocate(TensorDesc{DataTypeOf<T>(), std::move(shape)}, &writable);
  std::copy(values.begin(), values.end(), reinterpret_cast<T*>(writable));
  return tensor;
}

}  // namespace omserve

#endif  // OMSERVE_CORE_TENSOR_TENSOR_H_
