#include "core/partition/local_work.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "core/ops/op.h"

namespace omserve {
namespace {

// Positions x taps by taps x channels.
void DescribeConvolution(const Graph& graph, const Node& node, const Shape& result, OperatorWork* work) {
  const int64_t elements = NumElements(result);
  if (result.size() < 3 || elements == 0) return;
  const int64_t channels = node.output().shape[1], groups = node.AttrOr<int64_t>("groups", 1);
  const bool transposed = absl::StartsWith(node.type(), "Conv2DTranspose");
  // Where each channel is by itself, whatever the operator is called, other code runs.
  if (groups > 1 && groups == channels && !transposed) work->type = "DepthwiseConv2D";
  work->columns = work->type == "DepthwiseConv2D" ? 0 : std::min(result[1], channels / groups);
  work->rows = elements / result[1];
  work->inner = std::llround(work->flops / 2 / static_cast<double>(elements));
  if (transposed) {
    work->variant = "Conv2DTranspose";
  } else if (node.is("Conv2D") && groups == 1) {
    const Shape& filter = graph.desc(node.input(1)).shape;
    if (std::all_of(filter.begin() + 2, filter.end(), [](int64_t taps) { return taps == 1; })) work->variant = "Conv2D/pointwise";
  }
}

// What is treated one by one: the rows of a normalisation, the runs of a gather.
int64_t Pieces(const Graph& graph, const Node& node, const Shape& result) {
  int64_t run = 1;  // elements
  if (absl::StrContains(node.type(), "Softmax") || absl::StrContains(node.type(), "Norm")) {
    run = result.empty() ? 1 : result.back();
  } else if (node.is("GatherV2")) {
    const TensorSlice* axis = graph.ConstantOf(node.input(2));
    const int rank = static_cast<int>(graph.desc(node.input(0)).shape.size());
    if (axis == nullptr || (axis->desc().type != DataType::kInt64 && axis->desc().type != DataType::kInt32)) return 0;
    const Tensor value = axis->Materialize();
    int64_t at = value.type() == DataType::kInt64 ? *reinterpret_cast<const int64_t*>(value.data())
                                                  : *reinterpret_cast<const int32_t*>(value.data());
    if (at < 0) at += rank;
    const size_t behind = static_cast<size_t>(std::max<int64_t>(rank - 1 - at, 0));
    for (size_t d = result.size() - std::min(behind, result.size()); d < result.size(); ++d) run *= result[d];
  } else {
    return 0;
  }
  return NumElements(result) / std::max<int64_t>(run, 1);
}

}  // namespace

OperatorWork LocalWork(const Graph& graph, const Node& node, const Mesh& mesh, const Strategy& strategy) {
  const OpCost whole = CostOf(graph, node);
  double parts = 1;
  for (const AxisList& axes : strategy.factor_axes) parts *= static_cast<double>(mesh.Parts(axes));
  OperatorWork work;
  work.type = node.type();
  work.flops = whole.flops / parts;
  for (int i = 0; i < node.num_inputs(); ++i) {
    if (!node.input(i).valid()) continue;
    const TensorDesc& desc = graph.desc(node.input(i));
    work.bytes += static_cast<double>(ByteSize({desc.type, LocalShape(mesh, strategy.inputs[i], desc.shape)}));
  }
  for (int i = 0; i < node.num_outputs(); ++i) {
    const TensorDesc& desc = node.output(i);
    work.bytes += static_cast<double>(ByteSize({desc.type, LocalShape(mesh, strategy.raw_outputs[i], desc.shape)}));
  }
  // Operators that touch only part of their inputs (a gather) state fewer bytes than the operands have.
  work.bytes = std::min(work.bytes, std::max(whole.bytes, 1.0));
  if (node.num_outputs() == 0) return work;
  const Shape result = LocalShape(mesh, strategy.raw_outputs[0], node.output().shape);
  if (absl::StrContains(node.type(), "MatMul")) {
    const int64_t elements = NumElements(result);
    if (elements > 0) {
      work.columns = result.empty() ? 1 : result.back();
      work.rows = elements / work.columns;
      work.inner = std::llround(work.flops / 2 / static_cast<double>(elements));
    }
  } else if (absl::StrContains(node.type(), "Conv")) {
    DescribeConvolution(graph, node, result, &work);
  } else {
    work.pieces = Pieces(graph, node, result);
  }
  return work;
}

}  // namespace omserve
