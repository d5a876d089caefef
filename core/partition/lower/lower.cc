#include "core/partition/lower/lower.h"

#include <algorithm>
#include <map>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/emit.h"
#include "core/ops/op.h"
#include "core/partition/crossings.h"
#include "core/partition/weight_gather.h"

namespace omserve {
namespace {

std::string PairGroup(int from, int to, std::vector<SliceGroup>* groups) {
  std::string name = absl::StrCat("stages_from_rank_", from, "_to_rank_", to);
  const bool known = std::any_of(groups->begin(), groups->end(),
                                 [&](const SliceGroup& group) { return group.name == name; });
  if (!known) groups->push_back({name, {from, to}});
  return name;
}

// Builds the slice of one rank. All ranks of a stage run the same steps in the same order; only constants'
// boxes and offsets differ.
class SliceBuilder {
 public:
  // `rank` counts within the stage's mesh.
  SliceBuilder(const Graph& whole, const Plan& plan, const std::vector<Crossing>& crossings,
               const std::vector<WeightGather>& gathers, Resharder& resharder, int stage, int rank,
               std::vector<SliceGroup>* groups)
      : whole_(whole),
        plan_(plan),
        crossings_(crossings),
        gathers_(gathers),
        resharder_(resharder),
        mesh_(plan.stages[stage]),
        stage_(stage),
        first_rank_(plan.first_rank(stage)),
        rank_(rank),
        groups_(groups),
        slice_(absl::StrCat(whole.name(), "_rank", first_rank_ + rank)) {}

  // Of the whole graph's inputs, those that are read; returns which.
  std::vector<int> AddInputs(const std::vector<bool>& read) {
    std::vector<int> positions;
    for (size_t i = 0; i < whole_.inputs().size(); ++i) {
      const Node& data = *whole_.node(whole_.inputs()[i]);
      if (!read[i]) continue;
      const Node* local = slice_.AddData(data.name(), data.output());
      Remember(data.out(), Sharding::Replicated(static_cast<int>(data.output().shape.size())), local->out());
      positions.push_back(static_cast<int>(i));
    }
    return positions;
  }

  absl::Status AddReceives() {
    for (size_t tag = 0; tag < crossings_.size(); ++tag) {
      const Crossing& crossing = crossings_[tag];
      if (crossing.to != stage_) continue;
      const int source = plan_.first_rank(crossing.from) + crossing.transfer.sources[rank_];
      const TensorDesc& desc = whole_.desc(crossing.value);
      const Sharding& received = crossing.transfer.received;
      Node* node = slice_.AddNode(
          "HcomReceive", absl::StrCat(whole_.node(crossing.value.node)->name(), "/receive_", tag), {});
      node->SetAttr("group", PairGroup(source, first_rank_ + rank_, groups_));
      node->SetAttr("src_rank", int64_t{0});
      node->SetAttr("sr_tag", static_cast<int64_t>(tag));
      node->SetAttr("shape", LocalShape(mesh_, received, desc.shape));
      node->SetAttr("dtype", desc.type);
      RETURN_IF_ERROR(InferNode(slice_, *node));
      Remember(crossing.value, received, node->out());
    }
    return absl::OkStatus();
  }

  absl::Status AddNode(const Node& node) {
    const Strategy& strategy = plan_.strategies.at(node.id());
    RETURN_IF_ERROR(StartGathers());
    ASSIGN_OR_RETURN(const ShardingRule rule, RuleOf(whole_, node));
    std::vector<ValueId> inputs;
    for (int i = 0; i < node.num_inputs(); ++i) {
      if (!node.input(i).valid()) {
        inputs.push_back(ValueId{});
        continue;
      }
      ASSIGN_OR_RETURN(ValueId local, GetInput(node, i, strategy));
      inputs.push_back(local);
    }
    std::vector<int64_t> parts, index;
    for (const AxisList& axes : strategy.factor_axes) {
      parts.push_back(mesh_.Parts(axes));
      index.push_back(mesh_.IndexOn(rank_, axes));
    }
    EmitContext context(whole_, node, rule, &slice_, std::move(inputs), std::move(parts), std::move(index));
    context.set_group_of([&](int factor) {
      return GroupName(mesh_, first_rank_, rank_, strategy.factor_axes[factor], groups_);
    });
    ASSIGN_OR_RETURN(const OpDef* op, FindOp(node));
    ASSIGN_OR_RETURN(const std::vector<ValueId> outputs, op->emit ? op->emit(context) : EmitClone(context));
    for (int i = 0; i < node.num_outputs(); ++i) {
      const Shape expected = LocalShape(mesh_, strategy.raw_outputs[i], node.output(i).shape);
      if (slice_.desc(outputs[i]).shape != expected) {
        return absl::InternalError(absl::StrCat("output ", i, " has local shape ",
                                                ToString(slice_.desc(outputs[i]).shape), ", the plan says ",
                                                ToString(expected)));
      }
      Remember(node.out(i), strategy.raw_outputs[i], outputs[i]);
      produced_[node.out(i)] = strategy.raw_outputs[i];
      if (strategy.outputs[i] != strategy.raw_outputs[i]) {
        RETURN_IF_ERROR(Get(node.out(i), strategy.outputs[i]).status());
        // From here on readers start from the resolved value.
        produced_[node.out(i)] = strategy.outputs[i];
      }
    }
    return AddSends(node.id());
  }

