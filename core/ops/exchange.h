// Operators that communicate inside: a softmax along an axis that is cut takes a maximum and a sum over all parts. In their
// rules the axis is a parallel factor, and their emission adds the collectives (EmitContext::AllReduce, AllGather). What they cost
// is found by emitting the node on trial, so that what is priced is what is emitted.
#ifndef OMSERVE_CORE_OPS_EXCHANGE_H_
#define OMSERVE_CORE_OPS_EXCHANGE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/ops/op.h"

namespace omserve {

// The group of a factor in a trial emission.
std::string ExchangeGroup(int factor);

struct Exchange {
  int factor = 0;       // runs over the devices that have its parts
  TensorDesc desc;      // of what comes out, on one device
  bool gather = false;  // an all-gather; else an all-reduce
};

struct Emission {
  std::vector<Exchange> exchanges;
  std::vector<OpCost> nodes;  // of the other operators it consists of
};

// True for operators whose emission may communicate.
bool MayExchange(const Node& node);

// What `node` (MayExchange) becomes when factor f of its rule is cut into parts[f].
absl::StatusOr<Emission> TrialEmission(const Graph& graph, const Node& node, const ShardingRule& rule,
                                       const std::vector<int64_t>& parts);

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_EXCHANGE_H_
