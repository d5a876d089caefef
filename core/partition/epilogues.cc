#include "core/partition/epilogues.h"

#include <vector>

#include "absl/strings/match.h"

namespace omserve {
namespace {

bool IsProduct(const Node& node) {
  return node.num_outputs() == 1 && (absl::StrContains(node.type(), "MatMul") || node.is("Conv2D"));
}

bool IsActivation(const Node& node) {
  for (const char* type : {"Relu", "Relu6", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Swish", "FastGelu",
                           "Gelu", "GeluV2"}) {
    if (node.is(type)) return true;
  }
  return false;
}

class Finder {
 public:
  explicit Finder(const Graph& graph) : graph_(graph), readers_(graph.AllReaders()) {
    for (const GraphOutput& output : graph.outputs()) outputs_.insert(output.value.node);
  }

  Epilogues Find() {
    for (const int32_t id : graph_.NodeIds()) {
      if (IsProduct(*graph_.node(id))) Follow(*graph_.node(id));
    }
    return std::move(found_);
  }

 private:
  // The only reader of a node whose value nobody else needs, when it keeps the shape; else null.
  const Node* Next(const Node& node) const {
    const auto& readers = readers_[static_cast<size_t>(node.id())];
    if (outputs_.contains(node.id()) || readers.size() != 1) return nullptr;
    const Node* next = graph_.node(readers[0]);
    return next->num_outputs() == 1 && next->output() == node.output() && !found_.contains(next->id()) ? next : nullptr;
  }

  // The other operand of a sum, or no value.
  static ValueId Addend(const Node& sum, const Node& node) {
    if ((!sum.is("Add") && !sum.is("AddV2")) || sum.num_inputs() != 2) return {};
    return sum.input(sum.input(0).node == node.id() ? 1 : 0);
  }

  void Follow(const Node& product) {
    const Node* last = &product;
    const auto take = [&](const Node* node) {
      found_.insert(node->id());
      last = node;
    };
    const auto take_activation = [&] {
      const Node* next = Next(*last);
      if (next != nullptr && IsActivation(*next)) take(next);
    };
    if (const Node* next = Next(*last)) {
      const ValueId bias = Addend(*next, *last);
      if (bias.valid() && graph_.ConstantOf(bias) != nullptr) take(next);
    }
    take_activation();
    if (const Node* next = Next(*last)) {
      const ValueId residual = Addend(*next, *last);
      if (!residual.valid() || residual.node == last->id() || graph_.desc(residual) != product.output()) return;
      take(next);
      take_activation();
    }
  }

  const Graph& graph_;
  const std::vector<std::vector<int32_t>> readers_;
  absl::flat_hash_set<int32_t> outputs_;  // nodes whose values leave the graph
  Epilogues found_;
};

}  // namespace

Epilogues FindEpilogues(const Graph& graph) { return Finder(graph).Find(); }

}  // namespace omserve