  absl::StatusOr<std::vector<SlicePiece>> AddOutputs() {
    std::vector<SlicePiece> pieces;
    for (size_t i = 0; i < whole_.outputs().size(); ++i) {
      const GraphOutput& output = whole_.outputs()[i];
      if (plan_.stage(output.value.node) != stage_) continue;
      const Shape& shape = whole_.desc(output.value).shape;
      ASSIGN_OR_RETURN(ValueId local, Get(output.value, plan_.outputs[i]));
      slice_.AddOutput(output.name, local);
      pieces.push_back({static_cast<int>(i), LocalBegin(mesh_, plan_.outputs[i], shape, rank_),
                        LocalShape(mesh_, plan_.outputs[i], shape)});
    }
    return pieces;
  }

  Graph TakeSlice() { return std::move(slice_); }

 private:
  void Remember(ValueId value, const Sharding& sharding, ValueId local) {
    locals_[{value, sharding}] = local;
  }

  // Gathers the weights whose turn it is before the next operator.
  absl::Status StartGathers() {
    for (; next_gather_ < gathers_.size() && gathers_[next_gather_].start <= position_; ++next_gather_) {
      const WeightGather& gather = gathers_[next_gather_];
      const Strategy& strategy = plan_.strategies.at(gather.node);
      const ValueId weight = whole_.node(gather.node)->input(gather.input);
      const std::string& name = whole_.node(weight.node)->name();
      Sharding at = HeldAs(strategy, gather.input);
      ASSIGN_OR_RETURN(ValueId local, Get(weight, at));
      const Sharding& wanted = strategy.inputs[static_cast<size_t>(gather.input)];
      for (const ReshardStep& step : resharder_.Path(at, wanted, whole_.desc(weight)).steps) {
        ASSIGN_OR_RETURN_WITH(local,
                              EmitReshardStep(slice_, mesh_, first_rank_, rank_, local, at, step, name, groups_),
                              absl::StrCat("gather of '", name, "'"));
        at = step.after;
      }
      gathered_[{gather.node, gather.input}] = local;
    }
    ++position_;
    return absl::OkStatus();
  }

  // Sends what other stages read of a node, to each of their ranks that takes it from this one.
  absl::Status AddSends(int32_t id) {
    for (size_t tag = 0; tag < crossings_.size(); ++tag) {
      const Crossing& crossing = crossings_[tag];
      if (crossing.value.node != id || crossing.from != stage_) continue;
      ASSIGN_OR_RETURN(const ValueId whole, Get(crossing.value, crossing.transfer.sent));
      const Shape& shape = whole_.desc(crossing.value).shape;
      const Mesh& receivers = plan_.stages[crossing.to];
      const std::vector<int64_t> held = LocalBegin(mesh_, crossing.transfer.sent, shape, rank_);
      for (int receiver = 0; receiver < receivers.size(); ++receiver) {
        if (crossing.transfer.sources[receiver] != rank_) continue;
        const std::string name = absl::StrCat(whole_.node(id)->name(), "/send_", tag, "_to_", receiver);
        ValueId part = whole;
        const Shape extent = LocalShape(receivers, crossing.transfer.received, shape);
        if (extent != slice_.desc(whole).shape) {
          std::vector<int64_t> begin = LocalBegin(receivers, crossing.transfer.received, shape, receiver);
          for (size_t d = 0; d < begin.size(); ++d) begin[d] -= held[d];
          const ValueId offsets =
              slice_.AddConst(absl::StrCat(name, "/offsets"), Tensor::Int64s(begin))->out();
          const ValueId size = slice_.AddConst(absl::StrCat(name, "/size"), Tensor::Int64s(extent))->out();
          Node* cut = slice_.AddNode("Slice", absl::StrCat(name, "/Slice"), {whole, offsets, size});
          RETURN_IF_ERROR(InferNode(slice_, *cut));
          part = cut->out();
        }
        Node* node = slice_.AddNode("HcomSend", name, {part});
        node->SetAttr("group",
                      PairGroup(first_rank_ + rank_, plan_.first_rank(crossing.to) + receiver, groups_));
        node->SetAttr("dest_rank", int64_t{1});
        node->SetAttr("sr_tag", static_cast<int64_t>(tag));
        RETURN_IF_ERROR(InferNode(slice_, *node));
      }
    }
    return absl::OkStatus();
  }

  // An input of a node; when it crossed stages, from what was received for it.
  absl::StatusOr<ValueId> GetInput(const Node& node, int i, const Strategy& strategy) {
    if (auto it = gathered_.find({node.id(), i}); it != gathered_.end()) return it->second;
    const ValueId value = node.input(i);
    const Sharding& wanted = strategy.inputs[i];
    if (!plan_.strategies.contains(value.node) || plan_.stage(value.node) == stage_)
      return Get(value, wanted);
    const Crossing* nearest =
        NearestCrossing(crossings_, value, stage_, wanted, whole_.desc(value), resharder_);
    produced_[value] = nearest->transfer.received;
    return Get(value, wanted);
  }

