#include "core/ops/rule_util.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "core/base/status.h"
#include "core/ops/infer_util.h"

namespace omserve {
namespace {

// What Add returns for a factor of size 1.
constexpr int kNoFactor = -1;

bool IsParameter(const NodeView& view, int input) {
  const OpDef* def = OpRegistry::Get().Find(view.node().type());
  const InputDef* input_def = def == nullptr ? nullptr : FindInputDef(*def, view.num_inputs(), input);
  return input_def != nullptr &&
         (input_def->kind == InputKind::kParameter || input_def->kind == InputKind::kOptionalParameter);
}

absl::Status CheckOperand(const ShardingRule& rule, const Shape& shape, const OperandFactors& dims,
                          bool output, absl::string_view what) {
  if (dims.size() != shape.size()) {
    return absl::InternalError(
        absl::StrCat("sharding rule: ", what, " has ", shape.size(), " dimensions, the rule ", dims.size()));
  }
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d].empty()) continue;
    int64_t product = 1;
    for (int factor : dims[d]) {
      if (factor < 0 || factor >= static_cast<int>(rule.factors.size())) {
        return absl::InternalError(absl::StrCat("sharding rule: ", what, " names factor ", factor));
      }
      if (output && rule.factors[factor].kind == FactorKind::kSum) {
        return absl::InternalError(
            absl::StrCat("sharding rule: ", what, " holds the sum '", rule.factors[factor].name, "'"));
      }
      product *= rule.factors[factor].size;
    }
    if (product != shape[d]) {
      return absl::InternalError(absl::StrCat("sharding rule: factors of dimension ", d, " of ", what,
                                              " multiply to ", product, ", not ", shape[d]));
    }
  }
  return absl::OkStatus();
}

// A walk over the dimensions of one side of a reshape.
struct Side {
  const Shape& shape;
  size_t dim = 0;
  int64_t rest = 1;  // what is left of dimension `dim` after the factors taken so far

  explicit Side(const Shape& dims) : shape(dims) { Skip(); }
  bool done() const { return dim == shape.size(); }
  // Moves past finished dimensions.
  void Skip() {
    rest = 1;
    while (dim < shape.size() && shape[dim] == 1) ++dim;
    if (dim < shape.size()) rest = shape[dim];
  }
  void Next() {
    ++dim;
    Skip();
  }
  // Takes a factor of the rest; a rest of 0 is only taken as a whole.
  void Take(int64_t factor) {
    if (rest == factor) {
      Next();
    } else {
      rest /= factor;
    }
  }
};

}  // namespace

RuleBuilder::RuleBuilder(const NodeView& view) : view_(view) {
  rule_.inputs.resize(view.num_inputs());
  for (int i = 0; i < view.num_inputs(); ++i) {
    if (view.has_input(i)) rule_.inputs[i].resize(view.input_shape(i).size());
  }
  for (const TensorDesc& output : view.node().outputs()) rule_.outputs.emplace_back(output.shape.size());
}

int RuleBuilder::Add(int64_t size, FactorKind kind, std::string name) {
  if (size == 1) return kNoFactor;
  return rule_.AddFactor(size, size == 0 ? FactorKind::kWhole : kind, std::move(name));
}

RuleBuilder& RuleBuilder::Input(int input, int dim, int factor) {
  if (factor != kNoFactor && view_.has_input(input)) rule_.inputs[input][dim].push_back(factor);
  return *this;
}

RuleBuilder& RuleBuilder::Output(int output, int dim, int factor) {
  if (factor != kNoFactor) rule_.outputs[output][dim].push_back(factor);
  return *this;
}

RuleBuilder& RuleBuilder::BroadcastInput(int input, int dim, int factor) {
  if (view_.has_input(input) && view_.input_shape(input)[dim] != 1) Input(input, dim, factor);
  return *this;
}

RuleBuilder& RuleBuilder::Linear(std::vector<int> inputs) {
  rule_.linear.push_back(std::move(inputs));
  return *this;
}

ShardingRule RuleBuilder::Finish() {
  auto fill = [&](const Shape& shape, OperandFactors& dims) {
    for (size_t d = 0; d < shape.size(); ++d) {
      if (dims[d].empty() && shape[d] != 1) {
        dims[d] = {rule_.AddFactor(shape[d], FactorKind::kWhole, absl::StrCat("dim", d))};
      }
    }
  };
  for (int i = 0; i < view_.num_inputs(); ++i) {
    if (view_.has_input(i) && !IsParameter(view_, i)) fill(view_.input_shape(i), rule_.inputs[i]);
  }
  for (size_t i = 0; i < rule_.outputs.size(); ++i) {
    fill(view_.output(static_cast<int>(i)).shape, rule_.outputs[i]);
  }
  return std::move(rule_);
}

absl::Status CheckRule(const NodeView& view, const ShardingRule& rule) {
  if (static_cast<int>(rule.inputs.size()) != view.num_inputs() ||
      static_cast<int>(rule.outputs.size()) != view.node().num_outputs()) {
    return absl::InternalError("sharding rule: the number of inputs or outputs is not the node's");
  }
  for (int i = 0; i < view.num_inputs(); ++i) {
    const Shape shape = view.has_input(i) ? view.input_shape(i) : Shape{};
    RETURN_IF_ERROR(CheckOperand(rule, shape, rule.inputs[i], /*output=*/false, absl::StrCat("input ", i)));
  }
  for (int i = 0; i < view.node().num_outputs(); ++i) {
    RETURN_IF_ERROR(CheckOperand(rule, view.output(i).shape, rule.outputs[i], /*output=*/true,
                                 absl::StrCat("output ", i)));
  }
  for (const std::vector<int>& set : rule.linear) {
    for (int input : set) {
      if (input < 0 || input >= view.num_inputs()) {
        return absl::InternalError(absl::StrCat("sharding rule: linear in input ", input));
      }
    }
  }
  return absl::OkStatus();
}

