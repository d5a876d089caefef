#include "core/ops/emit.h"

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/exchange.h"

namespace omserve {
namespace {

std::string Part(const EmitContext& context, absl::string_view what) {
  return absl::StrCat(context.source().name(), "/", what);
}

}  // namespace

Shape EmitContext::LocalOutputShape(int i) const {
  Shape shape = source_.output(i).shape;
  const OperandFactors& dims = rule_.outputs[i];
  for (size_t d = 0; d < shape.size(); ++d) {
    if (dims[d].empty()) continue;
    shape[d] = 1;
    for (int factor : dims[d]) shape[d] *= local_size(factor);
  }
  return shape;
}

absl::StatusOr<ValueId> EmitContext::Add(const std::string& type, const std::string& name,
                                         std::vector<ValueId> inputs, AttrMap attrs) {
  Node* node = slice_->AddNode(type, name, std::move(inputs));
  for (auto& [key, value] : attrs) node->SetAttr(key, std::move(value));
  RETURN_IF_ERROR(InferNode(*slice_, *node));
  return node->out();
}

absl::StatusOr<ValueId> EmitContext::AllReduce(int factor, const std::string& reduction, const std::string& name,
                                               ValueId value) {
  if (factor_parts(factor) == 1) return value;
  return Add("HcomAllReduce", name, {value},
             {{"group", group_of_ ? group_of_(factor) : ExchangeGroup(factor)},
              {"reduction", reduction},
              {"fusion", int64_t{0}}});
}

ValueId EmitContext::Constant(const std::string& name, Tensor value) {
  return slice_->AddConst(name, std::move(value))->out();
}

absl::StatusOr<std::vector<ValueId>> EmitCopy(EmitContext& context, std::vector<ValueId> inputs,
                                              const AttrMap& changed) {
  const Node& source = context.source();
  Node* node = context.slice().AddNode(source.type(), source.name(), std::move(inputs));
  for (const auto& [name, value] : source.attrs()) node->SetAttr(name, value);
  for (const auto& [name, value] : changed) node->SetAttr(name, value);
  RETURN_IF_ERROR(InferNode(context.slice(), *node));
  std::vector<ValueId> outputs;
  for (int i = 0; i < source.num_outputs(); ++i) {
    const TensorDesc expected{source.output(i).type, context.LocalOutputShape(i)};
    if (i >= node->num_outputs() || !(node->output(i) == expected)) {
      return absl::InternalError(absl::StrCat("operator '", source.type(), "' (node '", source.name(),
                                              "'): output ", i, " of its local copy is ",
                                              i < node->num_outputs() ? ToString(node->output(i)) : "absent",
                                              "; the sharding rule says ", ToString(expected)));
    }
    outputs.push_back(node->out(i));
  }
  return outputs;
}

absl::StatusOr<std::vector<ValueId>> EmitClone(EmitContext& context) {
  return EmitCopy(context, {context.local_inputs().begin(), context.local_inputs().end()});
}

absl::StatusOr<std::vector<ValueId>> EmitWithLocalShape(EmitContext& context, int input) {
  context.set_local_input(
      input, context.Constant(Part(context, "shape"), Tensor::Int64s(context.LocalOutputShape(0))));
  return EmitClone(context);
}

absl::StatusOr<std::vector<ValueId>> EmitBiasOnce(EmitContext& context, int bias, const AttrMap& changed) {
  std::vector<ValueId> inputs(context.local_inputs().begin(), context.local_inputs().end());
  bool first = true;
  for (size_t f = 0; f < context.rule().factors.size(); ++f) {
    if (context.rule().factors[f].kind == FactorKind::kSum &&
        context.factor_index(static_cast<int>(f)) != 0) {
      first = false;
    }
  }
  if (!first && bias < static_cast<int>(inputs.size())) inputs[bias] = ValueId{};
  while (!inputs.empty() && !inputs.back().valid()) inputs.pop_back();
  return EmitCopy(context, std::move(inputs), changed);
}

absl::StatusOr<std::vector<ValueId>> EmitReshape(EmitContext& context) {
  const Shape shape = context.LocalOutputShape(0);
  const ValueId parameter = context.Constant(Part(context, "shape"), Tensor::Int64s(shape));
  // Without allowzero, a 0 would mean "as the input".
  ASSIGN_OR_RETURN(ValueId reshaped,
                   context.Add("Reshape", context.source().name(), {context.local_inputs()[0], parameter},
                               {{"allowzero", int64_t{1}}}));
  return std::vector<ValueId>{reshaped};
}

}  // namespace omserve
