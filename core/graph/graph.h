// Graph: a static single-assignment data-flow graph in the Ascend IR vocabulary (operator types, attribute and
// parameter conventions of GE IR). The compiler's one representation: importers make it, passes rewrite it, the
// partitioner cuts it, the OM stores it, devices compile it.
//
//   Graph graph("mlp");
//   Node* x = graph.AddData("x", {DataType::kFloat, {1, 64}});
//   Node* w = graph.AddConst("w", TensorSlice(weights));
//   Node* y = graph.AddNode("MatMulV2", "fc", {x->out(), w->out()});
//   y->SetOutput(0, {DataType::kFloat, {1, 32}});
//   graph.AddOutput("y", y->out());
#ifndef OMSERVE_CORE_GRAPH_GRAPH_H_
#define OMSERVE_CORE_GRAPH_GRAPH_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/graph/attributes.h"
#include "core/tensor/tensor.h"

namespace omserve {

class Graph;

// One output of one node. Node ids are never reused within a graph.
struct ValueId {
  int32_t node = -1;
  int32_t output = 0;

  // False for an absent optional input.
  bool valid() const { return node >= 0; }
  bool operator==(const ValueId&) const = default;
  auto operator<=>(const ValueId&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const ValueId& value) {
    return H::combine(std::move(h), value.node, value.output);
  }
};

// Owned by its Graph. Not thread-safe.
class Node {
 public:
  int32_t id() const { return id_; }
  // Unique in the graph.
  const std::string& name() const { return name_; }
  // Ascend operator type: "BatchMatMulV2", "Data", "Const".
  const std::string& type() const { return type_; }
  void set_type(std::string type) { type_ = std::move(type); }
  bool is(absl::string_view type) const { return type_ == type; }
  bool is_const() const { return type_ == "Const"; }
  bool is_data() const { return type_ == "Data"; }

  // Inputs in anchor order; an absent optional input is an invalid ValueId. Dynamic inputs are spread in place.
  absl::Span<const ValueId> inputs() const { return inputs_; }
  ValueId input(int i) const { return i < static_cast<int>(inputs_.size()) ? inputs_[i] : ValueId{}; }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  void SetInput(int i, ValueId value);
  void SetInputs(std::vector<ValueId> inputs) { inputs_ = std::move(inputs); }

  ValueId out(int i = 0) const { return ValueId{id_, i}; }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  const TensorDesc& output(int i = 0) const { return outputs_[i]; }
  absl::Span<const TensorDesc> outputs() const { return outputs_; }
  // Grows the list of outputs as needed.
  void SetOutput(int i, TensorDesc desc);
  void SetOutputs(std::vector<TensorDesc> outputs) { outputs_ = std::move(outputs); }

  const AttrMap& attrs() const { return attrs_; }
  void SetAttr(std::string name, AttrValue value) { attrs_[std::move(name)] = std::move(value); }
  void RemoveAttr(const std::string& name) { attrs_.erase(name); }
  // The attribute, or null when absent or of another kind.
  template <typename T>
  const T* FindAttr(const std::string& name) const {
    auto it = attrs_.find(name);
    return it == attrs_.end() ? nullptr : std::get_if<T>(&it->second);
  }
  template <typename T>
  T AttrOr(const std::string& name, T fallback) const {
    const T* value = FindAttr<T>(name);
    return value ? *value : fallback;
  }

  // The value of a Const: a box of the source's mapped bytes. Null for other nodes.
  const TensorSlice* constant() const { return constant_ ? &*constant_ : nullptr; }
  void SetConstant(TensorSlice value);

 private:
  friend class Graph;
  Node(int32_t id, std::string type, std::string name) : id_(id), type_(std::move(type)), name_(std::move(name)) {}

  const int32_t id_;
  std::string type_;
  std::string name_;
  std::vector<ValueId> inputs_;
  std::vector<TensorDesc> outputs_;
  AttrMap attrs_;
  std::optional<TensorSlice> constant_;
};

struct GraphOutput {
  std::string name;
  ValueId value;
};

// Movable, not copyable (see Clone). Not thread-safe while it changes.
class Graph {
 public:
  explicit Graph(std::string name = "graph") : name_(std::move(name)) {}
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;

  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }

  // Adds a node. `name` is made unique by a suffix when taken or empty. The graph keeps ownership; pointers to nodes
  // stay valid until Remove.
  Node* AddNode(std::string type, std::string name, std::vector<ValueId> inputs);
  // A graph input; its position among the inputs is the order of these calls.
  Node* AddData(std::string name, TensorDesc desc);
  Node* AddConst(std::string name, TensorSlice value);
  Node* AddConst(std::string name, Tensor value) { return AddConst(std::move(name), TensorSlice(std::move(value))); }
  void AddOutput(std::string name, ValueId value) { outputs_.push_back({std::move(name), value}); }

  // Null when there is no such node (any more).
  Node* node(int32_t id);
  const Node* node(int32_t id) const;
  Node* FindNode(absl::string_view name);
  const Node* FindNode(absl::string_view name) const;

  const TensorDesc& desc(ValueId value) const { return node(value.node)->output(value.output); }
  // The constant behind a value, or null.
  const TensorSlice* ConstantOf(ValueId value) const;

  // Data nodes in input order.
  const std::vector<int32_t>& inputs() const { return inputs_; }
  const std::vector<GraphOutput>& outputs() const { return outputs_; }
  std::vector<GraphOutput>& mutable_outputs() { return outputs_; }

  // Ids of all nodes in order of creation.
  std::vector<int32_t> NodeIds() const;
  int num_nodes() const { return live_; }
  // One above the highest id ever used: the size of arrays indexed by node id.
  int32_t id_limit() const { return static_cast<int32_t>(nodes_.size()); }

  // Ids in a deterministic topological order (by creation where free). INVALID_ARGUMENT naming a node on a cycle.
  absl::StatusOr<std::vector<int32_t>> TopologicalOrder() const;

  // Node ids that read each value of `id`'s outputs: pairs (reader id, input position). Graph outputs are not listed.
  std::vector<std::vector<std::pair<int32_t, int>>> ReadersOf(int32_t id) const;
  // ReadersOf for all nodes at once, indexed by node id: any output of the node counts.
  std::vector<std::vector<int32_t>> AllReaders() const;

  // Makes every reader of `from` (and graph outputs) read `to` instead. O(graph).
  void ReplaceUses(ValueId from, ValueId to);
  // The caller has made sure that nobody reads it. Graph inputs cannot be removed.
  void Remove(int32_t id);
  // Removes nodes that no output depends on (Data stay) and returns how many.
  int RemoveUnused();

  Graph Clone() const;

 private:
  std::string UniqueName(std::string name);

  std::string name_;
  std::vector<std::unique_ptr<Node>> nodes_;  // by id; null where removed
  int live_ = 0;
  std::vector<int32_t> inputs_;
  std::vector<GraphOutput> outputs_;
  absl::flat_hash_map<std::string, int32_t> by_name_;
  absl::flat_hash_map<std::string, int> next_suffix_;
};

// Text of a graph, one node a line in topological order, for people and for golden tests.
std::string Dump(const Graph& graph);

// Structural check: unique names, valid edges, output indices in range, no cycle, Data and Const well formed,
// constants fit their description. INVALID_ARGUMENT names node and input. Operators are checked by ops/.
absl::Status Verify(const Graph& graph);

}  // namespace omserve

#endif  // OMSERVE_CORE_GRAPH_GRAPH_H_
