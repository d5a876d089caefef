// PlanSpace: for one graph on one kind of mesh, the strategies every operator may take and the prices between
// them.
//
// Operators that look the same (type, attributes, descriptions, what stands behind their inputs) share one
// domain, and edges between equal pairs of domains share one table: so the work is linear in *unique* layers,
// and a model of 96 equal layers costs little more than one of 12.
#ifndef OMSERVE_CORE_PARTITION_SPACE_H_
#define OMSERVE_CORE_PARTITION_SPACE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/partition/plan.h"

namespace omserve {

struct Domain {
  int id = 0;
  std::vector<Strategy> strategies;
  std::vector<double> seconds;       // of each, with cutting model inputs
  std::vector<double> weight_bytes;  // of each: constants one device holds
  std::vector<int64_t> value_bytes;  // of each: outputs one device holds
  double least_seconds = 0;
  // Of a domain that offers more ways to hold weights: the domain it is made from, and its strategy behind each.
  const Domain* base = nullptr;
  std::vector<int> of_base;
};

// A value on its way from one decided node to another: places in PlanGraph::nodes().
struct PlanEdge {
  int from = 0, output = 0;
  int to = 0, input = 0;
  const TensorDesc* desc = nullptr;
};

// What is the same for all meshes: which nodes are decided, in which order, and which look alike.
class PlanGraph {
 public:
  static absl::StatusOr<PlanGraph> Create(const Graph& graph);

  const Graph& graph() const { return *graph_; }
  // Decided nodes (all but Data and Const) in topological order.
  const std::vector<int32_t>& nodes() const { return nodes_; }
  // Place of a node in nodes(), or -1.
  int index(int32_t id) const { return index_[static_cast<size_t>(id)]; }
  const Epilogues& epilogues() const { return epilogues_; }
  bool after_weights(int32_t id) const { return after_weights_[static_cast<size_t>(id)]; }
  // Equal numbers: equal operators with equal surroundings as far as strategies and prices go.
  int signature(int index) const { return signatures_[static_cast<size_t>(index)]; }
  int num_signatures() const { return num_signatures_; }

  // In the order of their readers.
  const std::vector<PlanEdge>& edges() const { return edges_; }
  // The nodes whose outputs nobody reads after the node at `index` has run.
  const std::vector<int>& end_with(int index) const { return end_with_[static_cast<size_t>(index)]; }
  // Readers (node, input) of each constant that several nodes read.
  const std::vector<std::vector<std::pair<int, int>>>& shared_constants() const { return shared_constants_; }
  // Of all constants that decided nodes read, whole, each once.
  double constant_bytes() const { return constant_bytes_; }

 private:
  void FindEdges();

  const Graph* graph_ = nullptr;
  std::vector<int32_t> nodes_;
  std::vector<int> index_;
  std::vector<bool> after_weights_;
  Epilogues epilogues_;
  std::vector<int> signatures_;
  int num_signatures_ = 0;
  std::vector<PlanEdge> edges_;
  std::vector<std::vector<int>> end_with_;
  std::vector<std::vector<std::pair<int, int>>> shared_constants_;
  double constant_bytes_ = 0;
};

// Not thread-safe. The graph and the cluster must outlive it.
class PlanSpace {
 public:
  // `whole_devices`: for messages, the tensor parallel size that was asked for.
  PlanSpace(const PlanGraph& graph, const Cluster& cluster, Mesh mesh, const PlanOptions& options);

  const Mesh& mesh() const { return mesh_; }
  Resharder& resharder() { return resharder_; }

  // The domain of the node at `index` of the plan graph. With `offer_gathers`, each strategy also with its weights held in
  // parts and gathered on use (weight_gather.h); that such are all is PlanOptions::weight_sharding.
  absl::StatusOr<const Domain*> DomainOf(int index, bool offer_gathers = false);
  // Prices of output `output` of a node of domain `from` as input `input` of one of domain `to`, row-major.
  const std::vector<double>& Table(const Domain& from, int output, const Domain& to, int input,
                                   const TensorDesc& desc);
  // Whether some weight was cut, and whether there are weights, in the domains made so far.
  bool any_weight() const { return any_weight_; }
  bool any_weight_cut() const { return any_weight_cut_; }

 private:
  // Domains of the operators that look alike and have the same hint.
  struct Alike {
    std::unique_ptr<Domain> plain, gathering;
    const Domain* offering = nullptr;  // `gathering`, or `plain` when there is nothing to offer; null: not asked for
  };

  absl::StatusOr<std::unique_ptr<Domain>> MakeDomain(const Node& node);
  // Null when there is nothing to offer.
  std::unique_ptr<Domain> WithGathers(const Node& node, const Domain& base);
  void AddStrategy(const Node& node, Strategy strategy, Domain* domain);

  const PlanGraph& graph_;
  const Cluster& cluster_;
  const Mesh mesh_;
  const PlanOptions& options_;
  Resharder resharder_;
  std::vector<Alike> alike_;                                 // by signature
  std::map<std::pair<int, std::string>, Alike> hinted_;      // by signature and what hints fix
  int next_id_ = 1;                                          // of domains
  // By domain and output, domain and input.
  absl::flat_hash_map<std::tuple<int, int, int, int>, std::unique_ptr<const std::vector<double>>> tables_;
  bool any_weight_ = false, any_weight_cut_ = false;
};

// The cheapest way to leave a model output without summands.
Sharding ResolveOutput(const Sharding& produced, const TensorDesc& desc, Resharder& resharder,
                       double* seconds);

// "layer.*.attention" against "layer.7.attention": '*' stands for any run of characters.
bool MatchesPattern(absl::string_view pattern, absl::string_view text);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SPACE_H_
