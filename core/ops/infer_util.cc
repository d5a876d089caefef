#include "core/ops/infer_util.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "core/base/checked.h"
#include "core/base/status.h"

namespace omserve {
namespace {

std::string Described(const NodeView& view, int i) {
  return absl::StrCat(InputName(view, i), " is ", ToString(view.input(i)));
}

}  // namespace

bool IsFloatType(DataType type) {
  return type == DataType::kFloat || type == DataType::kFloat16 || type == DataType::kDouble ||
         type == DataType::kBfloat16;
}

bool IsIntegerType(DataType type) {
  switch (type) {
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
    case DataType::kInt64:
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
    case DataType::kUint64:
      return true;
    default:
      return false;
  }
}

bool IsNumericType(DataType type) { return IsFloatType(type) || IsIntegerType(type); }

std::string InputName(const NodeView& view, int i) {
  const OpDef* def = OpRegistry::Get().Find(view.node().type());
  const InputDef* input = def == nullptr ? nullptr : FindInputDef(*def, view.num_inputs(), i);
  if (input == nullptr) return absl::StrCat("input ", i);
  if (input->kind == InputKind::kDynamic) return absl::StrCat(input->name, " (input ", i, ")");
  return input->name;
}

absl::Status CheckSameType(const NodeView& view, int i, int j) {
  if (view.input(i).type == view.input(j).type) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Described(view, i), " but ", Described(view, j), "; their types must agree"));
}

absl::Status CheckSameShape(const NodeView& view, int i, int j) {
  const Shape& a = view.input_shape(i);
  const Shape& b = view.input_shape(j);
  if (std::equal(a.begin(), a.end(), b.begin(), b.end(), DimsAgree)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Described(view, i), " but ", Described(view, j), "; their shapes must agree"));
}

absl::Status CheckRank(const NodeView& view, int i, int rank) {
  if (static_cast<int>(view.input_shape(i).size()) == rank) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(Described(view, i), "; it must have ", rank, " dimensions"));
}

absl::Status CheckMinRank(const NodeView& view, int i, int rank) {
  if (static_cast<int>(view.input_shape(i).size()) >= rank) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(Described(view, i), "; it must have at least ", rank,
                                                 rank == 1 ? " dimension" : " dimensions"));
}

absl::Status CheckIndexType(const NodeView& view, int i) {
  const DataType type = view.input(i).type;
  if (type == DataType::kInt32 || type == DataType::kInt64) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(Described(view, i), "; it must be int32 or int64"));
}

absl::Status CheckAbsent(const NodeView& view, int i) {
  if (!view.has_input(i)) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat("input '", InputName(view, i), "' is not supported"));
}

absl::StatusOr<int64_t> MultiplyDims(int64_t a, int64_t b) {
  if (a == 0 || b == 0) return 0;
  if (a == kUnknownDim || b == kUnknownDim) return kUnknownDim;
  std::optional<int64_t> product = CheckedMul(a, b);
  if (!product) return absl::InvalidArgumentError(absl::StrCat("dimension ", a, " * ", b, " is too large"));
  return *product;
}

absl::StatusOr<int64_t> ProductOfDims(absl::Span<const int64_t> shape) {
  if (IsStatic(shape)) return CheckedNumElements(shape);
  return std::find(shape.begin(), shape.end(), 0) == shape.end() ? kUnknownDim : 0;
}

absl::StatusOr<int64_t> ConstantInt(const NodeView& view, int i) {
  ASSIGN_OR_RETURN(std::vector<int64_t> values, view.ConstantInts(i));
  if (values.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(Described(view, i), "; it must hold one element"));
  }
  return values[0];
}

absl::StatusOr<int> AxisParameter(const NodeView& view, int i) {
  ASSIGN_OR_RETURN(int64_t axis, ConstantInt(view, i));
  ASSIGN_OR_RETURN_WITH(int normal, NormalizeAxis(axis, static_cast<int>(view.input_shape(0).size())),
                        InputName(view, i));
  return normal;
}

absl::StatusOr<std::vector<int>> NormalizeAxes(absl::Span<const int64_t> axes, int rank) {
  std::vector<int> result;
  result.reserve(axes.size());
  for (int64_t axis : axes) {
    ASSIGN_OR_RETURN(int normal, NormalizeAxis(axis, rank));
    result.push_back(normal);
  }
  std::sort(result.begin(), result.end());
  if (auto twice = std::adjacent_find(result.begin(), result.end()); twice != result.end()) {
    return absl::InvalidArgumentError(absl::StrCat("axis ", *twice, " is named twice"));
  }
  return result;
}

absl::StatusOr<Shape> BroadcastInputs(const NodeView& view, int begin, int end) {
  Shape shape;
  for (int i = begin; i < end; ++i) {
    if (!view.has_input(i)) continue;
    ASSIGN_OR_RETURN_WITH(shape, BroadcastShapes(shape, view.input_shape(i)), InputName(view, i));
  }
  return shape;
}

absl::Status CheckBroadcastsTo(const NodeView& view, int i, const Shape& shape) {
  const Shape& small = view.input_shape(i);
  bool fits = small.size() <= shape.size();
  for (size_t d = 0; fits && d < small.size(); ++d) {
    const int64_t target = shape[shape.size() - small.size() + d];
    fits = small[d] == 1 || DimsAgree(small[d], target);
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Described(view, i), "; it must broadcast to ", ToString(shape)));
}

Shape ReducedShape(const Shape& shape, const std::vector<int>& axes, bool keep_dims) {
  Shape result;
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    if (!std::binary_search(axes.begin(), axes.end(), d)) {
      result.push_back(shape[d]);
    } else if (keep_dims) {
      result.push_back(1);
    }
  }
  return result;
}

absl::StatusOr<DataType> TypeAttr(const NodeView& view, const std::string& name) {
  ASSIGN_OR_RETURN_WITH(DataType type, DataTypeFromAclNumber(view.Attr<int64_t>(name)),
                        absl::StrCat("attribute '", name, "'"));
  return type;
}

InferFunction LikeInput(int i) {
  return [i](const NodeView& view) -> absl::StatusOr<Descs> { return Descs{view.input(i)}; };
}

}  // namespace omserve
