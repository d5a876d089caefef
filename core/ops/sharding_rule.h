// ShardingRule: how an operator may be cut, in einsum-like factors. The one source for strategy enumeration,
// emission and checking (docs/design.md, law 4).
//
// Example, MatMul [m,k] x [k,n] -> [m,n]:
//   factors  m parallel, n parallel, k sum
//   inputs   {{m},{k}}, {{k},{n}}      outputs {{m},{n}}
// Cutting k leaves every device with a partial sum of the whole output.
// A reshape [b, 64] -> [b, 8, 8] has factors b, h=8, d=8; inputs {{b},{h,d}}, outputs {{b},{h},{d}}.
#ifndef OMSERVE_CORE_OPS_SHARDING_RULE_H_
#define OMSERVE_CORE_OPS_SHARDING_RULE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace omserve {

enum class FactorKind {
  kParallel,  // pieces are independent
  kSum,       // in no output: cutting it gives partial sums
  kWhole,     // may not be cut (the reduced axis of a softmax, the touched dimension of a slice)
};

struct Factor {
  int64_t size = 1;
  FactorKind kind = FactorKind::kParallel;
  std::string name;  // "batch", "heads": for explanations only
};

// The factors of one dimension, major to minor; their sizes multiply to the dimension. An empty list is a
// dimension of size 1 or one that is broadcast: never cut.
using DimFactors = std::vector<int>;
// One entry per dimension.
using OperandFactors = std::vector<DimFactors>;

struct ShardingRule {
  std::vector<Factor> factors;
  // One entry per input position of the node. An input with no factors in any dimension is always whole on
  // each device. Parameter inputs have all dimensions empty.
  std::vector<OperandFactors> inputs;
  std::vector<OperandFactors> outputs;

  // Sets of inputs in which the operator is linear: if, over some mesh axis, every input of one set is a
  // partial sum and all other inputs are whole, the outputs are partial sums. Add: {{0,1}}; Mul: {{0},{1}};
  // Neg: {{0}}; MatMul: {{0},{1}}; a reshape: {{0}}.
  std::vector<std::vector<int>> linear;

  int AddFactor(int64_t size, FactorKind kind, std::string name) {
    factors.push_back({size, kind, std::move(name)});
    return static_cast<int>(factors.size()) - 1;
  }
};

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_SHARDING_RULE_H_
