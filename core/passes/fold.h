// Computing one node at build time: what specialisation, constant folding and simplification share.
#ifndef OMSERVE_CORE_PASSES_FOLD_H_
#define OMSERVE_CORE_PASSES_FOLD_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/graph/graph.h"
#include "core/passes/passes.h"

namespace omserve {

// Results up to this size are folded while shapes are resolved and rules are applied: enough for any chain
// that computes a shape. Larger ones wait for FoldConstants, after Simplify had a chance to make them
// unnecessary (a transposed weight that becomes adj_x2 stays mapped instead of being copied).
inline constexpr size_t kSmallConstantBytes = size_t{64} << 10;

// Takes the bytes of all inputs and of all outputs: whether such a node is to be folded.
using FoldPolicy = std::function<bool(size_t input_bytes, size_t output_bytes)>;
FoldPolicy FoldSmall();

// True when equal inputs always give equal outputs and nothing else happens.
bool IsPure(const Node& node);

// The outputs of an inferred node whose inputs are constant (Shape, Size and Rank: static). Absent when the
// node cannot be computed now: an input is not constant, the policy refuses, the evaluator has no kernel.
// Views of a constant (reshapes, Identity) share its bytes and are never refused.
absl::StatusOr<std::optional<std::vector<Tensor>>> FoldNode(const Graph& graph, const Node& node,
                                                            const EvaluateFunction& evaluate,
                                                            const FoldPolicy& policy);

// Turns a node of one output into a Const under its own name.
void MakeConst(Node& node, TensorSlice value);

// Folds nodes along one walk in topological order, without a look at the whole graph per node.
class FoldingWalk {
 public:
  FoldingWalk(Graph& graph, const EvaluateFunction& evaluate, FoldPolicy policy)
      : graph_(graph), evaluate_(evaluate), policy_(std::move(policy)) {}

  // Makes `node` read the results of nodes folded before.
  void Redirect(Node& node);
  // Folds an inferred node and returns true, or leaves it. A node of one output becomes a Const under its own
  // name.
  absl::StatusOr<bool> Fold(Node& node);
  // Redirects the graph's outputs and removes what is no longer read.
  void Finish();

 private:
  Graph& graph_;
  const EvaluateFunction& evaluate_;
  const FoldPolicy policy_;
  absl::flat_hash_map<ValueId, ValueId> replaced_;  // outputs of folded nodes with several outputs
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PASSES_FOLD_H_
