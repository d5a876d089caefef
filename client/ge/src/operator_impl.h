// What the handles Operator, GNode and Graph stand for.
#ifndef OMSERVE_CLIENT_GE_SRC_OPERATOR_IMPL_H_
#define OMSERVE_CLIENT_GE_SRC_OPERATOR_IMPL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/graph.h"

namespace ge {

struct AttrData {
  std::variant<int64_t, float, bool, std::string, DataType, Tensor, std::vector<int64_t>, std::vector<float>,
               std::vector<bool>, std::vector<std::string>, std::vector<DataType>, std::vector<Tensor>,
               std::vector<std::vector<int64_t>>, std::vector<uint8_t>>
      value;
};

enum class PortKind { kRequired, kOptional, kDynamic };

struct Port {
  std::string name;
  PortKind kind = PortKind::kRequired;
};

// One tensor that goes into or comes out of an operator: a port, or one of the tensors of a dynamic port.
struct Slot {
  std::string name;  // "x"; "x0", "x1" of a dynamic port
  size_t port = 0;
  TensorDesc desc;
  bool described = false;
  // Of an input: who feeds it.
  std::shared_ptr<OperatorImpl> source;
  uint32_t source_index = 0;
};

class OperatorImpl {
 public:
  OperatorImpl(std::string name, std::string type);

  // Null when there is no such slot. A dynamic port with one tensor answers to its own name, too.
  Slot* FindInput(const std::string& name) { return Find(inputs, input_ports, name); }
  Slot* FindOutput(const std::string& name) { return Find(outputs, output_ports, name); }
  void AddPort(std::vector<Port>& ports, std::vector<Slot>& slots, const std::string& name, PortKind kind, uint32_t count);
  int CountOf(const std::vector<Port>& ports, const std::vector<Slot>& slots, const std::string& port) const;
  const AttrValue* FindAttr(const std::string& name) const;  // set or default; null when neither
  const Tensor* ConstantValue() const;                       // of a Const or Constant
  TensorDesc OutputDesc(size_t index) const;                 // a constant's is its value's
  std::string Title() const;                                 // "operator 'name' (Type)"

  std::string name;
  const std::string type;
  const int64_t sequence;  // by creation, in this process
  std::vector<Port> input_ports;
  std::vector<Port> output_ports;
  std::vector<Slot> inputs;
  std::vector<Slot> outputs;
  std::vector<std::shared_ptr<OperatorImpl>> controls;  // run before this one
  std::vector<std::weak_ptr<OperatorImpl>> readers;
  std::map<std::string, AttrValue> attrs;  // those that were set
  std::map<std::string, AttrValue> defaults;
  std::set<std::string> required_attrs;
  std::vector<std::string> errors;  // of wiring

 private:
  static Slot* Find(std::vector<Slot>& slots, const std::vector<Port>& ports, const std::string& name);
};

class GraphImpl {
 public:
  explicit GraphImpl(std::string graph_name) : name(std::move(graph_name)) {}

  struct Output {
    std::shared_ptr<OperatorImpl> op;
    size_t index = 0;
  };

  // Every operator of the graph: those held, and all that they and the outputs read. In an order in which sources
  // come first, by creation where free. INVALID_ARGUMENT for wiring errors and equal names.
  absl::StatusOr<std::vector<std::shared_ptr<OperatorImpl>>> Sorted() const;
  // As Sorted, in no particular order and without checks.
  std::vector<std::shared_ptr<OperatorImpl>> All() const;
  void Hold(const std::shared_ptr<OperatorImpl>& op);

  std::string name;
  std::vector<std::shared_ptr<OperatorImpl>> held;
  std::vector<std::shared_ptr<OperatorImpl>> inputs;  // as SetInputs gave them
  std::vector<Output> outputs;
  // Of a graph from AIR that has names for its outputs; they hold as long as the outputs do.
  std::vector<std::string> output_names;
  std::vector<std::string> errors;
  bool need_iteration = false;
};

// The back door of the handles.
struct OperatorAccess {
  static const std::shared_ptr<OperatorImpl>& Of(const Operator& op) { return op.impl_; }
  static Operator Make(std::shared_ptr<OperatorImpl> impl) {
    Operator op;
    op.impl_ = std::move(impl);
    return op;
  }
};
struct GraphAccess {
  static const std::shared_ptr<GraphImpl>& Of(const Graph& graph) { return graph.impl_; }
  static Graph Make(std::shared_ptr<GraphImpl> impl) {
    Graph graph;
    graph.impl_ = std::move(impl);
    return graph;
  }
};

// Wires output `index` of `source` to input `slot` of `op`, or makes `op` run after `source`. False, with nothing done,
// when that would close a cycle: operators keep those they read alive, so a cycle would never be freed.
bool Connect(const std::shared_ptr<OperatorImpl>& op, Slot& slot, const std::shared_ptr<OperatorImpl>& source, uint32_t index);
bool ConnectControl(const std::shared_ptr<OperatorImpl>& op, const std::shared_ptr<OperatorImpl>& source);

}  // namespace ge

#endif  // OMSERVE_CLIENT_GE_SRC_OPERATOR_IMPL_H_
