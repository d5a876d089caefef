// Any text as cluster_config.json, as a cost file and as a list of devices: a clean error, or a cluster whose costs are
// numbers.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "core/cluster/cluster.h"

namespace {

void CheckStatus(const absl::Status& status) {
  if (status.message().empty() || status.code() == absl::StatusCode::kInternal) std::abort();
}

void CheckCosts(const omserve::Cluster& cluster) {
  std::vector<int> all(static_cast<size_t>(std::min(cluster.num_devices(), 64)));
  std::iota(all.begin(), all.end(), 0);
  for (auto kind : {omserve::CollectiveKind::kAllReduce, omserve::CollectiveKind::kAllGather,
                    omserve::CollectiveKind::kReduceScatter, omserve::CollectiveKind::kAllToAll,
                    omserve::CollectiveKind::kBroadcast, omserve::CollectiveKind::kSendReceive}) {
    const double time = cluster.CollectiveTime(kind, all, 1e6);
    if (!std::isfinite(time) || time < 0) std::abort();
  }
  const double time = cluster.OperatorTime(0, {.type = "MatMulV2", .flops = 1e9, .bytes = 1e6, .rows = 8, .columns = 64, .inner = 64});
  if (!std::isfinite(time) || time < 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  omserve::LogicalDeviceId::ParseList(text).status().IgnoreError();
  omserve::Cluster local = omserve::Cluster::Local(4);
  const absl::Status applied = local.ApplyCosts(text, "fuzz");
  if (!applied.ok()) CheckStatus(applied);
  CheckCosts(local);
  auto cluster = omserve::Cluster::FromJson(text, "fuzz");
  if (!cluster.ok()) {
    CheckStatus(cluster.status());
    return 0;
  }
  if (cluster->num_devices() == 0 || cluster->num_nodes() == 0) std::abort();
  CheckCosts(*cluster);
  return 0;
}
