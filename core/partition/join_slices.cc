#include "core/partition/join_slices.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/op.h"
#include "core/partition/collective_check.h"
#include "core/partition/communication_order.h"

namespace omserve {
namespace {

template <typename... Parts>
absl::Status Unfit(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("EF1001: ", parts...));
}

// Names of a model's inputs or outputs are its slices' names, told apart by a suffix where two are the same.
std::string Unused(const std::string& name, std::set<std::string>& used) {
  std::string unique = name;
  for (int i = 1; !used.insert(unique).second; ++i) unique = absl::StrCat(name, "_", i);
  return unique;
}

class Joiner {
 public:
  Joiner(const ModelRelation& relation, std::vector<LooseSlice> slices)
      : relation_(relation), slices_(std::move(slices)) {
    joined_.groups = relation.groups;
    joined_.slice_inputs.resize(slices_.size());
    joined_.slice_outputs.resize(slices_.size());
    kept_outputs_.resize(slices_.size());
    received_.resize(slices_.size());
  }

  absl::StatusOr<JoinedSlices> Join() {
    RETURN_IF_ERROR(CheckCommunication());
    AddWorldGroup();
    if (relation_.edges.empty()) {
      RETURN_IF_ERROR(ShareInputs());
      RETURN_IF_ERROR(ShareOutputs());
    } else {
      RETURN_IF_ERROR(TakeInputs());
      RETURN_IF_ERROR(TakeOutputs());
      RETURN_IF_ERROR(AddFlows());
    }
    std::vector<CommunicatingSlice> communicating;
    for (size_t rank = 0; rank < slices_.size(); ++rank) {
      communicating.push_back({file(rank), &slices_[rank].graph, slices_[rank].communication});
    }
    ASSIGN_OR_RETURN(const std::vector<CollectiveMeeting> meetings, MatchCollectives(communicating, joined_.groups));
    ASSIGN_OR_RETURN(const std::vector<std::vector<int32_t>> order, CommonOrder(communicating, meetings));
    for (size_t rank = 0; rank < slices_.size(); ++rank) {
      joined_.slices.push_back(Rebuild(rank, order[rank]));
      RETURN_IF_ERROR_WITH(Verify(joined_.slices.back()), file(rank));
    }
    return std::move(joined_);
  }

 private:
  const std::string& file(size_t rank) const { return relation_.slices[rank].file; }
  const Node& input(size_t rank, size_t index) const {
    return *slices_[rank].graph.node(slices_[rank].graph.inputs()[index]);
  }
  const GraphOutput& output(size_t rank, size_t index) const { return slices_[rank].graph.outputs()[index]; }
  const TensorDesc& output_desc(size_t rank, size_t index) const {
    return slices_[rank].graph.desc(output(rank, index).value);
  }
  size_t num_inputs(size_t rank) const { return slices_[rank].graph.inputs().size(); }
  size_t num_outputs(size_t rank) const { return slices_[rank].graph.outputs().size(); }

  // Passes must neither remove nor add what other slices wait for.
  absl::Status CheckCommunication() const {
    for (size_t rank = 0; rank < slices_.size(); ++rank) {
      ASSIGN_OR_RETURN(std::vector<int32_t> now, CommunicationOf(slices_[rank].graph));
      std::vector<int32_t> known = slices_[rank].communication;
      std::sort(now.begin(), now.end());
      std::sort(known.begin(), known.end());
      if (now != known) return absl::InternalError(absl::StrCat("'", file(rank), "': a pass changed its collectives"));
    }
    return absl::OkStatus();
  }

  void AddWorldGroup() {
    for (const RelationGroup& group : joined_.groups) {
      if (group.name == kWorldGroup) return;
    }
    for (const LooseSlice& slice : slices_) {
      for (const int32_t id : slice.communication) {
        const std::string* group = slice.graph.node(id)->FindAttr<std::string>("group");
        if (group == nullptr || *group != kWorldGroup) continue;
        RelationGroup world{kWorldGroup, {}};
        for (size_t rank = 0; rank < slices_.size(); ++rank) world.ranks.push_back(static_cast<int>(rank));
        joined_.groups.push_back(std::move(world));
        return;
      }
    }
  }

