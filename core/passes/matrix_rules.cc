// Rules for the matrix-product family. Canonical: MatMulV2 for two matrices, BatchMatMulV2 for everything
// else. A bias stays an Add of its own: the planner may cut the summed dimension, and an Add knows by itself
// that only one of the partial sums may carry it; devices fuse it into the product when they compile a slice.
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/passes/constants.h"
#include "core/passes/rules.h"

namespace omserve {
namespace {

const char* TransposeAttr(const Node& node, int i) {
  if (node.is("MatMulV2")) return i == 0 ? "transpose_x1" : "transpose_x2";
  return i == 0 ? "adj_x1" : "adj_x2";
}

// MatMul → MatMulV2, BatchMatMul → BatchMatMulV2, BatchMatMulV2 of two matrices → MatMulV2.
absl::StatusOr<bool> CanonicalMatMul(Rewriter& rewriter, Node& node) {
  const std::vector<ValueId> inputs(node.inputs().begin(), node.inputs().end());
  const bool batch = node.is("BatchMatMul") || node.is("BatchMatMulV2");
  if (batch && rewriter.shape(inputs[0]).size() == 2 && rewriter.shape(inputs[1]).size() == 2) {
    AttrMap attrs = {{"transpose_x1", node.AttrOr<bool>("adj_x1", false)},
                     {"transpose_x2", node.AttrOr<bool>("adj_x2", false)}};
    RETURN_IF_ERROR(rewriter.Become(node, "MatMulV2", inputs, std::move(attrs)));
    return true;
  }
  if (node.is("BatchMatMulV2")) return false;
  RETURN_IF_ERROR(rewriter.Become(node, batch ? "BatchMatMulV2" : "MatMulV2", inputs, node.attrs()));
  return true;
}

// A Transpose in front of a product goes into adj_x1 / adj_x2. One that moves batch dimensions as well keeps
// those and leaves the last dimension where it was, so that it copies whole rows.
absl::StatusOr<bool> AbsorbTranspose(Rewriter& rewriter, Node& node) {
  for (int i : {0, 1}) {
    const Node* transpose = rewriter.Producer(node.input(i), "Transpose");
    if (transpose == nullptr) continue;
    const std::optional<std::vector<int64_t>> perm = ConstantInts(rewriter.graph(), transpose->input(1));
    const size_t rank = transpose->output().shape.size();
    if (!perm || rank < 2 || perm->size() != rank || (*perm)[rank - 2] != static_cast<int64_t>(rank) - 1)
      continue;
    std::vector<int64_t> rest = *perm;
    std::swap(rest[rank - 2], rest[rank - 1]);
    std::vector<int64_t> identity(rank);
    std::iota(identity.begin(), identity.end(), 0);
    ValueId x = transpose->input(0);
    if (rest != identity) {
      if (!rewriter.HasOneUse(transpose->out())) continue;
      const ValueId constant =
          rewriter.AddConstant(absl::StrCat(transpose->name(), "/perm"), Tensor::Int64s(rest));
      ASSIGN_OR_RETURN(x, rewriter.Add("Transpose", absl::StrCat(transpose->name(), "/rows"), {x, constant}));
    }
    std::vector<ValueId> inputs(node.inputs().begin(), node.inputs().end());
    inputs[i] = x;
    AttrMap attrs = node.attrs();
    const char* attr = TransposeAttr(node, i);
    attrs[attr] = !node.AttrOr<bool>(attr, false);
    RETURN_IF_ERROR(rewriter.Become(node, node.type(), std::move(inputs), std::move(attrs)));
    return true;
  }
  return false;
}

}  // namespace

std::vector<Rule> MatrixRules() {
  return {
      {"canonical-matmul", {"MatMul", "BatchMatMul", "BatchMatMulV2"}, CanonicalMatMul},
      {"absorb-transpose", {"MatMulV2", "BatchMatMulV2"}, AbsorbTranspose},
  };
}

}  // namespace omserve
