#include "core/ops/op.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/families.h"
#include "core/ops/packaged_ops.h"
#include "core/ops/rule_util.h"

namespace omserve {
namespace {

std::string NodeTitle(const Node& node) {
  return absl::StrCat("operator '", node.type(), "' (node '", node.name(), "')");
}

bool IsOptional(InputKind kind) {
  return kind == InputKind::kOptional || kind == InputKind::kOptionalParameter || kind == InputKind::kDynamic;
}

// No tensor comes near this; it keeps arithmetic on dimensions from files far from overflow.
constexpr int64_t kMaxDim = int64_t{1} << 40;

// What every tensor must satisfy whatever the operator: bounded rank and dimensions, and a size that fits 62
// bits.
absl::Status CheckDesc(const TensorDesc& desc, absl::string_view what) {
  if (static_cast<int>(desc.shape.size()) > kMaxRank) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " has ", desc.shape.size(), " dimensions; at most ", kMaxRank, " are supported"));
  }
  for (int64_t dim : desc.shape) {
    if (dim < kUnknownDim || dim > kMaxDim) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, " has a dimension of ", dim, "; it must be in [0, ", kMaxDim, "], or -1 for unknown"));
    }
  }
  if (!IsStatic(desc.shape)) return absl::OkStatus();
  return Annotate(CheckedNumElements(desc.shape).status(), what);
}

absl::Status CheckInputs(const OpDef& def, const Graph& graph, const Node& node) {
  // Trailing optional inputs may be left out altogether; all others need a position.
  int needed = 0;
  for (size_t i = 0; i < def.inputs.size(); ++i) {
    if (!IsOptional(def.inputs[i].kind)) needed = static_cast<int>(i) + 1;
  }
  const bool dynamic = std::any_of(def.inputs.begin(), def.inputs.end(),
                                   [](const InputDef& input) { return input.kind == InputKind::kDynamic; });
  if (dynamic) --needed;
  if (node.num_inputs() < needed) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", node.num_inputs(), " inputs; it needs ", needed, " (",
                     absl::StrJoin(def.inputs, ", ",
                                   [](std::string* out, const InputDef& input) { out->append(input.name); }),
                     ")"));
  }
  for (int i = 0; i < node.num_inputs(); ++i) {
    const InputDef* input = FindInputDef(def, node.num_inputs(), i);
    const ValueId value = node.input(i);
    if (input == nullptr) {
      if (!value.valid()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("has ", node.num_inputs(), " inputs; it takes at most ", def.inputs.size()));
    }
    if (!value.valid()) {
      if (input->kind == InputKind::kOptional || input->kind == InputKind::kOptionalParameter) continue;
      return absl::InvalidArgumentError(absl::StrCat("input ", i, " ('", input->name, "') is missing"));
    }
    const Node* producer = graph.node(value.node);
    if (producer == nullptr || value.output < 0 || value.output >= producer->num_outputs()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "input ", i, " ('", input->name, "') reads a value that does not exist or is not inferred yet"));
    }
    RETURN_IF_ERROR(
        CheckDesc(producer->output(value.output), absl::StrCat("input ", i, " ('", input->name, "')")));
  }
  return absl::OkStatus();
}

std::string AttrNames(const OpDef& def) {
  if (def.attrs.empty()) return "none";
  return absl::StrJoin(def.attrs, ", ",
                       [](std::string* out, const AttrDef& attr) { out->append(attr.name); });
}

const char* KindName(const AttrValue& value) {
  static constexpr const char* kNames[] = {"Int",        "Float",    "Bool",       "String",
                                           "Type",       "ListInt",  "ListFloat",  "ListBool",
                                           "ListString", "ListType", "ListListInt"};
  static_assert(std::variant_size_v<AttrValue> == std::size(kNames));
  return kNames[value.index()];
}

