#include "core/partition/plan.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/ops/op.h"
#include "core/partition/search/elimination.h"

namespace omserve {
namespace {

bool IsDecided(const Node& node) { return !node.is_data() && !node.is_const(); }

// Whether any producer behind the node multiplies by weights: what lies before is masks, positions, tables.
std::vector<bool> DependsOnWeights(const Graph& graph, const std::vector<int32_t>& order) {
  std::vector<bool> depends(static_cast<size_t>(graph.id_limit()), false);
  for (int32_t id : order) {
    const Node& node = *graph.node(id);
    for (ValueId input : node.inputs()) {
      if (!input.valid()) continue;
      const TensorSlice* constant = graph.ConstantOf(input);
      if (depends[input.node] || (constant != nullptr && constant->shape().size() >= 2)) depends[id] = true;
    }
  }
  return depends;
}

bool IsWhole(const Strategy& strategy) {
  auto whole = [](const std::vector<Sharding>& shardings) {
    return std::all_of(shardings.begin(), shardings.end(), [](const Sharding& s) { return s.is_replicated(); });
  };
  return whole(strategy.inputs) && whole(strategy.outputs);
}

// A product of two computed tensors with batch dimensions is attention; its batch factors are batch and heads.
bool IsAttentionProduct(const Graph& graph, const Node& node) {
  if (!node.is("BatchMatMulV2") && !node.is("BatchMatMul")) return false;
  return node.output().shape.size() >= 3 && graph.ConstantOf(node.input(0)) == nullptr &&
         graph.ConstantOf(node.input(1)) == nullptr;
}

// The device counts up to `most` that divide `count`.
std::string DivisorsOf(int64_t count, int64_t most) {
  std::vector<int64_t> divisors;
  for (int64_t n = 1; n <= std::min(count, most); ++n) {
    if (count % n == 0) divisors.push_back(n);
  }
  return absl::StrJoin(divisors, ", ");
}

// Attention must be cut by heads (or batch): refuse a count that leaves part of the mesh idle there.
absl::Status CheckAttention(const Graph& graph, const Node& node, const std::vector<Strategy>& strategies,
                            const Mesh& mesh) {
  ASSIGN_OR_RETURN(const ShardingRule rule, RuleOf(graph, node));
  const size_t batch_dims = node.output().shape.size() - 2;
  int64_t heads = 1;
  std::set<int> batch_factors;
  for (size_t d = 0; d < batch_dims; ++d) {
    heads *= node.output().shape[d];
    batch_factors.insert(rule.outputs[0][d].begin(), rule.outputs[0][d].end());
  }
  for (const Strategy& strategy : strategies) {
    int64_t parts = 1;
    for (int f : batch_factors) parts *= mesh.Parts(strategy.factor_axes[f]);
    if (parts == mesh.size()) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("tensor_parallel_size ", mesh.size(), " does not divide the ", heads,
                   " attention heads (times batch) of node '", node.name(), "'; sizes that do: ",
                   DivisorsOf(heads, 1024)));
}

// Keeps the strategies that cut the weights most.
void KeepMostCut(const Graph& graph, const Node& node, const Mesh& mesh, std::vector<Strategy>* strategies) {
  int64_t most = 1;
  for (const Strategy& strategy : *strategies) most = std::max(most, WeightParts(graph, node, mesh, strategy));
  strategies->erase(std::remove_if(strategies->begin(), strategies->end(),
                                   [&](const Strategy& s) { return WeightParts(graph, node, mesh, s) < most; }),
                    strategies->end());
}

// The cheapest way to leave an output without partial sums.
Sharding ResolveOutput(const Sharding& produced, const TensorDesc& desc, Resharder& resharder, double* seconds) {
  if (produced.partial == 0) return produced;
  Sharding best = produced;
  best.partial = 0;
  *seconds = resharder.Seconds(produced, best, desc);
  for (size_t d = 0; d < desc.shape.size(); ++d) {
    Sharding scattered = produced;
    scattered.partial = 0;
    for (int8_t axis = 0; axis < resharder.mesh().num_axes(); ++axis) {
      if (produced.partial >> axis & 1) scattered.dims[d].push_back(axis);
    }
    if (!IsLegal(resharder.mesh(), scattered, desc.shape)) continue;
    const double cost = resharder.Seconds(produced, scattered, desc);
    if (cost < *seconds) {
      *seconds = cost;
      best = std::move(scattered);
    }
  }
  return best;
}

absl::Status CheckWeightsFit(const Graph& graph, const Cluster& cluster, const Plan& plan) {
  // A constant may be wanted in several cuts; each is held.
  std::set<std::pair<int32_t, std::string>> held;
  int64_t bytes = 0;
  for (const auto& [id, strategy] : plan.strategies) {
    const Node& node = *graph.node(id);
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      const TensorSlice* constant = input.valid() ? graph.ConstantOf(input) : nullptr;
      if (constant == nullptr || !held.insert({input.node, ToString(strategy.inputs[i])}).second) continue;
      bytes += static_cast<int64_t>(
          ByteSize({constant->desc().type, LocalShape(plan.mesh, strategy.inputs[i], constant->shape())}));
    }
  }
  for (int position : plan.mesh.devices()) {
    const ClusterDevice& device = cluster.devices()[position];
    if (device.memory_bytes > 0 && bytes > device.memory_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("device ", device.id.ToString(), " needs ", bytes, " bytes for weights and has ",
                       device.memory_bytes, "; use more devices or a larger tensor_parallel_size"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Sharding ProducedSharding(const Graph& graph, const Plan& plan, ValueId value) {
  auto it = plan.strategies.find(value.node);
  if (it == plan.strategies.end()) {
    return Sharding::Replicated(static_cast<int>(graph.desc(value).shape.size()));
  }
  return it->second.outputs[value.output];
}

absl::StatusOr<Plan> MakePlan(const Graph& graph, const Cluster& cluster, const PlanOptions& options,
                              const WaitLimit& limit) {
  Plan plan;
  plan.mesh = Mesh(options.devices);
  Resharder resharder(plan.mesh, cluster);
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  const std::vector<bool> after_weights = DependsOnWeights(graph, order);

  std::vector<int> variable_of(static_cast<size_t>(graph.id_limit()), -1);
  std::vector<int32_t> nodes;
  std::vector<std::vector<Strategy>> domains;
  CostNetwork network;
  bool any_weight_cut = false, any_weight = false;
  for (int32_t id : order) {
    const Node& node = *graph.node(id);
    if (!IsDecided(node)) continue;
    RETURN_IF_ERROR(limit.Check("the planner"));
    ASSIGN_OR_RETURN_WITH(std::vector<Strategy> strategies,
                          EnumerateStrategies(graph, node, cluster, resharder, options.space),
                          absl::StrCat("node '", node.name(), "' (", node.type(), ")"));
    if (options.cut_weights && plan.mesh.size() > 1) {
      if (IsAttentionProduct(graph, node) && after_weights[id]) {
        RETURN_IF_ERROR(CheckAttention(graph, node, strategies, plan.mesh));
      }
      KeepMostCut(graph, node, plan.mesh, &strategies);
      for (ValueId input : node.inputs()) {
        const TensorSlice* constant = input.valid() ? graph.ConstantOf(input) : nullptr;
        if (constant == nullptr || constant->shape().size() < 2) continue;
        any_weight = true;
        any_weight_cut |= WeightParts(graph, node, plan.mesh, strategies[0]) > 1;
      }
    }
    if (options.whole_before_weights && !after_weights[id]) {
      strategies.erase(std::remove_if(strategies.begin(), strategies.end(), [](const Strategy& s) { return !IsWhole(s); }),
                       strategies.end());
    }
    variable_of[id] = static_cast<int>(nodes.size());
    nodes.push_back(id);
    std::vector<double> unary;
    for (const Strategy& strategy : strategies) unary.push_back(strategy.seconds);
    network.unary.push_back(std::move(unary));
    domains.push_back(std::move(strategies));
  }
  if (any_weight && !any_weight_cut) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor_parallel_size ", plan.mesh.size(), " divides no dimension of any weight of the model"));
  }

  for (size_t reader = 0; reader < nodes.size(); ++reader) {
    const Node& node = *graph.node(nodes[reader]);
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      if (!input.valid() || graph.node(input.node)->is_const()) continue;
      const TensorDesc& desc = graph.desc(input);
      const int producer = variable_of[input.node];
      if (producer < 0) {  // a model input arrives whole
        const Sharding whole = Sharding::Replicated(static_cast<int>(desc.shape.size()));
        for (size_t k = 0; k < domains[reader].size(); ++k) {
          network.unary[reader][k] += resharder.Seconds(whole, domains[reader][k].inputs[i], desc);
        }
        continue;
      }
      CostNetwork::Edge edge{producer, static_cast<int>(reader), {}};
      edge.cost.reserve(domains[producer].size() * domains[reader].size());
      for (const Strategy& from : domains[producer]) {
        for (const Strategy& to : domains[reader]) {
          edge.cost.push_back(resharder.Seconds(from.outputs[input.output], to.inputs[i], desc));
        }
      }
      network.edges.push_back(std::move(edge));
    }
  }
  for (const GraphOutput& output : graph.outputs()) {
    const int producer = variable_of[output.value.node];
    if (producer < 0) continue;
    for (size_t k = 0; k < domains[producer].size(); ++k) {
      double seconds = 0;
      ResolveOutput(domains[producer][k].outputs[output.value.output], graph.desc(output.value), resharder, &seconds);
      network.unary[producer][k] += seconds;
    }
  }

  ASSIGN_OR_RETURN_WITH(Solution solution, SolveByElimination(network, {}, limit), "no plan");
  for (size_t v = 0; v < nodes.size(); ++v) {
    plan.strategies.emplace(nodes[v], std::move(domains[v][solution.choice[v]]));
  }
  for (const GraphOutput& output : graph.outputs()) {
    double seconds = 0;
    plan.outputs.push_back(ResolveOutput(ProducedSharding(graph, plan, output.value), graph.desc(output.value),
                                         resharder, &seconds));
  }
  plan.seconds = solution.cost;
  plan.lower_bound = solution.lower_bound;
  plan.exact = solution.exact;
  RETURN_IF_ERROR(CheckWeightsFit(graph, cluster, plan));
  return plan;
}

std::string Summarize(const Graph& graph, const Plan& plan, const Graph& slice) {
  int weighted = 0, cut = 0;
  for (const auto& [id, strategy] : plan.strategies) {
    const Node& node = *graph.node(id);
    bool has_weight = false;
    for (ValueId input : node.inputs()) {
      const TensorSlice* constant = input.valid() ? graph.ConstantOf(input) : nullptr;
      has_weight |= constant != nullptr && constant->shape().size() >= 2;
    }
    weighted += has_weight;
    cut += has_weight && WeightParts(graph, node, plan.mesh, strategy) > 1;
  }
  std::map<std::string, std::pair<int, size_t>> collectives;  // type → how many, bytes read
  for (int32_t id : slice.NodeIds()) {
    const Node& node = *slice.node(id);
    if (node.type().rfind("Hcom", 0) != 0) continue;
    auto& [count, bytes] = collectives[node.type()];
    ++count;
    for (ValueId input : node.inputs()) bytes += ByteSize(slice.desc(input));
  }
  std::vector<std::string> parts;
  for (const auto& [type, entry] : collectives) {
    parts.push_back(absl::StrCat(entry.first, " ", type, " (", entry.second, " bytes)"));
  }
  return absl::StrFormat("%d devices as mesh %s; %d of %d weighted operators cut; %s per run; predicted %.3f ms%s",
                         plan.mesh.size(), plan.mesh.ToString(), cut, weighted,
                         parts.empty() ? "no communication" : absl::StrJoin(parts, ", "), plan.seconds * 1e3,
                         plan.exact ? " (optimal)" : absl::StrFormat(" (bound %.3f ms)", plan.lower_bound * 1e3));
}

}  // namespace omserve
