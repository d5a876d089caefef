// Matrix products. MatMul*: two matrices; BatchMatMul*: matrices over broadcast batch dimensions.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/emit.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/rule_util.h"
#include "core/ops/schema.h"

namespace omserve {
namespace {

constexpr int kBias = 2;
constexpr int kOffsetW = 3;

// Where m, k and n are in the two operands.
struct MatrixLayout {
  int rank1, rank2;
  int m, k1;  // dimensions of x1
  int k2, n;  // dimensions of x2
};

MatrixLayout LayoutOf(const NodeView& view) {
  const bool batch = absl::string_view(view.node().type()).substr(0, 5) == "Batch";
  const bool transposed1 = view.Attr<bool>(batch ? "adj_x1" : "transpose_x1");
  const bool transposed2 = view.Attr<bool>(batch ? "adj_x2" : "transpose_x2");
  MatrixLayout layout;
  layout.rank1 = static_cast<int>(view.input_shape(0).size());
  layout.rank2 = static_cast<int>(view.input_shape(1).size());
  layout.m = transposed1 ? layout.rank1 - 1 : layout.rank1 - 2;
  layout.k1 = transposed1 ? layout.rank1 - 2 : layout.rank1 - 1;
  layout.k2 = transposed2 ? layout.rank2 - 1 : layout.rank2 - 2;
  layout.n = transposed2 ? layout.rank2 - 2 : layout.rank2 - 1;
  return layout;
}

absl::StatusOr<Descs> InferMatMul(const NodeView& view, bool batch) {
  RETURN_IF_ERROR(CheckSameType(view, 0, 1));
  if (!IsNumericType(view.input(0).type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("x1 is ", ToString(view.input(0)), "; it must be a number"));
  }
  for (int i : {0, 1}) RETURN_IF_ERROR(batch ? CheckMinRank(view, i, 2) : CheckRank(view, i, 2));
  RETURN_IF_ERROR(CheckAbsent(view, kOffsetW));
  const MatrixLayout layout = LayoutOf(view);
  const Shape& a = view.input_shape(0);
  const Shape& b = view.input_shape(1);
  if (!DimsAgree(a[layout.k1], b[layout.k2])) {
    return absl::InvalidArgumentError(absl::StrCat("x1 is ", ToString(view.input(0)), " and x2 ",
                                                   ToString(view.input(1)), ": the inner dimensions ",
                                                   a[layout.k1], " and ", b[layout.k2], " differ"));
  }
  ASSIGN_OR_RETURN_WITH(Shape shape,
                        BroadcastShapes(absl::MakeConstSpan(a).first(layout.rank1 - 2),
                                        absl::MakeConstSpan(b).first(layout.rank2 - 2)),
                        "batch dimensions");
  const int64_t n = b[layout.n];
  shape.push_back(a[layout.m]);
  shape.push_back(n);
  // Products of int8 are summed in int32.
  const DataType type = view.input(0).type == DataType::kInt8 ? DataType::kInt32 : view.input(0).type;
  if (view.has_input(kBias)) {
    RETURN_IF_ERROR(CheckRank(view, kBias, 1));
    const TensorDesc& bias = view.input(kBias);
    if (!DimsAgree(bias.shape[0], n) || bias.type != type) {
      return absl::InvalidArgumentError(
          absl::StrCat("bias is ", ToString(bias), "; it must be ", ToString(TensorDesc{type, {n}})));
    }
  }
  return Descs{{type, shape}};
}

absl::StatusOr<ShardingRule> MatMulRule(const NodeView& view) {
  const MatrixLayout layout = LayoutOf(view);
  const Shape& y = view.output().shape;
  const int batch = static_cast<int>(y.size()) - 2;
  RuleBuilder rule(view);
  for (int d = 0; d < batch; ++d) {
    const int factor = rule.Add(y[d], FactorKind::kParallel, absl::StrCat("batch", d));
    rule.Output(0, d, factor);
    const int d1 = d - (batch - (layout.rank1 - 2));
    const int d2 = d - (batch - (layout.rank2 - 2));
    if (d1 >= 0) rule.BroadcastInput(0, d1, factor);
    if (d2 >= 0) rule.BroadcastInput(1, d2, factor);
  }
  const int m = rule.Add(y[batch], FactorKind::kParallel, "m");
  const int n = rule.Add(y[batch + 1], FactorKind::kParallel, "n");
  const int k = rule.Add(view.input_shape(0)[layout.k1], FactorKind::kSum, "k");
  rule.Input(0, layout.m, m).Input(0, layout.k1, k);
  rule.Input(1, layout.k2, k).Input(1, layout.n, n);
  rule.Output(0, batch, m).Output(0, batch + 1, n);
  // The bias is added once (EmitBiasOnce), but a partial x1 would add it on every device.
  if (view.has_input(kBias)) {
    rule.Input(kBias, 0, n);
  } else {
    AddLinear(view, {{{0}, {1}}}, rule);
  }
  return rule.Finish();
}

OpCost MatMulCost(const NodeView& view) {
  const double k = static_cast<double>(view.input_shape(0)[LayoutOf(view).k1]);
  return ElementCost(view, 2 * k + (view.has_input(kBias) ? 1 : 0));
}

OpDef MatMulDef(const std::string& type, bool batch, bool v2) {
  OpDef def;
  def.type = type;
  def.inputs = {Required("x1"), Required("x2")};
  if (v2 || !batch) def.inputs.push_back(Optional("bias"));
  if (v2) def.inputs.push_back(Optional("offset_w"));
  def.outputs = {"y"};
  const std::string prefix = batch ? "adj_x" : "transpose_x";
  def.attrs = {DefaultAttr(prefix + "1", false), DefaultAttr(prefix + "2", false)};
  if (v2) def.attrs.push_back(DefaultAttr("offset_x", int64_t{0}));
  def.infer = [batch](const NodeView& view) { return InferMatMul(view, batch); };
  def.rule = MatMulRule;
  def.emit = [](EmitContext& context) { return EmitBiasOnce(context, kBias); };
  def.cost = MatMulCost;
  return def;
}

}  // namespace

void AddMatrixOps(OpRegistry& registry) {
  registry.Add(MatMulDef("MatMul", /*batch=*/false, /*v2=*/false));
  registry.Add(MatMulDef("MatMulV2", /*batch=*/false, /*v2=*/true));
  registry.Add(MatMulDef("BatchMatMul", /*batch=*/true, /*v2=*/false));
  registry.Add(MatMulDef("BatchMatMulV2", /*batch=*/true, /*v2=*/true));
}

}  // namespace omserve
