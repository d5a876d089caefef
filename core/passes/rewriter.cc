#include "core/passes/rewriter.h"

#include <iterator>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/op.h"
#include "core/passes/fold.h"

namespace omserve {
namespace {

// Not above any use of the output: graph outputs come first.
Rewriter::Use FirstUse(int32_t output) { return {output, Rewriter::Use::kGraphOutput, 0}; }

}  // namespace

Rewriter::Rewriter(Graph& graph)
    : graph_(graph),
      uses_(static_cast<size_t>(graph.id_limit())),
      queued_(static_cast<size_t>(graph.id_limit()), false) {
  for (int32_t id : graph_.NodeIds()) AddUses(*graph_.node(id));
  for (size_t i = 0; i < graph_.outputs().size(); ++i) {
    const ValueId value = graph_.outputs()[i].value;
    uses_[value.node].insert({value.output, Use::kGraphOutput, static_cast<int32_t>(i)});
  }
}

std::set<Rewriter::Use>& Rewriter::Uses(int32_t id) {
  if (id >= static_cast<int32_t>(uses_.size())) {
    uses_.resize(static_cast<size_t>(graph_.id_limit()));
    queued_.resize(static_cast<size_t>(graph_.id_limit()), false);
  }
  return uses_[id];
}

void Rewriter::AddUses(const Node& node) {
  Uses(node.id());
  for (int i = 0; i < node.num_inputs(); ++i) {
    if (node.input(i).valid()) Uses(node.input(i).node).insert({node.input(i).output, node.id(), i});
  }
}

void Rewriter::RemoveUses(const Node& node) {
  for (int i = 0; i < node.num_inputs(); ++i) {
    if (node.input(i).valid()) Uses(node.input(i).node).erase({node.input(i).output, node.id(), i});
  }
}

Node* Rewriter::Producer(ValueId value, absl::string_view type) {
  if (!value.valid() || value.output != 0) return nullptr;
  Node* node = graph_.node(value.node);
  return node->is(type) ? node : nullptr;
}

std::vector<Rewriter::Use> Rewriter::UsesOf(ValueId value) const {
  const std::set<Use>& uses = Uses(value.node);
  return {uses.lower_bound(FirstUse(value.output)), uses.lower_bound(FirstUse(value.output + 1))};
}

bool Rewriter::HasOneUse(ValueId value) const {
  const std::set<Use>& uses = Uses(value.node);
  const auto first = uses.lower_bound(FirstUse(value.output));
  if (first == uses.end() || first->output != value.output) return false;
  const auto second = std::next(first);
  return second == uses.end() || second->output != value.output;
}

bool Rewriter::OnlyFirstOutputUsed(const Node& node) const {
  const std::set<Use>& uses = Uses(node.id());
  return uses.empty() || uses.rbegin()->output == 0;
}

Node* Rewriter::OnlyReader(ValueId value) {
  if (!HasOneUse(value)) return nullptr;
  const int32_t reader = Uses(value.node).lower_bound(FirstUse(value.output))->reader;
  return reader == Use::kGraphOutput ? nullptr : graph_.node(reader);
}

bool Rewriter::ReadOnlyWithin(absl::Span<Node* const> nodes, const Node& root) const {
  for (const Node* node : nodes) {
    for (const Use& use : Uses(node->id())) {
      if (use.reader == root.id()) continue;
      if (absl::c_none_of(nodes, [&](const Node* other) { return other->id() == use.reader; })) return false;
    }
  }
  return true;
}

absl::StatusOr<ValueId> Rewriter::Add(const std::string& type, const std::string& name,
                                      std::vector<ValueId> inputs, AttrMap attrs) {
  Node* node = graph_.AddNode(type, name, std::move(inputs));
  for (auto& [key, value] : attrs) node->SetAttr(key, std::move(value));
  RETURN_IF_ERROR(InferNode(graph_, *node));
  AddUses(*node);
  Enqueue(node->id());
  return node->out();
}

ValueId Rewriter::AddConstant(const std::string& name, TensorSlice value) {
  const Node* node = graph_.AddConst(name, std::move(value));
  Uses(node->id());
  Enqueue(node->id());
  return node->out();
}

absl::Status Rewriter::CheckSameDesc(ValueId from, const TensorDesc& to, absl::string_view what) const {
  if (desc(from) == to) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(what, " of '", graph_.node(from.node)->name(), "' changes output ",
                                          from.output, " from ", ToString(desc(from)), " to ", ToString(to)));
}

absl::Status Rewriter::Become(Node& node, const std::string& type, std::vector<ValueId> inputs,
                              AttrMap attrs) {
  const std::vector<TensorDesc> before(node.outputs().begin(), node.outputs().end());
  const std::string old_type = node.type();
  EnqueueAround(node);
  RemoveUses(node);
  node.set_type(type);
  node.SetInputs(std::move(inputs));
  const AttrMap old_attrs = node.attrs();
  for (const auto& [key, value] : old_attrs) node.RemoveAttr(key);
  for (auto& [key, value] : attrs) node.SetAttr(key, std::move(value));
  AddUses(node);
  RETURN_IF_ERROR_WITH(InferNode(graph_, node), absl::StrCat("rewriting a ", old_type));
  for (const Use& use : Uses(node.id())) {
    if (use.output < node.num_outputs() && node.output(use.output) == before[use.output]) continue;
    return absl::InternalError(
        absl::StrCat("rewriting '", node.name(), "' from ", old_type, " to ", type, " changes output ",
                     use.output, " from ", ToString(before[use.output]), " to ",
                     use.output < node.num_outputs() ? ToString(node.output(use.output)) : "nothing"));
  }
  EnqueueAround(node);
  return absl::OkStatus();
}

