// PlanSearch: plans of one graph on one cluster. What several plans share (domains, tables, solved segments) is
// made once; what only the plan that is taken in the end needs is made in the end.
#ifndef OMSERVE_CORE_PARTITION_PLAN_SEARCH_H_
#define OMSERVE_CORE_PARTITION_PLAN_SEARCH_H_

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/node_hash_map.h"
#include "absl/status/statusor.h"
#include "core/partition/fold.h"
#include "core/partition/memory_prices.h"
#include "core/partition/plan.h"
#include "core/partition/space.h"
#include "core/partition/stages.h"
#include "core/partition/transfer.h"

namespace omserve {

// Two lists of devices with equal texts have equal links between equal positions.
std::string PatternOf(const Cluster& cluster, const std::vector<int>& devices);

// Which operators run where: per decided node, in the order of PlanGraph::nodes().
struct Staging {
  std::vector<Mesh> stages;
  std::vector<int> stage_of;
  // What the stages were cut by, from the plan of the whole model on one stage's devices; Stage of one: zeros.
  double seconds = 0;  // through all stages
  double slowest = 0;  // of the stages
  bool fits = false;   // that plan's weights, into each stage
  double weight_bytes = 0;  // of all its weights, on one device each
};

// A plan before its strategies are written out.
struct PlanDraft {
  Staging staging;
  std::vector<const Domain*> domains;  // per decided node
  std::vector<int> choice;             // its strategy
  double seconds = 0, lower_bound = 0;
  bool exact = false;
  std::string engine;
  std::vector<double> stage_seconds;
  std::vector<int64_t> device_bytes;  // per stage, as in Plan

  bool memory_binds = false;
  // By node, when what is held of weights was settled after the choice.
  std::shared_ptr<const std::map<int32_t, Strategy>> changed;

  const Strategy& strategy(size_t v) const { return domains[v]->strategies[static_cast<size_t>(choice[v])]; }
  // Whether any weight is gathered on use.
  bool gathers() const {
    for (size_t v = 0; v < choice.size(); ++v) {
      if (!strategy(v).held.empty()) return true;
    }
    return false;
  }
  double slowest() const { return *std::max_element(stage_seconds.begin(), stage_seconds.end()); }
};

// What any plan on some stages costs at least, wherever the model is cut: its operators alone, and its weights.
struct PlanFloor {
  double seconds = 0;
  double weight_bytes = 0;  // sum over the stages, of one device each
};

// Not thread-safe. Graph, cluster and options must outlive it; of the options, devices, stages and axes are
// ignored.
class PlanSearch {
 public:
  static absl::StatusOr<std::unique_ptr<PlanSearch>> Create(const Graph& graph, const Cluster& cluster,
                                                            const PlanOptions& options);

  // The plan for one replica on `devices` in `stages` stages; errors as MakePlan.
  absl::StatusOr<Plan> Find(const std::vector<int>& devices, int stages,
                            const std::optional<std::vector<int>>& axes, const WaitLimit& limit);

  // The steps of Find, for one way to write the mesh. INVALID_ARGUMENT and RESOURCE_EXHAUSTED: not with these
  // devices and stages; any other error is of the search.
  absl::StatusOr<PlanFloor> Floor(const std::vector<Mesh>& stages, const WaitLimit& limit);
  // No plan on these stages takes less for a run, wherever the model is cut, when sending a value to the next stage is no
  // faster than reshaping it in place; infinite when none fits. Closer than Floor. No closer than `cutoff` asks for.
  absl::StatusOr<double> Bound(const std::vector<Mesh>& stages, double cutoff, const WaitLimit& limit);
  // All in one stage, with the estimates of its plan memory aside.
  absl::StatusOr<Staging> WholeOn(const Mesh& mesh, const WaitLimit& limit);
  absl::StatusOr<Staging> Stage(const std::vector<Mesh>& stages, const WaitLimit& limit);
  // Nothing when no plan takes less than `cutoff`.
  absl::StatusOr<std::optional<PlanDraft>> Solve(const Staging& staging, double cutoff, const WaitLimit& limit);
  // When the last answer of Solve was RESOURCE_EXHAUSTED: the bytes that the nearest plan lacks.
  double missing() const { return missing_; }
  Plan Write(const PlanDraft& draft);

  // From now on devices have so many times what the cluster states.
  void ScaleMemory(double factor) { memory_scale_ = factor; }
  // The smallest memory among the devices; 0 when not stated.
  int64_t MemoryOf(const std::vector<int>& devices) const;

