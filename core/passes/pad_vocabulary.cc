#include "core/passes/pad_vocabulary.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/op.h"
#include "core/passes/constants.h"

namespace omserve {
namespace {

constexpr int64_t kSmallest = 1024;
constexpr int64_t kHeadWidens = 4;
constexpr int kBias = 2;

class Padder {
 public:
  Padder(Graph& graph, int64_t multiple) : graph_(graph), multiple_(multiple), readers_(graph.AllReaders()) {}

  absl::StatusOr<std::vector<PaddedWeight>> Run() {
    std::vector<PaddedWeight> padded;
    for (const int32_t id : graph_.NodeIds()) {
      const TensorSlice* constant = graph_.node(id)->constant();
      if (constant == nullptr || constant->shape().size() != 2 || readers_[id].empty()) continue;
      const Shape shape = constant->shape();
      for (int dim = 0; dim < 2; ++dim) {
        if (shape[dim] < kSmallest || shape[dim] % multiple_ == 0 || !CanPad(id, dim)) continue;
        RETURN_IF_ERROR(Pad(id, dim));
        padded.push_back({id, dim, shape[dim]});
        break;
      }
    }
    return padded;
  }

 private:
  int64_t Up(int64_t size) const { return (size + multiple_ - 1) / multiple_ * multiple_; }

  bool IsGraphOutput(ValueId value) const {
    return std::any_of(graph_.outputs().begin(), graph_.outputs().end(),
                       [&](const GraphOutput& output) { return output.value == value; });
  }

  // Whether the node reads the value once, there.
  static bool ReadsOnlyAs(const Node& node, int32_t id, int input) {
    for (int i = 0; i < node.num_inputs(); ++i) {
      if ((node.input(i).node == id) != (i == input)) return false;
    }
    return true;
  }

  // Whether a box of more than the constant's size would have zeros there, not other bytes of the source.
  bool EndsItsSource(int32_t id, int dim) const {
    const TensorSlice& constant = *graph_.node(id)->constant();
    return constant.begin()[dim] + constant.shape()[dim] == constant.source().shape()[dim];
  }

  bool IsGatherAlong(const Node& node, int32_t id, int dim) const {
    if (!node.is("Gather") && !node.is("GatherV2") && !node.is("GatherV2D")) return false;
    if (!ReadsOnlyAs(node, id, 0) || node.AttrOr<int64_t>("all_rows", 0) != 0) return false;
    int64_t axis = node.is("GatherV2D") ? node.AttrOr<int64_t>("axis", 0) : 0;
    if (node.is("GatherV2")) {
      const auto value = ConstantInts(graph_, node.input(2));
      if (!value || value->size() != 1) return false;
      axis = (*value)[0];
    }
    return (axis < 0 ? axis + 2 : axis) == dim;
  }

  bool IsHeadAlong(const Node& node, int32_t id, int dim) const {
    const bool batch = node.is("BatchMatMul") || node.is("BatchMatMulV2");
    if (!batch && !node.is("MatMul") && !node.is("MatMulV2")) return false;
    if (!ReadsOnlyAs(node, id, 1)) return false;
    const bool transposed = node.AttrOr<bool>(batch ? "adj_x2" : "transpose_x2", false);
    const Shape& shape = graph_.node(id)->constant()->shape();
    if (dim != (transposed ? 0 : 1) || shape[dim] <= kHeadWidens * shape[1 - dim]) return false;
    return !node.input(kBias).valid() || IsPaddableVector(node.input(kBias), shape[dim]);
  }

  bool IsPaddableVector(ValueId value, int64_t size) const {
    const TensorSlice* constant = graph_.ConstantOf(value);
    return constant != nullptr && constant->shape() == Shape{size} && EndsItsSource(value.node, 0);
  }

  bool CanPad(int32_t id, int dim) const {
    if (!IsFloating(graph_.node(id)->constant()->desc().type) || !EndsItsSource(id, dim)) return false;
    for (const GraphOutput& output : graph_.outputs()) {
      if (output.value.node == id) return false;
    }
    return std::all_of(readers_[id].begin(), readers_[id].end(), [&](int32_t reader) {
      const Node& node = *graph_.node(reader);
      return IsGatherAlong(node, id, dim) || IsHeadAlong(node, id, dim);
    });
  }

  absl::StatusOr<TensorSlice> Padded(const TensorSlice& constant, int dim) const {
    Shape extent = constant.shape();
    extent[dim] = Up(extent[dim]);
    return TensorSlice::Create(constant.source(), constant.begin(), std::move(extent));
  }

  absl::Status Pad(int32_t id, int dim) {
    Node& weight = *graph_.node(id);
    const int64_t size = weight.constant()->shape()[dim];
    ASSIGN_OR_RETURN(TensorSlice padded, Padded(*weight.constant(), dim));
    weight.SetConstant(std::move(padded));
    for (const int32_t reader : readers_[id]) {
      Node& node = *graph_.node(reader);
      if (absl::StartsWith(node.type(), "Gather")) {
        node.SetAttr("all_rows", size);
        RETURN_IF_ERROR(InferNode(graph_, node));
      } else {
        RETURN_IF_ERROR(PadHead(node, size));
      }
    }
    return absl::OkStatus();
  }

  // The input of `node`, a vector, padded: in place when nobody else reads it.
  absl::Status PadVector(Node& node, int input) {
    Node& vector = *graph_.node(node.input(input).node);
    ASSIGN_OR_RETURN(TensorSlice padded, Padded(*vector.constant(), 0));
    if (readers_[vector.id()].size() == 1 && !IsGraphOutput(vector.out())) {
      vector.SetConstant(std::move(padded));
    } else {
      node.SetInput(input, graph_.AddConst(absl::StrCat(vector.name(), "/padded"), std::move(padded))->out());
    }
    return InferNode(graph_, node);
  }

  absl::Status PadHead(Node& product, int64_t size) {
    Shape shape = product.output().shape;
    Node* last = &product;
    if (product.input(kBias).valid()) {
      RETURN_IF_ERROR(PadVector(product, kBias));
    } else {
      RETURN_IF_ERROR(InferNode(graph_, product));
      const std::vector<int32_t>& after = readers_[product.id()];
      if (after.size() == 1 && graph_.node(after[0])->is("Add") && !IsGraphOutput(product.out())) {
        Node& add = *graph_.node(after[0]);
        const int bias = add.input(0) == product.out() ? 1 : 0;
        if (IsPaddableVector(add.input(bias), size)) {
          RETURN_IF_ERROR(PadVector(add, bias));
          last = &add;
        }
      }
    }
    const std::string name = absl::StrCat(last->name(), "/unpadded");
    const ValueId offsets =
        graph_.AddConst(absl::StrCat(name, "/offsets"), Tensor::Int64s(std::vector<int64_t>(shape.size(), 0)))->out();
    const ValueId extent = graph_.AddConst(absl::StrCat(name, "/size"), Tensor::Int64s(shape))->out();
    Node* slice = graph_.AddNode("Slice", name, {});
    graph_.ReplaceUses(last->out(), slice->out());
    slice->SetInputs({last->out(), offsets, extent});
    return InferNode(graph_, *slice);
  }

  Graph& graph_;
  const int64_t multiple_;
  const std::vector<std::vector<int32_t>> readers_;  // before padding
};

}  // namespace

absl::StatusOr<std::vector<PaddedWeight>> PadVocabularies(Graph& graph, int64_t multiple) {
  if (multiple <= 1) return std::vector<PaddedWeight>{};
  return Padder(graph, multiple).Run();
}

}  // namespace omserve
