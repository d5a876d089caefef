#include "core/passes/fold.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

std::string Where(const Node& node) { return absl::StrCat("node '", node.name(), "' (", node.type(), ")"); }

// Operators whose output is the first input's elements in the same order.
bool IsView(const Node& node) {
  static constexpr std::array kViews = {"Reshape",   "Squeeze",     "SqueezeV2",   "SqueezeV3",
                                        "Unsqueeze", "UnsqueezeV2", "UnsqueezeV3", "ExpandDims",
                                        "Flatten",   "FlattenV2",   "Identity"};
  return absl::c_any_of(kViews, [&](absl::string_view type) { return node.is(type); });
}

bool AllStatic(absl::Span<const TensorDesc> descs) {
  return absl::c_all_of(descs, [](const TensorDesc& desc) { return IsStatic(desc.shape); });
}

// Shape, Size and Rank need no values, only a static input.
std::optional<Tensor> ShapeQuery(const Graph& graph, const Node& node) {
  if (!node.is("Shape") && !node.is("Size") && !node.is("Rank")) return std::nullopt;
  if (!node.input(0).valid() || !IsStatic(graph.desc(node.input(0)).shape)) return std::nullopt;
  const Shape& shape = graph.desc(node.input(0)).shape;
  const Shape& output_shape = node.output().shape;
  std::vector<int64_t> values = shape;
  if (node.is("Size")) values = {NumElements(shape)};
  if (node.is("Rank")) values = {static_cast<int64_t>(shape.size())};
  if (node.output().type == DataType::kInt64) return Tensor::Of<int64_t>(output_shape, values);
  if (node.output().type == DataType::kInt32) {
    return Tensor::Of<int32_t>(output_shape, std::vector<int32_t>(values.begin(), values.end()));
  }
  return std::nullopt;
}

}  // namespace

FoldPolicy FoldSmall() {
  return [](size_t, size_t output_bytes) { return output_bytes <= kSmallConstantBytes; };
}

bool IsPure(const Node& node) {
  return !node.is_data() && node.num_outputs() > 0 && !absl::StartsWith(node.type(), "Hcom") &&
         !absl::StrContains(node.type(), "Random") && !absl::StartsWith(node.type(), "Stateless") &&
         !node.is("Multinomial");
}

absl::StatusOr<std::optional<std::vector<Tensor>>> FoldNode(const Graph& graph, const Node& node,
                                                            const EvaluateFunction& evaluate,
                                                            const FoldPolicy& policy) {
  if (!IsPure(node) || node.is_const() || node.num_inputs() == 0) return std::nullopt;
  if (std::optional<Tensor> shape = ShapeQuery(graph, node)) return std::vector<Tensor>{*std::move(shape)};

  size_t input_bytes = 0;
  for (ValueId input : node.inputs()) {
    if (!input.valid()) continue;
    const TensorSlice* constant = graph.ConstantOf(input);
    if (constant == nullptr) return std::nullopt;
    input_bytes += constant->byte_size();
  }
  const bool known = AllStatic(node.outputs());
  if (IsView(node) && known && graph.desc(node.input(0)).type == node.output().type) {
    return std::vector<Tensor>{graph.ConstantOf(node.input(0))->Materialize().Reshaped(node.output().shape)};
  }
  if (!evaluate) return std::nullopt;
  // An output whose shape depends on values (NonZero) has no size to judge by; only its values can give it
  // one.
  size_t output_bytes = 0;
  for (const TensorDesc& desc : node.outputs()) {
    if (!known) break;
    ASSIGN_OR_RETURN_WITH(const size_t bytes, CheckedByteSize(desc), Where(node));
    output_bytes += bytes;
  }
  if (!policy(input_bytes, output_bytes)) return std::nullopt;

  std::vector<Tensor> inputs;
  for (ValueId input : node.inputs()) {
    inputs.push_back(input.valid() ? graph.ConstantOf(input)->Materialize() : Tensor());
  }
  absl::StatusOr<std::vector<Tensor>> results = evaluate(graph, node, inputs);
  if (absl::IsUnimplemented(results.status())) return std::nullopt;
  if (!results.ok()) return Annotate(results.status(), absl::StrCat("computing ", Where(node)));
  if (static_cast<int>(results->size()) != node.num_outputs()) {
    return absl::InternalError(absl::StrCat(Where(node), ": its kernel gives ", results->size(),
                                            " outputs instead of ", node.num_outputs()));
  }
  for (int i = 0; i < node.num_outputs(); ++i) {
    const TensorDesc& given = (*results)[i].desc();
    const TensorDesc& inferred = node.output(i);
    if (given.type != inferred.type || (IsStatic(inferred.shape) && given.shape != inferred.shape)) {
      return absl::InternalError(absl::StrCat(Where(node), ": its kernel gives ", ToString(given),
                                              " for output ", i, ", inferred was ", ToString(inferred)));
    }
  }
  return *std::move(results);
}

void FoldingWalk::Redirect(Node& node) {
  if (replaced_.empty()) return;
  for (int i = 0; i < node.num_inputs(); ++i) {
    if (auto it = replaced_.find(node.input(i)); it != replaced_.end()) node.SetInput(i, it->second);
  }
}

absl::StatusOr<bool> FoldingWalk::Fold(Node& node) {
  ASSIGN_OR_RETURN(std::optional<std::vector<Tensor>> values, FoldNode(graph_, node, evaluate_, policy_));
  if (!values) return false;
  if (values->size() > 1) {
    for (int i = 0; i < node.num_outputs(); ++i) {
      const Node* constant = graph_.AddConst(absl::StrCat(node.name(), "/", i), std::move((*values)[i]));
      replaced_[node.out(i)] = constant->out();
    }
    return true;
  }
  MakeConst(node, TensorSlice(std::move(values->front())));
  return true;
}

void FoldingWalk::Finish() {
  for (GraphOutput& output : graph_.mutable_outputs()) {
    if (auto it = replaced_.find(output.value); it != replaced_.end()) output.value = it->second;
  }
  graph_.RemoveUnused();
}

void MakeConst(Node& node, TensorSlice value) {
  node.set_type("Const");
  node.SetInputs({});
  while (!node.attrs().empty()) node.RemoveAttr(std::string(node.attrs().begin()->first));
  node.SetConstant(std::move(value));
}

absl::Status FoldConstants(Graph& graph, const EvaluateFunction& evaluate, size_t max_bytes) {
  FoldingWalk walk(graph, evaluate, [max_bytes](size_t input_bytes, size_t output_bytes) {
    return output_bytes <= std::max(input_bytes, max_bytes);
  });
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  for (int32_t id : order) {
    Node& node = *graph.node(id);
    walk.Redirect(node);
    RETURN_IF_ERROR(walk.Fold(node).status());
  }
  walk.Finish();
  return absl::OkStatus();
}

}  // namespace omserve