 private:
  static constexpr double kNoCutoff = std::numeric_limits<double>::infinity();
  // A staging with its strategies to choose from.
  struct Offer {
    Offer(LimitedNetwork network, std::vector<const Domain*> from, SegmentCache* cache, const SolveOptions& options,
          const Offer* base)
        : limited(std::move(network)),
          domains(std::move(from)),
          prices(limited, cache, options, base == nullptr ? nullptr : &base->prices) {}
    const LimitedNetwork limited;
    const std::vector<const Domain*> domains;
    MemoryPrices prices;  // of limited
  };
  // With weights held as they are used; and also in parts, gathered on use. That takes time and gives memory: it is in
  // question only where memory binds, and null until then.
  struct Offers {
    std::unique_ptr<Offer> plain, gathering;
  };
  // The whole model on one stage's devices, and how it may be cut.
  struct Alone {
    Offers offers;
    double seconds = 0;  // memory aside
    StageProblem problem;
    std::vector<double> crossing;  // bytes, at each of problem.cuts
  };

  PlanSearch(PlanGraph graph, const Cluster& cluster, const PlanOptions& options)
      : graph_(std::move(graph)), cluster_(cluster), options_(options) {}

  // Equal for meshes on which everything costs the same.
  const std::string& KeyOf(const Mesh& mesh);
  bool SameEverywhere(const std::vector<Mesh>& stages);
  PlanSpace& SpaceOf(const Mesh& mesh);
  TransferPlanner& TransferOf(const Mesh& from, const Mesh& to);
  const std::vector<double>& TransferTable(TransferPlanner& transfer, const Domain& from, int output,
                                           const Domain& to, int input, const TensorDesc& desc);
  // Of a node whose outputs are the model's: its own seconds, and those of leaving them without summands.
  const std::vector<double>& SecondsWithOutputs(PlanSpace& space, const Domain& domain, const Node& node,
                                                const std::vector<int>& outputs);
  absl::StatusOr<Offers> OffersOf(const Staging& staging, const WaitLimit& limit);
  absl::Status OfferGathers(const Staging& staging, Offers* offers, const WaitLimit& limit);
  // The domains of a staging's operators, and what their strategies cost alone.
  absl::StatusOr<std::vector<const Domain*>> DomainsOf(const Staging& staging, bool offer_gathers, LimitedNetwork* limited,
                                                       const WaitLimit& limit);
  PlanDraft DraftOf(const Staging& staging, const Offer& offer, Solution solution);
  std::vector<int64_t> BytesOf(const PlanDraft& draft);
  // From `draft`, which does not fit, the draft nearest to memory that is found: the fastest that fits, when there is one.
  absl::StatusOr<PlanDraft> Uncrowd(const Staging& staging, const Offer& offer, const std::vector<double>& memory,
                                    PlanDraft draft, const WaitLimit& limit);
  // Of the stage that misses most.
  static double Missing(const PlanDraft& draft, const std::vector<double>& memory);
  // Gathers fewer weights, as memory allows.
  void HoldWholeAgain(PlanDraft* draft);
  absl::Status DoesNotFit(const Mesh& mesh, int64_t bytes) const;
  absl::StatusOr<Alone*> AloneOn(const Mesh& mesh, const WaitLimit& limit);

  const PlanGraph graph_;
  const Cluster& cluster_;
  const PlanOptions& options_;
  // By axes and devices.
  absl::node_hash_map<std::pair<std::vector<int>, std::vector<int>>, std::string> keys_;
  std::map<std::string, std::unique_ptr<PlanSpace>> spaces_;
  std::map<std::set<PlanSpace*>, double> floors_;  // by those of the stages
  std::map<std::string, std::unique_ptr<TransferPlanner>> transfers_;
  std::map<std::string, std::unique_ptr<Alone>> alone_;  // by key of the mesh
  std::map<std::tuple<const TransferPlanner*, int, int, int, int>, std::vector<double>> transfer_tables_;
  std::map<std::tuple<const Domain*, std::vector<int>>, std::vector<double>> with_outputs_;
  SegmentCache segments_;
  double memory_scale_ = 1;
  double missing_ = 0;
  double price_ = 0;  // of bytes, where the last search under limits ended
};

// Devices in order, shared out evenly.
std::vector<Mesh> StageMeshes(const std::vector<int>& devices, int stages, const std::vector<int>& axes);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_PLAN_SEARCH_H_