void AddLinear(const NodeView& view, const Linearity& linearity, RuleBuilder& rule) {
  auto allowed = [&](DataType type) {
    return linearity.float_only ? IsFloatType(type) : IsNumericType(type);
  };
  for (const std::vector<int>& set : linearity.sets) {
    // Integers that are widened on the way (int8 products in int32) wrap differently before and after.
    const bool fits = std::all_of(set.begin(), set.end(), [&](int i) {
      const DataType from = view.input(i).type;
      const DataType to = view.output().type;
      return allowed(from) && allowed(to) && (from == to || (IsFloatType(from) && IsFloatType(to)));
    });
    if (fits) rule.Linear(set);
  }
}

RuleFunction ElementwiseRule(Linearity linearity) {
  return [linearity = std::move(linearity)](const NodeView& view) -> absl::StatusOr<ShardingRule> {
    RuleBuilder rule(view);
    const Shape& shape = view.output().shape;
    const int rank = static_cast<int>(shape.size());
    for (int d = 0; d < rank; ++d) {
      const int factor = rule.Add(shape[d], FactorKind::kParallel, absl::StrCat("dim", d));
      for (int i = 0; i < view.num_inputs(); ++i) {
        if (!view.has_input(i)) continue;
        const int dim = d - (rank - static_cast<int>(view.input_shape(i).size()));
        if (dim >= 0) rule.BroadcastInput(i, dim, factor);
      }
      for (int o = 0; o < view.node().num_outputs(); ++o) rule.Output(o, d, factor);
    }
    AddLinear(view, linearity, rule);
    return rule.Finish();
  };
}

ShardingRule AxesWhole(const NodeView& view, const std::vector<int>& whole, const Linearity& linearity) {
  RuleBuilder rule(view);
  const Shape& shape = view.output().shape;
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    const bool is_whole = std::find(whole.begin(), whole.end(), d) != whole.end();
    const int factor =
        rule.Add(shape[d], is_whole ? FactorKind::kWhole : FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor).Output(0, d, factor);
  }
  AddLinear(view, linearity, rule);
  return rule.Finish();
}

ShardingRule ReducedRule(const NodeView& view, const std::vector<int>& axes, bool keep_dims,
                         FactorKind reduced, const Linearity& linearity) {
  RuleBuilder rule(view);
  const Shape& shape = view.input_shape(0);
  int kept = 0;
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    const bool gone = std::binary_search(axes.begin(), axes.end(), d);
    const int factor = rule.Add(shape[d], gone ? reduced : FactorKind::kParallel, absl::StrCat("dim", d));
    rule.Input(0, d, factor);
    if (!gone) {
      for (int o = 0; o < view.node().num_outputs(); ++o) rule.Output(o, kept, factor);
    }
    if (!gone || keep_dims) ++kept;
  }
  AddLinear(view, linearity, rule);
  return rule.Finish();
}

// Both shapes are read from the major end, and common factors taken as long as there are any; what both have
// taken is then the same leading part of the row-major index. Where the next dimensions have no common factor
// (2x3 against 3x2), both sides are read on until their products meet again; that stretch is whole. A
// dimension in the middle of which a stretch begins keeps its common factor as its major part.
RuleFunction ReshapeRule() {
  return [](const NodeView& view) -> absl::StatusOr<ShardingRule> {
    RuleBuilder rule(view);
    Side in(view.input_shape(0));
    Side out(view.output().shape);
    auto take = [&](Side& side, bool input, int64_t size, int factor) {
      const int dim = static_cast<int>(side.dim);
      if (input) {
        rule.Input(0, dim, factor);
      } else {
        rule.Output(0, dim, factor);
      }
      side.Take(size);
    };
    auto take_whole = [&](Side& side, bool input) {
      const int64_t size = side.rest;
      take(side, input, size,
           rule.Add(size, FactorKind::kWhole, absl::StrCat(input ? "in" : "out", side.dim)));
    };
    while (!in.done() && !out.done()) {
      const bool zero = in.rest == 0 || out.rest == 0;
      const int64_t common = in.rest == out.rest ? in.rest : (zero ? 1 : std::gcd(in.rest, out.rest));
      if (common != 1) {
        const int factor = rule.Add(common, FactorKind::kParallel, absl::StrCat("dim", out.dim));
        take(in, true, common, factor);
        take(out, false, common, factor);
        continue;
      }
      int64_t in_product = in.rest;
      int64_t out_product = out.rest;
      take_whole(in, true);
      take_whole(out, false);
      while (in_product != out_product && !(in.done() && out.done())) {
        Side& behind = out.done() || (!in.done() && in_product < out_product) ? in : out;
        (&behind == &in ? in_product : out_product) *= behind.rest;
        take_whole(behind, &behind == &in);
      }
    }
    // Only tensors without elements have a rest.
    while (!in.done()) take_whole(in, true);
    while (!out.done()) take_whole(out, false);
    AddLinear(view, {{{0}}}, rule);
    return rule.Finish();
  };
}

}  // namespace omserve
