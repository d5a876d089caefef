// What an OM of this project says beyond the GE container: signature, slices, groups. Stored as JSON in
// places that GE's own tools ignore (root model attribute "_omserve_model", SubmodelDef.ext_attrs
// "omserve.slice").
#ifndef OMSERVE_CORE_OM_MODEL_H_
#define OMSERVE_CORE_OM_MODEL_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/cluster/cluster.h"
#include "core/graph/graph.h"

namespace omserve {

struct NamedDesc {
  std::string name;
  TensorDesc desc;
  bool operator==(const NamedDesc&) const = default;
};

// Which box of a model output a slice computes: the k-th output of the slice is `model_outputs[output]` at
// `begin`.
struct OutputPiece {
  int output = 0;              // index into ModelSignature::outputs
  std::vector<int64_t> begin;  // per dimension, elements
  Shape extent;
  bool operator==(const OutputPiece&) const = default;
};

struct HcomGroup {
  std::string name;
  std::vector<int> ranks;  // indices of slices, in group-rank order
  bool operator==(const HcomGroup&) const = default;
};

// One slice: a graph for one device.
struct SliceInfo {
  std::string name;  // submodel name, unique: "<model>_rank0"
  // Devices this slice is placed on; more than one: replicas of a whole-model slice.
  std::vector<LogicalDeviceId> devices;
  std::vector<int> inputs;  // for each Data of the slice in order: index of the model input it takes whole
  std::vector<OutputPiece> outputs;  // for each output of the slice
  int64_t weight_bytes = 0;          // of its constants
};

struct ModelInfo {
  std::string name;
  std::vector<NamedDesc> inputs;
  std::vector<NamedDesc> outputs;
  std::vector<SliceInfo> slices;
  std::vector<HcomGroup> groups;
  // How many parts of it, one after the other, can be at work on different runs at the same time.
  int stages = 1;
  // A request is that many runs, one behind the other in the first dimension of every input that has dimensions and of
  // every output.
  int micro_batches = 1;
  std::map<std::string, std::string> build;  // provenance: "omserve_version", "source", "plan" (a summary), …

  // What a request takes and gives: `inputs` and `outputs`, which are those of one run, times the micro-batches.
  std::vector<NamedDesc> request_inputs() const;
  std::vector<NamedDesc> request_outputs() const;
};

// A built model in memory, before it is written: what partitioning hands to the OM writer.
struct SlicedModel {
  ModelInfo info;
  std::vector<Graph> graphs;  // one per slice
};

// INVALID_ARGUMENT, located ("slices[1].outputs[0].begin: …"), when it is inconsistent: indices or ranks out
// of range, pieces that leave their output or do not cover it, duplicate or empty names, descriptions that
// are not static.
absl::Status CheckModelInfo(const ModelInfo& info);

std::string ModelInfoToJson(const ModelInfo& info);
// INVALID_ARGUMENT (located) when the text is not a ModelInfo or CheckModelInfo refuses it.
absl::StatusOr<ModelInfo> ModelInfoFromJson(absl::string_view text);

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_MODEL_H_
