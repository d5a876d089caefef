#include "core/device/cpu/fusion.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "core/device/cpu/epilogue.h"

namespace omserve::cpu {

namespace {

constexpr int kBias = 2;
constexpr int kResidual = 4;  // behind bias and offset_w

bool IsMatMul(const Node& node) {
  return node.is("MatMul") || node.is("MatMulV2") || node.is("BatchMatMul") || node.is("BatchMatMulV2");
}

class Fuser {
 public:
  explicit Fuser(Graph& graph) : graph_(graph), readers_(graph.AllReaders()) {
    is_output_.assign(static_cast<size_t>(graph.id_limit()), false);
    for (const GraphOutput& output : graph.outputs()) is_output_[output.value.node] = true;
  }

  int Run() {
    int fused = 0;
    for (int32_t id : graph_.NodeIds()) {
      Node* node = graph_.node(id);
      if (node == nullptr || fused_.contains(id) || node->num_outputs() == 0 || node->output().type != DataType::kFloat) continue;
      if (IsMatMul(*node) || node->is("Conv2D")) fused += Grow(node);
    }
    return fused;
  }

 private:
  // The only reader of a node whose value nobody else needs, or null.
  Node* OnlyReader(const Node& node) {
    if (is_output_[node.id()] || readers_[node.id()].size() != 1) return nullptr;
    Node* reader = graph_.node(readers_[node.id()][0]);
    return reader != nullptr && reader->num_outputs() == 1 && reader->output() == node.output() ? reader : nullptr;
  }

  // The other operand of an addition.
  std::optional<ValueId> Addend(const Node& sum, const Node& node) {
    if (!sum.is("Add") && !sum.is("AddV2")) return std::nullopt;
    const ValueId a = sum.input(0), b = sum.input(1);
    if (a.node == node.id() && b.node != node.id()) return b;
    if (b.node == node.id() && a.node != node.id()) return a;
    return std::nullopt;
  }

  // A vector over the result's last dimension (matrices) or its channels (convolutions), constant.
  bool IsBias(const Node& node, ValueId value) {
    if (graph_.ConstantOf(value) == nullptr) return false;
    const Shape& shape = graph_.desc(value).shape;
    const Shape& result = node.output().shape;
    if (node.is("Conv2D")) {
      // [c,1,1] or [1,c,1,1]
      const int64_t channels = result[1];
      return (shape == Shape{channels, 1, 1} || shape == Shape{1, channels, 1, 1}) && HasChannelsFirst(node);
    }
    const int64_t n = result.back();
    for (size_t d = 0; d + 1 < shape.size(); ++d) {
      if (shape[d] != 1) return false;
    }
    return !shape.empty() && shape.back() == n && shape.size() <= result.size();
  }

  static bool HasChannelsFirst(const Node& node) { return node.AttrOr<std::string>("data_format", "NHWC") == "NCHW"; }

  // Follows the chain behind `node` as far as the epilogue can express it.
  int Grow(Node* node) {
    Epilogue epilogue;
    ValueId bias = node->input(kBias), residual;
    Node* last = node;
    std::vector<int32_t> members;
    const auto take = [&](Node* next) {
      members.push_back(last->id());
      last = next;
    };
    if (Node* next = OnlyReader(*last); next != nullptr && !bias.valid()) {
      if (std::optional<ValueId> addend = Addend(*next, *last); addend && IsBias(*node, *addend)) {
        bias = *addend;
        take(next);
      }
    }
    if (Node* next = OnlyReader(*last)) {
      if (std::optional<ActivationSpec> activation = ActivationOf(*next)) {
        epilogue.activation = *activation;
        take(next);
      }
    }
    if (Node* next = OnlyReader(*last)) {
      std::optional<ValueId> addend = Addend(*next, *last);
      if (addend && graph_.desc(*addend) == node->output()) {
        epilogue.residual = true;
        residual = *addend;
        take(next);
        if (Node* after = OnlyReader(*last)) {
          if (std::optional<ActivationSpec> activation = ActivationOf(*after)) {
            epilogue.last = *activation;
            take(after);
          }
        }
      }
    }
    if (members.empty()) return 0;
    Replace(*node, *last, bias, residual, epilogue);
    for (int32_t member : members) graph_.Remove(member);
    return static_cast<int>(members.size());
  }

  // Turns `last` into the fused form of `head`.
  void Replace(const Node& head, Node& last, ValueId bias, ValueId residual, const Epilogue& epilogue) {
    std::vector<ValueId> inputs(head.inputs().begin(), head.inputs().end());
    inputs.resize(epilogue.residual ? kResidual + 1 : std::max<size_t>(inputs.size(), kBias + 1));
    inputs[kBias] = bias;
    if (epilogue.residual) inputs[kResidual] = residual;
    const AttrMap old = last.attrs();
    for (const auto& [name, value] : old) last.RemoveAttr(name);
    for (const auto& [name, value] : head.attrs()) last.SetAttr(name, value);
    epilogue.SetOn(last);
    last.set_type(head.type());
    fused_.insert(last.id());
    last.SetInputs(std::move(inputs));
  }

  Graph& graph_;
  std::vector<std::vector<int32_t>> readers_;
  std::vector<bool> is_output_;
  absl::flat_hash_set<int32_t> fused_;  // they look like what they begin with, and have their epilogue
};

}  // namespace

int FuseEpilogues(Graph& graph) { return Fuser(graph).Run(); }

}  // namespace omserve::cpu
