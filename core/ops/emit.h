// Emission: what a node becomes on one device. The lowering (core/partition/lower) gives each operator its
// local inputs and its coordinates; most operators are simply cloned with local shapes, some adjust a
// parameter (Reshape's shape) or become several nodes (a gather from a table that is cut by rows).
#ifndef OMSERVE_CORE_OPS_EMIT_H_
#define OMSERVE_CORE_OPS_EMIT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/ops/op.h"

namespace omserve {

class EmitContext {
 public:
  // `source`: the node in the whole graph. `local_inputs`: one value of `slice` per input of the node
  // (invalid where absent). `factor_parts[f]`: into how many parts factor f is cut; `factor_index[f]`: which
  // part this device has.
  EmitContext(const Graph& whole, const Node& source, const ShardingRule& rule, Graph* slice,
              std::vector<ValueId> local_inputs, std::vector<int64_t> factor_parts,
              std::vector<int64_t> factor_index)
      : whole_(whole),
        source_(source),
        rule_(rule),
        slice_(slice),
        local_inputs_(std::move(local_inputs)),
        factor_parts_(std::move(factor_parts)),
        factor_index_(std::move(factor_index)) {}

  const Node& source() const { return source_; }
  NodeView view() const { return NodeView(whole_, source_); }
  const ShardingRule& rule() const { return rule_; }
  const Graph& whole() const { return whole_; }
  Graph& slice() { return *slice_; }
  absl::Span<const ValueId> local_inputs() const { return local_inputs_; }
  int64_t factor_parts(int factor) const { return factor_parts_[factor]; }
  int64_t factor_index(int factor) const { return factor_index_[factor]; }
  // Size of the local part of a factor, and where it begins.
  int64_t local_size(int factor) const { return rule_.factors[factor].size / factor_parts_[factor]; }
  int64_t local_begin(int factor) const { return factor_index_[factor] * local_size(factor); }

  // Shape of output `i` on this device: the product of the local sizes of each dimension's factors.
  Shape LocalOutputShape(int i) const;

  // Replaces a local input: an emission adjusts a parameter and goes on as for the others.
  void set_local_input(int i, ValueId value) { local_inputs_[i] = value; }

  // A node of the slice with inferred outputs; a helper for emissions of several nodes.
  absl::StatusOr<ValueId> Add(const std::string& type, const std::string& name, std::vector<ValueId> inputs,
                              AttrMap attrs = {});
  ValueId Constant(const std::string& name, Tensor value);

  // Reduces a value ("sum", "max", "min", "prod") over the devices that have the parts of a factor; the value itself
  // when the factor is not cut. For operators whose pieces depend on each other: the planner pays for it
  // (ops/exchange.h).
  absl::StatusOr<ValueId> AllReduce(int factor, const std::string& reduction, const std::string& name, ValueId value);
  // Joins the parts that those devices have, in the order of their indices, along dimension `dim`; likewise.
  absl::StatusOr<ValueId> AllGather(int factor, int dim, const std::string& name, ValueId value);
  // The name of the group of the devices that have the parts of a factor; without it, the factor's number.
  void set_group_of(std::function<std::string(int factor)> group_of) { group_of_ = std::move(group_of); }

 private:
  const Graph& whole_;
  const Node& source_;
  const ShardingRule& rule_;
  Graph* slice_;
  std::vector<ValueId> local_inputs_;
  std::vector<int64_t> factor_parts_;
  std::vector<int64_t> factor_index_;
  std::function<std::string(int)> group_of_;
};

// Joins the parts of a value that the ranks of a group have along `dim`: an HcomAllGather of that name, which joins
// along dimension 0, and what moves the data where that is not `dim`.
absl::StatusOr<ValueId> AddAllGather(Graph& slice, const std::string& name, ValueId value, int dim, int64_t parts,
                                     const std::string& group);

// The default emission: a copy of the node on the local inputs, outputs inferred; INTERNAL if they do not
// match the local shapes that the rule implies.
absl::StatusOr<std::vector<ValueId>> EmitClone(EmitContext& context);

// As EmitClone with other inputs, and with the attributes in `changed` replaced or added.
absl::StatusOr<std::vector<ValueId>> EmitCopy(EmitContext& context, std::vector<ValueId> inputs,
                                              const AttrMap& changed = {});

// As EmitClone, with input `input` (a shape parameter) replaced by the local shape of output 0.
absl::StatusOr<std::vector<ValueId>> EmitWithLocalShape(EmitContext& context, int input);

// As EmitClone with the attributes in `changed`, but a bias (input `bias`, optional in the operator) is added
// by one device only when sums are cut: the one that has the first part of each.
absl::StatusOr<std::vector<ValueId>> EmitBiasOnce(EmitContext& context, int bias,
                                                  const AttrMap& changed = {});

// For means: that of the local part, divided by the number of parts that sums are cut into, so that the parts sum to
// the mean of the whole.
absl::StatusOr<std::vector<ValueId>> EmitMean(EmitContext& context);

// For operators that only rename dimensions: a Reshape of input 0 to the local shape of output 0.
absl::StatusOr<std::vector<ValueId>> EmitReshape(EmitContext& context);

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_EMIT_H_
