#include "graph/graph.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "air.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "messages.h"
#include "operator_impl.h"

namespace ge {
namespace {

using OpPtr = std::shared_ptr<OperatorImpl>;

}  // namespace

void GraphImpl::Hold(const OpPtr& op) {
  if (op != nullptr && std::find(held.begin(), held.end(), op) == held.end()) held.push_back(op);
}

std::vector<OpPtr> GraphImpl::All() const {
  std::vector<OpPtr> found;
  std::set<const OperatorImpl*> seen;
  const auto add = [&](const OpPtr& op) {
    if (op != nullptr && seen.insert(op.get()).second) found.push_back(op);
  };
  for (const OpPtr& op : held) add(op);
  for (const Output& output : outputs) add(output.op);
  for (size_t i = 0; i < found.size(); ++i) {
    const OpPtr op = found[i];
    for (const Slot& slot : op->inputs) add(slot.source);
    for (const OpPtr& control : op->controls) add(control);
  }
  return found;
}

absl::StatusOr<std::vector<OpPtr>> GraphImpl::Sorted() const {
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrCat("graph '", name, "': ", absl::StrJoin(errors, "; ")));
  const std::vector<OpPtr> all = All();
  std::map<std::string, const OperatorImpl*> names;
  std::map<const OperatorImpl*, size_t> waiting;
  std::map<const OperatorImpl*, std::vector<OpPtr>> readers;
  for (const OpPtr& op : all) {
    if (!op->errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(op->errors, "; "));
    if (auto [it, fresh] = names.emplace(op->name, op.get()); !fresh) {
      return absl::InvalidArgumentError(absl::StrCat("E19009: graph '", name, "' has two operators named '", op->name,
                                                     "' (", it->second->type, " and ", op->type, ")"));
    }
    std::set<const OperatorImpl*> sources;
    for (const Slot& slot : op->inputs) {
      if (slot.source != nullptr) sources.insert(slot.source.get());
    }
    for (const OpPtr& control : op->controls) sources.insert(control.get());
    waiting[op.get()] = sources.size();
    for (const OperatorImpl* source : sources) readers[source].push_back(op);
  }
  // There are no cycles: Connect makes none.
  const auto later = [](const OpPtr& a, const OpPtr& b) { return a->sequence > b->sequence; };
  std::priority_queue<OpPtr, std::vector<OpPtr>, decltype(later)> ready(later);
  for (const OpPtr& op : all) {
    if (waiting[op.get()] == 0) ready.push(op);
  }
  std::vector<OpPtr> order;
  while (!ready.empty()) {
    order.push_back(ready.top());
    ready.pop();
    for (const OpPtr& reader : readers[order.back().get()]) {
      if (--waiting[reader.get()] == 0) ready.push(reader);
    }
  }
  return order;
}

Graph::Graph(const std::string& name) : impl_(std::make_shared<GraphImpl>(name)) {}

namespace {

// A default-constructed graph becomes one when something is put into it.
GraphImpl& Made(std::shared_ptr<GraphImpl>& impl) {
  if (impl == nullptr) impl = std::make_shared<GraphImpl>("graph");
  return *impl;
}

}  // namespace

Graph& Graph::SetInputs(const std::vector<Operator>& inputs) {
  GraphImpl& graph = Made(impl_);
  graph.inputs.clear();
  std::vector<OpPtr> reached;
  for (const Operator& input : inputs) {
    const OpPtr& op = OperatorAccess::Of(input);
    if (op == nullptr) {
      graph.errors.push_back("SetInputs: an empty operator");
      continue;
    }
    graph.inputs.push_back(op);
    reached.push_back(op);
  }
  // What reads them so far belongs to the graph even when no output depends on it (HcomSend).
  std::set<const OperatorImpl*> seen;
  for (size_t i = 0; i < reached.size(); ++i) {
    const OpPtr op = reached[i];
    if (!seen.insert(op.get()).second) continue;
    graph.Hold(op);
    for (const std::weak_ptr<OperatorImpl>& reader : op->readers) {
      if (OpPtr live = reader.lock()) reached.push_back(std::move(live));
    }
  }
  return *this;
}

Graph& Graph::SetOutputs(const std::vector<Operator>& outputs) {
  std::vector<std::pair<Operator, std::vector<size_t>>> all;
  for (const Operator& op : outputs) all.emplace_back(op, std::vector<size_t>());
  return SetOutputs(all);
}

