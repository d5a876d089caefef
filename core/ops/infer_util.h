// Shape inference that several operators share. Messages name inputs by their schema names.
#ifndef OMSERVE_CORE_OPS_INFER_UTIL_H_
#define OMSERVE_CORE_OPS_INFER_UTIL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/ops/op.h"

namespace omserve {

using Descs = std::vector<TensorDesc>;

bool IsFloatType(DataType type);
bool IsIntegerType(DataType type);
// Float or integer: what can be summed.
bool IsNumericType(DataType type);

// The schema's name of input `i`.
std::string InputName(const NodeView& view, int i);

// INVALID_ARGUMENT unless the two inputs have the same type.
absl::Status CheckSameType(const NodeView& view, int i, int j);
// INVALID_ARGUMENT unless the two inputs can have the same shape.
absl::Status CheckSameShape(const NodeView& view, int i, int j);
// INVALID_ARGUMENT unless input `i` has the rank, or at least the rank.
absl::Status CheckRank(const NodeView& view, int i, int rank);
absl::Status CheckMinRank(const NodeView& view, int i, int rank);
// INVALID_ARGUMENT unless input `i` is int32 or int64.
absl::Status CheckIndexType(const NodeView& view, int i);
// UNIMPLEMENTED when an optional input that nothing here can use is present.
absl::Status CheckAbsent(const NodeView& view, int i);

// Whether two dimensions can be the same: equal, or one of them unknown.
inline bool DimsAgree(int64_t a, int64_t b) { return a == b || a == kUnknownDim || b == kUnknownDim; }
// The better known of two dimensions that agree.
inline int64_t KnownDim(int64_t a, int64_t b) { return a == kUnknownDim ? b : a; }
// Product; unknown when either is. INVALID_ARGUMENT on overflow.
absl::StatusOr<int64_t> MultiplyDims(int64_t a, int64_t b);
// Product of a shape's dimensions [begin, end).
absl::StatusOr<int64_t> ProductOfDims(absl::Span<const int64_t> shape);

// The single element of a constant int32/int64 input (a scalar or a tensor of one element).
absl::StatusOr<int64_t> ConstantInt(const NodeView& view, int i);

// The axis that such an input names, of those of input 0.
absl::StatusOr<int> AxisParameter(const NodeView& view, int i);

// Axes in [-rank, rank) → sorted, distinct, in [0, rank). INVALID_ARGUMENT for a repeated axis.
absl::StatusOr<std::vector<int>> NormalizeAxes(absl::Span<const int64_t> axes, int rank);

// Numpy broadcasting of inputs [begin, end); absent ones are skipped.
absl::StatusOr<Shape> BroadcastInputs(const NodeView& view, int begin, int end);
// INVALID_ARGUMENT unless input `i` broadcasts to `shape` without enlarging it.
absl::Status CheckBroadcastsTo(const NodeView& view, int i, const Shape& shape);

// `shape` without the (normalised) axes, or with 1 in their place.
Shape ReducedShape(const Shape& shape, const std::vector<int>& axes, bool keep_dims);

// The type that an Int attribute holds in ACL numbers.
absl::StatusOr<DataType> TypeAttr(const NodeView& view, const std::string& name);

// One output, like input `i`.
InferFunction LikeInput(int i);

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_INFER_UTIL_H_
