// One slice as a complete OM of its own, ready to be streamed: inside a cluster OM or into a file beside it.
#ifndef OMSERVE_CORE_OM_SLICE_OM_H_
#define OMSERVE_CORE_OM_SLICE_OM_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/graph/graph.h"
#include "core/om/weights.h"
#include "ge/ge_ir.pb.h"

namespace omserve {

// Attributes that inspection tools ask of a ModelDef. `sizes`: weights, TBE kernels, AI CPU kernels, tasks,
// shared objects.
struct InspectionInfo {
  std::string program;    // what built it, with its version
  std::string command;    // the command line, may be empty
  std::string framework;  // "Onnx"
  std::vector<int64_t> sizes;
};
void SetInspectionAttrs(const InspectionInfo& info, const std::vector<std::string>& output_nodes,
                        ge::proto::ModelDef* model);

// Immutable. Everything but the weights is in memory; the weights are read from `graph` while streaming.
class SliceOm {
 public:
  // `graph` must outlive the result. `devices`: the logical device ids it is placed on, as GE writes them.
  static absl::StatusOr<SliceOm> Prepare(const Graph& graph, const std::string& name,
                                         const std::string& devices, InspectionInfo inspection);

  uint64_t size() const { return size_; }
  uint64_t weight_bytes() const { return weights_.size(); }
  // The first error of `sink` ends it.
  absl::Status Stream(const ByteSink& sink) const;

 private:
  SliceOm(std::string before, WeightPlan weights, std::string after)
      : before_weights_(std::move(before)),
        weights_(std::move(weights)),
        after_weights_(std::move(after)),
        size_(before_weights_.size() + weights_.size() + after_weights_.size()) {}

  std::string before_weights_;  // header, table, MODEL_INOUT_INFO, MODEL_DEF
  WeightPlan weights_;          // WEIGHTS_DATA
  std::string after_weights_;   // TASK_INFO
  uint64_t size_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_SLICE_OM_H_
