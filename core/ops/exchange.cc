#include "core/ops/exchange.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/strip.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/emit.h"

namespace omserve {
namespace {

constexpr char kFactorPrefix[] = "factor_";

// The shape of an operand's part.
Shape LocalPart(Shape shape, const OperandFactors& dims, const ShardingRule& rule, const std::vector<int64_t>& parts) {
  for (size_t d = 0; d < shape.size(); ++d) {
    for (int factor : dims[d]) shape[d] /= parts[factor];
  }
  return shape;
}

}  // namespace

std::string ExchangeGroup(int factor) { return absl::StrCat(kFactorPrefix, factor); }

bool MayExchange(const Node& node) {
  static const auto* const types = new absl::flat_hash_set<std::string>{
      "SoftmaxV2", "LogSoftmaxV2",  "LayerNorm",       "LayerNormV3",      "LayerNormV4", "RmsNorm",     "AddRmsNorm",
      "ReduceMax", "ReduceMaxD",    "ReduceMin",       "ReduceMinD",       "ReduceProd",  "ReduceProdD", "ReduceLogSum",
      "LpNormV2",  "ReduceLogSumD", "ReduceLogSumExp", "ReduceLogSumExpD", "TopK",        "TopKV2",      "ArgMaxV2",
      "ArgMin",    "Conv2D",        "Conv3D",          "DepthwiseConv2D",  "MaxPoolV3",   "AvgPoolV2",
      "GroupNorm", "InstanceNorm"};
  return types->contains(node.type());
}

absl::StatusOr<Emission> TrialEmission(const Graph& graph, const Node& node, const ShardingRule& rule,
                                       const std::vector<int64_t>& parts) {
  Graph slice("trial");
  std::vector<ValueId> inputs;
  for (int i = 0; i < node.num_inputs(); ++i) {
    const ValueId value = node.input(i);
    if (!value.valid()) {
      inputs.push_back(ValueId{});
      continue;
    }
    const TensorDesc& desc = graph.desc(value);
    const Shape local = LocalPart(desc.shape, rule.inputs[i], rule, parts);
    const TensorSlice* constant = graph.ConstantOf(value);
    // Parameters are whole and must be constants; of all others only the shape matters.
    inputs.push_back(constant != nullptr && local == desc.shape
                         ? slice.AddConst(absl::StrCat("input", i), *constant)->out()
                         : slice.AddData(absl::StrCat("input", i), {desc.type, local})->out());
  }
  ASSIGN_OR_RETURN(const OpDef* def, FindOp(node));
  // A part in the middle has the most to do: it has neighbours on both sides. The first summands have the bias.
  std::vector<int64_t> index(parts.size(), 0);
  for (size_t f = 0; f < parts.size(); ++f) {
    if (rule.factors[f].kind == FactorKind::kParallel) index[f] = parts[f] / 2;
  }
  EmitContext context(graph, node, rule, &slice, std::move(inputs), parts, std::move(index));
  RETURN_IF_ERROR((def->emit ? def->emit(context) : EmitClone(context)).status());
  Emission emission;
  for (int32_t id : slice.NodeIds()) {
    const Node& made = *slice.node(id);
    if (made.is_data() || made.is_const()) continue;
    if (made.is("Reshape")) continue;  // another name for the same bytes
    if (!made.is("HcomAllReduce") && !made.is("HcomAllGather")) {
      emission.nodes.push_back(CostOf(slice, made));
      continue;
    }
    int factor = -1;
    const std::string* group = made.FindAttr<std::string>("group");
    if (group == nullptr || !absl::SimpleAtoi(absl::StripPrefix(*group, kFactorPrefix), &factor)) {
      return absl::InternalError(absl::StrCat("node '", node.name(), "' communicates over no factor"));
    }
    emission.exchanges.push_back({factor, made.output(), made.is("HcomAllGather")});
  }
  return emission;
}

}  // namespace omserve
