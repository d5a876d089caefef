// Parts that sharding rules are made of.
#ifndef OMSERVE_CORE_OPS_RULE_UTIL_H_
#define OMSERVE_CORE_OPS_RULE_UTIL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/ops/op.h"
#include "core/ops/sharding_rule.h"

namespace omserve {

// Builds the rule of one node. A dimension that nothing is said about is whole.
//
//   RuleBuilder rule(view);
//   const int m = rule.Add(4, FactorKind::kParallel, "m");
//   rule.Input(0, 0, m).Output(0, 0, m);
//   return rule.Finish();
class RuleBuilder {
 public:
  explicit RuleBuilder(const NodeView& view);

  // A factor, to be placed in dimensions. Sizes 1 and 0 cannot be cut: a factor of size 1 is left out of
  // every dimension it is placed in, one of size 0 is whole whatever its kind.
  int Add(int64_t size, FactorKind kind, std::string name);

  // Appends a factor, minor to those already there. Absent inputs are skipped.
  RuleBuilder& Input(int input, int dim, int factor);
  RuleBuilder& Output(int output, int dim, int factor);

  // Places `factor` in a dimension of an input that broadcasts against a dimension of the factor's size: a
  // dimension of size 1 stays empty.
  RuleBuilder& BroadcastInput(int input, int dim, int factor);

  // Declares the operator linear in a set of inputs (ShardingRule::linear).
  RuleBuilder& Linear(std::vector<int> inputs);

  int64_t size(int factor) const { return factor < 0 ? 1 : rule_.factors[factor].size; }

  ShardingRule Finish();

 private:
  const NodeView& view_;
  ShardingRule rule_;
};

// INTERNAL unless `rule` fits the node: factors of a dimension multiply to its size, no sum is in an output,
// nothing is out of range.
absl::Status CheckRule(const NodeView& view, const ShardingRule& rule);

// In which inputs an operator is linear, and for which element types that holds.
struct Linearity {
  std::vector<std::vector<int>> sets;
  // Division and scaling are linear for floats alone; adding and multiplying for integers as well, also when
  // they wrap.
  bool float_only = false;
};
// Declares `linearity` where the types of the sets' inputs and of output 0 allow it.
void AddLinear(const NodeView& view, const Linearity& linearity, RuleBuilder& rule);

// Every dimension of the outputs (all of one shape) is parallel; inputs broadcast to it.
RuleFunction ElementwiseRule(Linearity linearity = {});

// One parallel factor per dimension of input 0 and of output 0, which has the same shape, but those in
// `whole`. For operators that work along some axes.
ShardingRule AxesWhole(const NodeView& view, const std::vector<int>& whole, const Linearity& linearity = {});

// Input 0 loses the (sorted) axes, or keeps them with size 1, in all outputs: these get `reduced`, the others
// are parallel.
ShardingRule ReducedRule(const NodeView& view, const std::vector<int>& axes, bool keep_dims,
                         FactorKind reduced, const Linearity& linearity = {});

// Input 0 and output 0 hold the same elements in row-major order under two shapes: the gcd walk over both. A
// stretch of dimensions without a common factorisation is whole.
RuleFunction ReshapeRule();

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_RULE_UTIL_H_
