#include "core/tensor/shape.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/checked.h"
#include "core/base/status.h"

namespace omserve {

bool IsStatic(absl::Span<const int64_t> shape) {
  return std::all_of(shape.begin(), shape.end(), [](int64_t dim) { return dim >= 0; });
}

int64_t NumElements(absl::Span<const int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape) count *= dim;
  return count;
}

absl::StatusOr<int64_t> CheckedNumElements(absl::Span<const int64_t> shape) {
  int64_t count = 1;
  bool zero = false;
  for (int64_t dim : shape) {
    if (dim < 0) return absl::InvalidArgumentError(absl::StrCat("shape ", ToString(shape), " is not static"));
    if (dim == 0) {
      zero = true;
      continue;
    }
    std::optional<int64_t> product = CheckedMul(count, dim);
    if (!product || *product > (int64_t{1} << 62)) {
      return absl::InvalidArgumentError(absl::StrCat("shape ", ToString(shape), " has too many elements"));
    }
    count = *product;
  }
  return zero ? 0 : count;
}

std::string ToString(absl::Span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ",";
    if (shape[i] < 0) {
      text += "?";
    } else {
      absl::StrAppend(&text, shape[i]);
    }
  }
  return text + "]";
}

std::vector<int64_t> RowMajorStrides(absl::Span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (int i = static_cast<int>(shape.size()) - 2; i >= 0; --i) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

absl::StatusOr<Shape> BroadcastShapes(absl::Span<const int64_t> a, absl::Span<const int64_t> b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape result(rank, 1);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t x = i < rank - a.size() ? 1 : a[i - (rank - a.size())];
    const int64_t y = i < rank - b.size() ? 1 : b[i - (rank - b.size())];
    if (x == y || y == 1) {
      result[i] = x;
    } else if (x == 1 || x == kUnknownDim) {
      result[i] = y;
    } else if (y == kUnknownDim) {
      result[i] = x;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("shapes ", ToString(a), " and ", ToString(b), " do not broadcast"));
    }
  }
  return result;
}

absl::StatusOr<int> NormalizeAxis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return absl::InvalidArgumentError(
        absl::StrCat("axis ", axis, " is outside [", -rank, ", ", rank, ") of a tensor of rank ", rank));
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::string ToString(const TensorDesc& desc) {
  const std::string_view name = Name(desc.type);
  return absl::StrCat(absl::string_view(name.data(), name.size()), ToString(desc.shape));
}

absl::StatusOr<size_t> CheckedByteSize(const TensorDesc& desc) {
  if (SizeOf(desc.type) == 0) {
    return absl::InvalidArgumentError(absl::StrCat(ToString(desc), " has no fixed element size"));
  }
  ASSIGN_OR_RETURN(int64_t count, CheckedNumElements(desc.shape));
  std::optional<size_t> bytes = CheckedMul(static_cast<size_t>(count), SizeOf(desc.type));
  if (!bytes) return absl::InvalidArgumentError(absl::StrCat(ToString(desc), " is too large"));
  return *bytes;
}

size_t ByteSize(const TensorDesc& desc) { return static_cast<size_t>(NumElements(desc.shape)) * SizeOf(desc.type); }

}  // namespace omserve
