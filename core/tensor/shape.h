// Shapes: dimensions in elements, outermost first; -1 is an unknown dimension. An empty shape is a scalar.
#ifndef OMSERVE_CORE_TENSOR_SHAPE_H_
#define OMSERVE_CORE_TENSOR_SHAPE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/tensor/data_type.h"

namespace omserve {

using Shape = std::vector<int64_t>;

// Dimensions of a tensor may not exceed this number (bounds recursion and stack arrays of kernels).
inline constexpr int kMaxRank = 8;

inline constexpr int64_t kUnknownDim = -1;

bool IsStatic(absl::Span<const int64_t> shape);

// Product of the dimensions of a static shape. For shapes already validated; see CheckedNumElements.
int64_t NumElements(absl::Span<const int64_t> shape);

// As NumElements for shapes from outside: INVALID_ARGUMENT for a negative dimension or more than 2^62 elements.
absl::StatusOr<int64_t> CheckedNumElements(absl::Span<const int64_t> shape);

// "[1,128,64]"; unknown dimensions print as "?".
std::string ToString(absl::Span<const int64_t> shape);

// Elements between neighbours along each dimension, row-major.
std::vector<int64_t> RowMajorStrides(absl::Span<const int64_t> shape);

// Numpy broadcasting of two shapes; INVALID_ARGUMENT names both. An unknown dimension against 1 or itself stays
// unknown, against n > 1 becomes n.
absl::StatusOr<Shape> BroadcastShapes(absl::Span<const int64_t> a, absl::Span<const int64_t> b);

// Maps axis in [-rank, rank) to [0, rank); INVALID_ARGUMENT else.
absl::StatusOr<int> NormalizeAxis(int64_t axis, int rank);

// What is known of a tensor before it has a value.
struct TensorDesc {
  DataType type = DataType::kUndefined;
  Shape shape;

  bool operator==(const TensorDesc&) const = default;
};

// "float32[1,128]"
std::string ToString(const TensorDesc& desc);

// Bytes of a static tensor; INVALID_ARGUMENT on overflow, unknown dimensions or a type without size.
absl::StatusOr<size_t> CheckedByteSize(const TensorDesc& desc);
// As CheckedByteSize for descriptions already validated.
size_t ByteSize(const TensorDesc& desc);

}  // namespace omserve

#endif  // OMSERVE_CORE_TENSOR_SHAPE_H_