  // --- Without edges: tensor parallelism.

  // Slices have the model's inputs by name; where no name is common to two slices but all have as many, by position.
  bool InputsByName() const {
    std::set<std::string> names;
    for (size_t i = 0; i < num_inputs(0); ++i) names.insert(input(0, i).name());
    for (size_t rank = 1; rank < slices_.size(); ++rank) {
      if (num_inputs(rank) != num_inputs(0)) return true;
      for (size_t i = 0; i < num_inputs(rank); ++i) {
        if (names.count(input(rank, i).name()) > 0) return true;
      }
    }
    return false;
  }

  absl::Status ShareInputs() {
    const bool by_name = InputsByName();
    std::map<std::string, int> index_of;
    std::vector<std::string> first_reader;
    for (size_t rank = 0; rank < slices_.size(); ++rank) {
      for (size_t i = 0; i < num_inputs(rank); ++i) {
        const Node& data = input(rank, i);
        int index = static_cast<int>(i);
        if (by_name) {
          index = index_of.emplace(data.name(), static_cast<int>(joined_.inputs.size())).first->second;
        }
        if (index == static_cast<int>(joined_.inputs.size())) {
          joined_.inputs.push_back({data.name(), data.output()});
          first_reader.push_back(file(rank));
        } else if (joined_.inputs[index].desc != data.output()) {
          return Unfit("'", file(rank), "' takes input '", data.name(), "' as ", ToString(data.output()), ", but '",
                       first_reader[index], "' as ", ToString(joined_.inputs[index].desc),
                       "; without model_relation every slice takes the same inputs");
        }
        joined_.slice_inputs[rank].push_back(index);
      }
    }
    return absl::OkStatus();
  }

  // Each output of the model is whole on every slice that has outputs.
  absl::Status ShareOutputs() {
    int first = -1;
    std::set<std::string> names;
    for (size_t rank = 0; rank < slices_.size(); ++rank) {
      if (num_outputs(rank) == 0) continue;
      if (first < 0) first = static_cast<int>(rank);
      if (num_outputs(rank) != num_outputs(first)) {
        return Unfit("'", file(rank), "' has ", num_outputs(rank), " outputs, but '", file(first), "' has ",
                     num_outputs(first), "; without model_relation every slice gives the same outputs");
      }
      for (size_t i = 0; i < num_outputs(rank); ++i) {
        if (static_cast<int>(rank) == first) {
          joined_.outputs.push_back({Unused(output(rank, i).name, names), output_desc(rank, i)});
        } else if (output_desc(rank, i) != joined_.outputs[i].desc) {
          return Unfit("'", file(rank), "' gives output ", i, " '", output(rank, i).name, "' as ",
                       ToString(output_desc(rank, i)), ", but '", file(first), "' as ",
                       ToString(joined_.outputs[i].desc),
                       "; without model_relation every slice gives the same outputs");
        }
        Keep(rank, i, static_cast<int>(i));
      }
    }
    if (first < 0) return Unfit("no slice has an output");
    return absl::OkStatus();
  }

  void Keep(size_t rank, size_t output, int model_output) {
    kept_outputs_[rank].push_back(output);
    joined_.slice_outputs[rank].push_back(model_output);
  }

  // --- With edges.

  absl::Status CheckOutputIndex(const RelationEdge& edge) const {
    const auto& [rank, index] = edge.source;
    if (rank < 0 || index < static_cast<int>(num_outputs(rank))) return absl::OkStatus();
    return Unfit(edge.place, ".src: '", file(rank), "' has no output ", index, "; it has ", num_outputs(rank));
  }
  absl::Status CheckInputIndex(const RelationEdge& edge) const {
    const auto& [rank, index] = edge.target;
    if (rank < 0 || index < static_cast<int>(num_inputs(rank))) return absl::OkStatus();
    return Unfit(edge.place, ".dst: '", file(rank), "' has no input ", index, "; it has ", num_inputs(rank));
  }

