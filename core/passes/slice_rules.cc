// Rules for slices, pads, joins and reductions that do less than they could.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/passes/constants.h"
#include "core/passes/rules.h"

namespace omserve {
namespace {

bool AllAre(const Rewriter& rewriter, ValueId value, int64_t expected) {
  const std::optional<std::vector<int64_t>> ints = ConstantInts(rewriter.graph(), value);
  return ints && absl::c_all_of(*ints, [expected](int64_t v) { return v == expected; });
}

// Whether a node with an output like its first input copies that input. A slice of full size with positive
// strides begins at 0; pads may cancel out and are looked at.
bool CopiesInput(const Rewriter& rewriter, const Node& node) {
  if (node.is("Slice")) return true;
  if (node.is("StridedSlice")) return AllAre(rewriter, node.input(3), 1);
  if (node.is("StridedSliceV2")) return !node.input(4).valid() || AllAre(rewriter, node.input(4), 1);
  if (node.is("Pad") || node.is("PadV2") || node.is("PadV3")) return AllAre(rewriter, node.input(1), 0);
  return node.is("Tile") || node.is("TileD");
}

// A slice, pad or tile of everything → nothing.
absl::StatusOr<bool> DropWholeSlice(Rewriter& rewriter, Node& node) {
  const bool reshapes =
      node.AttrOr<int64_t>("new_axis_mask", 0) != 0 || node.AttrOr<int64_t>("shrink_axis_mask", 0) != 0;
  if (reshapes || rewriter.desc(node.input(0)) != node.output() || !CopiesInput(rewriter, node)) return false;
  RETURN_IF_ERROR(rewriter.Replace(node.out(), node.input(0)));
  return true;
}

// Split, SplitD, SplitV, SplitVD into one part → that part.
absl::StatusOr<bool> DropWholeSplit(Rewriter& rewriter, Node& node) {
  const ValueId x = node.input(node.is("Split") ? 1 : 0);
  if (node.num_outputs() != 1 || rewriter.desc(x) != node.output()) return false;
  RETURN_IF_ERROR(rewriter.Replace(node.out(), x));
  return true;
}

// Concat, ConcatV2, ConcatV2D → ConcatD; parts without elements are dropped (a past of length 0), nested
// ConcatD along the same dimension are joined, and ConcatD of one part → that part.
absl::StatusOr<bool> CanonicalConcat(Rewriter& rewriter, Node& node) {
  std::vector<ValueId> parts(node.inputs().begin(), node.inputs().end());
  int64_t axis = node.AttrOr<int64_t>("concat_dim", 0);
  if (node.is("Concat") || node.is("ConcatV2")) {
    const auto at = node.is("Concat") ? parts.begin() : std::prev(parts.end());
    const std::optional<std::vector<int64_t>> value = ConstantInts(rewriter.graph(), *at);
    if (!value || value->size() != 1) return false;
    axis = value->front();
    parts.erase(at);
  }
  ASSIGN_OR_RETURN(axis, NormalizeAxis(axis, static_cast<int>(node.output().shape.size())));
  std::vector<ValueId> kept;
  for (ValueId part : parts) {
    const Node* inner = rewriter.Producer(part, "ConcatD");
    if (inner != nullptr && inner->AttrOr<int64_t>("concat_dim", 0) == axis && rewriter.HasOneUse(part)) {
      kept.insert(kept.end(), inner->inputs().begin(), inner->inputs().end());
    } else if (rewriter.shape(part)[axis] != 0 || rewriter.desc(part) == node.output()) {
      kept.push_back(part);
    }
  }
  if (kept.size() > 1 && node.output().shape[axis] == 0) kept.resize(1);
  if (kept.size() == 1 && rewriter.desc(kept[0]) == node.output()) {
    RETURN_IF_ERROR(rewriter.Replace(node.out(), kept[0]));
    return true;
  }
  const int64_t count = static_cast<int64_t>(kept.size());
  if (node.is("ConcatD") && absl::c_equal(kept, node.inputs()) &&
      node.AttrOr<int64_t>("concat_dim", 0) == axis && node.AttrOr<int64_t>("N", 1) == count) {
    return false;
  }
  RETURN_IF_ERROR(rewriter.Become(node, "ConcatD", std::move(kept), {{"concat_dim", axis}, {"N", count}}));
  return true;
}

// ReduceMeanD, … → ReduceMean with constant axes, sorted and counted from the front.
absl::StatusOr<bool> CanonicalReduce(Rewriter& rewriter, Node& node) {
  std::string type = node.type();
  std::optional<std::vector<int64_t>> axes;
  if (absl::EndsWith(type, "D")) {
    type.pop_back();
    axes = node.AttrOr<std::vector<int64_t>>("axes", {});
  } else if (node.input(1).valid()) {
    axes = ConstantInts(rewriter.graph(), node.input(1));
  }
  // No axes may mean all or none: left to the operator.
  if (!axes || axes->empty()) return false;
  for (int64_t& axis : *axes) {
    ASSIGN_OR_RETURN(axis, NormalizeAxis(axis, static_cast<int>(rewriter.shape(node.input(0)).size())));
  }
  absl::c_sort(*axes);
  const bool canonical = type == node.type() && rewriter.shape(node.input(1)).size() == 1 &&
                         rewriter.desc(node.input(1)).type == DataType::kInt64 &&
                         *axes == *ConstantInts(rewriter.graph(), node.input(1));
  if (canonical) return false;
  const ValueId constant = rewriter.AddConstant(absl::StrCat(node.name(), "/axes"), Tensor::Int64s(*axes));
  RETURN_IF_ERROR(rewriter.Become(node, type, {node.input(0), constant},
                                  {{"keep_dims", node.AttrOr<bool>("keep_dims", false)}}));
  return true;
}

// A reduction over dimensions of size 1 → Reshape.
absl::StatusOr<bool> ReduceOfOnes(Rewriter& rewriter, Node& node) {
  const TensorDesc& x = rewriter.desc(node.input(0));
  if (x.type != node.output().type || NumElements(x.shape) == 0 ||
      NumElements(x.shape) != NumElements(node.output().shape)) {
    return false;
  }
  RETURN_IF_ERROR(rewriter.BecomeReshape(node, node.input(0)));
  return true;
}

// A Reshape that puts the reduced dimensions back as 1, or takes them away, → keep_dims of the reduction.
absl::StatusOr<bool> ReshapeOfReduce(Rewriter& rewriter, Node& node) {
  const Node* reduce = rewriter.graph().node(node.input(0).node);
  if (node.input(0).output != 0 || !absl::StartsWith(reduce->type(), "Reduce") ||
      absl::EndsWith(reduce->type(), "D") || !rewriter.HasOneUse(reduce->out())) {
    return false;
  }
  const std::optional<std::vector<int64_t>> axes = ConstantInts(rewriter.graph(), reduce->input(1));
  if (!axes || axes->empty()) return false;
  const bool keeps = reduce->AttrOr<bool>("keep_dims", false);
  const Shape& input = rewriter.shape(reduce->input(0));
  Shape other;  // the shape that the other keep_dims gives
  for (int64_t i = 0; i < static_cast<int64_t>(input.size()); ++i) {
    const bool reduced = absl::c_any_of(
        *axes, [&](int64_t axis) { return axis == i || axis + static_cast<int64_t>(input.size()) == i; });
    if (!reduced) other.push_back(input[i]);
    if (reduced && !keeps) other.push_back(1);
  }
  if (other != node.output().shape) return false;
  AttrMap attrs = reduce->attrs();
  attrs["keep_dims"] = !keeps;
  RETURN_IF_ERROR(
      rewriter.Become(node, reduce->type(), {reduce->input(0), reduce->input(1)}, std::move(attrs)));
  return true;
}

}  // namespace

std::vector<Rule> SliceRules() {
  return {
      {"drop-whole-slice",
       {"Slice", "StridedSlice", "StridedSliceV2", "Pad", "PadV2", "PadV3", "Tile", "TileD"},
       DropWholeSlice},
      {"drop-whole-split", {"Split", "SplitD", "SplitV", "SplitVD"}, DropWholeSplit},
      {"canonical-concat", {"Concat", "ConcatD", "ConcatV2", "ConcatV2D"}, CanonicalConcat},
      {"canonical-reduce",
       {"ReduceMean", "ReduceMeanD", "ReduceSum", "ReduceSumD", "ReduceMax", "ReduceMaxD", "ReduceMin",
        "ReduceProd"},
       CanonicalReduce},
      {"reduce-of-ones", {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"}, ReduceOfOnes},
      {"reshape-of-reduce", {"Reshape"}, ReshapeOfReduce},
  };
}

}  // namespace omserve
