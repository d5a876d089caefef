// PlanSearch: plans of one graph on one cluster. What several plans share (domains, tables) is made once.
#ifndef OMSERVE_CORE_PARTITION_PLAN_SEARCH_H_
#define OMSERVE_CORE_PARTITION_PLAN_SEARCH_H_

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/partition/fold.h"
#include "core/partition/plan.h"
#include "core/partition/space.h"
#include "core/partition/transfer.h"

namespace omserve {

// Two lists of devices with equal texts have equal links between equal positions.
std::string PatternOf(const Cluster& cluster, const std::vector<int>& devices);

// Not thread-safe. Graph, cluster and options must outlive it; of the options, devices, stages and axes are
// ignored.
class PlanSearch {
 public:
  static absl::StatusOr<std::unique_ptr<PlanSearch>> Create(const Graph& graph, const Cluster& cluster,
                                                            const PlanOptions& options);

  // The plan for one replica on `devices` in `stages` stages; errors as MakePlan.
  absl::StatusOr<Plan> Find(const std::vector<int>& devices, int stages,
                            const std::optional<std::vector<int>>& axes, const WaitLimit& limit);

 private:
  PlanSearch(PlanGraph graph, const Cluster& cluster, const PlanOptions& options)
      : graph_(std::move(graph)), cluster_(cluster), options_(options) {}

  PlanSpace& SpaceOf(const Mesh& mesh);
  TransferPlanner& TransferOf(const Mesh& from, const Mesh& to);
  // `stage_of`: per decided node.
  absl::StatusOr<Plan> Solve(std::vector<Mesh> stages, const std::vector<int>& stage_of,
                             const WaitLimit& limit);
  const std::vector<double>& TransferTable(TransferPlanner& transfer, const Domain& from, int output,
                                           const Domain& to, int input, const TensorDesc& desc);
  // The fastest choice whose weights keep each stage's limit (bytes). Not feasible: the nearest found. `memory_binds`:
  // without the limits another choice would be faster.
  absl::StatusOr<Solution> SolveWithin(const SharedNetwork& network,
                                       const std::vector<const Domain*>& domains,
                                       const std::vector<int>& stage_of, const std::vector<double>& limits,
                                       bool* memory_binds, const WaitLimit& limit);
  absl::StatusOr<Plan> SolveOnce(const std::vector<Mesh>& stages, const std::vector<int>& stage_of,
                                 const std::vector<double>& reserve, bool offer_gathers,
                                 const WaitLimit& limit);
  // The stage of each decided node, from a plan of the whole model on one stage's mesh.
  absl::StatusOr<std::vector<int>> AssignStages(const std::vector<Mesh>& stages, const WaitLimit& limit);
  // Seconds of each decided node under a one-stage plan: its own and those of getting its inputs.
  std::vector<double> NodeSeconds(const Plan& plan);

  const PlanGraph graph_;
  const Cluster& cluster_;
  const PlanOptions& options_;
  std::map<std::string, std::unique_ptr<PlanSpace>> spaces_;
  std::map<std::string, std::unique_ptr<TransferPlanner>> transfers_;
  std::map<std::string, std::optional<Plan>> alone_;  // plans of the whole model on one stage's mesh
  std::map<std::tuple<const TransferPlanner*, int, int, int, int>, std::vector<double>> transfer_tables_;
};

// Bytes the devices of each stage hold: constants, and the most of computed values alive at once.
std::vector<int64_t> DeviceBytes(const Graph& graph, const Plan& plan);
// With the operators in topological order, when they are known.
std::vector<int64_t> DeviceBytes(const Graph& graph, const Plan& plan, const std::vector<int32_t>& order);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_PLAN_SEARCH_H_
