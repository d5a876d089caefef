#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/ops/op.h"
#include "core/passes/fold.h"
#include "core/passes/passes.h"

namespace omserve {
namespace {

std::string InputList(const Graph& graph) {
  return absl::StrJoin(graph.inputs(), ", ", [&](std::string* out, int32_t id) {
    const Node& data = *graph.node(id);
    absl::StrAppend(out, "'", data.name(), "' ", ToString(data.output()));
  });
}

// `x:1,128`: what to write for an input, with 1 for what the model leaves open.
std::string Suggestion(const Node& data) {
  return absl::StrCat(data.name(), ":",
                      absl::StrJoin(data.output().shape, ",", [](std::string* out, int64_t dim) {
                        absl::StrAppend(out, dim == kUnknownDim ? 1 : dim);
                      }));
}

absl::Status GiveShape(const Graph& graph, Node& data, const Shape& shape) {
  const TensorDesc declared = data.output();
  auto error = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("the shape ", ToString(shape), " given for input '",
                                                   data.name(), "' ", what, "; the model's inputs are ",
                                                   InputList(graph)));
  };
  if (shape.size() != declared.shape.size()) {
    return error(absl::StrCat("has ", shape.size(), " dimensions instead of ", declared.shape.size()));
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0) return error(absl::StrCat("leaves dimension ", i, " open"));
    if (declared.shape[i] != kUnknownDim && declared.shape[i] != shape[i]) {
      return error(
          absl::StrCat("has ", shape[i], " in dimension ", i, ", where the model has ", declared.shape[i]));
    }
  }
  RETURN_IF_ERROR_WITH(CheckedByteSize({declared.type, shape}).status(),
                       absl::StrCat("input '", data.name(), "'"));
  data.SetOutput(0, {declared.type, shape});
  return absl::OkStatus();
}

absl::Status FixInputs(Graph& graph, const InputShapes& shapes) {
  for (const auto& [name, shape] : shapes) {
    Node* data = graph.FindNode(name);
    if (data == nullptr || !data->is_data()) {
      return absl::InvalidArgumentError(absl::StrCat("a shape is given for '", name,
                                                     "', which is no input of the model; its inputs are ",
                                                     InputList(graph)));
    }
    RETURN_IF_ERROR(GiveShape(graph, *data, shape));
  }
  for (int32_t id : graph.inputs()) {
    const Node& data = *graph.node(id);
    const Shape& shape = data.output().shape;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] != kUnknownDim) continue;
      return absl::InvalidArgumentError(absl::StrCat("EF1008: input '", data.name(), "' has unknown dimension ", i,
                                                     " and no shape was given; give --input-shape \"",
                                                     Suggestion(data), "\" with the sizes you need"));
    }
  }
  return absl::OkStatus();
}

// Inference wants a value that is still not constant: says which one and where it comes from.
absl::Status ExplainUnresolved(const Graph& graph, const Node& node, const absl::Status& status) {
  const OpDef* def = OpRegistry::Get().Find(node.type());
  for (int i = 0; def != nullptr && i < node.num_inputs() && i < static_cast<int>(def->inputs.size()); ++i) {
    const InputDef& input = def->inputs[i];
    if (input.kind == InputKind::kDynamic) break;
    const bool parameter = input.kind == InputKind::kParameter || input.kind == InputKind::kOptionalParameter;
    if (!parameter || !node.input(i).valid() || graph.ConstantOf(node.input(i)) != nullptr) continue;
    const Node& producer = *graph.node(node.input(i).node);
    return absl::InvalidArgumentError(
        absl::StrCat("node '", node.name(), "' (", node.type(), "): input '", input.name,
                     "' must be known when the model is built, but comes from '", producer.name(), "' (",
                     producer.type(), "), which depends on the model's inputs or has no kernel here"));
  }
  return absl::InvalidArgumentError(status.message());
}

absl::Status CheckStatic(const Node& node) {
  for (const TensorDesc& desc : node.outputs()) {
    if (IsStatic(desc.shape)) continue;
    return absl::InvalidArgumentError(absl::StrCat("node '", node.name(), "' (", node.type(),
                                                   "): the shape of its output ", ToString(desc),
                                                   " depends on the values it is given; only static "
                                                   "shapes can be built"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Specialize(Graph& graph, const InputShapes& shapes, const EvaluateFunction& evaluate) {
  RETURN_IF_ERROR(FixInputs(graph, shapes));
  graph.RemoveUnused();
  FoldingWalk walk(graph, evaluate, FoldSmall());
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  for (int32_t id : order) {
    Node& node = *graph.node(id);
    if (node.is_data() || node.is_const()) continue;
    walk.Redirect(node);
    if (absl::Status status = InferNode(graph, node); !status.ok()) {
      return absl::IsFailedPrecondition(status) ? ExplainUnresolved(graph, node, status) : status;
    }
    ASSIGN_OR_RETURN(const bool folded, walk.Fold(node));
    if (!folded) RETURN_IF_ERROR(CheckStatic(node));
  }
  walk.Finish();
  return absl::OkStatus();
}

}  // namespace omserve
