// Emulator: runs the slices of a cut graph in one process, with collectives as memory operations, node by node. It
// shows what a plan computes, independently of threads, communicators and files, and notices when slices would
// wait for each other for ever.
#ifndef OMSERVE_CORE_PARTITION_TESTING_EMULATOR_H_
#define OMSERVE_CORE_PARTITION_TESTING_EMULATOR_H_

#include <vector>

#include "absl/status/statusor.h"
#include "core/device/device.h"
#include "core/partition/lower/lower.h"

namespace omserve {

// Runs a graph without collectives. `inputs`: one per graph input. Returns one tensor per output.
absl::StatusOr<std::vector<Tensor>> RunWhole(const Graph& graph, const std::vector<Tensor>& inputs,
                                             Evaluator& evaluator);

// Runs all slices and puts their pieces together. INTERNAL when the slices block each other (names the operators they
// wait at), when members of a group disagree about a collective, when pieces leave a gap or when copies of the same
// element differ between ranks in any bit.
absl::StatusOr<std::vector<Tensor>> RunSlices(const Graph& whole, const CutGraph& cut,
                                              const std::vector<Tensor>& inputs, Evaluator& evaluator);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_TESTING_EMULATOR_H_
