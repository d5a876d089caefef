// Any text as the relation file of user-made slices: a clean error, or a relation that holds together.
#include <cstddef>
#include <cstdint>

#include "core/partition/relation.h"
#include "tests/fuzz/status_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using omserve::fuzz::Check;
  auto relation =
      omserve::ModelRelation::FromJson(absl::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
  omserve::fuzz::CheckError(relation.status());
  if (!relation.ok()) return 0;
  const int ranks = static_cast<int>(relation->slices.size());
  Check(ranks >= 2);
  for (const omserve::RelationSlice& slice : relation->slices) {
    Check(!slice.file.empty() && slice.file.find('/') == std::string::npos);
    Check(slice.devices.size() == relation->slices[0].devices.size() && !slice.devices.empty());
  }
  for (const omserve::RelationGroup& group : relation->groups) {
    Check(!group.ranks.empty());
    for (int rank : group.ranks) Check(rank >= 0 && rank < ranks);
  }
  for (const omserve::RelationEdge& edge : relation->edges) {
    for (const omserve::RelationEnd& end : {edge.source, edge.target}) {
      Check(end.rank >= omserve::RelationEnd::kRoot && end.rank < ranks && end.index >= 0);
    }
  }
  return 0;
}
