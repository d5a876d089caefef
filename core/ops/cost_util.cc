#include "core/ops/cost_util.h"

namespace omserve {
namespace {

double OutputBytes(const NodeView& view) {
  double bytes = 0;
  for (const TensorDesc& output : view.node().outputs()) bytes += static_cast<double>(ByteSize(output));
  return bytes;
}

}  // namespace

double TensorBytes(const NodeView& view) {
  double bytes = OutputBytes(view);
  for (int i = 0; i < view.num_inputs(); ++i) {
    if (view.has_input(i)) bytes += static_cast<double>(ByteSize(view.input(i)));
  }
  return bytes;
}

OpCost ElementCost(const NodeView& view, double flops) {
  const double elements =
      view.node().num_outputs() == 0 ? 0 : static_cast<double>(NumElements(view.output().shape));
  return {flops * elements, TensorBytes(view)};
}

CostFunction PerOutputElement(double flops) {
  return [flops](const NodeView& view) { return ElementCost(view, flops); };
}

CostFunction PerInputElement(double flops) {
  return [flops](const NodeView& view) {
    return OpCost{flops * static_cast<double>(NumElements(view.input_shape(0))), TensorBytes(view)};
  };
}

CostFunction NoCost() {
  return [](const NodeView&) { return OpCost{}; };
}

CostFunction MoveCost() {
  return [](const NodeView& view) { return OpCost{0, 2 * OutputBytes(view)}; };
}

}  // namespace omserve
