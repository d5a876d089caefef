// CostFile: measured costs of devices and links as JSON (format: docs/partitioning.md). `omctl calibrate` writes it,
// Cluster::ApplyCosts takes it over.
#ifndef OMSERVE_CORE_CLUSTER_COST_FILE_H_
#define OMSERVE_CORE_CLUSTER_COST_FILE_H_

#include <array>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/cluster/collective_algorithms.h"
#include "core/cluster/operator_cost.h"

namespace omserve {

struct CostFile {
  // Members of OperatorRates by name; what is absent stays as the cluster has it.
  using Rates = std::map<std::string, double>;
  struct Operator {
    Rates rates;
    std::map<std::array<int64_t, 3>, double> by_product;
    std::optional<CostCurve> by_bytes;
    double piece_seconds = 0;
  };
  struct Device {
    Rates rates;
    std::map<std::string, Operator> operators;  // by operator type
  };
  struct Level {
    std::optional<double> alpha_seconds, bytes_per_second, gamma_seconds_per_byte;
    std::optional<Topology> topology;
    CollectiveCurves collectives;
  };
  std::map<std::string, Device> devices;  // by device type
  Level intra_node, inter_node;

  // INVALID_ARGUMENT with the place: "costs.json.omserve_costs.links.intra_node.collectives[2].points: point 3: …".
  static absl::StatusOr<CostFile> Parse(absl::string_view json, absl::string_view source);
  std::string ToJson() const;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_CLUSTER_COST_FILE_H_