  // The inputs of the model and what each input of each slice is fed from.
  absl::Status TakeInputs() {
    std::map<int, std::vector<const RelationEdge*>> readers;  // by input of the model
    for (const RelationEdge& edge : relation_.edges) {
      RETURN_IF_ERROR(CheckOutputIndex(edge));
      RETURN_IF_ERROR(CheckInputIndex(edge));
      if (edge.target.rank >= 0) source_of_[edge.target] = &edge;
      if (edge.source.rank < 0) readers[edge.source.index].push_back(&edge);
    }
    std::set<std::string> names;
    for (const auto& [index, edges] : readers) {
      if (index != static_cast<int>(joined_.inputs.size())) {
        return Unfit("model_relation: input ", joined_.inputs.size(),
                     " of the model feeds no slice, but input ", index, " does; they count from -1:0 without gaps");
      }
      const RelationEnd& first = edges[0]->target;
      const Node& data = input(first.rank, first.index);
      for (const RelationEdge* edge : edges) {
        const Node& other = input(edge->target.rank, edge->target.index);
        if (other.output() == data.output()) continue;
        return Unfit(edge->place, ": '", file(edge->target.rank), "' takes input ", index, " of the model as ",
                     ToString(other.output()), ", but '", file(first.rank), "' as ", ToString(data.output()));
      }
      joined_.inputs.push_back({Unused(data.name(), names), data.output()});
    }
    for (size_t rank = 0; rank < slices_.size(); ++rank) {
      for (size_t i = 0; i < num_inputs(rank); ++i) {
        auto found = source_of_.find({static_cast<int>(rank), static_cast<int>(i)});
        if (found == source_of_.end()) {
          return Unfit("model_relation: input ", i, " '", input(rank, i).name(), "' of '", file(rank),
                       "' has no source");
        }
        const RelationEnd& source = found->second->source;
        if (source.rank < 0) joined_.slice_inputs[rank].push_back(source.index);
      }
    }
    return absl::OkStatus();
  }

  absl::Status TakeOutputs() {
    std::map<int, RelationEnd> sources;  // by output of the model
    for (const RelationEdge& edge : relation_.edges) {
      if (edge.target.rank < 0) sources[edge.target.index] = edge.source;
    }
    if (sources.empty()) return Unfit("model_relation: no edge leads to an output of the model, such as -1:0");
    std::set<std::string> names;
    for (const auto& [index, source] : sources) {
      if (index != static_cast<int>(joined_.outputs.size())) {
        return Unfit("model_relation: output ", joined_.outputs.size(), " of the model has no source, but output ",
                     index, " has; they count from -1:0 without gaps");
      }
      joined_.outputs.push_back({Unused(output(source.rank, source.index).name, names),
                                 output_desc(source.rank, source.index)});
      Keep(source.rank, source.index, index);
    }
    return absl::OkStatus();
  }

  // Edges between slices become messages, in a group of their own for each pair of slices. What several inputs of a
  // slice take from one output travels once.
  absl::Status AddFlows() {
    std::map<std::pair<int, int>, std::pair<std::string, int64_t>> pairs;  // → group, messages so far
    std::map<std::pair<RelationEnd, int>, ValueId> received;               // output, reader → value there
    for (const RelationEdge& edge : relation_.edges) {
      const RelationEnd &source = edge.source, &target = edge.target;
      if (source.rank < 0 || target.rank < 0) continue;
      const TensorDesc desc = output_desc(source.rank, source.index);
      const Node& data = input(target.rank, target.index);
      if (desc != data.output()) {
        return Unfit(edge.place, ": '", file(source.rank), "' gives ", ToString(desc), " as output ", source.index,
                     ", but '", file(target.rank), "' takes ", ToString(data.output()), " as input ", target.index,
                     " '", data.name(), "'");
      }
      auto [known, added] = received.emplace(std::pair(source, target.rank), ValueId{});
      if (added) {
        auto& [group, messages] = pairs[{source.rank, target.rank}];
        if (group.empty()) group = AddFlowGroup(source.rank, target.rank);
        known->second = AddMessage(source, target, group, messages++);
      }
      slices_[target.rank].graph.ReplaceUses(data.out(), known->second);
      received_[target.rank].insert(data.id());
    }
    return absl::OkStatus();
  }

