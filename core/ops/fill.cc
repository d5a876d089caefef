// Tensors made from parameters (Fill, Range, OneHot) and triangular parts.
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/rule_util.h"
#include "core/ops/schema.h"

namespace omserve {
namespace {

absl::Status CheckOneElement(const NodeView& view, int i) {
  for (int64_t dim : view.input_shape(i)) {
    if (!DimsAgree(dim, 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat(InputName(view, i), " is ", ToString(view.input(i)), "; it must hold one element"));
    }
  }
  return absl::OkStatus();
}

// --- Fill
// -----------------------------------------------------------------------------------------------------------

absl::StatusOr<Descs> InferFill(const NodeView& view) {
  RETURN_IF_ERROR(CheckOneElement(view, 1));
  ASSIGN_OR_RETURN(std::vector<int64_t> dims, view.ConstantInts(0));
  if (!IsStatic(dims)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dims is (", absl::StrJoin(dims, ","), "); it must not be negative"));
  }
  return Descs{{view.input(1).type, dims}};
}

// --- Range
// ----------------------------------------------------------------------------------------------------------

constexpr double kMaxRangeLength = 1e15;

absl::StatusOr<int64_t> IntegerRangeLength(int64_t start, int64_t limit, int64_t delta) {
  const absl::int128 distance = absl::int128(limit) - start;
  const absl::int128 step = delta;
  const absl::int128 length = (distance + step + (step > 0 ? -1 : 1)) / step;
  if (length > absl::int128(static_cast<int64_t>(kMaxRangeLength))) {
    return absl::InvalidArgumentError("the range is too long");
  }
  return length > 0 ? static_cast<int64_t>(length) : 0;
}

template <typename T>
absl::StatusOr<int64_t> FloatRangeLength(T start, T limit, T delta) {
  // The distance in the element type, as ONNX Runtime computes it, so that both agree on borderline lengths.
  const double length = std::ceil(static_cast<double>(limit - start) / static_cast<double>(delta));
  if (!(length <= kMaxRangeLength)) return absl::InvalidArgumentError("the range is too long");
  return length > 0 ? static_cast<int64_t>(length) : 0;
}

template <typename T>
absl::StatusOr<int64_t> RangeLength(const Tensor& start, const Tensor& limit, const Tensor& delta) {
  const T first = start.values<T>()[0];
  const T end = limit.values<T>()[0];
  const T step = delta.values<T>()[0];
  if (step == 0) return absl::InvalidArgumentError("delta is 0");
  if constexpr (std::is_floating_point_v<T>) {
    return FloatRangeLength<T>(first, end, step);
  } else {
    return IntegerRangeLength(first, end, step);
  }
}

absl::StatusOr<Descs> InferRange(const NodeView& view) {
  if (view.Attr<bool>("is_closed")) {
    return absl::UnimplementedError("a closed range (attribute 'is_closed') is not supported");
  }
  Tensor values[3];
  for (int i = 0; i < 3; ++i) {
    RETURN_IF_ERROR(CheckSameType(view, 0, i));
    RETURN_IF_ERROR(CheckOneElement(view, i));
    if (view.constant(i) == nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("parameter '", InputName(view, i), "' is not constant"));
    }
    values[i] = view.constant(i)->Materialize();
  }
  absl::StatusOr<int64_t> length;
  const DataType type = view.input(0).type;
  switch (type) {
    case DataType::kInt16:
      length = RangeLength<int16_t>(values[0], values[1], values[2]);
      break;
    case DataType::kInt32:
      length = RangeLength<int32_t>(values[0], values[1], values[2]);
      break;
    case DataType::kInt64:
      length = RangeLength<int64_t>(values[0], values[1], values[2]);
      break;
    case DataType::kFloat:
      length = RangeLength<float>(values[0], values[1], values[2]);
      break;
    case DataType::kDouble:
      length = RangeLength<double>(values[0], values[1], values[2]);
      break;
    default:
      return absl::UnimplementedError(
          absl::StrCat("a range of ", ToString(view.input(0)), " is not supported"));
  }
  if (!length.ok()) return length.status();
  return Descs{{type, {*length}}};
}

// --- OneHot: a new dimension of `depth` at `axis`
// ---------------------------------------------------------------------

absl::StatusOr<int> OneHotAxis(const NodeView& view) {
  const int rank = static_cast<int>(view.input_shape(0).size()) + 1;
  ASSIGN_OR_RETURN_WITH(int axis, NormalizeAxis(view.Attr<int64_t>("axis"), rank), "attribute 'axis'");
  return axis;
}

absl::StatusOr<Descs> InferOneHot(const NodeView& view) {
  const bool d = view.node().is("OneHotD");
  const int on = d ? 1 : 2;
  for (int i : {on, on + 1}) RETURN_IF_ERROR(CheckOneElement(view, i));
  RETURN_IF_ERROR(CheckSameType(view, on, on + 1));
  ASSIGN_OR_RETURN(int axis, OneHotAxis(view));
  int64_t depth = view.Attr<int64_t>("depth");
  if (!d) {
    ASSIGN_OR_RETURN(depth, ConstantInt(view, 1));
  }
  if (depth < 0)
    return absl::InvalidArgumentError(absl::StrCat("depth is ", depth, "; it must be at least 0"));
  Shape shape = view.input_shape(0);
  shape.insert(shape.begin() + axis, depth);
  return Descs{{view.input(on).type, shape}};
}

absl::StatusOr<ShardingRule> OneHotRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, OneHotAxis(view));
  const Shape& x = view.input_shape(0);
  RuleBuilder rule(view);
  for (int d = 0; d < static_cast<int>(x.size()); ++d) {
    const int factor = rule.Add(x[d], FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, d < axis ? d : d + 1, factor);
  }
  return rule.Finish();
}