Graph& Graph::SetOutputs(const std::vector<std::pair<Operator, std::vector<size_t>>>& outputs) {
  GraphImpl& graph = Made(impl_);
  graph.outputs.clear();
  graph.output_names.clear();
  for (const auto& [output, indices] : outputs) {
    const OpPtr& op = OperatorAccess::Of(output);
    if (op == nullptr) {
      graph.errors.push_back("SetOutputs: an empty operator");
      continue;
    }
    graph.Hold(op);
    if (indices.empty()) {
      for (size_t i = 0; i < op->outputs.size(); ++i) graph.outputs.push_back({op, i});
    }
    for (size_t index : indices) {
      if (index < op->outputs.size()) {
        graph.outputs.push_back({op, index});
      } else {
        graph.errors.push_back(absl::StrCat("SetOutputs: ", op->Title(), " has ", op->outputs.size(),
                                            " outputs, none with index ", index));
      }
    }
  }
  return *this;
}

Graph& Graph::SetOutputs(const std::vector<std::pair<Operator, std::string>>& outputs) {
  std::vector<std::pair<Operator, std::vector<size_t>>> indexed;
  for (const auto& [output, port] : outputs) {
    std::vector<size_t> indices;
    const OpPtr& op = OperatorAccess::Of(output);
    if (op != nullptr && !port.empty()) {
      const Slot* slot = op->FindOutput(port);
      if (slot == nullptr) {
        Made(impl_).errors.push_back(absl::StrCat("SetOutputs: ", op->Title(), " has no output '", port, "'"));
        continue;
      }
      indices.push_back(static_cast<size_t>(slot - op->outputs.data()));
    }
    indexed.emplace_back(output, std::move(indices));
  }
  return SetOutputs(indexed);
}

Graph& Graph::SetOutputs(const std::vector<std::pair<Operator, AscendString>>& outputs) {
  std::vector<std::pair<Operator, std::string>> texts;
  for (const auto& [op, port] : outputs) texts.emplace_back(op, port.GetString());
  return SetOutputs(texts);
}

Graph& Graph::SetTargets(const std::vector<Operator>& targets) {
  for (const Operator& target : targets) Made(impl_).Hold(OperatorAccess::Of(target));
  return *this;
}

bool Graph::IsValid() const {
  if (impl_ == nullptr || (impl_->inputs.empty() && impl_->outputs.empty() && impl_->held.empty())) return false;
  return impl_->Sorted().ok();
}

graphStatus Graph::AddOp(const Operator& op) {
  if (op.IsEmpty()) return GRAPH_FAILED;
  Made(impl_).Hold(OperatorAccess::Of(op));
  return GRAPH_SUCCESS;
}

graphStatus Graph::FindOpByName(const char_t* name, Operator& op) const {
  if (impl_ == nullptr || name == nullptr) return GRAPH_FAILED;
  for (const OpPtr& candidate : impl_->All()) {
    if (candidate->name != name) continue;
    op = OperatorAccess::Make(candidate);
    return GRAPH_SUCCESS;
  }
  return GRAPH_FAILED;
}

graphStatus Graph::FindOpByType(const char_t* type, std::vector<Operator>& ops) const {
  if (impl_ == nullptr || type == nullptr) return GRAPH_FAILED;
  for (const OpPtr& op : impl_->All()) {
    if (op->type == type) ops.push_back(OperatorAccess::Make(op));
  }
  return GRAPH_SUCCESS;
}

graphStatus Graph::GetAllOpName(std::vector<std::string>& names) const {
  if (impl_ == nullptr) return GRAPH_FAILED;
  for (const OpPtr& op : impl_->All()) names.push_back(op->name);
  return GRAPH_SUCCESS;
}

graphStatus Graph::GetAllOpName(std::vector<AscendString>& names) const {
  std::vector<std::string> texts;
  const graphStatus status = GetAllOpName(texts);
  for (const std::string& text : texts) names.emplace_back(text.c_str());
  return status;
}

graphStatus Graph::SaveToFile(const char_t* path) const {
  if (path == nullptr) return GRAPH_PARAM_INVALID;
  const absl::StatusOr<std::string> bytes = GraphToAir(*this);
  if (!bytes.ok()) return Report(GRAPH_FAILED, bytes.status());
  const absl::Status status = omserve::WriteFileAtomically(path, *bytes);
  return status.ok() ? GRAPH_SUCCESS : Report(GRAPH_FAILED, status);
}

