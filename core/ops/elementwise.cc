// Element-wise operators: arithmetic, comparison, logic, selection, conversion. Operands broadcast as in
// numpy.
#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/rule_util.h"
#include "core/ops/schema.h"

namespace omserve {
namespace {

enum class Accepts { kAny, kNumeric, kFloat, kInteger, kBool };

struct ElementwiseOp {
  const char* type;
  int arity;
  Accepts accepts;
  bool to_bool = false;
  double flops = 1;
  Linearity linearity = {};
  std::vector<AttrDef> attrs = {};
};

const Linearity kScale = {{{0}}};
const Linearity kFloatScale = {{{0}}, /*float_only=*/true};
const Linearity kSum = {{{0, 1}}};
const Linearity kFloatSum = {{{0, 1}}, /*float_only=*/true};
const Linearity kProduct = {{{0}, {1}}};
const Linearity kNotLinear = {};

// Cost of a transcendental function in flops: about what a vectorised polynomial takes.
constexpr double kTranscendental = 16;
constexpr double kRoot = 4;

std::vector<ElementwiseOp> Table() {
  const auto any = Accepts::kAny, numeric = Accepts::kNumeric, floats = Accepts::kFloat,
             integer = Accepts::kInteger, boolean = Accepts::kBool;
  const std::vector<AttrDef> exponent = {DefaultAttr("base", -1.0f), DefaultAttr("scale", 1.0f),
                                         DefaultAttr("shift", 0.0f)};
  const std::vector<AttrDef> value = {RequiredAttr<float>("value")};
  std::vector<ElementwiseOp> table = {
      // Arithmetic of two.
      {"Add", 2, numeric, false, 1, kSum},
      {"AddV2", 2, numeric, false, 1, kSum},
      {"Sub", 2, numeric, false, 1, kSum},
      {"Mul", 2, numeric, false, 1, kProduct},
      {"Div", 2, numeric, false, 1, kFloatScale},
      {"RealDiv", 2, numeric, false, 1, kFloatScale},
      {"FloorDiv", 2, numeric},
      {"TruncateDiv", 2, numeric},
      {"Mod", 2, numeric},
      {"FloorMod", 2, numeric},
      {"Pow", 2, numeric, false, 2 * kTranscendental},
      {"SquaredDifference", 2, numeric, false, 2},
      {"Maximum", 2, numeric},
      {"Minimum", 2, numeric},
      // y = x1 + alpha * x2
      {"Axpy", 2, numeric, false, 2, kFloatSum, {RequiredAttr<float>("alpha")}},
      // Arithmetic of one.
      {"Muls", 1, numeric, false, 1, kFloatScale, value},
      {"Adds", 1, numeric, false, 1, kNotLinear, value},
      {"Neg", 1, numeric, false, 1, kScale},
      {"Abs", 1, numeric},
      {"Sign", 1, numeric},
      {"Square", 1, numeric},
      {"Sqrt", 1, floats, false, kRoot},
      {"Rsqrt", 1, floats, false, kRoot},
      {"Reciprocal", 1, floats},
      {"Ceil", 1, floats},
      {"Floor", 1, floats},
      {"Round", 1, numeric, false, 1, kNotLinear, {DefaultAttr("decimals", int64_t{0})}},
      {"Exp", 1, floats, false, kTranscendental, kNotLinear, exponent},
      {"Log", 1, floats, false, kTranscendental, kNotLinear, exponent},
      // Comparison and logic.
      {"Equal", 2, any, true},
      {"NotEqual", 2, any, true},
      {"Less", 2, numeric, true},
      {"LessEqual", 2, numeric, true},
      {"Greater", 2, numeric, true},
      {"GreaterEqual", 2, numeric, true},
      {"LogicalAnd", 2, boolean},
      {"LogicalOr", 2, boolean},
      {"LogicalNot", 1, boolean},
      {"BitwiseAnd", 2, integer},
      {"BitwiseOr", 2, integer},
      {"BitwiseXor", 2, integer},
      {"Invert", 1, integer},
      {"LeftShift", 2, integer},
      {"RightShift", 2, integer},
      {"IsNan", 1, floats, true},
      {"IsInf", 1, floats, true},
      {"IsFinite", 1, floats, true},
      // Constants of the shape of x.
      {"ZerosLike", 1, any, false, 0},
      {"OnesLike", 1, any, false, 0},
  };
  for (const char* type : {"Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh", "Asinh",
                           "Acosh", "Atanh", "Erf"}) {
    table.push_back({type, 1, floats, false, kTranscendental});
  }
  return table;
}

absl::Status CheckAccepts(const NodeView& view, int i, Accepts accepts) {
  const DataType type = view.input(i).type;
  const char* wanted = nullptr;
  switch (accepts) {
    case Accepts::kAny:
      break;
    case Accepts::kNumeric:
      wanted = IsNumericType(type) ? nullptr : "a number";
      break;
    case Accepts::kFloat:
      wanted = IsFloatType(type) ? nullptr : "of a floating-point type";
      break;
    case Accepts::kInteger:
      wanted = IsIntegerType(type) ? nullptr : "of an integer type";
      break;
    case Accepts::kBool:
      wanted = type == DataType::kBool ? nullptr : "bool";
      break;
  }
  if (wanted == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(InputName(view, i), " is ", ToString(view.input(i)), "; it must be ", wanted));
}

InferFunction InferElementwise(Accepts accepts, bool to_bool) {
  return [=](const NodeView& view) -> absl::StatusOr<Descs> {
    for (int i = 0; i < view.num_inputs(); ++i) {
      RETURN_IF_ERROR(CheckAccepts(view, i, accepts));
      RETURN_IF_ERROR(CheckSameType(view, 0, i));
    }
    ASSIGN_OR_RETURN(Shape shape, BroadcastInputs(view, 0, view.num_inputs()));
    return Descs{{to_bool ? DataType::kBool : view.input(0).type, shape}};
  };
}

// --- A sum of any number of tensors
// ---------------------------------------------------------------------------------

absl::StatusOr<ShardingRule> SumOfManyRule(const NodeView& view) {
  std::vector<int> all(view.num_inputs());
  std::iota(all.begin(), all.end(), 0);
  return ElementwiseRule({{all}})(view);
}

absl::StatusOr<Descs> InferSumOfMany(const NodeView& view) {
  if (view.num_inputs() == 0 || view.num_inputs() != view.Attr<int64_t>("N")) {
    return absl::InvalidArgumentError(absl::StrCat("attribute 'N' is ", view.Attr<int64_t>("N"),
                                                   " but there are ", view.num_inputs(), " inputs"));
  }
  return InferElementwise(Accepts::kNumeric, false)(view);
}

// --- Selection
// ------------------------------------------------------------------------------------------------------

absl::StatusOr<Descs> InferSelect(const NodeView& view) {
  RETURN_IF_ERROR(CheckAccepts(view, 0, Accepts::kBool));
  RETURN_IF_ERROR(CheckSameType(view, 1, 2));
  ASSIGN_OR_RETURN(Shape shape, BroadcastInputs(view, 0, 3));
  return Descs{{view.input(1).type, shape}};
}

// Select does not broadcast.
absl::StatusOr<Descs> InferSelectSameShape(const NodeView& view) {
  for (int i : {1, 2}) RETURN_IF_ERROR(CheckSameShape(view, 0, i));
  return InferSelect(view);
}

absl::StatusOr<Descs> InferClip(const NodeView& view) {
  RETURN_IF_ERROR(CheckAccepts(view, 0, Accepts::kNumeric));
  for (int i : {1, 2}) {
    RETURN_IF_ERROR(CheckSameType(view, 0, i));
    RETURN_IF_ERROR(CheckBroadcastsTo(view, i, view.input_shape(0)));
  }
  return Descs{view.input(0)};
}

absl::StatusOr<Descs> InferMaskedFill(const NodeView& view) {
  RETURN_IF_ERROR(CheckAccepts(view, 1, Accepts::kBool));
  RETURN_IF_ERROR(CheckSameType(view, 0, 2));
  ASSIGN_OR_RETURN(Shape shape, BroadcastInputs(view, 0, 3));
  return Descs{{view.input(0).type, shape}};
}

// --- Conversion and bias
// --------------------------------------------------------------------------------------------

absl::StatusOr<Descs> InferCast(const NodeView& view) {
  ASSIGN_OR_RETURN(DataType type, TypeAttr(view, "dst_type"));
  if (SizeOf(type) == 0 || SizeOf(view.input(0).type) == 0) {
    return absl::UnimplementedError(absl::StrCat("cannot convert ", ToString(view.input(0)), " to ",
                                                 ToString(TensorDesc{type, view.input_shape(0)})));
  }
  return Descs{{type, view.input_shape(0)}};
}

// The dimension of x that the bias runs along.
absl::StatusOr<int> BiasAxis(const NodeView& view) {
  RETURN_IF_ERROR(CheckMinRank(view, 0, 2));
  const int rank = static_cast<int>(view.input_shape(0).size());
  const std::string format = view.Attr<std::string>("data_format");
  if (format == "NCHW" || format == "NCDHW") return 1;
  if (format == "NHWC" || format == "NDHWC" || format == "ND") return rank - 1;
  return absl::InvalidArgumentError(
      absl::StrCat("attribute 'data_format' is '", format, "'; it must be NHWC or NCHW"));
}

absl::StatusOr<Descs> InferBiasAdd(const NodeView& view) {
  RETURN_IF_ERROR(CheckAccepts(view, 0, Accepts::kNumeric));
  RETURN_IF_ERROR(CheckSameType(view, 0, 1));
  RETURN_IF_ERROR(CheckRank(view, 1, 1));
  ASSIGN_OR_RETURN(int axis, BiasAxis(view));
  TensorDesc y = view.input(0);
  if (!DimsAgree(y.shape[axis], view.input_shape(1)[0])) {
    return absl::InvalidArgumentError(absl::StrCat("bias is ", ToString(view.input(1)), "; it must have the ",
                                                   y.shape[axis], " elements of dimension ", axis, " of x"));
  }
  y.shape[axis] = KnownDim(y.shape[axis], view.input_shape(1)[0]);
  return Descs{y};
}

absl::StatusOr<ShardingRule> BiasAddRule(const NodeView& view) {
  ASSIGN_OR_RETURN(int axis, BiasAxis(view));
  RuleBuilder rule(view);
  const Shape& shape = view.input_shape(0);
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    const int factor = rule.Add(shape[d], FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, d, factor);
    if (d == axis) rule.Input(1, 0, factor);
  }
  AddLinear(view, kSum, rule);
  return rule.Finish();
}

}  // namespace

