// A product with weights side by side (queries, keys and values of attention; gate and up of a gated layer)
// whose columns are split at once becomes one product for each part. The work is the same and a copy is
// saved; above all each part can then be cut over devices by itself, which the whole cannot: equal shares of
// its columns would belong to different parts.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/passes/constants.h"
#include "core/passes/rules.h"

namespace omserve {
namespace {

// Columns [begin, begin + size) of the product, which stand in for `value`.
struct Part {
  ValueId value;
  int64_t begin = 0;
  int64_t size = 0;
};

bool ReplacesOnlyLastDim(const Shape& a, const Shape& b) {
  return a.size() == b.size() && !a.empty() && std::equal(a.begin(), a.end() - 1, b.begin());
}

// The part that a slice of the last dimension takes; absent for other nodes and other slices.
std::optional<Part> SlicedPart(const Rewriter& rewriter, const Node& slice) {
  if (!slice.is("StridedSliceV2") && !slice.is("Slice")) return std::nullopt;
  const Shape& whole = rewriter.shape(slice.input(0));
  const Shape& shape = slice.output().shape;
  const std::optional<std::vector<int64_t>> begins = ConstantInts(rewriter.graph(), slice.input(1));
  if (!begins || begins->empty() || !ReplacesOnlyLastDim(whole, shape)) return std::nullopt;
  const int64_t rank = static_cast<int64_t>(whole.size()), size = shape.back();
  if (slice.is("Slice")) return Part{slice.out(), begins->back(), size};
  // A stride of another sign or size is rare enough to be left.
  const auto axes = ConstantInts(rewriter.graph(), slice.input(3));
  const auto strides = ConstantInts(rewriter.graph(), slice.input(4));
  if (slice.input(4).valid() && !(strides && absl::c_all_of(*strides, [](int64_t s) { return s == 1; }))) {
    return std::nullopt;
  }
  const bool last_only = axes ? axes->size() == 1 && (axes->front() == rank - 1 || axes->front() == -1)
                              : !slice.input(3).valid() && static_cast<int64_t>(begins->size()) == rank;
  if (!last_only) return std::nullopt;
  const int64_t begin = begins->back() < 0 ? begins->back() + whole.back() : begins->back();
  return Part{slice.out(), std::clamp<int64_t>(begin, 0, whole.back()), size};
}

// The parts that all readers of `value` together take; empty unless every reader takes some columns, and no
// column is taken twice.
std::vector<Part> PartsOf(Rewriter& rewriter, ValueId value) {
  std::vector<Part> parts;
  if (Node* split = rewriter.OnlyReader(value);
      split != nullptr && absl::StartsWith(split->type(), "Split")) {
    int64_t begin = 0;
    for (int i = 0; i < split->num_outputs(); ++i) {
      const Shape& shape = split->output(i).shape;
      if (!ReplacesOnlyLastDim(rewriter.shape(value), shape)) return {};
      parts.push_back({split->out(i), begin, shape.back()});
      begin += shape.back();
    }
    return begin == rewriter.shape(value).back() ? parts : std::vector<Part>();
  }
  int64_t taken = 0;
  for (const Rewriter::Use& use : rewriter.UsesOf(value)) {
    if (use.reader == Rewriter::Use::kGraphOutput || use.input != 0) return {};
    std::optional<Part> part = SlicedPart(rewriter, *rewriter.graph().node(use.reader));
    if (!part) return {};
    taken += part->size;
    parts.push_back(*part);
  }
  return taken <= rewriter.shape(value).back() ? parts : std::vector<Part>();
}

// Columns of a constant: a box along `dim`, without copying.
absl::StatusOr<ValueId> Columns(Rewriter& rewriter, ValueId constant, size_t dim, const Part& part) {
  const Node& node = *rewriter.graph().node(constant.node);
  if (node.output().shape[dim] == 1) return constant;  // broadcast over the columns
  std::vector<int64_t> begin(node.output().shape.size(), 0);
  Shape extent = node.output().shape;
  begin[dim] = part.begin;
  extent[dim] = part.size;
  ASSIGN_OR_RETURN(TensorSlice slice, node.constant()->Slice(begin, extent));
  return rewriter.AddConstant(absl::StrCat(node.name(), "/", part.begin), std::move(slice));
}

// As Columns along the last dimension; scalars are for all columns.
absl::StatusOr<ValueId> LastColumns(Rewriter& rewriter, ValueId constant, const Part& part) {
  const size_t rank = rewriter.shape(constant).size();
  return rank == 0 ? absl::StatusOr<ValueId>(constant) : Columns(rewriter, constant, rank - 1, part);
}

bool IsConstant(const Rewriter& rewriter, ValueId value) {
  return rewriter.graph().ConstantOf(value) != nullptr;
}

// The only reader of `value` if it works on each column by itself: a constant is added, or the dimensions
// before the last are reshaped. Null else.
Node* ColumnwiseReader(Rewriter& rewriter, ValueId value) {
  Node* reader = rewriter.OnlyReader(value);
  if (reader == nullptr || reader->input(0) != value) return nullptr;
  const int64_t columns = rewriter.shape(value).back();
  const Shape& shape = reader->output().shape;
  const bool adds =
      reader->is("Add") && IsConstant(rewriter, reader->input(1)) && shape == rewriter.shape(value);
  const bool reshapes =
      reader->is("Reshape") && !shape.empty() && shape.back() == columns && NumElements(shape) > 0;
  return adds || reshapes ? reader : nullptr;
}

absl::StatusOr<bool> SplitProduct(Rewriter& rewriter, Node& node) {
  const bool batch = node.is("BatchMatMulV2");
  const ValueId weights = node.input(1);
  if (!IsConstant(rewriter, weights) || rewriter.shape(weights).size() != 2 || node.input(3).valid() ||
      (node.input(2).valid() && !IsConstant(rewriter, node.input(2)))) {
    return false;
  }
  std::vector<Node*> steps;  // between the product and the split
  ValueId value = node.out();
  std::vector<Part> parts = PartsOf(rewriter, value);
  while (parts.empty()) {
    Node* step = ColumnwiseReader(rewriter, value);
    if (step == nullptr) return false;
    steps.push_back(step);
    value = step->out();
    parts = PartsOf(rewriter, value);
  }
  const bool transposed = node.AttrOr<bool>(batch ? "adj_x2" : "transpose_x2", false);
  for (const Part& part : parts) {
    ASSIGN_OR_RETURN(const ValueId columns, Columns(rewriter, weights, transposed ? 0 : 1, part));
    std::vector<ValueId> inputs = {node.input(0), columns};
    if (node.input(2).valid()) {
      ASSIGN_OR_RETURN(inputs.emplace_back(), LastColumns(rewriter, node.input(2), part));
    }
    ASSIGN_OR_RETURN(ValueId result, rewriter.Add(node.type(), absl::StrCat(node.name(), "/", part.begin),
                                                  std::move(inputs), node.attrs()));
    for (const Node* step : steps) {
      ValueId operand;
      if (step->is("Add")) {
        ASSIGN_OR_RETURN(operand, LastColumns(rewriter, step->input(1), part));
      } else {
        Shape shape = step->output().shape;
        shape.back() = part.size;
        operand = rewriter.AddConstant(absl::StrCat(step->name(), "/shape"), Tensor::Int64s(shape));
      }
      ASSIGN_OR_RETURN(
          result, rewriter.Add(step->type(), absl::StrCat(step->name(), "/", part.begin), {result, operand}));
    }
    RETURN_IF_ERROR(rewriter.Replace(part.value, result));
  }
  return true;
}

}  // namespace

std::vector<Rule> SplitRules() { return {{"split-product", {"MatMulV2", "BatchMatMulV2"}, SplitProduct}}; }

}  // namespace omserve