absl::Status CheckAttrs(const OpDef& def, const Node& node) {
  for (const AttrDef& attr : def.attrs) {
    auto it = node.attrs().find(attr.name);
    if (it == node.attrs().end()) {
      if (!attr.required) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("required attribute '", attr.name, "' (", KindName(attr.fallback), ") is missing"));
    }
    if (it->second.index() != attr.fallback.index()) {
      return absl::InvalidArgumentError(absl::StrCat("attribute '", attr.name, "' is ", KindName(it->second),
                                                     " ", AttrToString(it->second), "; it must be ",
                                                     KindName(attr.fallback)));
    }
  }
  for (const auto& [name, value] : node.attrs()) {
    if (absl::string_view(name).substr(0, 1) == "_") continue;  // private attributes of passes and of GE
    const bool known = std::any_of(def.attrs.begin(), def.attrs.end(),
                                   [&, &name = name](const AttrDef& attr) { return attr.name == name; });
    if (!known) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown attribute '", name, "'; it has ", AttrNames(def)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOutputs(const OpDef& def, absl::Span<const TensorDesc> outputs) {
  const bool dynamic = !def.outputs.empty() && def.outputs.back().back() == '*';
  if (dynamic ? outputs.size() + 1 < def.outputs.size() : outputs.size() != def.outputs.size()) {
    return absl::InternalError(
        absl::StrCat("inference made ", outputs.size(), " outputs; the schema has ", def.outputs.size()));
  }
  for (const TensorDesc& output : outputs) RETURN_IF_ERROR(CheckDesc(output, "its output"));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TensorDesc>> CheckAndInfer(const OpDef& def, const Graph& graph,
                                                      const Node& node) {
  RETURN_IF_ERROR(CheckInputs(def, graph, node));
  RETURN_IF_ERROR(CheckAttrs(def, node));
  ASSIGN_OR_RETURN(std::vector<TensorDesc> outputs, def.infer(NodeView(graph, node)));
  RETURN_IF_ERROR(CheckOutputs(def, outputs));
  return outputs;
}

absl::Status RequireStatic(const TensorDesc& desc, absl::string_view what, int i) {
  if (IsStatic(desc.shape)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(what, " ", i, " is ", ToString(desc), "; a sharding rule needs static shapes"));
}

absl::StatusOr<ShardingRule> MakeRule(const OpDef& def, const NodeView& view) {
  for (int i = 0; i < view.num_inputs(); ++i) {
    if (view.has_input(i)) RETURN_IF_ERROR(RequireStatic(view.input(i), "input", i));
  }
  for (int i = 0; i < view.node().num_outputs(); ++i)
    RETURN_IF_ERROR(RequireStatic(view.output(i), "output", i));
  if (!def.rule) return RuleBuilder(view).Finish();
  ASSIGN_OR_RETURN(ShardingRule rule, def.rule(view));
  RETURN_IF_ERROR(CheckRule(view, rule));
  return rule;
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> NodeView::ConstantInts(int i) const {
  const OpDef* def = OpRegistry::Get().Find(node_.type());
  const InputDef* input = def == nullptr ? nullptr : FindInputDef(*def, num_inputs(), i);
  const std::string title =
      input == nullptr ? absl::StrCat("input ", i) : absl::StrCat("parameter '", input->name, "'");
  if (!has_input(i)) return absl::InvalidArgumentError(absl::StrCat(title, " is missing"));
  const TensorSlice* value = constant(i);
  if (value == nullptr) return absl::FailedPreconditionError(absl::StrCat(title, " is not constant"));
  ASSIGN_OR_RETURN_WITH(std::vector<int64_t> values, value->Materialize().AsInt64s(), title);
  return values;
}

const OpRegistry& OpRegistry::Get() {
  static const OpRegistry* const registry = [] {
    auto* made = new OpRegistry();
    AddActivationOps(*made);
    AddCollectiveOps(*made);
    AddConvolutionOps(*made);
    AddEinsumOps(*made);
    AddElementwiseOps(*made);
    AddFillOps(*made);
    AddGatherOps(*made);
    AddMatrixOps(*made);
    AddNormalizationOps(*made);
    AddPoolingOps(*made);
    AddReductionOps(*made);
    AddSearchOps(*made);
    AddReshapeOps(*made);
    AddShapeOps(*made);
    AddSliceOps(*made);
    AddStructureOps(*made);
    return made;
  }();
  return *registry;
}

const OpDef* OpRegistry::Find(absl::string_view type) const {
  auto it = ops_.find(type);
  if (it != ops_.end()) return &it->second;
  const PackagedOp* packaged = FindPackagedOp(type);
  return packaged == nullptr ? nullptr : &packaged->def;
}

std::vector<std::string> OpRegistry::Types() const {
  std::vector<std::string> types;
  types.reserve(ops_.size());
  for (const auto& [type, def] : ops_) types.push_back(type);
  for (std::string& type : PackagedTypes()) types.push_back(std::move(type));
  std::sort(types.begin(), types.end());
  return types;
}

void OpRegistry::Add(OpDef def) {
  const std::string type = def.type;
  if (!def.infer || !ops_.emplace(type, std::move(def)).second) {
    std::cerr << "operator '" << type << "' is defined twice or has no inference\n";
    std::abort();
  }
}

const InputDef* FindInputDef(const OpDef& def, int num_inputs, int i) {
  const int defs = static_cast<int>(def.inputs.size());
  int dynamic = 0;
  while (dynamic < defs && def.inputs[dynamic].kind != InputKind::kDynamic) ++dynamic;
  if (dynamic == defs || i < dynamic) return i < defs ? &def.inputs[i] : nullptr;
  // Inputs after a dynamic one are always present, so they are counted from the end.
  const int after = defs - dynamic - 1;
  if (i < num_inputs - after) return &def.inputs[dynamic];
  return &def.inputs[defs - (num_inputs - i)];
}

absl::StatusOr<const OpDef*> FindOp(const Node& node) {
  const OpDef* def = OpRegistry::Get().Find(node.type());
  if (def == nullptr) return absl::UnimplementedError(absl::StrCat(NodeTitle(node), " is not supported"));
  return def;
}

absl::Status InferNode(Graph& graph, Node& node) {
  ASSIGN_OR_RETURN(const OpDef* def, FindOp(node));
  ASSIGN_OR_RETURN_WITH(std::vector<TensorDesc> outputs, CheckAndInfer(*def, graph, node), NodeTitle(node));
  node.SetOutputs(std::move(outputs));
  return absl::OkStatus();
}

absl::Status InferGraph(Graph& graph) {
  ASSIGN_OR_RETURN(std::vector<int32_t> order, graph.TopologicalOrder());
  for (int32_t id : order) RETURN_IF_ERROR(InferNode(graph, *graph.node(id)));
  return Verify(graph);
}

absl::StatusOr<ShardingRule> RuleOf(const Graph& graph, const Node& node) {
  ASSIGN_OR_RETURN(const OpDef* def, FindOp(node));
  ASSIGN_OR_RETURN_WITH(ShardingRule rule, MakeRule(*def, NodeView(graph, node)), NodeTitle(node));
  return rule;
}

OpCost CostOf(const Graph& graph, const Node& node) {
  const NodeView view(graph, node);
  const OpDef* def = OpRegistry::Get().Find(node.type());
  return def != nullptr && def->cost ? def->cost(view) : ElementCost(view, 1);
}

}  // namespace omserve
