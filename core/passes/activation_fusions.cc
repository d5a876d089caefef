// Activations from the products that exporters write for them, in any order of the factors:
//   Gelu       x * 0.5 * (1 + erf(x / √2))
//   GeluV2     x * 0.5 * (1 + tanh(√(2/π) * (x + 0.044715 x³)))       (approximate = "tanh")
//   Swish      x * sigmoid(scale * x)
//   HardSwish  x * relu6(x + 3) / 6        HardSigmoid  relu6(x + 3) / 6
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/passes/constants.h"
#include "core/passes/rules.h"

namespace omserve {
namespace {

// Exporters write the constants with four digits or more.
bool Near(double a, double b) { return std::abs(a - b) <= 1e-4 * std::abs(b); }

// coefficient * factors[0] * factors[1] * …, read off a tree of Mul, Square and divisions by constants.
struct Product {
  double coefficient = 1;
  std::vector<ValueId> factors;
  std::vector<Node*> interior;  // the tree's nodes
};

constexpr int kMaxDepth = 6;

// Nodes that are read elsewhere, or that broadcast, end the tree: they are factors. (The root may be read
// anywhere.)
void Flatten(Rewriter& rewriter, ValueId value, const TensorDesc& desc, int depth, Product& product) {
  if (std::optional<double> constant = UniformValue(rewriter.graph(), value)) {
    product.coefficient *= *constant;
    return;
  }
  Node* node = rewriter.graph().node(value.node);
  const bool inside = node->num_outputs() == 1 && node->output() == desc && depth < kMaxDepth &&
                      (depth == 0 || rewriter.HasOneUse(value));
  // 0 when the node is no division by a constant.
  const double divisor =
      inside && node->is("RealDiv") ? UniformValue(rewriter.graph(), node->input(1)).value_or(0) : 0;
  if (!inside || !(node->is("Mul") || node->is("Square") || divisor != 0)) {
    product.factors.push_back(value);
    return;
  }
  product.interior.push_back(node);
  Flatten(rewriter, node->input(0), desc, depth + 1, product);
  if (node->is("Mul")) Flatten(rewriter, node->input(1), desc, depth + 1, product);
  if (node->is("Square")) {
    // Once more, but the nodes below are in the tree already.
    Product again;
    Flatten(rewriter, node->input(0), desc, depth + 1, again);
    product.coefficient *= again.coefficient;
    product.factors.insert(product.factors.end(), again.factors.begin(), again.factors.end());
  }
  if (divisor != 0) product.coefficient /= divisor;
}

Product ProductOf(Rewriter& rewriter, ValueId value) {
  Product product;
  Flatten(rewriter, value, rewriter.desc(value), 0, product);
  return product;
}

void Append(std::vector<Node*>& nodes, const std::vector<Node*>& more) {
  nodes.insert(nodes.end(), more.begin(), more.end());
}

// The other input of an Add with a constant that is `value` everywhere; the Add joins `interior`.
std::optional<ValueId> Plus(Rewriter& rewriter, ValueId sum, double value, std::vector<Node*>& interior) {
  Node* add = rewriter.Producer(sum, "Add");
  if (add == nullptr || rewriter.desc(add->input(0)) != add->output()) return std::nullopt;
  const std::optional<double> constant = UniformValue(rewriter.graph(), add->input(1));
  if (!constant || !Near(*constant, value)) return std::nullopt;
  interior.push_back(add);
  return add->input(0);
}

// Whether `value` is coefficient * x^power.
bool IsMonomial(Rewriter& rewriter, ValueId value, double coefficient, ValueId x, size_t power,
                std::vector<Node*>& interior) {
  const Product product = ProductOf(rewriter, value);
  const bool same =
      product.factors.size() == power &&
      std::all_of(product.factors.begin(), product.factors.end(), [x](ValueId f) { return f == x; });
  if (!same || !Near(product.coefficient, coefficient)) return false;
  Append(interior, product.interior);
  return true;
}

// erf(x / √2)
bool IsErfArgument(Rewriter& rewriter, ValueId value, ValueId x, std::vector<Node*>& interior) {
  return IsMonomial(rewriter, value, std::sqrt(0.5), x, 1, interior);
}

// √(2/π) * (x + 0.044715 x³), also as √(2/π) * x * (1 + 0.044715 x²)
bool IsTanhArgument(Rewriter& rewriter, ValueId value, ValueId x, std::vector<Node*>& interior) {
  constexpr double kCubic = 0.044715;
  const Product product = ProductOf(rewriter, value);
  if (!Near(product.coefficient, std::sqrt(2 / M_PI))) return false;
  Append(interior, product.interior);
  if (product.factors.size() == 1) {
    Node* add = rewriter.Producer(product.factors[0], "Add");
    if (add == nullptr) return false;
    interior.push_back(add);
    for (int i : {0, 1}) {
      if (add->input(i) == x && IsMonomial(rewriter, add->input(1 - i), kCubic, x, 3, interior)) return true;
    }
    return false;
  }
  if (product.factors.size() != 2) return false;
  const int other = product.factors[0] == x ? 1 : 0;
  if (product.factors[1 - other] != x) return false;
  const std::optional<ValueId> square = Plus(rewriter, product.factors[other], 1, interior);
  return square && IsMonomial(rewriter, *square, kCubic, x, 2, interior);
}

// x * 0.5 * (1 + f(argument(x))) for the two forms of Gelu.
absl::StatusOr<bool> FuseGelu(Rewriter& rewriter, Node& node) {
  const Product product = ProductOf(rewriter, node.out());
  if (product.factors.size() != 2 || !Near(product.coefficient, 0.5)) return false;
  for (int i : {0, 1}) {
    const ValueId x = product.factors[i];
    std::vector<Node*> interior = product.interior;
    const std::optional<ValueId> value = Plus(rewriter, product.factors[1 - i], 1, interior);
    if (!value || rewriter.desc(x) != node.output()) continue;
    Node* erf = rewriter.Producer(*value, "Erf");
    Node* tanh = rewriter.Producer(*value, "Tanh");
    bool matches = false;
    if (erf != nullptr) matches = IsErfArgument(rewriter, erf->input(0), x, interior);
    if (tanh != nullptr) matches = IsTanhArgument(rewriter, tanh->input(0), x, interior);
    if (!matches) continue;
    interior.push_back(erf != nullptr ? erf : tanh);
    std::erase(interior, &node);
    if (!rewriter.ReadOnlyWithin(interior, node)) continue;
    AttrMap attrs;
    if (tanh != nullptr) attrs["approximate"] = std::string("tanh");
    RETURN_IF_ERROR(rewriter.Become(node, erf != nullptr ? "Gelu" : "GeluV2", {x}, std::move(attrs)));
    return true;
  }
  return false;
}

// x * Sigmoid(scale * x)
absl::StatusOr<bool> FuseSwish(Rewriter& rewriter, Node& node) {
  for (int i : {0, 1}) {
    const ValueId x = node.input(i);
    Node* sigmoid = rewriter.Producer(node.input(1 - i), "Sigmoid");
    if (sigmoid == nullptr || rewriter.desc(x) != node.output() || sigmoid->output() != node.output())
      continue;
    std::vector<Node*> interior = {sigmoid};
    double scale = 1;
    if (sigmoid->input(0) != x) {
      const Product argument = ProductOf(rewriter, sigmoid->input(0));
      if (argument.factors.size() != 1 || argument.factors[0] != x) continue;
      scale = argument.coefficient;
      Append(interior, argument.interior);
    }
    if (!rewriter.ReadOnlyWithin(interior, node)) continue;
    RETURN_IF_ERROR(rewriter.Become(node, "Swish", {x}, {{"scale", static_cast<float>(scale)}}));
    return true;
  }
  return false;
}

// x when `value` is relu6(x + 3), in the forms Relu6(x + 3) and ClipByValue(x + 3, 0, 6).
std::optional<ValueId> MatchShiftedRelu6(Rewriter& rewriter, ValueId value, std::vector<Node*>& interior) {
  Node* clip = rewriter.Producer(value, "Relu6");
  if (clip == nullptr) {
    clip = rewriter.Producer(value, "ClipByValue");
    if (clip == nullptr || !IsUniform(rewriter.graph(), clip->input(1), 0) ||
        !IsUniform(rewriter.graph(), clip->input(2), 6)) {
      return std::nullopt;
    }
  }
  interior.push_back(clip);
  return Plus(rewriter, clip->input(0), 3, interior);
}

// x * relu6(x + 3) / 6 → HardSwish; relu6(x + 3) / 6 → HardSigmoid.
absl::StatusOr<bool> FuseShiftedRelu6(Rewriter& rewriter, Node& node) {
  const Product product = ProductOf(rewriter, node.out());
  if (product.factors.empty() || product.factors.size() > 2 || !Near(product.coefficient, 1.0 / 6))
    return false;
  for (size_t i = 0; i < product.factors.size(); ++i) {
    std::vector<Node*> interior = product.interior;
    const std::optional<ValueId> x = MatchShiftedRelu6(rewriter, product.factors[i], interior);
    if (!x || rewriter.desc(*x) != node.output()) continue;
    const bool swish = product.factors.size() == 2;
    if (swish && product.factors[1 - i] != *x) continue;
    std::erase(interior, &node);
    if (!rewriter.ReadOnlyWithin(interior, node)) continue;
    AttrMap attrs;
    if (!swish) attrs = {{"alpha", 1.0f / 6}, {"beta", 0.5f}};
    RETURN_IF_ERROR(rewriter.Become(node, swish ? "HardSwish" : "HardSigmoid", {*x}, std::move(attrs)));
    return true;
  }
  return false;
}

// x * HardSigmoid(x) with slope 1/6 → HardSwish.
absl::StatusOr<bool> FuseHardSwish(Rewriter& rewriter, Node& node) {
  for (int i : {0, 1}) {
    Node* gate = rewriter.Producer(node.input(1 - i), "HardSigmoid");
    if (gate == nullptr || gate->input(0) != node.input(i) || !rewriter.HasOneUse(gate->out())) continue;
    if (!Near(gate->AttrOr<float>("alpha", 1.0f / 6), 1.0 / 6) ||
        !Near(gate->AttrOr<float>("beta", 0.5f), 0.5))
      continue;
    RETURN_IF_ERROR(rewriter.Become(node, "HardSwish", {node.input(i)}));
    return true;
  }
  return false;
}

}  // namespace

std::vector<Rule> ActivationFusions() {
  return {
      {"gelu", {"Mul", "RealDiv"}, FuseGelu},
      {"swish", {"Mul"}, FuseSwish},
      {"shifted-relu6", {"Mul", "RealDiv"}, FuseShiftedRelu6},
      {"hard-swish", {"Mul"}, FuseHardSwish},
  };
}

}  // namespace omserve
