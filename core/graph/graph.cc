#include "core/graph/graph.h"

#include <algorithm>
#include <queue>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {

void Node::SetInput(int i, ValueId value) {
  if (i >= num_inputs()) inputs_.resize(static_cast<size_t>(i) + 1);
  inputs_[i] = value;
}

void Node::SetOutput(int i, TensorDesc desc) {
  if (i >= num_outputs()) outputs_.resize(static_cast<size_t>(i) + 1);
  outputs_[i] = std::move(desc);
}

void Node::SetConstant(TensorSlice value) {
  outputs_.assign(1, value.desc());
  constant_ = std::move(value);
}

std::string Graph::UniqueName(std::string name) {
  if (name.empty()) name = "node";
  if (!by_name_.contains(name)) return name;
  int& suffix = next_suffix_[name];
  std::string candidate;
  do {
    candidate = absl::StrCat(name, "_", ++suffix);
  } while (by_name_.contains(candidate));
  return candidate;
}

Node* Graph::AddNode(std::string type, std::string name, std::vector<ValueId> inputs) {
  const int32_t id = id_limit();
  if (name.empty()) name = absl::StrCat(type, "_", id);
  nodes_.push_back(std::unique_ptr<Node>(new Node(id, std::move(type), UniqueName(std::move(name)))));
  Node* node = nodes_.back().get();
  node->inputs_ = std::move(inputs);
  by_name_[node->name()] = id;
  ++live_;
  return node;
}

Node* Graph::AddData(std::string name, TensorDesc desc) {
  Node* node = AddNode("Data", std::move(name), {});
  node->SetAttr("index", static_cast<int64_t>(inputs_.size()));
  node->SetOutput(0, std::move(desc));
  inputs_.push_back(node->id());
  return node;
}

Node* Graph::AddConst(std::string name, TensorSlice value) {
  Node* node = AddNode("Const", std::move(name), {});
  node->SetConstant(std::move(value));
  return node;
}

Node* Graph::node(int32_t id) { return id >= 0 && id < id_limit() ? nodes_[id].get() : nullptr; }
const Node* Graph::node(int32_t id) const { return id >= 0 && id < id_limit() ? nodes_[id].get() : nullptr; }

Node* Graph::FindNode(absl::string_view name) {
  auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : node(it->second);
}

const Node* Graph::FindNode(absl::string_view name) const { return const_cast<Graph*>(this)->FindNode(name); }

const TensorSlice* Graph::ConstantOf(ValueId value) const {
  const Node* producer = node(value.node);
  return producer == nullptr ? nullptr : producer->constant();
}

std::vector<int32_t> Graph::NodeIds() const {
  std::vector<int32_t> ids;
  ids.reserve(static_cast<size_t>(live_));
  for (const auto& node : nodes_) {
    if (node) ids.push_back(node->id());
  }
  return ids;
}

absl::StatusOr<std::vector<int32_t>> Graph::TopologicalOrder() const {
  std::vector<int> waiting(nodes_.size(), 0);
  std::vector<std::vector<int32_t>> readers(nodes_.size());
  std::priority_queue<int32_t, std::vector<int32_t>, std::greater<int32_t>> ready;
  for (const auto& node : nodes_) {
    if (!node) continue;
    for (ValueId input : node->inputs()) {
      if (!input.valid()) continue;
      if (this->node(input.node) == nullptr) {
        return absl::InternalError(absl::StrCat("node '", node->name(), "' reads a removed node"));
      }
      ++waiting[node->id()];
      readers[input.node].push_back(node->id());
    }
    if (waiting[node->id()] == 0) ready.push(node->id());
  }
  std::vector<int32_t> order;
  order.reserve(static_cast<size_t>(live_));
  while (!ready.empty()) {
    const int32_t id = ready.top();
    ready.pop();
    order.push_back(id);
    for (int32_t reader : readers[id]) {
      if (--waiting[reader] == 0) ready.push(reader);
    }
  }
  if (static_cast<int>(order.size()) != live_) {
    for (const auto& node : nodes_) {
      if (node && waiting[node->id()] > 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("graph '", name_, "' has a cycle through node '", node->name(), "'"));
      }
    }
  }
  return order;
}

std::vector<std::vector<std::pair<int32_t, int>>> Graph::ReadersOf(int32_t id) const {
  std::vector<std::vector<std::pair<int32_t, int>>> readers(static_cast<size_t>(node(id)->num_outputs()));
  for (const auto& reader : nodes_) {
    if (!reader) continue;
    for (int i = 0; i < reader->num_inputs(); ++i) {
      const ValueId input = reader->input(i);
      if (input.node == id && input.output < static_cast<int>(readers.size())) {
        readers[input.output].emplace_back(reader->id(), i);
      }
    }
  }
  return readers;
}

std::vector<std::vector<int32_t>> Graph::AllReaders() const {
  std::vector<std::vector<int32_t>> readers(nodes_.size());
  for (const auto& node : nodes_) {
    if (!node) continue;
    for (ValueId input : node->inputs()) {
      if (!input.valid()) continue;
      std::vector<int32_t>& list = readers[input.node];
      if (list.empty() || list.back() != node->id()) list.push_back(node->id());
    }
  }
  return readers;
}

void Graph::ReplaceUses(ValueId from, ValueId to) {
  for (auto& node : nodes_) {
    if (!node) continue;
    for (ValueId& input : node->inputs_) {
      if (input == from) input = to;
    }
  }
  for (GraphOutput& output : outputs_) {
    if (output.value == from) output.value = to;
  }
}

void Graph::Remove(int32_t id) {
  Node* gone = node(id);
  if (gone == nullptr || gone->is_data()) return;
  by_name_.erase(gone->name());
  nodes_[id].reset();
  --live_;
}

int Graph::RemoveUnused() {
  std::vector<bool> used(nodes_.size(), false);
  std::vector<int32_t> stack;
  auto use = [&](int32_t id) {
    if (id >= 0 && !used[id]) {
      used[id] = true;
      stack.push_back(id);
    }
  };
  for (const GraphOutput& output : outputs_) use(output.value.node);
  for (int32_t id : inputs_) use(id);
  for (const auto& node : nodes_) {
    // A send has no output but does something; and a rank that leaves out a collective keeps its peers waiting.
    if (node && absl::StartsWith(node->type(), "Hcom")) use(node->id());
  }
  while (!stack.empty()) {
    const Node* node = nodes_[stack.back()].get();
    stack.pop_back();
    for (ValueId input : node->inputs()) use(input.node);
  }
  int removed = 0;
  for (int32_t id = 0; id < id_limit(); ++id) {
    if (nodes_[id] && !used[id]) {
      Remove(id);
      ++removed;
    }
  }
  return removed;
}

Graph Graph::Clone() const {
  Graph copy(name_);
  copy.nodes_.resize(nodes_.size());
  for (const auto& node : nodes_) {
    if (node) copy.nodes_[node->id()].reset(new Node(*node));
  }
  copy.live_ = live_;
  copy.inputs_ = inputs_;
  copy.outputs_ = outputs_;
  copy.by_name_ = by_name_;
  copy.next_suffix_ = next_suffix_;
  return copy;
}

}  // namespace omserve
