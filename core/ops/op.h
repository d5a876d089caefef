// What an operator is: schema, shape inference, sharding rule, emission and cost, all in one OpDef. Each
// family of operators fills the registry from one file (matrix.cc, elementwise.cc, …); nothing else in the
// project lists operators. Kernels are elsewhere (core/device/cpu).
//
// Operator types, inputs and attributes are those of Ascend IR (GE IR); parameter tensors (axes, shapes,
// pads) are inputs marked kParameter, which must be constant once shapes are fixed.
#ifndef OMSERVE_CORE_OPS_OP_H_
#define OMSERVE_CORE_OPS_OP_H_

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/graph/graph.h"
#include "core/ops/sharding_rule.h"

namespace omserve {

enum class InputKind {
  kRequired,
  kOptional,
  kDynamic,    // zero or more tensors in place; at most one per operator
  kParameter,  // required, read by shape inference and by the compiler: constant after specialisation
  kOptionalParameter,
};

struct InputDef {
  std::string name;
  InputKind kind = InputKind::kRequired;
};

struct AttrDef {
  std::string name;
  // Its alternative is the attribute's kind; the value is the default unless the attribute is required.
  AttrValue fallback;
  bool required = false;
};

// A node with what is known of its inputs: the view every function of an OpDef gets. Cheap; borrows the
// graph.
class NodeView {
 public:
  NodeView(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

  const Node& node() const { return node_; }
  const Graph& graph() const { return graph_; }
  int num_inputs() const { return node_.num_inputs(); }
  bool has_input(int i) const { return node_.input(i).valid(); }
  const TensorDesc& input(int i) const { return graph_.desc(node_.input(i)); }
  const Shape& input_shape(int i) const { return input(i).shape; }
  const TensorDesc& output(int i = 0) const { return node_.output(i); }

  // The constant value of input `i`, or null.
  const TensorSlice* constant(int i) const {
    return has_input(i) ? graph_.ConstantOf(node_.input(i)) : nullptr;
  }
  // The elements of a constant int32/int64 input. FAILED_PRECONDITION when it is not constant (yet),
  // INVALID_ARGUMENT when it is absent or of another type.
  absl::StatusOr<std::vector<int64_t>> ConstantInts(int i) const;

  // The attribute or the schema's default; the attribute must exist in the schema with this kind.
  template <typename T>
  T Attr(const std::string& name) const;

 private:
  const Graph& graph_;
  const Node& node_;
};

// Fills the descriptions of all outputs from the inputs. Unknown dimensions (-1) are allowed where the
// operator can say nothing better. INVALID_ARGUMENT for inputs that do not fit; FAILED_PRECONDITION when a
// parameter is needed but not constant yet. Messages do not repeat the node: callers add it.
using InferFunction = std::function<absl::StatusOr<std::vector<TensorDesc>>(const NodeView&)>;

// The sharding rule of a node with static shapes. Without one, the operator runs replicated.
using RuleFunction = std::function<absl::StatusOr<ShardingRule>(const NodeView&)>;

// Emission: adds to a slice graph what this node becomes on one device, given its local inputs.
class EmitContext;
using EmitFunction = std::function<absl::StatusOr<std::vector<ValueId>>(EmitContext&)>;

// Work of one execution on given (global or local) shapes.
struct OpCost {
  double flops = 0;
  double bytes = 0;  // read + written, each tensor once
};
using CostFunction = std::function<OpCost(const NodeView&)>;

struct OpDef {
  std::string type;
  std::vector<InputDef> inputs;
  std::vector<std::string> outputs;  // names; the last one ends in '*' when it is dynamic
  std::vector<AttrDef> attrs;
  InferFunction infer;
  RuleFunction rule;  // empty: replicated only
  EmitFunction emit;  // empty: EmitClone (ops/emit.h)
  CostFunction cost;  // empty: one flop per output element, bytes of inputs and outputs
};

class OpRegistry {
 public:
  // All built-in operators, immutable once made.
  static const OpRegistry& Get();

  // Null when unknown.
  const OpDef* Find(absl::string_view type) const;
  std::vector<std::string> Types() const;
  // Called by the families while the registry is made; a second definition of a type is a bug and aborts.
  void Add(OpDef def);

 private:
  absl::flat_hash_map<std::string, OpDef> ops_;
};

// The schema's definition of input `i` of a node with `num_inputs` inputs (dynamic inputs take the slack), or
// null when the operator has no such input.
const InputDef* FindInputDef(const OpDef& def, int num_inputs, int i);

// UNIMPLEMENTED "operator 'Foo' (node 'bar') is not supported" for an unknown type.
absl::StatusOr<const OpDef*> FindOp(const Node& node);

// Checks inputs and attributes of a node against its schema (counts, required attributes, kinds; attributes
// that the schema does not know are refused unless they begin with '_'), then infers its outputs. Errors name
// operator and node.
absl::Status InferNode(Graph& graph, Node& node);

// InferNode for all nodes in topological order, then Verify.
absl::Status InferGraph(Graph& graph);

// The rule of a node: its operator's, or the replicated-only rule. Static shapes are required.
absl::StatusOr<ShardingRule> RuleOf(const Graph& graph, const Node& node);

OpCost CostOf(const Graph& graph, const Node& node);

template <typename T>
T NodeView::Attr(const std::string& name) const {
  if (const T* value = node_.FindAttr<T>(name)) return *value;
  if (const OpDef* def = OpRegistry::Get().Find(node_.type())) {
    for (const AttrDef& attr : def->attrs) {
      if (attr.name == name) {
        if (const T* fallback = std::get_if<T>(&attr.fallback)) return *fallback;
      }
    }
  }
  return T{};
}

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_OP_H_
