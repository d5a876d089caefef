// Rewriter: a static graph under local rewriting. It keeps who reads what up to date while rules change
// nodes, so that a rule costs what it touches and not what the graph holds.
//
// A rule looks at one node (and what is around it) and either changes the graph through the Rewriter and
// returns true, or leaves it alone and returns false:
//
//   absl::StatusOr<bool> DropDoubleNegation(Rewriter& rewriter, Node& node) {
//     const Node* inner = rewriter.Producer(node.input(0), "Neg");
//     if (inner == nullptr) return false;
//     RETURN_IF_ERROR(rewriter.Replace(node.out(), inner->input(0)));
//     return true;
//   }
#ifndef OMSERVE_CORE_PASSES_REWRITER_H_
#define OMSERVE_CORE_PASSES_REWRITER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/graph/graph.h"

namespace omserve {

class Rewriter;

struct Rule {
  const char* name;
  // Operator types the rule is tried on; empty: all.
  std::vector<const char*> types;
  std::function<absl::StatusOr<bool>(Rewriter& rewriter, Node& node)> apply;
};

// Borrows the graph; nobody else may change it meanwhile. Not thread-safe.
class Rewriter {
 public:
  // Reader of output `output` of some node: input `input` of node `reader`, or graph output number `input`.
  struct Use {
    static constexpr int32_t kGraphOutput = -1;
    int32_t output = 0;
    int32_t reader = 0;
    int32_t input = 0;
    auto operator<=>(const Use&) const = default;
  };

  // All nodes must be inferred and all shapes static.
  explicit Rewriter(Graph& graph);

  Graph& graph() { return graph_; }
  const Graph& graph() const { return graph_; }
  const TensorDesc& desc(ValueId value) const { return graph_.desc(value); }
  const Shape& shape(ValueId value) const { return graph_.desc(value).shape; }

  // The node behind a value if it has this type and the value is its first output; null else (and for an
  // absent one).
  Node* Producer(ValueId value, absl::string_view type);

  std::vector<Use> UsesOf(ValueId value) const;
  bool HasOneUse(ValueId value) const;
  // False when an output other than the first has a reader.
  bool OnlyFirstOutputUsed(const Node& node) const;
  // The only reader of a value that is no graph output and is read once; null else.
  Node* OnlyReader(ValueId value);
  // True when every use of the nodes' outputs is within `nodes` or `root`: replacing `root` leaves all of
  // them dead.
  bool ReadOnlyWithin(absl::Span<Node* const> nodes, const Node& root) const;

  // A new inferred node. Its name is made unique.
  absl::StatusOr<ValueId> Add(const std::string& type, const std::string& name, std::vector<ValueId> inputs,
                              AttrMap attrs = {});
  ValueId AddConstant(const std::string& name, TensorSlice value);
  ValueId AddConstant(const std::string& name, Tensor value) {
    return AddConstant(name, TensorSlice(std::move(value)));
  }

  // Makes `node` another operator in place, keeping its name and its readers. INTERNAL when the description
  // of an output that is read would change: a rule's mistake.
  absl::Status Become(Node& node, const std::string& type, std::vector<ValueId> inputs, AttrMap attrs = {});
  // Become with the same type and attributes.
  absl::Status SetInputs(Node& node, std::vector<ValueId> inputs);
  // Makes `node` a Reshape of `x` to the shape of its own output, as a constant.
  absl::Status BecomeReshape(Node& node, ValueId x);
  // Turns `node`, of one output, into a constant under its own name.
  void BecomeConstant(Node& node, Tensor value);

  // Readers of `from` read `to`. A graph output that would end up at a Data or Const keeps a node of its own:
  // the producer of `from` becomes an Identity. INTERNAL when the descriptions differ.
  absl::Status Replace(ValueId from, ValueId to);

  // Applies the rules, in their order at each node, until none changes anything; removes nodes that nobody
  // reads on the way. Deterministic. INTERNAL, naming the rule, when the rules do not come to an end.
  absl::Status Run(absl::Span<const Rule> rules);

 private:
  absl::Status CheckSameDesc(ValueId from, const TensorDesc& to, absl::string_view what) const;
  std::set<Use>& Uses(int32_t id);
  const std::set<Use>& Uses(int32_t id) const { return uses_[id]; }
  void AddUses(const Node& node);
  void RemoveUses(const Node& node);
  bool IsDead(const Node& node) const;
  void Erase(Node& node);
  void Enqueue(int32_t id);
  void EnqueueAround(const Node& node);
  absl::Status Drain(absl::Span<const Rule> rules);

  Graph& graph_;
  std::vector<std::set<Use>> uses_;  // by node id
  std::deque<int32_t> queue_;
  std::vector<bool> queued_;  // by node id
  int64_t rewrites_ = 0;
  int64_t budget_ = 0;  // rewrites after which Run gives up
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PASSES_REWRITER_H_
