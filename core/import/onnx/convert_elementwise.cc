// Element-wise arithmetic, comparison, logic and casts.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/import/onnx/converter.h"

namespace omserve {
namespace {

absl::Status ConvertUnary(Conversion& c) {
  c.SetOutput(0, c.Node(c.target(), {c.input(0)}, {}, c.info(0)));
  return absl::OkStatus();
}

// float → bool
absl::Status ConvertPredicate(Conversion& c) {
  c.SetOutput(0, c.Node(c.target(), {c.input(0)}, {}, c.info(0).As(DataType::kBool)));
  return absl::OkStatus();
}

absl::Status ConvertBinary(Conversion& c) {
  c.SetOutput(0, c.Node(c.target(), {c.input(0), c.input(1)}, {}, BroadcastInfo(c.info(0), c.info(1))));
  return absl::OkStatus();
}

// Comparisons and logic: the result is bool.
absl::Status ConvertCompare(Conversion& c) {
  const ValueInfo info = BroadcastInfo(c.info(0), c.info(1)).As(DataType::kBool);
  c.SetOutput(0, c.Node(c.target(), {c.input(0), c.input(1)}, {}, info));
  return absl::OkStatus();
}

// ONNX divides integers towards zero.
absl::Status ConvertDiv(Conversion& c) {
  const ValueInfo info = BroadcastInfo(c.info(0), c.info(1));
  const char* type = IsInteger(info.type) ? "TruncateDiv" : "RealDiv";
  c.SetOutput(0, c.Node(type, {c.input(0), c.input(1)}, {}, info));
  return absl::OkStatus();
}

// fmod = 0: the sign of the divisor (Python's %); fmod = 1: the sign of the dividend (C's fmod).
absl::Status ConvertMod(Conversion& c) {
  const char* type = c.Int("fmod", 0) == 0 ? "FloorMod" : "Mod";
  c.SetOutput(0, c.Node(type, {c.input(0), c.input(1)}, {}, BroadcastInfo(c.info(0), c.info(1))));
  return absl::OkStatus();
}

// From opset 12 base and exponent may differ in type; the result has the base's.
absl::Status ConvertPow(Conversion& c) {
  ValueInfo info = BroadcastInfo(c.info(0), c.info(1));
  const DataType base = c.type(0);
  const DataType exponent = c.type(1);
  const bool known = base != DataType::kUndefined && exponent != DataType::kUndefined;
  if (known && IsInteger(base) && IsFloatingPoint(exponent)) {
    const ValueId power = c.Node("Pow", {c.Cast(c.input(0), exponent), c.input(1)}, {}, info.As(exponent));
    c.SetOutput(0, c.Cast(power, base));
    return absl::OkStatus();
  }
  const ValueId same_type = known ? c.Cast(c.input(1), base) : c.input(1);
  c.SetOutput(0, c.Node("Pow", {c.input(0), same_type}, {}, info));
  return absl::OkStatus();
}

// A chain of two-operand nodes over all inputs. Not AddN and the like: those do not broadcast.
ValueId Chain(Conversion& c, const std::string& type, bool last_is_node) {
  const std::vector<ValueId> inputs = c.inputs();
  ValueId sum = inputs[0];
  for (size_t i = 1; i < inputs.size(); ++i) {
    const ValueInfo info = BroadcastInfo(c.info(sum), c.info(inputs[i]));
    const bool last = i + 1 == inputs.size();
    sum = last && last_is_node ? c.Node(type, {sum, inputs[i]}, {}, info)
                               : c.Helper(type, {sum, inputs[i]}, {}, info);
  }
  return sum;
}

// Max, Min, Sum
absl::Status ConvertVariadic(Conversion& c) {
  c.SetOutput(0, c.num_inputs() == 1 ? c.Node("Identity", {c.input(0)}, {}, c.info(0))
                                     : Chain(c, c.target(), /*last_is_node=*/true));
  return absl::OkStatus();
}

absl::Status ConvertMean(Conversion& c) {
  const ValueId sum = Chain(c, "Add", /*last_is_node=*/false);
  const float scale = 1.0f / static_cast<float>(c.num_inputs());
  c.SetOutput(0, c.Node("Muls", {sum}, {{"value", scale}}, c.info(sum)));
  return absl::OkStatus();
}

// ClipByValue where both bounds are given, Maximum or Minimum where one is.
ValueId Clip(Conversion& c, ValueId low, ValueId high) {
  const ValueId x = c.input(0);
  if (low.valid() && high.valid()) return c.Node("ClipByValue", {x, low, high}, {}, c.info(x));
  if (low.valid()) return c.Node("Maximum", {x, low}, {}, c.info(x));
  if (high.valid()) return c.Node("Minimum", {x, high}, {}, c.info(x));
  return c.Node("Identity", {x}, {}, c.info(x));
}

absl::Status ConvertClip6(Conversion& c) {
  ValueId low, high;
  if (c.HasAttr("min")) low = c.Scalar("min", c.Float("min", 0), c.type(0));
  if (c.HasAttr("max")) high = c.Scalar("max", c.Float("max", 0), c.type(0));
  c.SetOutput(0, Clip(c, low, high));
  return absl::OkStatus();
}

absl::Status ConvertClip11(Conversion& c) {
  c.SetOutput(0, Clip(c, c.optional_input(1), c.optional_input(2)));
  return absl::OkStatus();
}

absl::Status ConvertIsInf(Conversion& c) {
  const bool positive = c.Int("detect_positive", 1) != 0;
  const bool negative = c.Int("detect_negative", 1) != 0;
  const ValueInfo info = c.info(0).As(DataType::kBool);
  if (positive && negative) {
    c.SetOutput(0, c.Node("IsInf", {c.input(0)}, {}, info));
    return absl::OkStatus();
  }
  if (!positive && !negative) return c.Unsupported("detecting neither positive nor negative infinity");
  const ValueId zero = c.Scalar("zero", 0, c.type(0));
  const ValueId sign = c.Helper(positive ? "Greater" : "Less", {c.input(0), zero}, {}, info);
  const ValueId any = c.Helper("IsInf", {c.input(0)}, {}, info);
  c.SetOutput(0, c.Node("LogicalAnd", {any, sign}, {}, info));
  return absl::OkStatus();
}

absl::Status ConvertWhere(Conversion& c) {
  ValueInfo info = BroadcastInfo(c.info(1), c.info(2));
  info = BroadcastInfo(info, c.info(0));
  c.SetOutput(0, c.Node("SelectV2", {c.input(0), c.input(1), c.input(2)}, {}, info));
  return absl::OkStatus();
}

absl::Status CastTo(Conversion& c, DataType type) {
  c.Ignore("saturate");  // about 8-bit floats, which are no element type here
  c.Ignore("round_mode");
  if (SizeOf(type) == 0) return c.Unsupported(absl::StrCat("a cast to ", std::string(Name(type))));
  c.SetOutput(0, c.Node("Cast", {c.input(0)}, {{"dst_type", int64_t{ToAclNumber(type)}}}, c.info(0).As(type)));
  return absl::OkStatus();
}

absl::Status ConvertCast(Conversion& c) {
  if (!c.HasAttr("to")) return absl::InvalidArgumentError("its attribute 'to' is missing");
  const int64_t number = c.Int("to", 0);
  if (number != static_cast<int32_t>(number)) {
    return absl::InvalidArgumentError(absl::StrCat("its attribute 'to' = ", number, " is no data type"));
  }
  ASSIGN_OR_RETURN_WITH(DataType type, DataTypeFromOnnxNumber(static_cast<int32_t>(number)), "its attribute 'to'");
  return CastTo(c, type);
}

absl::Status ConvertCastLike(Conversion& c) {
  c.input(1);
  if (c.type(1) == DataType::kUndefined) {
    return c.Unsupported("the type of its second input is not known before shape inference");
  }
  return CastTo(c, c.type(1));
}

absl::Status ConvertBitShift(Conversion& c) {
  const std::string direction = c.String("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") {
    return absl::InvalidArgumentError(absl::StrCat("its attribute direction = '", direction,
                                                   "' is neither 'LEFT' nor 'RIGHT'"));
  }
  const char* type = direction == "LEFT" ? "LeftShift" : "RightShift";
  c.SetOutput(0, c.Node(type, {c.input(0), c.input(1)}, {}, BroadcastInfo(c.info(0), c.info(1))));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"Abs", 6, kNewestOpset, 1, 1, ConvertUnary, "Abs"},
    {"Acos", 7, kNewestOpset, 1, 1, ConvertUnary, "Acos"},
    {"Acosh", 9, kNewestOpset, 1, 1, ConvertUnary, "Acosh"},
    {"Asin", 7, kNewestOpset, 1, 1, ConvertUnary, "Asin"},
    {"Asinh", 9, kNewestOpset, 1, 1, ConvertUnary, "Asinh"},
    {"Atan", 7, kNewestOpset, 1, 1, ConvertUnary, "Atan"},
    {"Atanh", 9, kNewestOpset, 1, 1, ConvertUnary, "Atanh"},
    {"BitwiseNot", 18, kNewestOpset, 1, 1, ConvertUnary, "Invert"},
    {"Ceil", 6, kNewestOpset, 1, 1, ConvertUnary, "Ceil"},
    {"Cos", 7, kNewestOpset, 1, 1, ConvertUnary, "Cos"},
    {"Cosh", 9, kNewestOpset, 1, 1, ConvertUnary, "Cosh"},
    {"Erf", 9, kNewestOpset, 1, 1, ConvertUnary, "Erf"},
    {"Exp", 6, kNewestOpset, 1, 1, ConvertUnary, "Exp"},
    {"Floor", 6, kNewestOpset, 1, 1, ConvertUnary, "Floor"},
    {"Log", 6, kNewestOpset, 1, 1, ConvertUnary, "Log"},
    {"Neg", 6, kNewestOpset, 1, 1, ConvertUnary, "Neg"},
    {"Not", 1, kNewestOpset, 1, 1, ConvertUnary, "LogicalNot"},
    {"Reciprocal", 6, kNewestOpset, 1, 1, ConvertUnary, "Reciprocal"},
    {"Round", 11, kNewestOpset, 1, 1, ConvertUnary, "Round"},
    {"Sign", 9, kNewestOpset, 1, 1, ConvertUnary, "Sign"},
    {"Sin", 7, kNewestOpset, 1, 1, ConvertUnary, "Sin"},
    {"Sinh", 9, kNewestOpset, 1, 1, ConvertUnary, "Sinh"},
    {"Sqrt", 6, kNewestOpset, 1, 1, ConvertUnary, "Sqrt"},
    {"Tan", 7, kNewestOpset, 1, 1, ConvertUnary, "Tan"},

