// The relation file of models that come already cut (MODEL_RELATION_CONFIG, --model_relation_config): which slice runs
// where, which ranks form which group, and how tensors flow from slice to slice. docs/slices.md describes the format.
#ifndef OMSERVE_CORE_PARTITION_RELATION_H_
#define OMSERVE_CORE_PARTITION_RELATION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/cluster/cluster.h"

namespace omserve {

struct RelationSlice {
  std::string file;                      // submodel_name: a file of the slices' folder, with its extension
  int instance = 0;                      // model_instance_id
  std::vector<LogicalDeviceId> devices;  // [k]: of replica k
};

struct RelationGroup {
  std::string name;
  std::vector<int> ranks;  // world ranks, in group-rank order
};

// One end of an edge: output or input `index` of a slice, or of the whole model.
struct RelationEnd {
  static constexpr int kRoot = -1;
  int rank = kRoot;  // of the slice, or kRoot
  int index = 0;
  auto operator<=>(const RelationEnd&) const = default;
};

struct RelationEdge {
  RelationEnd source;
  RelationEnd target;
  std::string place;  // in the file, for messages
};

// The file by itself is consistent once it is parsed: names, ids, ranks and devices are unique, references lead
// somewhere, all slices have equally many devices. What it says of the slices' files is for the build to check.
struct ModelRelation {
  std::vector<RelationSlice> slices;  // by world rank
  std::vector<RelationGroup> groups;  // as declared: without hccl_world_group, unless it is
  std::vector<RelationEdge> edges;    // empty: every slice takes the inputs and gives the outputs of the model

  // `source` names the text in messages, which begin with a code of CANN's tables: E10032 for what is no JSON, EF2007
  // for tensors that flow in a circle, EF1001 else: "EF1001: relation.json.comm_group[0].group_rank_list: …".
  static absl::StatusOr<ModelRelation> FromJson(absl::string_view text, absl::string_view source);
  static absl::StatusOr<ModelRelation> FromFile(const std::string& path);
};

// The group of all ranks, which needs no declaration.
inline constexpr char kWorldGroup[] = "hccl_world_group";

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_RELATION_H_
