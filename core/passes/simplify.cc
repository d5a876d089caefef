#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/op.h"
#include "core/passes/fold.h"
#include "core/passes/merge_equal.h"
#include "core/passes/passes.h"
#include "core/passes/rewriter.h"
#include "core/passes/rules.h"

namespace omserve {
namespace {

absl::Status CheckStatic(const Graph& graph) {
  for (int32_t id : graph.NodeIds()) {
    for (const TensorDesc& desc : graph.node(id)->outputs()) {
      if (IsStatic(desc.shape)) continue;
      return absl::FailedPreconditionError(absl::StrCat("node '", graph.node(id)->name(), "' has an output ",
                                                        ToString(desc), "; specialize the graph first"));
    }
  }
  return absl::OkStatus();
}

// A rule: a node of one output whose inputs are constants and whose result is small becomes a constant.
Rule FoldRule(const EvaluateFunction& evaluate) {
  return {"fold-small",
          {},
          [evaluate, policy = FoldSmall()](Rewriter& rewriter, Node& node) -> absl::StatusOr<bool> {
            if (node.num_outputs() != 1) return false;
            // An Identity of a constant is there to give a graph output a node.
            if (node.is("Identity")) return false;
            ASSIGN_OR_RETURN(std::optional<std::vector<Tensor>> values,
                             FoldNode(rewriter.graph(), node, evaluate, policy));
            if (!values) return false;
            rewriter.BecomeConstant(node, std::move(values->front()));
            return true;
          }};
}

void Append(std::vector<Rule>& rules, std::vector<Rule> more) {
  for (Rule& rule : more) rules.push_back(std::move(rule));
}

// The planner and the devices want a node of its own behind each graph output: an Identity after a Data or a
// Const.
absl::Status SeparateOutputs(Graph& graph) {
  for (GraphOutput& output : graph.mutable_outputs()) {
    const Node& producer = *graph.node(output.value.node);
    if (!producer.is_data() && !producer.is_const()) continue;
    Node* identity = graph.AddNode("Identity", output.name, {output.value});
    RETURN_IF_ERROR(InferNode(graph, *identity));
    output.value = identity->out();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Simplify(Graph& graph, const EvaluateFunction& evaluate) {
  RETURN_IF_ERROR(CheckStatic(graph));
  std::vector<Rule> rules = {FoldRule(evaluate)};
  Append(rules, ArithmeticRules());
  Append(rules, ReshapeRules());
  Append(rules, SliceRules());
  Append(rules, MatrixRules());
  Append(rules, SplitRules());
  Append(rules, ConvolutionRules());
  // Merging equal nodes opens the way for rules that want a single reader, or both inputs the same.
  for (bool merged = true; merged;) {
    RETURN_IF_ERROR(Rewriter(graph).Run(rules));
    ASSIGN_OR_RETURN(const int removed, MergeEqualNodes(graph));
    merged = removed > 0;
  }
  graph.RemoveUnused();
  return absl::OkStatus();
}

absl::Status FusePatterns(Graph& graph) {
  RETURN_IF_ERROR(CheckStatic(graph));
  std::vector<Rule> rules = NormalizationFusions();
  Append(rules, ActivationFusions());
  RETURN_IF_ERROR(Rewriter(graph).Run(rules));
  graph.RemoveUnused();
  return absl::OkStatus();
}

absl::Status Optimize(Graph& graph, const InputShapes& shapes, const EvaluateFunction& evaluate) {
  RETURN_IF_ERROR(Specialize(graph, shapes, evaluate));
  RETURN_IF_ERROR(Simplify(graph, evaluate));
  RETURN_IF_ERROR(FoldConstants(graph, evaluate));
  RETURN_IF_ERROR(Simplify(graph, evaluate));  // what became constant, in canonical form for the patterns
  RETURN_IF_ERROR(FusePatterns(graph));
  RETURN_IF_ERROR(Simplify(graph, evaluate));
  RETURN_IF_ERROR(SeparateOutputs(graph));
  return InferGraph(graph);
}

}  // namespace omserve
