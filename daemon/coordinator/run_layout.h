// RunLayout: what goes to which slice in a run, and how the answer is put together from what slices give. Pure.
#ifndef OMSERVE_DAEMON_COORDINATOR_RUN_LAYOUT_H_
#define OMSERVE_DAEMON_COORDINATOR_RUN_LAYOUT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/om/model.h"
#include "core/tensor/tensor.h"
#include "daemon/protocol/worker_link.h"

namespace omserve {

// Copies `source` into the box of `target` (dense, of `target_desc`) that begins at `begin`. The box must lie inside.
void CopyBox(const Tensor& source, const std::vector<int64_t>& begin, const TensorDesc& target_desc,
             std::byte* target);

// Immutable, thread-safe. Refers to the model, which must outlive it.
class RunLayout {
 public:
  // For the model outputs `wanted` (indices, each once). Of pieces that several slices hold, one is fetched: a piece
  // that is the whole output if there is one, so that it passes without a copy.
  RunLayout(const ModelInfo* model, std::vector<int> wanted);

  const std::vector<int>& wanted() const { return wanted_; }

  // The run of slices `ranks` on one worker; `inputs` are those of the model, of which each that these slices read
  // goes along once.
  ExecuteCall CallFor(const std::vector<int>& ranks, const std::vector<Tensor>& inputs) const;

  // The wanted outputs, from what all slices gave, by rank; adds to `*copied_bytes` what could not pass as it is.
  // INTERNAL when a slice gave something else than the model says.
  absl::StatusOr<std::vector<Tensor>> Assemble(const std::map<int, std::vector<Tensor>>& by_rank,
                                               uint64_t* copied_bytes) const;

 private:
  struct Source {
    int rank = 0;
    int position = 0;  // among the outputs asked of that slice
    const OutputPiece* piece = nullptr;
  };
  absl::StatusOr<Tensor> AssembleOne(const NamedDesc& output, const std::vector<Source>& sources,
                                     const std::map<int, std::vector<Tensor>>& by_rank,
                                     uint64_t* copied_bytes) const;

  const ModelInfo* const model_;
  const std::vector<int> wanted_;
  std::vector<std::vector<Source>> sources_;       // by position in wanted_
  std::vector<std::vector<int>> slice_outputs_;    // by rank: outputs to ask for
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_RUN_LAYOUT_H_