void AddElementwiseOps(OpRegistry& registry) {
  for (const ElementwiseOp& op : Table()) {
    registry.Add({.type = op.type,
                  .inputs = op.arity == 1 ? std::vector<InputDef>{Required("x")}
                                          : std::vector<InputDef>{Required("x1"), Required("x2")},
                  .outputs = {"y"},
                  .attrs = op.attrs,
                  .infer = InferElementwise(op.accepts, op.to_bool),
                  .rule = ElementwiseRule(op.linearity),
                  .cost = PerOutputElement(op.flops)});
  }
  for (const char* type : {"AddN", "AccumulateNV2"}) {
    registry.Add({.type = type,
                  .inputs = {Dynamic("x")},
                  .outputs = {"y"},
                  .attrs = {RequiredAttr<int64_t>("N")},
                  .infer = InferSumOfMany,
                  .rule = SumOfManyRule,
                  .cost = [](const NodeView& view) { return ElementCost(view, view.num_inputs()); }});
  }
  registry.Add({.type = "SelectV2",
                .inputs = {Required("condition"), Required("then"), Required("else")},
                .outputs = {"result"},
                .infer = InferSelect,
                .rule = ElementwiseRule()});
  registry.Add({.type = "Select",
                .inputs = {Required("condition"), Required("x1"), Required("x2")},
                .outputs = {"y"},
                .infer = InferSelectSameShape,
                .rule = ElementwiseRule()});
  registry.Add({.type = "MaskedFill",
                .inputs = {Required("x"), Required("mask"), Required("value")},
                .outputs = {"y"},
                .infer = InferMaskedFill,
                .rule = ElementwiseRule()});
  registry.Add({.type = "ClipByValue",
                .inputs = {Required("x"), Required("clip_value_min"), Required("clip_value_max")},
                .outputs = {"y"},
                .infer = InferClip,
                .rule = ElementwiseRule(),
                .cost = PerOutputElement(2)});
  registry.Add({.type = "Cast",
                .inputs = {Required("x")},
                .outputs = {"y"},
                .attrs = {RequiredAttr<int64_t>("dst_type")},
                .infer = InferCast,
                .rule = ElementwiseRule(kFloatScale)});
  registry.Add({.type = "BiasAdd",
                .inputs = {Required("x"), Required("bias")},
                .outputs = {"y"},
                .attrs = {DefaultAttr("data_format", std::string("NHWC"))},
                .infer = InferBiasAdd,
                .rule = BiasAddRule});
}

}  // namespace omserve
