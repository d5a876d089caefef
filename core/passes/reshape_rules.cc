// Rules for operators that only rename, permute or repeat elements.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/passes/constants.h"
#include "core/passes/rules.h"

namespace omserve {
namespace {

ValueId ShapeConstant(Rewriter& rewriter, const Node& node, const std::vector<int64_t>& values) {
  return rewriter.AddConstant(absl::StrCat(node.name(), "/", node.is("Transpose") ? "perm" : "shape"),
                              Tensor::Int64s(values));
}

bool IsCanonicalReshape(const Rewriter& rewriter, const Node& node) {
  if (!node.is("Reshape") || node.num_inputs() != 2) return false;
  const std::optional<std::vector<int64_t>> shape = ConstantInts(rewriter.graph(), node.input(1));
  return shape && rewriter.desc(node.input(1)).type == DataType::kInt64 && *shape == node.output().shape;
}

// The reshape family → Reshape to a constant full shape.
absl::StatusOr<bool> CanonicalReshape(Rewriter& rewriter, Node& node) {
  if (IsCanonicalReshape(rewriter, node)) return false;
  RETURN_IF_ERROR(rewriter.BecomeReshape(node, node.input(0)));
  return true;
}

// Reshape to the shape it has → nothing; Reshape(Reshape(x)) → Reshape(x).
absl::StatusOr<bool> MergeReshapes(Rewriter& rewriter, Node& node) {
  const ValueId x = node.input(0);
  if (rewriter.desc(x) == node.output()) {
    RETURN_IF_ERROR(rewriter.Replace(node.out(), x));
    return true;
  }
  const Node* inner = rewriter.Producer(x, "Reshape");
  if (inner == nullptr) return false;
  RETURN_IF_ERROR(rewriter.SetInputs(node, {inner->input(0), node.input(1)}));
  return true;
}

// TransposeD → Transpose with a constant permutation.
absl::StatusOr<bool> CanonicalTranspose(Rewriter& rewriter, Node& node) {
  const std::vector<int64_t> perm = node.AttrOr<std::vector<int64_t>>("perm", {});
  const ValueId constant = rewriter.AddConstant(absl::StrCat(node.name(), "/perm"), Tensor::Int64s(perm));
  RETURN_IF_ERROR(rewriter.Become(node, "Transpose", {node.input(0), constant}));
  return true;
}

std::optional<std::vector<int64_t>> PermutationOf(const Rewriter& rewriter, const Node& node) {
  std::optional<std::vector<int64_t>> perm = ConstantInts(rewriter.graph(), node.input(1));
  if (!perm) return std::nullopt;
  for (int64_t& axis : *perm) {
    if (axis < 0) axis += static_cast<int64_t>(perm->size());
  }
  return perm;
}

// A Transpose that keeps the order of the dimensions larger than 1 → Reshape.
absl::StatusOr<bool> TransposeOfOnes(Rewriter& rewriter, Node& node) {
  const std::optional<std::vector<int64_t>> perm = PermutationOf(rewriter, node);
  if (!perm) return false;
  const Shape& shape = rewriter.shape(node.input(0));
  int64_t last = -1;
  for (int64_t axis : *perm) {
    if (shape[axis] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  RETURN_IF_ERROR(rewriter.BecomeReshape(node, node.input(0)));
  return true;
}

// Transpose(Transpose(x)) → Transpose(x).
absl::StatusOr<bool> MergeTransposes(Rewriter& rewriter, Node& node) {
  const Node* inner = rewriter.Producer(node.input(0), "Transpose");
  if (inner == nullptr) return false;
  const std::optional<std::vector<int64_t>> outer_perm = PermutationOf(rewriter, node);
  const std::optional<std::vector<int64_t>> inner_perm = PermutationOf(rewriter, *inner);
  if (!outer_perm || !inner_perm) return false;
  std::vector<int64_t> perm;
  for (int64_t axis : *outer_perm) perm.push_back((*inner_perm)[axis]);
  RETURN_IF_ERROR(rewriter.SetInputs(node, {inner->input(0), ShapeConstant(rewriter, node, perm)}));
  return true;
}

// Operators whose inputs broadcast against each other as in numpy.
bool BroadcastsInputs(const Node& node) {
  static constexpr const char* kTypes[] = {"Add",         "Sub",        "Mul",
                                           "Div",         "RealDiv",    "FloorDiv",
                                           "TruncateDiv", "Mod",        "FloorMod",
                                           "Pow",         "Maximum",    "Minimum",
                                           "Equal",       "NotEqual",   "Less",
                                           "LessEqual",   "Greater",    "GreaterEqual",
                                           "SelectV2",    "LogicalAnd", "LogicalOr",
                                           "BitwiseAnd",  "BitwiseOr",  "BitwiseXor",
                                           "LeftShift",   "RightShift", "SquaredDifference"};
  return absl::c_any_of(kTypes, [&](const char* type) { return node.is(type); });
}

bool IsMatMul(const Node& node) { return node.is("BatchMatMulV2") || node.is("BatchMatMul"); }

// Whether `reader` computes the same output when its input number `i` is `x` instead of `x` broadcast.
bool BroadcastsByItself(const Rewriter& rewriter, const Node& reader, int i, ValueId x) {
  const Shape& narrow = rewriter.shape(x);
  if (BroadcastsInputs(reader)) {
    Shape shape = narrow;
    for (int k = 0; k < reader.num_inputs(); ++k) {
      if (k == i) continue;
      absl::StatusOr<Shape> merged = BroadcastShapes(shape, rewriter.shape(reader.input(k)));
      if (!merged.ok()) return false;
      shape = *std::move(merged);
    }
    return shape == reader.output().shape;
  }
  if (!IsMatMul(reader) || i > 1 || narrow.size() < 2) return false;
  const Shape& wide = rewriter.shape(reader.input(i));
  const Shape& other = rewriter.shape(reader.input(1 - i));
  if (!std::equal(narrow.end() - 2, narrow.end(), wide.end() - 2) || other.size() < 2) return false;
  absl::StatusOr<Shape> batch = BroadcastShapes(absl::MakeConstSpan(narrow).subspan(0, narrow.size() - 2),
                                                absl::MakeConstSpan(other).subspan(0, other.size() - 2));
  const Shape& output = reader.output().shape;
  return batch.ok() && output.size() == batch->size() + 2 &&
         std::equal(batch->begin(), batch->end(), output.begin());
}

// Expand, and Tile of dimensions of size 1 → BroadcastTo a constant full shape.
absl::StatusOr<bool> CanonicalBroadcast(Rewriter& rewriter, Node& node) {
  const Shape shape = node.output().shape;
  if (node.is("Tile") || node.is("TileD")) {
    const Shape& input = rewriter.shape(node.input(0));
    if (input.size() != shape.size()) return false;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] != input[i] && input[i] != 1) return false;
    }
  } else if (node.is("BroadcastTo")) {
    const std::optional<std::vector<int64_t>> given = ConstantInts(rewriter.graph(), node.input(1));
    if (given && *given == shape && rewriter.desc(node.input(1)).type == DataType::kInt64) return false;
  }
  RETURN_IF_ERROR(
      rewriter.Become(node, "BroadcastTo", {node.input(0), ShapeConstant(rewriter, node, shape)}));
  return true;
}

// BroadcastTo that repeats nothing → Reshape or nothing; BroadcastTo(BroadcastTo(x)) → BroadcastTo(x).
absl::StatusOr<bool> MergeBroadcasts(Rewriter& rewriter, Node& node) {
  const ValueId x = node.input(0);
  if (NumElements(rewriter.shape(x)) == NumElements(node.output().shape) &&
      NumElements(rewriter.shape(x)) > 0) {
    RETURN_IF_ERROR(rewriter.BecomeReshape(node, x));
    return true;
  }
  const Node* inner = rewriter.Producer(x, "BroadcastTo");
  if (inner == nullptr) return false;
  RETURN_IF_ERROR(rewriter.SetInputs(node, {inner->input(0), node.input(1)}));
  return true;
}

// A reader that broadcasts by itself reads what is under a BroadcastTo.
absl::StatusOr<bool> BypassBroadcast(Rewriter& rewriter, Node& node) {
  bool changed = false;
  for (const Rewriter::Use& use : rewriter.UsesOf(node.out())) {
    if (use.reader == Rewriter::Use::kGraphOutput) continue;
    Node& reader = *rewriter.graph().node(use.reader);
    if (!BroadcastsByItself(rewriter, reader, use.input, node.input(0))) continue;
    std::vector<ValueId> inputs(reader.inputs().begin(), reader.inputs().end());
    inputs[use.input] = node.input(0);
    RETURN_IF_ERROR(rewriter.SetInputs(reader, std::move(inputs)));
    changed = true;
  }
  return changed;
}

}  // namespace

std::vector<Rule> ReshapeRules() {
  return {
      {"canonical-reshape",
       {"Reshape", "Squeeze", "SqueezeV2", "SqueezeV3", "Unsqueeze", "UnsqueezeV2", "UnsqueezeV3",
        "ExpandDims", "Flatten", "FlattenV2"},
       CanonicalReshape},
      {"merge-reshapes", {"Reshape"}, MergeReshapes},
      {"canonical-transpose", {"TransposeD"}, CanonicalTranspose},
      {"transpose-of-ones", {"Transpose"}, TransposeOfOnes},
      {"merge-transposes", {"Transpose"}, MergeTransposes},
      {"canonical-broadcast", {"Expand", "BroadcastTo", "Tile", "TileD"}, CanonicalBroadcast},
      {"merge-broadcasts", {"BroadcastTo"}, MergeBroadcasts},
      {"bypass-broadcast", {"BroadcastTo"}, BypassBroadcast},
  };
}

}  // namespace omserve
