#include "core/partition/lower/lower.h"

#include <map>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/emit.h"
#include "core/ops/op.h"

namespace omserve {
namespace {

// Builds the slice of one rank. All ranks run the same steps in the same order; only constants' boxes and offsets
// differ.
class SliceBuilder {
 public:
  SliceBuilder(const Graph& whole, const Plan& plan, Resharder& resharder, int rank, std::vector<SliceGroup>* groups)
      : whole_(whole), plan_(plan), resharder_(resharder), rank_(rank), groups_(groups),
        slice_(absl::StrCat(whole.name(), "_rank", rank)) {}

  absl::Status AddInputs() {
    for (int32_t id : whole_.inputs()) {
      const Node& data = *whole_.node(id);
      const Node* local = slice_.AddData(data.name(), data.output());
      Remember(data.out(), Sharding::Replicated(static_cast<int>(data.output().shape.size())), local->out());
    }
    return absl::OkStatus();
  }

  absl::Status AddNode(const Node& node) {
    const Strategy& strategy = plan_.strategies.at(node.id());
    ASSIGN_OR_RETURN(const ShardingRule rule, RuleOf(whole_, node));
    std::vector<ValueId> inputs;
    for (int i = 0; i < node.num_inputs(); ++i) {
      if (!node.input(i).valid()) {
        inputs.push_back(ValueId{});
        continue;
      }
      ASSIGN_OR_RETURN(ValueId local, Get(node.input(i), strategy.inputs[i]));
      inputs.push_back(local);
    }
    std::vector<int64_t> parts, index;
    for (const AxisList& axes : strategy.factor_axes) {
      parts.push_back(plan_.mesh.Parts(axes));
      index.push_back(plan_.mesh.IndexOn(rank_, axes));
    }
    EmitContext context(whole_, node, rule, &slice_, std::move(inputs), std::move(parts), std::move(index));
    ASSIGN_OR_RETURN(const OpDef* op, FindOp(node));
    ASSIGN_OR_RETURN(const std::vector<ValueId> outputs, op->emit ? op->emit(context) : EmitClone(context));
    for (int i = 0; i < node.num_outputs(); ++i) {
      const Shape expected = LocalShape(plan_.mesh, strategy.raw_outputs[i], node.output(i).shape);
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
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<SlicePiece>> AddOutputs() {
    std::vector<SlicePiece> pieces;
    for (size_t i = 0; i < whole_.outputs().size(); ++i) {
      const GraphOutput& output = whole_.outputs()[i];
      const Shape& shape = whole_.desc(output.value).shape;
      ASSIGN_OR_RETURN(ValueId local, Get(output.value, plan_.outputs[i]));
      slice_.AddOutput(output.name, local);
      pieces.push_back({static_cast<int>(i), LocalBegin(plan_.mesh, plan_.outputs[i], shape, rank_),
                        LocalShape(plan_.mesh, plan_.outputs[i], shape)});
    }
    return pieces;
  }

  Graph TakeSlice() { return std::move(slice_); }

 private:
  void Remember(ValueId value, const Sharding& sharding, ValueId local) { locals_[{value, sharding}] = local; }

  // The local part of a value of the whole graph in a wanted sharding; emits what is missing, once.
  absl::StatusOr<ValueId> Get(ValueId value, const Sharding& wanted) {
    auto it = locals_.find({value, wanted});
    if (it != locals_.end()) return it->second;
    const Node& producer = *whole_.node(value.node);
    const TensorDesc& desc = whole_.desc(value);
    if (const TensorSlice* constant = producer.constant()) {
      // A shard is a box of the source's bytes: no operator, no copy.
      ASSIGN_OR_RETURN(TensorSlice shard, constant->Slice(LocalBegin(plan_.mesh, wanted, desc.shape, rank_),
                                                          LocalShape(plan_.mesh, wanted, desc.shape)));
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
        ASSIGN_OR_RETURN_WITH(local, EmitReshardStep(slice_, plan_.mesh, rank_, local, at, step, producer.name(), groups_),
                              absl::StrCat("reshard of '", producer.name(), "' to ", ToString(step.after)));
        Remember(value, step.after, local);
      }
      at = step.after;
    }
    return local;
  }

  const Graph& whole_;
  const Plan& plan_;
  Resharder& resharder_;
  const int rank_;
  std::vector<SliceGroup>* const groups_;
  Graph slice_;
  absl::flat_hash_map<std::pair<ValueId, Sharding>, ValueId> locals_;
  absl::flat_hash_map<ValueId, Sharding> produced_;  // where readers start from
};

}  // namespace

absl::StatusOr<CutGraph> Lower(const Graph& graph, const Cluster& cluster, const Plan& plan) {
  CutGraph cut;
  Resharder resharder(plan.mesh, cluster);
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  for (int rank = 0; rank < plan.mesh.size(); ++rank) {
    SliceBuilder builder(graph, plan, resharder, rank, &cut.groups);
    RETURN_IF_ERROR(builder.AddInputs());
    for (int32_t id : order) {
      const Node& node = *graph.node(id);
      if (node.is_data() || node.is_const()) continue;
      RETURN_IF_ERROR_WITH(builder.AddNode(node), absl::StrCat("node '", node.name(), "' (", node.type(), ")"));
    }
    ASSIGN_OR_RETURN(std::vector<SlicePiece> pieces, builder.AddOutputs());
    cut.pieces.push_back(std::move(pieces));
    cut.slices.push_back(builder.TakeSlice());
    RETURN_IF_ERROR(Verify(cut.slices.back()));
  }
  return cut;
}

}  // namespace omserve