// --- Triangles of the last two dimensions
// -----------------------------------------------------------------------------

absl::StatusOr<Descs> InferTriangle(const NodeView& view) {
  RETURN_IF_ERROR(CheckMinRank(view, 0, 2));
  return Descs{view.input(0)};
}

absl::StatusOr<ShardingRule> TriangleRule(const NodeView& view) {
  const int rank = static_cast<int>(view.input_shape(0).size());
  return AxesWhole(view, {rank - 2, rank - 1}, {{{0}}});
}

OpDef TriangleDef(std::string type, std::vector<InputDef> inputs, AttrDef attr) {
  return {.type = std::move(type),
          .inputs = std::move(inputs),
          .outputs = {"y"},
          .attrs = {std::move(attr)},
          .infer = InferTriangle,
          .rule = TriangleRule,
          .cost = PerOutputElement(0)};
}

}  // namespace

void AddFillOps(OpRegistry& registry) {
  registry.Add({.type = "Fill",
                .inputs = {Parameter("dims"), Required("value")},
                .outputs = {"y"},
                .infer = InferFill,
                .cost = PerOutputElement(0)});
  registry.Add({.type = "Range",
                .inputs = {Parameter("start"), Parameter("limit"), Parameter("delta")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("is_closed", false)},
                .infer = InferRange});
  registry.Add({.type = "OneHot",
                .inputs = {Required("x"), Parameter("depth"), Required("on_value"), Required("off_value")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("axis", int64_t{-1})},
                .infer = InferOneHot,
                .rule = OneHotRule});
  registry.Add({.type = "OneHotD",
                .inputs = {Required("x"), Required("on_value"), Required("off_value")},
                .outputs = {"y"},
                .attrs = {RequiredAttr<int64_t>("depth"), DefaultAttr("axis", int64_t{-1})},
                .infer = InferOneHot,
                .rule = OneHotRule});
  registry.Add(TriangleDef("Tril", {Required("x")}, DefaultAttr("diagonal", int64_t{0})));
  registry.Add(TriangleDef("Triu", {Required("x")}, DefaultAttr("diagonal", int64_t{0})));
  registry.Add(
      TriangleDef("Trilu", {Required("x"), OptionalParameter("k")}, DefaultAttr("upper", int64_t{0})));
}

}  // namespace omserve
