// Einsum: labels are factors, which makes its rule the plainest of all. Ellipses and diagonals (a label twice
// in one operand) are not supported.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/rule_util.h"
#include "core/ops/schema.h"

namespace omserve {
namespace {

struct Equation {
  std::vector<std::string> inputs;  // one label per dimension
  std::string output;
};

absl::Status CheckLabels(const std::string& labels) {
  if (labels.find('.') != std::string::npos) return absl::UnimplementedError("an ellipsis is not supported");
  for (char label : labels) {
    if (!absl::ascii_isalpha(static_cast<unsigned char>(label))) {
      return absl::InvalidArgumentError(absl::StrCat("'", labels, "' holds something other than letters"));
    }
    if (std::count(labels.begin(), labels.end(), label) > 1) {
      return absl::UnimplementedError(absl::StrCat("label '", std::string(1, label), "' twice in '", labels,
                                                   "' (a diagonal) is not supported"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Equation> ParseEquation(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  const std::vector<std::string> sides = absl::StrSplit(text, "->");
  if (sides.size() > 2) return absl::InvalidArgumentError("more than one '->'");
  Equation equation;
  equation.inputs = absl::StrSplit(sides[0], ',');
  for (const std::string& labels : equation.inputs) RETURN_IF_ERROR(CheckLabels(labels));
  if (sides.size() == 2) {
    equation.output = sides[1];
    RETURN_IF_ERROR(CheckLabels(equation.output));
    return equation;
  }
  // Without "->", the output has the labels that occur once, in alphabetical order.
  std::map<char, int> occurrences;
  for (const std::string& labels : equation.inputs) {
    for (char label : labels) ++occurrences[label];
  }
  for (const auto& [label, count] : occurrences) {
    if (count == 1) equation.output += label;
  }
  return equation;
}

absl::StatusOr<Equation> EquationOf(const NodeView& view) {
  const std::string text = view.Attr<std::string>("equation");
  ASSIGN_OR_RETURN_WITH(Equation equation, ParseEquation(text), absl::StrCat("equation '", text, "'"));
  return equation;
}

// Sizes by label; -1 where all operands leave it open.
absl::StatusOr<std::map<char, int64_t>> LabelSizes(const NodeView& view, const Equation& equation) {
  if (static_cast<int>(equation.inputs.size()) != view.num_inputs()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the equation has ", equation.inputs.size(), " operands, the node ", view.num_inputs()));
  }
  std::map<char, int64_t> sizes;
  for (int i = 0; i < view.num_inputs(); ++i) {
    const std::string& labels = equation.inputs[i];
    RETURN_IF_ERROR(CheckRank(view, i, static_cast<int>(labels.size())));
    for (size_t d = 0; d < labels.size(); ++d) {
      const int64_t dim = view.input_shape(i)[d];
      auto [it, fresh] = sizes.emplace(labels[d], dim);
      if (!DimsAgree(it->second, dim)) {
        return absl::InvalidArgumentError(absl::StrCat("label '", std::string(1, labels[d]), "' is ",
                                                       it->second, " and, in ", InputName(view, i), ", ",
                                                       dim));
      }
      it->second = KnownDim(it->second, dim);
    }
  }
  return sizes;
}

absl::StatusOr<Descs> InferEinsum(const NodeView& view) {
  ASSIGN_OR_RETURN(Equation equation, EquationOf(view));
  if (view.Attr<int64_t>("N") != view.num_inputs()) {
    return absl::InvalidArgumentError(absl::StrCat("attribute 'N' is ", view.Attr<int64_t>("N"),
                                                   " but there are ", view.num_inputs(), " inputs"));
  }
  ASSIGN_OR_RETURN(auto sizes, LabelSizes(view, equation));
  for (int i = 1; i < view.num_inputs(); ++i) RETURN_IF_ERROR(CheckSameType(view, 0, i));
  Shape shape;
  for (char label : equation.output) {
    auto it = sizes.find(label);
    if (it == sizes.end()) {
      return absl::InvalidArgumentError(absl::StrCat("output label '", std::string(1, label),
                                                     "' is in no operand of '",
                                                     view.Attr<std::string>("equation"), "'"));
    }
    shape.push_back(it->second);
  }
  return Descs{{view.input(0).type, shape}};
}

absl::StatusOr<ShardingRule> EinsumRule(const NodeView& view) {
  ASSIGN_OR_RETURN(Equation equation, EquationOf(view));
  ASSIGN_OR_RETURN(auto sizes, LabelSizes(view, equation));
  RuleBuilder rule(view);
  std::map<char, int> factors;
  for (const auto& [label, size] : sizes) {
    const bool kept = equation.output.find(label) != std::string::npos;
    factors[label] = rule.Add(size, kept ? FactorKind::kParallel : FactorKind::kSum, std::string(1, label));
  }
  Linearity linearity;
  for (int i = 0; i < view.num_inputs(); ++i) {
    const std::string& labels = equation.inputs[i];
    for (int d = 0; d < static_cast<int>(labels.size()); ++d) rule.Input(i, d, factors[labels[d]]);
    linearity.sets.push_back({i});
  }
  for (int d = 0; d < static_cast<int>(equation.output.size()); ++d) {
    rule.Output(0, d, factors[equation.output[d]]);
  }
  AddLinear(view, linearity, rule);
  return rule.Finish();
}

OpCost EinsumCost(const NodeView& view) {
  OpCost cost{0, TensorBytes(view)};
  absl::StatusOr<Equation> equation = EquationOf(view);
  if (!equation.ok()) return cost;
  auto sizes = LabelSizes(view, *equation);
  if (!sizes.ok()) return cost;
  cost.flops = view.num_inputs();
  for (const auto& [label, size] : *sizes) cost.flops *= static_cast<double>(size);
  return cost;
}

}  // namespace

void AddEinsumOps(OpRegistry& registry) {
  registry.Add({.type = "Einsum",
                .inputs = {Dynamic("x")},
                .outputs = {"y"},
                .attrs = {RequiredAttr<std::string>("equation"), RequiredAttr<int64_t>("N")},
                .infer = InferEinsum,
                .rule = EinsumRule,
                .cost = EinsumCost});
}

}  // namespace omserve