graphStatus Graph::LoadFromFile(const char_t* path) {
  if (path == nullptr) return GRAPH_PARAM_INVALID;
  const auto file = omserve::MappedFile::Open(path);
  if (!file.ok()) return Report(GRAPH_FAILED, file.status());
  const std::string_view bytes = (*file)->view();
  return LoadFromMem(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

graphStatus Graph::LoadFromSerializedModelArray(const void* model, size_t size) {
  return LoadFromMem(static_cast<const uint8_t*>(model), size);
}

graphStatus Graph::SaveToMem(GraphBuffer& buffer) const {
  absl::StatusOr<std::string> bytes = GraphToAir(*this);
  if (!bytes.ok()) return Report(GRAPH_FAILED, bytes.status());
  buffer.bytes_ = *std::move(bytes);
  return GRAPH_SUCCESS;
}

graphStatus Graph::LoadFromMem(const GraphBuffer& buffer) { return LoadFromMem(buffer.GetData(), buffer.GetSize()); }

graphStatus Graph::LoadFromMem(const uint8_t* data, const size_t size) {
  if (data == nullptr) return GRAPH_PARAM_INVALID;
  absl::StatusOr<Graph> graph = GraphFromAir(absl::string_view(reinterpret_cast<const char*>(data), size));
  if (!graph.ok()) return Report(GRAPH_FAILED, graph.status());
  *this = *std::move(graph);
  return GRAPH_SUCCESS;
}

const std::string& Graph::GetName() const {
  static const std::string* const none = new std::string;
  return impl_ == nullptr ? *none : impl_->name;
}

graphStatus Graph::GetName(AscendString& name) const {
  if (impl_ == nullptr) return GRAPH_FAILED;
  name = AscendString(impl_->name.data(), impl_->name.size());
  return GRAPH_SUCCESS;
}

void Graph::SetNeedIteration(bool need_iteration) { Made(impl_).need_iteration = need_iteration; }

std::vector<GNode> Graph::GetAllNodes() const {
  std::vector<GNode> nodes;
  if (impl_ == nullptr) return nodes;
  for (const OpPtr& op : impl_->All()) nodes.push_back(GNode(impl_, op));
  return nodes;
}

graphStatus Graph::RemoveNode(GNode& node) {
  if (impl_ == nullptr || node.op_ == nullptr) return GRAPH_FAILED;
  for (const OpPtr& op : impl_->All()) {
    for (Slot& slot : op->inputs) {
      if (slot.source == node.op_) slot.source = nullptr;
    }
    std::erase(op->controls, node.op_);
  }
  std::erase(impl_->held, node.op_);
  std::erase(impl_->inputs, node.op_);
  impl_->output_names.clear();
  std::erase_if(impl_->outputs, [&](const GraphImpl::Output& output) { return output.op == node.op_; });
  return GRAPH_SUCCESS;
}

graphStatus Graph::RemoveEdge(GNode& source, const int32_t source_port, GNode& target, const int32_t target_port) {
  if (source.op_ == nullptr || target.op_ == nullptr) return GRAPH_FAILED;
  if (source_port < 0) return std::erase(target.op_->controls, source.op_) > 0 ? GRAPH_SUCCESS : GRAPH_FAILED;
  if (target_port < 0 || static_cast<size_t>(target_port) >= target.op_->inputs.size()) return GRAPH_FAILED;
  Slot& slot = target.op_->inputs[static_cast<size_t>(target_port)];
  if (slot.source != source.op_ || slot.source_index != static_cast<uint32_t>(source_port)) return GRAPH_FAILED;
  // The source stays in the graph.
  Made(impl_).Hold(source.op_);
  slot.source = nullptr;
  return GRAPH_SUCCESS;
}

GNode Graph::AddNodeByOp(const Operator& op) {
  if (AddOp(op) != GRAPH_SUCCESS) return GNode();
  return GNode(impl_, OperatorAccess::Of(op));
}

graphStatus Graph::AddDataEdge(GNode& source, const int32_t source_port, GNode& target, const int32_t target_port) {
  if (source.op_ == nullptr || target.op_ == nullptr || source_port < 0 || target_port < 0 ||
      static_cast<size_t>(source_port) >= source.op_->outputs.size() ||
      static_cast<size_t>(target_port) >= target.op_->inputs.size()) {
    return GRAPH_FAILED;
  }
  Slot& slot = target.op_->inputs[static_cast<size_t>(target_port)];
  return Connect(target.op_, slot, source.op_, static_cast<uint32_t>(source_port)) ? GRAPH_SUCCESS : GRAPH_FAILED;
}

graphStatus Graph::AddControlEdge(GNode& source, GNode& target) {
  if (source.op_ == nullptr || target.op_ == nullptr) return GRAPH_FAILED;
  return ConnectControl(target.op_, source.op_) ? GRAPH_SUCCESS : GRAPH_FAILED;
}

graphStatus Graph::CopyFrom(const Graph& source) {
  const absl::StatusOr<std::string> bytes = GraphToAir(source);
  if (!bytes.ok()) return Report(GRAPH_FAILED, bytes.status());
  absl::StatusOr<Graph> copy = GraphFromAir(*bytes);
  if (!copy.ok()) return Report(GRAPH_FAILED, copy.status());
  if (impl_ != nullptr && !impl_->name.empty()) copy->impl_->name = impl_->name;
  *this = *std::move(copy);
  return GRAPH_SUCCESS;
}

GraphPtr Graph::ConstructFromInputs(const std::vector<Operator>& inputs, const AscendString& name) {
  if (inputs.empty()) return nullptr;
  auto graph = std::make_shared<Graph>(name.GetString());
  graph->SetInputs(inputs);
  return graph;
}

}  // namespace ge
