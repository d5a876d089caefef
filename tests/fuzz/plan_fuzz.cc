// Any text as a plan file for a small graph on four devices: a clean error, or a plan that lowers or says why not.
#include <cstddef>
#include <cstdint>

#include "core/partition/lower/lower.h"
#include "core/partition/plan_file.h"
#include "tests/fuzz/plan_model.h"
#include "tests/fuzz/status_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const omserve::Graph graph = omserve::fuzz::MakePlanGraph();
  static const omserve::Cluster cluster = omserve::Cluster::Local(4);
  const auto plan = omserve::PlanFromText(absl::string_view(reinterpret_cast<const char*>(data), size), "fuzz", graph,
                                          cluster);
  omserve::fuzz::CheckError(plan.status());
  if (plan.ok()) omserve::fuzz::CheckError(omserve::Lower(graph, cluster, *plan).status());
  return 0;
}
