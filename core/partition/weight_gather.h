// Weights gathered on use: between runs a device holds less of a weight than its operator wants, and an all-gather
// makes it whole before each use. That costs the gather in every run and saves the memory of what is not held.
#ifndef OMSERVE_CORE_PARTITION_WEIGHT_GATHER_H_
#define OMSERVE_CORE_PARTITION_WEIGHT_GATHER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/partition/plan.h"
#include "core/partition/strategy.h"

namespace omserve {

// Whether `held` is `wanted` with further axes behind those of some dimensions.
bool Refines(const Sharding& held, const Sharding& wanted);

// Whether an input may be held cut further than wanted: a constant of rank >= 2 that is no parameter.
bool MayBeGathered(const Graph& graph, const Node& node, int input);

// The strategy with each such input held in as many parts as the axes that do not cut it can make, along the dimension
// that is cheapest to gather. False when no input can be cut further.
bool HoldFewest(const Graph& graph, const Node& node, Resharder& resharder, Strategy* strategy);

// Of all gathers of one run of the operator.
double GatherSeconds(const Graph& graph, const Node& node, Resharder& resharder, const Strategy& strategy);
// Bytes of constants one device holds for the operator.
double HeldBytes(const Graph& graph, const Node& node, const Mesh& mesh, const Strategy& strategy);

// One gather, between the operators of its stage in program order.
struct WeightGather {
  int32_t node = -1;  // the reader
  int input = 0;
  size_t reader = 0;           // its position among the operators of its stage
  size_t start = 0;            // the gather is emitted before the operator at this position; <= reader
  int64_t bytes = 0;           // of the gathered weight, until it is read
  int64_t transient_bytes = 0; // of what is made on the way to it
};

// Prefetch without a buffer size: a gather is emitted this many operators before its reader.
constexpr size_t kPrefetchOperators = 4;

// When each weight of a plan is gathered; per stage, in program order. Without prefetch right before its reader; with
// it kPrefetchOperators ahead, or as early as what is gathered and not yet read fits the buffer. `order`: the operators
// in topological order.
std::vector<std::vector<WeightGather>> ScheduleGathers(const Graph& graph, const Plan& plan,
                                                       const std::vector<int32_t>& order);

// Holds weights whole again, those first whose gathers take longest per byte, while each stage's devices keep within
// their `memory` (bytes; 0: no limit). Prices of bytes in a search move many equal operators at once; this is exact to
// one. `resharders`: of the stages. Changes seconds and bytes of the plan along.
void GatherLess(const Graph& graph, const std::vector<int32_t>& order, const std::vector<Resharder*>& resharders,
                const std::vector<int64_t>& memory, Plan* plan);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_WEIGHT_GATHER_H_