  // The local part of a value of the whole graph in a wanted sharding; emits what is missing, once.
  absl::StatusOr<ValueId> Get(ValueId value, const Sharding& wanted) {
    auto it = locals_.find({value, wanted});
    if (it != locals_.end()) return it->second;
    const Node& producer = *whole_.node(value.node);
    const TensorDesc& desc = whole_.desc(value);
    if (const TensorSlice* constant = producer.constant()) {
      // A shard is a box of the source's bytes: no operator, no copy.
      ASSIGN_OR_RETURN(TensorSlice shard, constant->Slice(LocalBegin(mesh_, wanted, desc.shape, rank_),
                                                          LocalShape(mesh_, wanted, desc.shape)));
      const ValueId local = slice_.AddConst(producer.name(), std::move(shard))->out();
      Remember(value, wanted, local);
      return local;
    }
    auto produced = produced_.find(value);
    Sharding at = produced != produced_.end() ? produced->second
                                              : Sharding::Replicated(static_cast<int>(desc.shape.size()));
    ValueId local = locals_.at({value, at});
    for (const ReshardStep& step : resharder_.Path(at, wanted, desc).steps) {
      auto known = locals_.find({value, step.after});
      if (known != locals_.end()) {
        local = known->second;
      } else {
        ASSIGN_OR_RETURN_WITH(
            local,
            EmitReshardStep(slice_, mesh_, first_rank_, rank_, local, at, step, producer.name(), groups_),
            absl::StrCat("reshard of '", producer.name(), "' to ", ToString(step.after)));
        Remember(value, step.after, local);
      }
      at = step.after;
    }
    return local;
  }

  const Graph& whole_;
  const Plan& plan_;
  const std::vector<Crossing>& crossings_;
  const std::vector<WeightGather>& gathers_;
  Resharder& resharder_;
  const Mesh& mesh_;
  const int stage_;
  const int first_rank_;
  const int rank_;
  std::vector<SliceGroup>* const groups_;
  Graph slice_;
  absl::flat_hash_map<std::pair<ValueId, Sharding>, ValueId> locals_;
  absl::flat_hash_map<ValueId, Sharding> produced_;  // where readers start from
  size_t position_ = 0;     // of the next operator
  size_t next_gather_ = 0;  // among gathers_
  absl::flat_hash_map<std::pair<int32_t, int>, ValueId> gathered_;  // by reader and its input
};

// Per stage, which of the graph's inputs it reads.
std::vector<std::vector<bool>> InputsRead(const Graph& graph, const Plan& plan) {
  std::vector<std::vector<bool>> read(plan.stages.size(),
                                      std::vector<bool>(graph.inputs().size(), plan.num_stages() == 1));
  std::map<int32_t, size_t> place;
  for (size_t i = 0; i < graph.inputs().size(); ++i) place[graph.inputs()[i]] = i;
  for (const auto& [id, strategy] : plan.strategies) {
    for (ValueId input : graph.node(id)->inputs()) {
      auto it = place.find(input.node);
      if (it != place.end()) read[plan.stage(id)][it->second] = true;
    }
  }
  for (const GraphOutput& output : graph.outputs()) {
    auto it = place.find(output.value.node);
    if (it != place.end()) read[0][it->second] = true;
  }
  return read;
}

}  // namespace

absl::StatusOr<CutGraph> Lower(const Graph& graph, const Cluster& cluster, const Plan& plan) {
  CutGraph cut;
  std::vector<std::unique_ptr<Resharder>> resharders;
  for (const Mesh& mesh : plan.stages) resharders.push_back(std::make_unique<Resharder>(mesh, cluster));
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  ASSIGN_OR_RETURN(const std::vector<Crossing> crossings, FindCrossings(graph, cluster, plan, resharders, order));
  const std::vector<std::vector<bool>> read = InputsRead(graph, plan);
  const std::vector<std::vector<WeightGather>> gathers = ScheduleGathers(graph, plan, order);
  for (int stage = 0; stage < plan.num_stages(); ++stage) {
    for (int rank = 0; rank < plan.stages[stage].size(); ++rank) {
      SliceBuilder builder(graph, plan, crossings, gathers[stage], *resharders[stage], stage, rank, &cut.groups);
      cut.inputs.push_back(builder.AddInputs(read[stage]));
      RETURN_IF_ERROR(builder.AddReceives());
      for (int32_t id : order) {
        const Node& node = *graph.node(id);
        if (node.is_data() || node.is_const() || plan.stage(id) != stage) continue;
        RETURN_IF_ERROR_WITH(builder.AddNode(node),
                             absl::StrCat("node '", node.name(), "' (", node.type(), ")"));
      }
      ASSIGN_OR_RETURN(std::vector<SlicePiece> pieces, builder.AddOutputs());
      cut.pieces.push_back(std::move(pieces));
      cut.slices.push_back(builder.TakeSlice());
      RETURN_IF_ERROR(Verify(cut.slices.back()));
    }
  }
  return cut;
}

}  // namespace omserve
