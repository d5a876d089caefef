#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/passes/constants.h"
#include "core/passes/rules.h"

namespace omserve {
namespace {

// The other input of a binary node when input `i` is a constant whose elements all equal `value`, and the
// node's output looks like that other input (nothing is broadcast). Absent else.
std::optional<ValueId> OtherIfNeutral(const Rewriter& rewriter, const Node& node, int i, double value) {
  const ValueId other = node.input(1 - i);
  if (rewriter.desc(other) != node.output()) return std::nullopt;
  const std::optional<double> uniform = UniformValue(rewriter.graph(), node.input(i));
  return uniform && *uniform == value ? std::optional(other) : std::nullopt;
}

absl::StatusOr<bool> ReplaceWith(Rewriter& rewriter, Node& node, ValueId value) {
  RETURN_IF_ERROR(rewriter.Replace(node.out(), value));
  return true;
}

// Identity(x), TensorMove(x), and Dropout(x), which does nothing at inference → x. An Identity stays where it
// gives a graph output that would otherwise be a Data or a Const.
absl::StatusOr<bool> DropIdentity(Rewriter& rewriter, Node& node) {
  if (!rewriter.OnlyFirstOutputUsed(node) || rewriter.desc(node.input(0)) != node.output()) return false;
  const Node& producer = *rewriter.graph().node(node.input(0).node);
  if (node.is("Identity") && (producer.is_data() || producer.is_const())) {
    bool only_outputs = true;
    for (const Rewriter::Use& use : rewriter.UsesOf(node.out())) {
      only_outputs &= use.reader == Rewriter::Use::kGraphOutput;
    }
    if (only_outputs) return false;
  }
  return ReplaceWith(rewriter, node, node.input(0));
}

// One name for each arithmetic operator: AddV2 → Add, Div of floats → RealDiv, Muls/Adds → Mul/Add with a
// constant.
absl::StatusOr<bool> CanonicalName(Rewriter& rewriter, Node& node) {
  const std::vector<ValueId> inputs(node.inputs().begin(), node.inputs().end());
  if (node.is("AddV2")) {
    RETURN_IF_ERROR(rewriter.Become(node, "Add", inputs));
    return true;
  }
  if (node.is("Div")) {
    if (!IsFloating(node.output().type)) return false;
    RETURN_IF_ERROR(rewriter.Become(node, "RealDiv", inputs));
    return true;
  }
  const float* factor = node.FindAttr<float>("value");
  if (factor == nullptr) return false;
  std::optional<Tensor> scalar = ScalarOf(node.output().type, *factor);
  if (!scalar) return false;
  const ValueId constant = rewriter.AddConstant(absl::StrCat(node.name(), "/value"), *std::move(scalar));
  RETURN_IF_ERROR(rewriter.Become(node, node.is("Muls") ? "Mul" : "Add", {node.input(0), constant}));
  return true;
}

// AddN and AccumulateNV2 of one tensor → that tensor, of two → Add.
absl::StatusOr<bool> SumOfFew(Rewriter& rewriter, Node& node) {
  if (node.num_inputs() == 1 && rewriter.desc(node.input(0)) == node.output()) {
    return ReplaceWith(rewriter, node, node.input(0));
  }
  if (node.num_inputs() != 2) return false;
  RETURN_IF_ERROR(rewriter.Become(node, "Add", {node.input(0), node.input(1)}));
  return true;
}

// f(constant, x) → f(x, constant) for commutative f, so that other rules look for constants in one place.
absl::StatusOr<bool> ConstantSecond(Rewriter& rewriter, Node& node) {
  if (rewriter.graph().ConstantOf(node.input(0)) == nullptr ||
      rewriter.graph().ConstantOf(node.input(1)) != nullptr) {
    return false;
  }
  RETURN_IF_ERROR(rewriter.SetInputs(node, {node.input(1), node.input(0)}));
  return true;
}

// x + 0, x - 0, x * 1, x / 1, x ^ 1 → x. (x * 0 stays: x may be infinite.)
absl::StatusOr<bool> DropNeutral(Rewriter& rewriter, Node& node) {
  const bool additive = node.is("Add") || node.is("Sub");
  const std::optional<ValueId> other = OtherIfNeutral(rewriter, node, 1, additive ? 0 : 1);
  return other ? ReplaceWith(rewriter, node, *other) : absl::StatusOr<bool>(false);
}

// x * x → Square(x).
absl::StatusOr<bool> ProductWithItself(Rewriter& rewriter, Node& node) {
  if (node.input(0) != node.input(1)) return false;
  RETURN_IF_ERROR(rewriter.Become(node, "Square", {node.input(0)}));
  return true;
}

// Pow with the constant exponents that have a cheaper operator: 2, 3 (x * x²), 0.5, -0.5, -1.
absl::StatusOr<bool> ConstantPower(Rewriter& rewriter, Node& node) {
  const ValueId x = node.input(0);
  const std::optional<double> exponent = UniformValue(rewriter.graph(), node.input(1));
  if (!exponent || rewriter.desc(x) != node.output()) return false;
  if (*exponent == 2) {
    RETURN_IF_ERROR(rewriter.Become(node, "Square", {x}));
    return true;
  }
  if (!IsFloating(node.output().type)) return false;
  if (*exponent == 3) {
    ASSIGN_OR_RETURN(const ValueId square, rewriter.Add("Square", absl::StrCat(node.name(), "/square"), {x}));
    RETURN_IF_ERROR(rewriter.Become(node, "Mul", {x, square}));
    return true;
  }
  const char* type = *exponent == 0.5    ? "Sqrt"
                     : *exponent == -0.5 ? "Rsqrt"
                     : *exponent == -1   ? "Reciprocal"
                                         : nullptr;
  if (type == nullptr) return false;
  RETURN_IF_ERROR(rewriter.Become(node, type, {x}));
  return true;
}

// 1 / Sqrt(x), Reciprocal(Sqrt(x)) → Rsqrt(x); another 1 / x → Reciprocal(x).
absl::StatusOr<bool> OneOver(Rewriter& rewriter, Node& node) {
  const ValueId denominator = node.input(node.num_inputs() - 1);
  if (!IsFloating(node.output().type) || rewriter.desc(denominator) != node.output()) return false;
  if (node.is("RealDiv") && UniformValue(rewriter.graph(), node.input(0)) != 1.0) return false;
  const Node* sqrt = rewriter.Producer(denominator, "Sqrt");
  if (sqrt != nullptr && rewriter.HasOneUse(sqrt->out())) {
    RETURN_IF_ERROR(rewriter.Become(node, "Rsqrt", {sqrt->input(0)}));
    return true;
  }
  if (node.is("Reciprocal")) return false;
  RETURN_IF_ERROR(rewriter.Become(node, "Reciprocal", {denominator}));
  return true;
}

// x / c → x * (1 / c) where 1 / c is exact: c a power of two.
absl::StatusOr<bool> DivideByPowerOfTwo(Rewriter& rewriter, Node& node) {
  if (!IsFloating(node.output().type)) return false;
  const std::optional<double> divisor = UniformValue(rewriter.graph(), node.input(1));
  int exponent = 0;
  if (!divisor || std::abs(std::frexp(*divisor, &exponent)) != 0.5 || std::abs(exponent) > 64) return false;
  // A divisor that is broadcast wider than x must keep its shape.
  if (rewriter.shape(node.input(0)) != node.output().shape) return false;
  std::optional<Tensor> factor = ScalarOf(node.output().type, 1 / *divisor);
  if (!factor) return false;
  const ValueId constant = rewriter.AddConstant(absl::StrCat(node.name(), "/factor"), *std::move(factor));
  RETURN_IF_ERROR(rewriter.Become(node, "Mul", {node.input(0), constant}));
  return true;
}

// x + Neg(y) → x - y; 0 - x → Neg(x).
absl::StatusOr<bool> Negations(Rewriter& rewriter, Node& node) {
  if (node.is("Sub")) {
    const std::optional<ValueId> x = OtherIfNeutral(rewriter, node, 0, 0);
    if (!x) return false;
    RETURN_IF_ERROR(rewriter.Become(node, "Neg", {*x}));
    return true;
  }
  for (int i : {1, 0}) {
    const Node* neg = rewriter.Producer(node.input(i), "Neg");
    if (neg == nullptr) continue;
    RETURN_IF_ERROR(rewriter.Become(node, "Sub", {node.input(1 - i), neg->input(0)}));
    return true;
  }
  return false;
}

// (x ∘ c1) ∘ c2 → x ∘ (c1 ∘ c2) for Add and Mul, when the two constants together are no larger than one of
// them.
absl::StatusOr<bool> MergeConstants(Rewriter& rewriter, Node& node) {
  const Node* inner = rewriter.Producer(node.input(0), node.type());
  const Graph& graph = rewriter.graph();
  if (inner == nullptr || !rewriter.HasOneUse(inner->out()) || graph.ConstantOf(inner->input(0)) != nullptr ||
      graph.ConstantOf(inner->input(1)) == nullptr || graph.ConstantOf(node.input(1)) == nullptr) {
    return false;
  }
  const Shape& first = rewriter.shape(inner->input(1));
  const Shape& second = rewriter.shape(node.input(1));
  absl::StatusOr<Shape> merged = BroadcastShapes(first, second);
  if (!merged.ok() || NumElements(*merged) > std::max(NumElements(first), NumElements(second))) return false;
  ASSIGN_OR_RETURN(const ValueId constant, rewriter.Add(node.type(), absl::StrCat(node.name(), "/constant"),
                                                        {inner->input(1), node.input(1)}));
  RETURN_IF_ERROR(rewriter.SetInputs(node, {inner->input(0), constant}));
  return true;
}

// Whether every value of `from` is a value of `to`.
bool Contains(DataType to, DataType from) {
  if (from == to || from == DataType::kBool) return true;
  switch (from) {
    case DataType::kInt8:
      return to == DataType::kInt16 || to == DataType::kInt32 || to == DataType::kInt64 ||
             to == DataType::kFloat || to == DataType::kDouble;
    case DataType::kUint8:
      return to == DataType::kInt16 || to == DataType::kInt32 || to == DataType::kInt64 ||
             to == DataType::kFloat || to == DataType::kDouble;
    case DataType::kInt32:
      return to == DataType::kInt64 || to == DataType::kDouble;
    case DataType::kFloat16:
    case DataType::kBfloat16:
      return to == DataType::kFloat || to == DataType::kDouble;
    case DataType::kFloat:
      return to == DataType::kDouble;
    default:
      return false;
  }
}

// Cast to the type it has already → nothing; Cast(Cast(x)) → one Cast when the middle type loses nothing.
absl::StatusOr<bool> MergeCasts(Rewriter& rewriter, Node& node) {
  const ValueId x = node.input(0);
  if (rewriter.desc(x) == node.output()) return ReplaceWith(rewriter, node, x);
  const Node* inner = rewriter.Producer(x, "Cast");
  if (inner == nullptr || !Contains(inner->output().type, rewriter.desc(inner->input(0)).type)) return false;
  RETURN_IF_ERROR(rewriter.Become(node, "Cast", {inner->input(0)}, node.attrs()));
  return true;
}

// SelectV2 with a constant condition that is all true or all false, or with equal branches → the branch.
absl::StatusOr<bool> KnownSelect(Rewriter& rewriter, Node& node) {
  const std::optional<double> condition = UniformValue(rewriter.graph(), node.input(0));
  if (!condition && node.input(1) != node.input(2)) return false;
  const ValueId branch = node.input(condition && *condition == 0 ? 2 : 1);
  if (rewriter.desc(branch) == node.output()) return ReplaceWith(rewriter, node, branch);
  const ValueId shape =
      rewriter.AddConstant(absl::StrCat(node.name(), "/shape"), Tensor::Int64s(node.output().shape));
  RETURN_IF_ERROR(rewriter.Become(node, "BroadcastTo", {branch, shape}));
  return true;
}

}  // namespace

std::vector<Rule> ArithmeticRules() {
  return {
      {"drop-identity", {"Identity", "TensorMove", "Dropout"}, DropIdentity},
      {"canonical-name", {"AddV2", "Div", "Muls", "Adds"}, CanonicalName},
      {"sum-of-few", {"AddN", "AccumulateNV2"}, SumOfFew},
      {"constant-second", {"Add", "Mul", "Maximum", "Minimum"}, ConstantSecond},
      {"drop-neutral", {"Add", "Sub", "Mul", "RealDiv", "Pow"}, DropNeutral},
      {"product-with-itself", {"Mul"}, ProductWithItself},
      {"constant-power", {"Pow"}, ConstantPower},
      {"one-over", {"RealDiv", "Reciprocal"}, OneOver},
      {"divide-by-power-of-two", {"RealDiv"}, DivideByPowerOfTwo},
      {"negations", {"Add", "Sub"}, Negations},
      {"merge-constants", {"Add", "Mul"}, MergeConstants},
      {"merge-casts", {"Cast"}, MergeCasts},
      {"known-select", {"SelectV2", "Select"}, KnownSelect},
  };
}

}  // namespace omserve
