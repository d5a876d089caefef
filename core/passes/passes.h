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

// Brings a static graph to the small set of operators the planner and the devices work with, by local rules
// applied until none fits (rules.h), and merges equal nodes. Numbers stay the same up to the rounding of
// floats.
//  - Identity, Dropout, and casts, reshapes, transposes, pads, slices, sums and products that do nothing
//  disappear;
//  - Squeeze*, Unsqueeze*, Flatten*, ExpandDims, transposes of dimensions of size 1 and reshapes of reshapes
//  become one
//    Reshape to a constant int64 shape without -1 (allowzero is set when it has a 0); TransposeD becomes
//    Transpose;
//  - Expand and tiling of dimensions of size 1 become BroadcastTo a constant full shape, or nothing where
//  every reader
//    broadcasts by itself;
//  - products of two matrices are MatMulV2, all others BatchMatMulV2; a Transpose of their last two
//  dimensions goes
//    into transpose_x* / adj_x*; a product with constant weights whose columns are split becomes one for each
//    part;
//  - Concat* become ConcatD with an axis counted from the front, Reduce* have constant axes, sorted and
//  counted from
//    the front; AddV2, Muls, Adds, Div of floats, AddN of two become Add, Mul, RealDiv; constants come
//    second;
//  - x*x, Pow(x, 2) become Square, Pow(x, 0.5) Sqrt, 1/Sqrt(x) Rsqrt;
//  - BatchNorm becomes a scale and a shift, and these go into the filter and bias of the convolution in
//  front.
// Biases of products, activations and residuals stay nodes of their own for the planner; devices fuse them.
// FAILED_PRECONDITION for a graph that is not static.
absl::Status Simplify(Graph& graph, const EvaluateFunction& evaluate);

// Recognises, in a simplified graph, subgraphs that stand for one operator: LayerNormV4 (also for LayerNorm
// and LayerNormV3) and RmsNorm from their primitive form, Gelu (erf), GeluV2 (tanh), Swish (x * Sigmoid(scale
// * x)), HardSwish and HardSigmoid, SoftmaxV2 from Exp/ReduceSum. A subgraph with a value that is read
// elsewhere is left.
absl::Status FusePatterns(Graph& graph);

// All of the above in order: the front half of a build. Afterwards the graph is inferred and verified, and
// each graph output has a node behind it that is neither Data nor Const (an Identity, where there is nothing
// else).
absl::Status Optimize(Graph& graph, const InputShapes& shapes, const EvaluateFunction& evaluate);

}  // namespace omserve

#endif  // OMSERVE_CORE_PASSES_PASSES_H_
