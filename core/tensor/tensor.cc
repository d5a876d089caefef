#include "core/tensor/tensor.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {

absl::StatusOr<Tensor> Tensor::Create(TensorDesc desc, Buffer data) {
  ASSIGN_OR_RETURN(size_t bytes, CheckedByteSize(desc));
  if (bytes != data.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(ToString(desc), " needs ", bytes, " bytes, got ", data.size()));
  }
  return Tensor(std::move(desc), std::move(data));
}

Tensor Tensor::Allocate(TensorDesc desc, std::byte** writable) {
  Buffer buffer = Buffer::Allocate(ByteSize(desc), writable);
  return Tensor(std::move(desc), std::move(buffer));
}

absl::StatusOr<std::vector<int64_t>> Tensor::AsInt64s() const {
  std::vector<int64_t> result(static_cast<size_t>(num_elements()));
  if (type() == DataType::kInt64) {
    if (!result.empty()) std::memcpy(result.data(), data(), byte_size());
  } else if (type() == DataType::kInt32) {
    for (size_t i = 0; i < result.size(); ++i) {
      int32_t value;
      std::memcpy(&value, data() + i * sizeof(value), sizeof(value));
      result[i] = value;
    }
  } else {
    return absl::InvalidArgumentError(absl::StrCat("expected an int32 or int64 tensor, found ", ToString(desc())));
  }
  return result;
}

Tensor Tensor::Reshaped(Shape shape) const { return Tensor(TensorDesc{type(), std::move(shape)}, data_); }

TensorSlice::TensorSlice(Tensor source)
    : source_(std::move(source)), begin_(source_.shape().size(), 0), extent_(source_.shape()) {}

namespace {

using RunVisitor = std::function<absl::Status(const std::byte*, size_t)>;

// Whether the box holds nothing but bytes of the source.
bool IsInside(const Shape& shape, const std::vector<int64_t>& begin, const Shape& extent) {
  for (size_t i = 0; i < shape.size(); ++i) {
    if (begin[i] > shape[i] - extent[i]) return false;
  }
  return true;
}

// Visits a box that reaches beyond the ends of its source.
class PaddedBox {
 public:
  PaddedBox(const Tensor& source, const std::vector<int64_t>& begin, const Shape& extent, const RunVisitor& visit)
      : source_(source), begin_(begin), extent_(extent), visit_(visit), element_(SizeOf(source.type())),
        strides_(RowMajorStrides(source.shape())), contiguous_(extent.size(), true), inner_(extent.size(), 1) {
    for (size_t i = extent.size(); i-- > 1;) {
      contiguous_[i - 1] = contiguous_[i] && begin[i] == 0 && extent[i] == source.shape()[i];
      inner_[i - 1] = inner_[i] * extent[i];
    }
  }

  // Of dimension `dim` and those inside it, at an element of the source.
  absl::Status Visit(size_t dim, int64_t offset) const {
    const int64_t held = std::clamp<int64_t>(source_.shape()[dim] - begin_[dim], 0, extent_[dim]);
    if (held > 0) offset += begin_[dim] * strides_[dim];
    if (contiguous_[dim]) {
      if (held > 0) {
        RETURN_IF_ERROR(visit_(source_.data() + static_cast<size_t>(offset) * element_,
                               static_cast<size_t>(held * inner_[dim]) * element_));
      }
    } else {
      for (int64_t i = 0; i < held; ++i) RETURN_IF_ERROR(Visit(dim + 1, offset + i * strides_[dim]));
    }
    return Zeros(static_cast<size_t>((extent_[dim] - held) * inner_[dim]) * element_);
  }

 private:
  absl::Status Zeros(size_t size) const {
    static constexpr std::byte kZeros[4096] = {};
    for (; size > 0; size -= std::min(size, sizeof(kZeros))) RETURN_IF_ERROR(visit_(kZeros, std::min(size, sizeof(kZeros))));
    return absl::OkStatus();
  }

  const Tensor& source_;
  const std::vector<int64_t>& begin_;
  const Shape& extent_;
  const RunVisitor& visit_;
  const size_t element_;
  const std::vector<int64_t> strides_;
  std::vector<bool> contiguous_;  // per dimension: whether the box has all of those inside it
  std::vector<int64_t> inner_;    // per dimension: elements of the box inside it
};

Tensor CopyOf(const TensorSlice& slice) {
  std::byte* writable = nullptr;
  Tensor tensor = Tensor::Allocate(slice.desc(), &writable);
  slice
      .ForEachRun([&](const std::byte* data, size_t size) {
        std::memcpy(writable, data, size);
        writable += size;
        return absl::OkStatus();
      })
      .IgnoreError();
  return tensor;
}

}  // namespace

