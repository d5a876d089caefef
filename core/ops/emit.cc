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

absl::StatusOr<ValueId> EmitContext::AllGather(int factor, int dim, const std::string& name, ValueId value) {
  if (factor_parts(factor) == 1) return value;
  return AddAllGather(*slice_, name, value, dim, factor_parts(factor),
                      group_of_ ? group_of_(factor) : ExchangeGroup(factor));
}

absl::StatusOr<ValueId> AddAllGather(Graph& slice, const std::string& name, ValueId value, int dim, int64_t parts,
                                     const std::string& group) {
  auto add = [&](const char* type, const std::string& title, std::vector<ValueId> inputs,
                 AttrMap attrs = {}) -> absl::StatusOr<ValueId> {
    Node* node = slice.AddNode(type, title, std::move(inputs));
    for (auto& [key, attr] : attrs) node->SetAttr(key, std::move(attr));
    RETURN_IF_ERROR(InferNode(slice, *node));
    return node->out();
  };
  auto ints = [&](const char* what, const std::vector<int64_t>& values) {
    return slice.AddConst(absl::StrCat(name, "/", what), Tensor::Int64s(values))->out();
  };
  auto reshape = [&](ValueId x, const Shape& shape) -> absl::StatusOr<ValueId> {
    if (slice.desc(x).shape == shape) return x;
    return add("Reshape", absl::StrCat(name, "/Reshape"), {x, ints("shape", shape)}, {{"allowzero", int64_t{1}}});
  };
  // [A, d, B] on each of p ranks → [A, p*d, B].
  Shape shape = slice.desc(value).shape;
  const absl::Span<const int64_t> dims(shape);
  const int64_t a = NumElements(dims.subspan(0, dim)), d = shape[dim], b = NumElements(dims.subspan(dim + 1));
  ASSIGN_OR_RETURN(ValueId x, reshape(value, {a * d, b}));
  const AttrMap attrs{{"group", group}, {"rank_size", parts}, {"fusion", int64_t{0}}};
  ASSIGN_OR_RETURN(x, add("HcomAllGather", name, {x}, attrs));
  if (a != 1) {
    ASSIGN_OR_RETURN(x, reshape(x, {parts, a, d, b}));
    ASSIGN_OR_RETURN(x, add("Transpose", absl::StrCat(name, "/Transpose"), {x, ints("perm", {1, 0, 2, 3})}));
  }
  shape[dim] *= parts;
  return reshape(x, shape);
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

absl::StatusOr<std::vector<ValueId>> EmitMean(EmitContext& context) {
  int64_t parts = 1;
  for (size_t f = 0; f < context.rule().factors.size(); ++f) {
    if (context.rule().factors[f].kind == FactorKind::kSum)
      parts *= context.factor_parts(static_cast<int>(f));
  }
  ASSIGN_OR_RETURN(std::vector<ValueId> means, EmitClone(context));
  if (parts == 1) return means;
  ASSIGN_OR_RETURN(means[0], context.Add("Muls", absl::StrCat(context.source().name(), "/share"), {means[0]},
                                         {{"value", 1.0f / static_cast<float>(parts)}}));
  return means;
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
