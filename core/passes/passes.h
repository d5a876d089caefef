// The compiler's rewrites of a whole graph, before it is planned. Each keeps the graph's inputs, outputs and
// meaning.
#ifndef OMSERVE_CORE_PASSES_PASSES_H_
#define OMSERVE_CORE_PASSES_PASSES_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/graph/graph.h"

namespace omserve {

// Computes a node whose inputs are all constant (absent inputs: empty tensors). The build driver passes the
// CPU's Evaluator; passes do not depend on devices.
using EvaluateFunction =
    std::function<absl::StatusOr<std::vector<Tensor>>(const Graph&, const Node&, absl::Span<const Tensor>)>;

// Shapes of graph inputs by name. An input that is not named keeps its own shape.
using InputShapes = std::map<std::string, Shape>;

// Fixes the shapes of all inputs, infers every node in topological order and computes on the way what is
// already constant, so that chains of Shape, Gather, Concat, Range, ConstantOfShape, … resolve. Afterwards
// every shape is static and every parameter input is a constant. INVALID_ARGUMENT names an unknown input, an
// input whose shape is still unknown, or the node that cannot be resolved.
absl::Status Specialize(Graph& graph, const InputShapes& shapes, const EvaluateFunction& evaluate);

// Computes nodes with constant inputs (up to `max_bytes` of output each that is larger than the inputs
// together).
absl::Status FoldConstants(Graph& graph, const EvaluateFunction& evaluate,
                           size_t max_bytes = size_t{64} << 20);

// Brings a static graph to the small set of operators the planner and the devices work with:
//  - Identity, Dropout, no-op casts, reshapes, transposes, pads and slices disappear; equal nodes are merged;
//  - Squeeze*, Unsqueeze*, Flatten*, ExpandDims, reshapes of reshapes become one Reshape with a constant
//  shape;
//  - Expand becomes BroadcastTo, or nothing where the reader broadcasts by itself;
//  - a Transpose of the last two dimensions goes into the MatMul that reads it (adj_x1 / adj_x2 /
//  transpose_x*);
//  - x*x, Pow(x, 2) become Square, Pow(x, 0.5) Sqrt, 1/Sqrt(x) Rsqrt; BatchNorm folds into the Conv2D or
//  becomes a
//    scale and a shift.
absl::Status Simplify(Graph& graph, const EvaluateFunction& evaluate);

// Recognises subgraphs that stand for one operator: LayerNormV4 and RmsNorm from their primitive form, Gelu
// (erf) and FastGelu / GeluV2 (tanh), Swish (x * Sigmoid(x)), HardSwish, SoftmaxV2 from Exp/ReduceSum.
absl::Status FusePatterns(Graph& graph);

// All of the above in order: the front half of a build.
absl::Status Optimize(Graph& graph, const InputShapes& shapes, const EvaluateFunction& evaluate);

}  // namespace omserve

#endif  // OMSERVE_CORE_PASSES_PASSES_H_
