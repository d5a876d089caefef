// Joining slices that were cut by their maker into one model: inputs and outputs of the whole, flows between slices as
// pairs of HcomSend and HcomReceive, groups, and one order of communication that cannot block.
#ifndef OMSERVE_CORE_PARTITION_JOIN_SLICES_H_
#define OMSERVE_CORE_PARTITION_JOIN_SLICES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/graph/graph.h"
#include "core/partition/relation.h"

namespace omserve {

// One slice on its way into the model.
struct LooseSlice {
  Graph graph;  // static and inferred
  // Ids of its Hcom* operators in the order that its maker gave them: what is not bound by data runs in this order.
  std::vector<int32_t> communication;
};

struct JoinedSlices {
  struct Value {
    std::string name;
    TensorDesc desc;
  };
  std::vector<Value> inputs, outputs;           // of the whole model
  std::vector<Graph> slices;                    // by rank, named after their files
  std::vector<std::vector<int>> slice_inputs;   // by rank, for each Data: the input of the model it takes whole
  std::vector<std::vector<int>> slice_outputs;  // by rank, for each output: the output of the model that it is
  std::vector<RelationGroup> groups;            // those declared, the world if it is used, and those of flows
};

// The Hcom* operators of a graph in its order.
absl::StatusOr<std::vector<int32_t>> CommunicationOf(const Graph& graph);

// `slices`: by rank. INVALID_ARGUMENT begins with a code of CANN's tables: EF1001 where relation file and slices do
// not fit, E14001 for an attribute that does not fit its group, EI0005 where ranks differ.
absl::StatusOr<JoinedSlices> JoinSlices(const ModelRelation& relation, std::vector<LooseSlice> slices);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_JOIN_SLICES_H_