absl::Status Rewriter::SetInputs(Node& node, std::vector<ValueId> inputs) {
  return Become(node, node.type(), std::move(inputs), node.attrs());
}

absl::Status Rewriter::BecomeReshape(Node& node, ValueId x) {
  const Shape shape = node.output().shape;
  AttrMap attrs;
  // Without it, a 0 in the shape would mean "the dimension of x".
  if (absl::c_linear_search(shape, 0)) attrs["allowzero"] = int64_t{1};
  const ValueId constant = AddConstant(absl::StrCat(node.name(), "/shape"), Tensor::Int64s(shape));
  return Become(node, "Reshape", {x, constant}, std::move(attrs));
}

void Rewriter::BecomeConstant(Node& node, Tensor value) {
  EnqueueAround(node);
  RemoveUses(node);
  MakeConst(node, TensorSlice(std::move(value)));
}

absl::Status Rewriter::Replace(ValueId from, ValueId to) {
  RETURN_IF_ERROR(CheckSameDesc(from, desc(to), "replacing"));
  EnqueueAround(*graph_.node(from.node));
  Enqueue(to.node);
  const Node& target = *graph_.node(to.node);
  const bool keeps_outputs = target.is_data() || target.is_const();
  bool left_output = false;
  for (const Use& use : UsesOf(from)) {
    if (use.reader == Use::kGraphOutput) {
      if (keeps_outputs) {
        left_output = true;
        continue;
      }
      graph_.mutable_outputs()[use.input].value = to;
    } else {
      graph_.node(use.reader)->SetInput(use.input, to);
    }
    Uses(from.node).erase(use);
    Uses(to.node).insert({to.output, use.reader, use.input});
  }
  if (!left_output) return absl::OkStatus();
  Node& node = *graph_.node(from.node);
  if (node.num_outputs() == 1) return Become(node, "Identity", {to});
  ASSIGN_OR_RETURN(const ValueId identity, Add("Identity", node.name(), {to}));
  return Replace(from, identity);
}

bool Rewriter::IsDead(const Node& node) const {
  // A rank that leaves out a collective keeps its peers waiting.
  return !node.is_data() && node.num_outputs() > 0 && !absl::StartsWith(node.type(), "Hcom") &&
         Uses(node.id()).empty();
}

void Rewriter::Erase(Node& node) {
  for (ValueId input : node.inputs()) {
    if (input.valid()) Enqueue(input.node);
  }
  RemoveUses(node);
  graph_.Remove(node.id());
}

void Rewriter::Enqueue(int32_t id) {
  if (queued_[id]) return;
  queued_[id] = true;
  queue_.push_back(id);
}

void Rewriter::EnqueueAround(const Node& node) {
  Enqueue(node.id());
  for (ValueId input : node.inputs()) {
    if (input.valid()) Enqueue(input.node);
  }
  for (const Use& use : Uses(node.id())) {
    if (use.reader != Use::kGraphOutput) Enqueue(use.reader);
  }
}

absl::Status Rewriter::Drain(absl::Span<const Rule> rules) {
  absl::flat_hash_map<std::string, std::vector<const Rule*>> by_type;
  auto rules_for = [&](const std::string& type) -> const std::vector<const Rule*>& {
    auto [it, is_new] = by_type.try_emplace(type);
    for (const Rule& rule : rules) {
      if (!is_new) break;
      const bool fits =
          rule.types.empty() || absl::c_any_of(rule.types, [&](const char* t) { return type == t; });
      if (fits) it->second.push_back(&rule);
    }
    return it->second;
  };
  while (!queue_.empty()) {
    const int32_t id = queue_.front();
    queue_.pop_front();
    queued_[id] = false;
    Node* node = graph_.node(id);
    if (node == nullptr) continue;
    if (IsDead(*node)) {
      Erase(*node);
      continue;
    }
    for (const Rule* rule : rules_for(node->type())) {
      ASSIGN_OR_RETURN_WITH(const bool changed, rule->apply(*this, *node), absl::StrCat("rule ", rule->name));
      if (!changed) continue;
      if (++rewrites_ > budget_) {
        return absl::InternalError(absl::StrCat("rule ", rule->name, " at node '", node->name(),
                                                "': rewriting does not come to an end after ", budget_,
                                                " rewrites"));
      }
      Enqueue(id);
      break;
    }
  }
  return absl::OkStatus();
}

absl::Status Rewriter::Run(absl::Span<const Rule> rules) {
  rewrites_ = 0;
  budget_ = int64_t{64} * graph_.num_nodes() + 4096;
  // A rule may look further than the neighbours that a change puts on the queue: sweep until a whole sweep is
  // quiet.
  for (int64_t before = -1; before != rewrites_;) {
    before = rewrites_;
    ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph_.TopologicalOrder());
    for (int32_t id : order) Enqueue(id);
    RETURN_IF_ERROR(Drain(rules));
  }
  return absl::OkStatus();
}

}  // namespace omserve
