// Any text as cluster_config.json and as a list of devices: a clean error, or a cluster whose costs are
// numbers.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "core/cluster/cluster.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  omserve::LogicalDeviceId::ParseList(text).status().IgnoreError();
  auto cluster = omserve::Cluster::FromJson(text, "fuzz");
  if (!cluster.ok()) {
    if (cluster.status().message().empty() || cluster.status().code() == absl::StatusCode::kInternal)
      std::abort();
    return 0;
  }
  if (cluster->num_devices() == 0 || cluster->num_nodes() == 0) std::abort();
  std::vector<int> all(static_cast<size_t>(std::min(cluster->num_devices(), 64)));
  std::iota(all.begin(), all.end(), 0);
  for (auto kind : {omserve::CollectiveKind::kAllReduce, omserve::CollectiveKind::kAllGather,
                    omserve::CollectiveKind::kReduceScatter, omserve::CollectiveKind::kAllToAll,
                    omserve::CollectiveKind::kBroadcast, omserve::CollectiveKind::kSendReceive}) {
    const double time = cluster->CollectiveTime(kind, all, 1e6);
    if (!std::isfinite(time) || time < 0) std::abort();
  }
  return 0;
}