  std::string AddFlowGroup(int source, int target) {
    std::string name = absl::StrCat("omserve_flow_", source, "_", target);
    const auto taken = [&] {
      return std::any_of(joined_.groups.begin(), joined_.groups.end(),
                         [&](const RelationGroup& group) { return group.name == name; });
    };
    while (taken()) name += "_";
    joined_.groups.push_back({name, {source, target}});
    return name;
  }

  ValueId AddMessage(const RelationEnd& source, const RelationEnd& target, const std::string& group, int64_t tag) {
    Graph& from = slices_[source.rank].graph;
    const ValueId value = from.outputs()[source.index].value;
    const TensorDesc desc = from.desc(value);
    Node* send = from.AddNode("HcomSend", absl::StrCat("send_", tag, "_to_rank", target.rank), {value});
    send->SetAttr("group", group);
    send->SetAttr("sr_tag", tag);
    send->SetAttr("dest_rank", int64_t{1});
    slices_[source.rank].communication.push_back(send->id());
    Graph& to = slices_[target.rank].graph;
    Node* receive = to.AddNode("HcomReceive", absl::StrCat("receive_", tag, "_from_rank", source.rank), {});
    receive->SetAttr("group", group);
    receive->SetAttr("sr_tag", tag);
    receive->SetAttr("src_rank", int64_t{0});
    receive->SetAttr("shape", desc.shape);
    receive->SetAttr("dtype", desc.type);
    receive->SetOutput(0, desc);
    slices_[target.rank].communication.push_back(receive->id());
    return receive->out();
  }

  // The slice with its nodes in the order given: as ids are in that order, whatever orders a graph keeps to it.
  Graph Rebuild(size_t rank, const std::vector<int32_t>& order) const {
    const Graph& old = slices_[rank].graph;
    Graph graph(file(rank));
    std::vector<int32_t> new_id(static_cast<size_t>(old.id_limit()), -1);
    const auto moved = [&](ValueId value) {
      return value.valid() ? ValueId{new_id[value.node], value.output} : value;
    };
    for (const int32_t id : old.inputs()) {
      if (received_[rank].count(id) > 0) continue;
      new_id[id] = graph.AddData(old.node(id)->name(), old.node(id)->output())->id();
    }
    for (const int32_t id : order) {
      const Node& node = *old.node(id);
      if (node.is_data()) continue;
      Node* copy = nullptr;
      if (node.is_const()) {
        copy = graph.AddConst(node.name(), *node.constant());
      } else {
        std::vector<ValueId> inputs;
        for (const ValueId value : node.inputs()) inputs.push_back(moved(value));
        copy = graph.AddNode(node.type(), node.name(), std::move(inputs));
        copy->SetOutputs({node.outputs().begin(), node.outputs().end()});
      }
      for (const auto& [name, value] : node.attrs()) copy->SetAttr(name, value);
      new_id[id] = copy->id();
    }
    for (const size_t index : kept_outputs_[rank]) {
      const GraphOutput& output = old.outputs()[index];
      graph.AddOutput(output.name, moved(output.value));
    }
    graph.RemoveUnused();
    return graph;
  }

  const ModelRelation& relation_;
  std::vector<LooseSlice> slices_;
  JoinedSlices joined_;
  std::vector<std::vector<size_t>> kept_outputs_;           // by rank: outputs that are the model's
  std::map<RelationEnd, const RelationEdge*> source_of_;    // by input of a slice
  std::vector<std::set<int32_t>> received_;                 // by rank: Data that another slice feeds
};

}  // namespace

absl::StatusOr<std::vector<int32_t>> CommunicationOf(const Graph& graph) {
  std::vector<int32_t> found;
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  for (const int32_t id : order) {
    if (absl::StartsWith(graph.node(id)->type(), "Hcom")) found.push_back(id);
  }
  return found;
}

absl::StatusOr<JoinedSlices> JoinSlices(const ModelRelation& relation, std::vector<LooseSlice> slices) {
  return Joiner(relation, std::move(slices)).Join();
}

}  // namespace omserve