    {"IsInf", 10, kNewestOpset, 1, 1, ConvertIsInf},
    {"IsNaN", 9, kNewestOpset, 1, 1, ConvertPredicate, "IsNan"},

    {"Add", 7, kNewestOpset, 2, 2, ConvertBinary, "Add"},
    {"BitShift", 11, kNewestOpset, 2, 2, ConvertBitShift},
    {"BitwiseAnd", 18, kNewestOpset, 2, 2, ConvertBinary, "BitwiseAnd"},
    {"BitwiseOr", 18, kNewestOpset, 2, 2, ConvertBinary, "BitwiseOr"},
    {"BitwiseXor", 18, kNewestOpset, 2, 2, ConvertBinary, "BitwiseXor"},
    {"Div", 7, kNewestOpset, 2, 2, ConvertDiv},
    {"Mod", 10, kNewestOpset, 2, 2, ConvertMod},
    {"Mul", 7, kNewestOpset, 2, 2, ConvertBinary, "Mul"},
    {"Pow", 7, kNewestOpset, 2, 2, ConvertPow},
    {"Sub", 7, kNewestOpset, 2, 2, ConvertBinary, "Sub"},

    {"And", 7, kNewestOpset, 2, 2, ConvertCompare, "LogicalAnd"},
    {"Equal", 7, kNewestOpset, 2, 2, ConvertCompare, "Equal"},
    {"Greater", 7, kNewestOpset, 2, 2, ConvertCompare, "Greater"},
    {"GreaterOrEqual", 12, kNewestOpset, 2, 2, ConvertCompare, "GreaterEqual"},
    {"Less", 7, kNewestOpset, 2, 2, ConvertCompare, "Less"},
    {"LessOrEqual", 12, kNewestOpset, 2, 2, ConvertCompare, "LessEqual"},
    {"Or", 7, kNewestOpset, 2, 2, ConvertCompare, "LogicalOr"},
    // On bool, exclusive or is inequality.
    {"Xor", 7, kNewestOpset, 2, 2, ConvertCompare, "NotEqual"},

    {"Max", 6, kNewestOpset, 1, kAnyNumber, ConvertVariadic, "Maximum"},
    {"Mean", 6, kNewestOpset, 1, kAnyNumber, ConvertMean},
    {"Min", 6, kNewestOpset, 1, kAnyNumber, ConvertVariadic, "Minimum"},
    {"Sum", 6, kNewestOpset, 1, kAnyNumber, ConvertVariadic, "Add"},

    {"Clip", 6, 10, 1, 1, ConvertClip6},
    {"Clip", 11, kNewestOpset, 1, 3, ConvertClip11},
    {"Where", 9, kNewestOpset, 3, 3, ConvertWhere},
    {"Cast", 6, kNewestOpset, 1, 1, ConvertCast},
    {"CastLike", 15, kNewestOpset, 2, 2, ConvertCastLike},
};

}  // namespace

absl::Span<const Converter> ElementwiseConverters() { return kConverters; }

}  // namespace omserve