absl::StatusOr<TensorSlice> TensorSlice::Create(Tensor source, std::vector<int64_t> begin, Shape extent) {
  const Shape& shape = source.shape();
  bool valid = begin.size() == shape.size() && extent.size() == shape.size();
  for (size_t i = 0; valid && i < shape.size(); ++i) {
    valid = begin[i] >= 0 && extent[i] >= 0 && begin[i] <= std::numeric_limits<int64_t>::max() - extent[i];
  }
  if (!valid || !CheckedByteSize({source.type(), extent}).ok()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no box at ", ToString(begin), " of extent ", ToString(extent),
                                                   " of a tensor of shape ", ToString(shape)));
  }
  const bool moved = extent == shape && std::any_of(begin.begin(), begin.end(), [](int64_t at) { return at > 0; });
  TensorSlice slice;
  slice.source_ = std::move(source);
  slice.begin_ = std::move(begin);
  slice.extent_ = std::move(extent);
  // A box of the source's shape is the source. One moved into the padding is rare enough to be copied.
  return moved ? TensorSlice(CopyOf(slice)) : slice;
}

absl::StatusOr<TensorSlice> TensorSlice::Slice(absl::Span<const int64_t> begin,
                                               absl::Span<const int64_t> extent) const {
  // Checked against this slice first, then moved into the source's coordinates.
  if (begin.size() != extent_.size() || extent.size() != extent_.size()) {
    return absl::InvalidArgumentError("box and slice differ in rank");
  }
  std::vector<int64_t> absolute(begin_);
  for (size_t i = 0; i < extent_.size(); ++i) {
    if (begin[i] < 0 || extent[i] < 0 || extent[i] > extent_[i] || begin[i] > extent_[i] - extent[i]) {
      return absl::InvalidArgumentError(absl::StrCat("box at ", ToString(begin), " of extent ", ToString(extent),
                                                     " leaves the slice of shape ", ToString(extent_)));
    }
    absolute[i] += begin[i];
  }
  return Create(source_, std::move(absolute), Shape(extent.begin(), extent.end()));
}

absl::Status TensorSlice::ForEachRun(const std::function<absl::Status(const std::byte*, size_t)>& visit) const {
  const Shape& shape = source_.shape();
  const size_t element = SizeOf(source_.type());
  if (NumElements(extent_) == 0) return absl::OkStatus();
  if (!IsInside(shape, begin_, extent_)) return PaddedBox(source_, begin_, extent_, visit).Visit(0, 0);
  // Dimensions from `inner` on are whole, so a run covers dimension inner - 1's extent times everything inside.
  size_t inner = shape.size();
  while (inner > 0 && extent_[inner - 1] == shape[inner - 1]) --inner;
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  const size_t outer = inner == 0 ? 0 : inner - 1;
  size_t run = element;
  for (size_t i = outer; i < shape.size(); ++i) run *= static_cast<size_t>(extent_[i]);
  std::vector<int64_t> index(outer, 0);
  while (true) {
    int64_t offset = outer < shape.size() ? begin_[outer] * strides[outer] : 0;
    for (size_t i = 0; i < outer; ++i) offset += (begin_[i] + index[i]) * strides[i];
    RETURN_IF_ERROR(visit(source_.data() + static_cast<size_t>(offset) * element, run));
    size_t i = outer;
    while (i > 0) {
      if (++index[i - 1] < extent_[i - 1]) break;
      index[--i] = 0;
    }
    if (i == 0) return absl::OkStatus();
  }
}

Tensor TensorSlice::Materialize() const {
  if (is_whole()) return source_;
  if (!IsInside(source_.shape(), begin_, extent_)) return CopyOf(*this);
  const std::byte* only = nullptr;
  int runs = 0;
  // Stop at the second run: contiguous slices need no copy.
  ForEachRun([&](const std::byte* data, size_t) {
    only = data;
    return ++runs > 1 ? absl::CancelledError() : absl::OkStatus();
  }).IgnoreError();
  if (runs == 1) {
    const size_t offset = static_cast<size_t>(only - source_.data());
    return *Tensor::Create(desc(), source_.buffer().Slice(offset, byte_size()));
  }
  return CopyOf(*this);
}

namespace {

template <typename T>
void AppendValues(const Tensor& tensor, int limit, std::string* text) {
  const int64_t count = std::min<int64_t>(limit, tensor.num_elements());
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, tensor.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    absl::StrAppend(text, i > 0 ? ", " : "", +value);
  }
}

}  // namespace

std::string ValuesToString(const Tensor& tensor, int limit) {
  std::string text = "[";
  switch (tensor.type()) {
    case DataType::kFloat: AppendValues<float>(tensor, limit, &text); break;
    case DataType::kDouble: AppendValues<double>(tensor, limit, &text); break;
    case DataType::kInt64: AppendValues<int64_t>(tensor, limit, &text); break;
    case DataType::kInt32: AppendValues<int32_t>(tensor, limit, &text); break;
    case DataType::kInt16: AppendValues<int16_t>(tensor, limit, &text); break;
    case DataType::kInt8: AppendValues<int8_t>(tensor, limit, &text); break;
    case DataType::kUint8: AppendValues<uint8_t>(tensor, limit, &text); break;
    case DataType::kBool: AppendValues<uint8_t>(tensor, limit, &text); break;
    default: text += "..."; break;
  }
  if (tensor.num_elements() > limit) text += ", ...";
  return text + "]";
}

}  // namespace omserve
