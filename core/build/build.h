// The build driver: options → import → optimise → plan → cut → OM, with progress. Everything that decides how a model
// is laid out happens here (docs/design.md, law 1).
#ifndef OMSERVE_CORE_BUILD_BUILD_H_
#define OMSERVE_CORE_BUILD_BUILD_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/deadline.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"
#include "core/om/model.h"
#include "core/partition/parallel_options.h"
#include "core/passes/passes.h"

namespace omserve {

// A model that comes already cut.
struct SliceOptions {
  std::string relation;                               // text of the relation file (core/partition/relation.h)
  std::string relation_name = "model_relation_config";  // what messages call it
  std::string folder;                                 // where the slices' files are
};

struct BuildOptions {
  std::string model_name;   // default: the stem of the model file
  InputShapes input_shapes;
  Cluster cluster = Cluster::Local(1);
  std::optional<ParallelOptions> parallel;  // absent: the whole model, a replica on every device of the cluster
  std::optional<SliceOptions> slices;       // set: the slices are the model, which is not cut further
};

struct BuildProgress {
  std::string phase;      // "import", "optimize", "plan", "cut", "write"
  double fraction = 0;    // of the phase, 0 to 1
  std::string message;    // may be empty
};

// Parses "input_ids:1,128;mask:1,128" (the form of --input-shape). INVALID_ARGUMENT names the part that is wrong.
absl::StatusOr<InputShapes> ParseInputShapes(absl::string_view text);

// The front half of a build: the model at `model_path` imported, specialised and optimised, ready to be planned.
absl::StatusOr<Graph> PrepareModel(const std::string& model_path, const InputShapes& input_shapes,
                                   const std::function<void(const BuildProgress&)>& progress, const WaitLimit& limit = {});

// Builds the model at `model_path` (by extension: ONNX, or AIR) in memory; weights stay mapped. With `options.slices`
// the path is not looked at. `limit` is looked at between and inside phases. Errors carry the phase: "plan: …".
absl::StatusOr<SlicedModel> BuildModel(const std::string& model_path, const BuildOptions& options,
                                       const std::function<void(const BuildProgress&)>& progress,
                                       const WaitLimit& limit = {});

// BuildModel, then WriteOm to `om_path`.
absl::Status BuildOm(const std::string& model_path, const std::string& om_path, const BuildOptions& options,
                     const std::function<void(const BuildProgress&)>& progress, const WaitLimit& limit = {});

}  // namespace omserve

#endif  // OMSERVE_CORE_BUILD_BUILD_H_
