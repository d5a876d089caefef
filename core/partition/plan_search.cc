#include "core/partition/plan_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status.h"
#include "core/partition/stages.h"
#include "core/partition/weight_gather.h"

namespace omserve {
namespace {

// A stage may begin at this many places at most: those where the fewest bytes cross.
constexpr size_t kMostCuts = 256;

std::vector<Mesh> StageMeshes(const std::vector<int>& devices, int stages, const std::vector<int>& axes) {
  std::vector<Mesh> meshes;
  const size_t each = devices.size() / static_cast<size_t>(stages);
  for (int s = 0; s < stages; ++s) {
    const auto begin = devices.begin() + static_cast<std::ptrdiff_t>(each * static_cast<size_t>(s));
    meshes.emplace_back(std::vector<int>(begin, begin + static_cast<std::ptrdiff_t>(each)), axes);
  }
  return meshes;
}

// The smallest memory among the devices of a mesh; 0 when not stated.
int64_t MemoryOf(const Cluster& cluster, const Mesh& mesh) {
  int64_t least = 0;
  for (int position : mesh.devices()) {
    const int64_t bytes = cluster.devices()[static_cast<size_t>(position)].memory_bytes;
    if (bytes > 0 && (least == 0 || bytes < least)) least = bytes;
  }
  return least;
}

}  // namespace

std::string PatternOf(const Cluster& cluster, const std::vector<int>& devices) {
  std::string text;
  std::map<std::pair<int, int>, int> nodes;
  for (int position : devices) {
    const ClusterDevice& device = cluster.devices()[static_cast<size_t>(position)];
    const int node =
        nodes.try_emplace({device.id.cluster, device.id.node}, static_cast<int>(nodes.size())).first->second;
    absl::StrAppend(&text, node, ".", device.id.item, ".", device.id.chip, ".", device.type, " ");
  }
  return text;
}

std::vector<int64_t> DeviceBytes(const Graph& graph, const Plan& plan) {
  return DeviceBytes(graph, plan, graph.TopologicalOrder().value_or(std::vector<int32_t>{}));
}

std::vector<int64_t> DeviceBytes(const Graph& graph, const Plan& plan, const std::vector<int32_t>& order) {
  std::vector<int64_t> weights(plan.stages.size(), 0), most(plan.stages.size(), 0);
  // A constant may be wanted in several cuts; each is held.
  std::set<std::tuple<int, int32_t, std::string>> held;
  std::vector<size_t> last_use(static_cast<size_t>(graph.id_limit()), 0);
  std::vector<int32_t> nodes;
  for (int32_t id : order) {
    if (!plan.strategies.contains(id)) continue;
    for (ValueId input : graph.node(id)->inputs()) {
      if (input.valid()) last_use[static_cast<size_t>(input.node)] = nodes.size();
    }
    nodes.push_back(id);
  }
  for (const GraphOutput& output : graph.outputs())
    last_use[static_cast<size_t>(output.value.node)] = nodes.size();
  auto local_outputs = [&](int32_t id) {
    int64_t bytes = 0;
    const Node& node = *graph.node(id);
    const Strategy& strategy = plan.strategies.at(id);
    for (int i = 0; i < node.num_outputs(); ++i) {
      const TensorDesc& desc = node.output(i);
      bytes += static_cast<int64_t>(ByteSize(
          {desc.type, LocalShape(plan.mesh_of(id), strategy.outputs[static_cast<size_t>(i)], desc.shape)}));
    }
    return bytes;
  };
  std::vector<int64_t> alive(plan.stages.size(), 0);
  // Per stage: gathers that have begun, those whose reader has run, and the position of its next operator.
  const std::vector<std::vector<WeightGather>> gathers = ScheduleGathers(graph, plan, order);
  std::vector<size_t> begun(plan.stages.size(), 0), read(plan.stages.size(), 0), position(plan.stages.size(), 0);
  std::vector<std::vector<int32_t>> ends(nodes.size() + 1);
  for (size_t k = 0; k < nodes.size(); ++k) {
    const int32_t id = nodes[k];
    const Node& node = *graph.node(id);
    const int stage = plan.stage(id);
    const Strategy& strategy = plan.strategies.at(id);
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      const TensorSlice* constant = input.valid() ? graph.ConstantOf(input) : nullptr;
      if (constant == nullptr) continue;
      const Sharding& sharding = HeldAs(strategy, i);
      if (!held.emplace(stage, input.node, ToString(sharding)).second) continue;
      weights[static_cast<size_t>(stage)] += static_cast<int64_t>(
          ByteSize({constant->desc().type, LocalShape(plan.mesh_of(id), sharding, constant->shape())}));
    }
    const size_t s = static_cast<size_t>(stage);
    for (; begun[s] < gathers[s].size() && gathers[s][begun[s]].start <= position[s]; ++begun[s]) {
      alive[s] += gathers[s][begun[s]].bytes;
      most[s] = std::max(most[s], alive[s] + gathers[s][begun[s]].transient_bytes);
    }
    alive[s] += local_outputs(id);
    most[s] = std::max(most[s], alive[s]);
    for (; read[s] < begun[s] && gathers[s][read[s]].reader == position[s]; ++read[s]) alive[s] -= gathers[s][read[s]].bytes;
    ++position[s];
    ends[std::max(k, last_use[static_cast<size_t>(id)])].push_back(id);
    for (int32_t dead : ends[k]) alive[static_cast<size_t>(plan.stage(dead))] -= local_outputs(dead);
  }
  for (size_t s = 0; s < weights.size(); ++s) weights[s] += most[s];
  return weights;
}

absl::StatusOr<std::unique_ptr<PlanSearch>> PlanSearch::Create(const Graph& graph, const Cluster& cluster,
                                                               const PlanOptions& options) {
  ASSIGN_OR_RETURN(PlanGraph plan_graph, PlanGraph::Create(graph));
  for (const PlanHint& hint : options.hints) {
    const auto& nodes = plan_graph.nodes();
    if (std::none_of(nodes.begin(), nodes.end(),
                     [&](int32_t id) { return MatchesPattern(hint.node, graph.node(id)->name()); })) {
      return absl::InvalidArgumentError(
          absl::StrCat(hint.where, ": no operator's name is or matches '", hint.node, "'"));
    }
  }
  return std::unique_ptr<PlanSearch>(new PlanSearch(std::move(plan_graph), cluster, options));
}

PlanSpace& PlanSearch::SpaceOf(const Mesh& mesh) {
  std::unique_ptr<PlanSpace>& slot =
      spaces_[absl::StrCat(mesh.ToString(), " ", PatternOf(cluster_, mesh.devices()))];
  if (!slot) slot = std::make_unique<PlanSpace>(graph_, cluster_, mesh, options_);
  return *slot;
}

TransferPlanner& PlanSearch::TransferOf(const Mesh& from, const Mesh& to) {
  std::vector<int> both = from.devices();
  both.insert(both.end(), to.devices().begin(), to.devices().end());
  std::unique_ptr<TransferPlanner>& slot =
      transfers_[absl::StrCat(from.ToString(), " ", to.ToString(), " ", PatternOf(cluster_, both))];
  if (!slot) {
    slot = std::make_unique<TransferPlanner>(SpaceOf(from).resharder(), SpaceOf(to).resharder(), from, to,
                                             cluster_);
  }
  return *slot;
}

const std::vector<double>& PlanSearch::TransferTable(TransferPlanner& transfer, const Domain& from,
                                                     int output, const Domain& to, int input,
                                                     const TensorDesc& desc) {
  std::vector<double>& table = transfer_tables_[{&transfer, from.id, output, to.id, input}];
  if (!table.empty()) return table;
  for (const Strategy& a : from.strategies) {
    for (const Strategy& b : to.strategies) {
      table.push_back(
          transfer.Best(a.outputs[static_cast<size_t>(output)], b.inputs[static_cast<size_t>(input)], desc)
              .seconds);
    }
  }
  return table;
}

absl::StatusOr<Solution> PlanSearch::SolveWithin(const SharedNetwork& network,
                                                 const std::vector<const Domain*>& domains,
                                                 const std::vector<int>& stage_of,
                                                 const std::vector<double>& limits, bool* memory_binds,
                                                 const WaitLimit& limit) {
  auto used = [&](const std::vector<int>& choice) {
    std::vector<double> bytes(limits.size(), 0);
    for (size_t v = 0; v < choice.size(); ++v) {
      bytes[static_cast<size_t>(stage_of[v])] += domains[v]->weight_bytes[static_cast<size_t>(choice[v])];
    }
    return bytes;
  };
  auto fits = [&](const std::vector<double>& bytes) {
    for (size_t s = 0; s < limits.size(); ++s) {
      if (bytes[s] > limits[s]) return false;
    }
    return true;
  };
  *memory_binds = true;
  // When even the leanest choice of every operator is too much, there is nothing to search.
  std::vector<double> leanest(limits.size(), 0);
  std::vector<int> lean(domains.size(), 0);
  for (size_t v = 0; v < domains.size(); ++v) {
    const std::vector<double>& bytes = domains[v]->weight_bytes;
    const auto least = std::min_element(bytes.begin(), bytes.end());
    lean[v] = static_cast<int>(least - bytes.begin());
    leanest[static_cast<size_t>(stage_of[v])] += *least;
  }
  if (!fits(leanest)) {
    Solution none;
    none.choice = std::move(lean);
    none.feasible = false;
    return none;
  }

  const std::vector<RepeatedRun> runs =
      options_.fold ? FindRepeatedRuns(network) : std::vector<RepeatedRun>{};
  ASSIGN_OR_RETURN(Solution free, SolveFolded(network, runs, options_.solve, limit));
  if (fits(used(free.choice))) {
    *memory_binds = false;
    return free;
  }

  // Memory by Lagrangian multipliers, one per stage: prices of bytes leave the form of the network as it is,
  // so every trial is folded too. What multipliers cannot reach is left as a gap.
  constexpr int kTrials = 24;
  const double infinite = std::numeric_limits<double>::infinity();
  std::vector<size_t> limited;
  for (size_t s = 0; s < limits.size(); ++s) {
    if (limits[s] < infinite) limited.push_back(s);
  }
  std::vector<double> price(limits.size(), 0);
  std::optional<Solution> best;
  double bound = free.lower_bound;
  Solution nearest = free;
  double least_excess = infinite;
  std::vector<double> bytes = used(free.choice);  // of the last trial
  double cost = free.cost;                        // of the last trial, without the price of its bytes
  auto try_prices = [&]() -> absl::Status {
    SharedNetwork priced = network;
    absl::flat_hash_map<std::tuple<const std::vector<double>*, const Domain*, int>,
                        std::unique_ptr<std::vector<double>>>
        costs;
    for (size_t v = 0; v < domains.size(); ++v) {
      const double p = price[static_cast<size_t>(stage_of[v])];
      if (p == 0) continue;
      auto& slot = costs[{network.unary[v], domains[v], stage_of[v]}];
      if (!slot) {
        slot = std::make_unique<std::vector<double>>(*network.unary[v]);
        for (size_t k = 0; k < slot->size(); ++k) (*slot)[k] += p * domains[v]->weight_bytes[k];
      }
      priced.unary[v] = slot.get();
    }
    ASSIGN_OR_RETURN(Solution solution, SolveFolded(priced, runs, options_.solve, limit));
    bytes = used(solution.choice);
    cost = solution.cost;
    double dual = solution.lower_bound, excess = 0;
    for (size_t s : limited) {
      dual -= price[s] * limits[s];
      cost -= price[s] * bytes[s];
      excess += std::max(0.0, bytes[s] - limits[s]);
    }
    bound = std::max(bound, dual);
    solution.cost = cost;
    if (excess == 0) {
      if (!best || cost < best->cost) best = std::move(solution);
    } else if (excess < least_excess) {
      least_excess = excess;
      nearest = std::move(solution);
    }
    return absl::OkStatus();
  };
  if (limited.size() == 1) {
    // One price: walk along the lower hull of (bytes, seconds), from a point on either side of the limit to
    // the edge that crosses it. That edge is the best bound there is, its end the best plan any price gives.
    const size_t s = limited[0];
    double over_cost = cost, over_bytes = bytes[s];
    price[s] = 1e-3;  // a thousand seconds per megabyte: bytes before all else
    RETURN_IF_ERROR(try_prices());
    double fit_cost = cost, fit_bytes = bytes[s];
    for (int trial = 0; best && trial < kTrials && over_bytes > fit_bytes && fit_cost > over_cost; ++trial) {
      price[s] = (fit_cost - over_cost) / (over_bytes - fit_bytes);
      RETURN_IF_ERROR(try_prices());
      const double line = over_cost + price[s] * over_bytes, here = cost + price[s] * bytes[s];
      if (here >= line - 1e-9 * line) break;
      (bytes[s] > limits[s] ? over_cost : fit_cost) = cost;
      (bytes[s] > limits[s] ? over_bytes : fit_bytes) = bytes[s];
    }
  } else {
    std::vector<double> low(limits.size(), 0), high(limits.size(), 0);
    for (int trial = 0; trial < kTrials; ++trial) {
      bool settled = best.has_value();
      for (size_t s : limited) {
        if (bytes[s] > limits[s]) {
          low[s] = price[s];
          price[s] = high[s] == 0 ? std::max(1e-12, price[s] * 8) : (low[s] + high[s]) / 2;
        } else if (price[s] > 0) {
          high[s] = price[s];
          price[s] = (low[s] + high[s]) / 2;
        }
        settled = settled && (high[s] == 0 || high[s] - low[s] < 1e-3 * high[s]);
      }
      if (settled || (best && best->cost - bound <= 1e-4 * best->cost)) break;
      RETURN_IF_ERROR(try_prices());
    }
  }
  if (!best) {
    nearest.feasible = false;
    return nearest;
  }
  best->lower_bound = std::min(bound, best->cost);
  best->exact = best->cost - best->lower_bound <= 1e-9 * best->cost;
  best->engine = absl::StrCat("multipliers+", best->engine);
  return *std::move(best);
}

absl::StatusOr<Plan> PlanSearch::SolveOnce(const std::vector<Mesh>& stages, const std::vector<int>& stage_of,
                                           const std::vector<double>& reserve, bool offer_gathers,
                                           const WaitLimit& limit) {
  const Graph& graph = graph_.graph();
  std::vector<PlanSpace*> spaces;
  for (const Mesh& mesh : stages) spaces.push_back(&SpaceOf(mesh));
  std::map<std::pair<int, int>, TransferPlanner*> transfers;
  SharedNetwork network;
  std::vector<const Domain*> domains;
  const size_t count = graph_.nodes().size();
  for (size_t v = 0; v < count; ++v) {
    if (v % 64 == 0) RETURN_IF_ERROR(limit.Check("the planner"));
    ASSIGN_OR_RETURN(const Domain* domain,
                     spaces[static_cast<size_t>(stage_of[v])]->DomainOf(static_cast<int>(v), offer_gathers));
    domains.push_back(domain);
    network.unary.push_back(&domain->seconds);
  }
  if (options_.cut_weights && stages[0].size() > 1) {
    const bool any = std::any_of(spaces.begin(), spaces.end(), [](PlanSpace* s) { return s->any_weight(); });
    if (any && std::none_of(spaces.begin(), spaces.end(), [](PlanSpace* s) { return s->any_weight_cut(); })) {
      return absl::InvalidArgumentError(absl::StrCat("tensor_parallel_size ", stages[0].size(),
                                                     " divides no dimension of any weight of the model"));
    }
  }
  for (size_t reader = 0; reader < count; ++reader) {
    const Node& node = *graph.node(graph_.nodes()[reader]);
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      const int producer = input.valid() ? graph_.index(input.node) : -1;
      if (producer < 0) continue;
      const TensorDesc& desc = graph.desc(input);
      const int from_stage = stage_of[static_cast<size_t>(producer)], to_stage = stage_of[reader];
      const Domain& from = *domains[static_cast<size_t>(producer)];
      const Domain& to = *domains[reader];
      SharedNetwork::Edge edge{producer, static_cast<int>(reader), nullptr};
      if (from_stage == to_stage) {
        edge.cost = &spaces[static_cast<size_t>(to_stage)]->Table(from, input.output, to, i, desc);
      } else {
        TransferPlanner*& transfer = transfers[{from_stage, to_stage}];
        if (transfer == nullptr) {
          transfer =
              &TransferOf(stages[static_cast<size_t>(from_stage)], stages[static_cast<size_t>(to_stage)]);
        }
        edge.cost = &TransferTable(*transfer, from, input.output, to, i, desc);
      }
      network.edges.push_back(edge);
    }
  }
  // Costs that belong to single variables, not to what they share with their copies.
  std::map<size_t, std::vector<double>> own;
  for (const GraphOutput& output : graph.outputs()) {
    const int producer = graph_.index(output.value.node);
    if (producer < 0) continue;
    const size_t v = static_cast<size_t>(producer);
    Resharder& resharder = spaces[static_cast<size_t>(stage_of[v])]->resharder();
    std::vector<double>& costs = own.try_emplace(v, domains[v]->seconds).first->second;
    for (size_t k = 0; k < costs.size(); ++k) {
      double seconds = 0;
      ResolveOutput(domains[v]->strategies[k].outputs[static_cast<size_t>(output.value.output)],
                    graph.desc(output.value), resharder, &seconds);
      costs[k] += seconds;
    }
  }
  for (auto& [v, costs] : own) network.unary[v] = &costs;

  std::vector<double> limits(stages.size(), 0);
  for (size_t s = 0; s < stages.size(); ++s) {
    const int64_t memory = MemoryOf(cluster_, stages[s]);
    limits[s] = memory == 0 ? std::numeric_limits<double>::infinity()
                            : std::max(static_cast<double>(memory) - reserve[s], 0.0);
  }
  Plan plan;
  ASSIGN_OR_RETURN_WITH(const Solution solution,
                        SolveWithin(network, domains, stage_of, limits, &plan.memory_binds, limit), "no plan");
  plan.stages = stages;
  for (size_t v = 0; v < count; ++v) {
    const int32_t id = graph_.nodes()[v];
    plan.strategies.emplace_hint(plan.strategies.end(), id,
                                 domains[v]->strategies[static_cast<size_t>(solution.choice[v])]);
    if (stage_of[v] != 0) plan.stage_of[id] = stage_of[v];
  }
  plan.stage_seconds.assign(stages.size(), 0);
  for (size_t v = 0; v < count; ++v) {
    plan.stage_seconds[static_cast<size_t>(stage_of[v])] +=
        (*network.unary[v])[static_cast<size_t>(solution.choice[v])];
  }
  for (const SharedNetwork::Edge& edge : network.edges) {
    const size_t a = static_cast<size_t>(edge.a), b = static_cast<size_t>(edge.b);
    plan.stage_seconds[static_cast<size_t>(stage_of[b])] +=
        (*edge.cost)[static_cast<size_t>(solution.choice[a]) * network.unary[b]->size() +
                     static_cast<size_t>(solution.choice[b])];
  }
  for (const GraphOutput& output : graph.outputs()) {
    double seconds = 0;
    plan.outputs.push_back(
        ResolveOutput(ProducedSharding(graph, plan, output.value), graph.desc(output.value),
                      spaces[static_cast<size_t>(plan.stage(output.value.node))]->resharder(), &seconds));
  }
  plan.seconds = solution.cost;
  plan.lower_bound = solution.lower_bound;
  plan.exact = solution.exact;
  plan.engine = solution.engine;
  plan.memory_is_met = solution.feasible;
  plan.weight_prefetch = options_.weight_prefetch;
  plan.device_bytes = DeviceBytes(graph, plan, graph_.nodes());
  return plan;
}

absl::StatusOr<Plan> PlanSearch::Solve(std::vector<Mesh> stages, const std::vector<int>& stage_of,
                                       const WaitLimit& limit) {
  // Values alive at once are counted after the fact: what they take is reserved in the next round.
  constexpr int kRounds = 4;
  std::vector<double> reserve(stages.size(), 0);
  // Gathering weights on use takes time and gives memory: it is in question only where memory binds.
  bool offer_gathers = false;
  double bound = 0;
  for (int round = 0;; ++round) {
    ASSIGN_OR_RETURN(Plan plan, SolveOnce(stages, stage_of, reserve, offer_gathers, limit));
    if (plan.memory_binds && !offer_gathers) {
      offer_gathers = true;
      ASSIGN_OR_RETURN(Plan gathering, SolveOnce(stages, stage_of, reserve, offer_gathers, limit));
      gathering.lower_bound = std::min(plan.lower_bound, gathering.lower_bound);
      if (!plan.memory_is_met || (gathering.memory_is_met && gathering.seconds < plan.seconds)) {
        plan = std::move(gathering);
      } else {
        plan.lower_bound = gathering.lower_bound;
      }
    }
    // What is reserved is what some plan needs, not every plan: a bound holds without it.
    if (round == 0) bound = plan.lower_bound;
    std::vector<double> held(stages.size(), 0);
    for (const auto& [id, strategy] : plan.strategies) {
      held[static_cast<size_t>(plan.stage(id))] +=
          HeldBytes(graph_.graph(), *graph_.graph().node(id), plan.mesh_of(id), strategy);
    }
    size_t worst = stages.size();
    int64_t missing = 0;
    for (size_t s = 0; s < stages.size(); ++s) {
      const int64_t memory = MemoryOf(cluster_, stages[s]);
      if (memory == 0 || plan.device_bytes[s] <= memory) continue;
      // The next plan's weights are to be smaller by what is missing.
      reserve[s] = static_cast<double>(plan.device_bytes[s]) - held[s];
      if (plan.device_bytes[s] - memory > missing) {
        missing = plan.device_bytes[s] - memory;
        worst = s;
      }
    }
    if (worst == stages.size()) {
      if (offer_gathers && !options_.weight_sharding) {
        std::vector<Resharder*> resharders;
        std::vector<int64_t> memory;
        for (const Mesh& mesh : stages) {
          resharders.push_back(&SpaceOf(mesh).resharder());
          memory.push_back(MemoryOf(cluster_, mesh));
        }
        GatherLess(graph_.graph(), graph_.nodes(), resharders, memory, &plan);
      }
      plan.lower_bound = std::min(bound, plan.seconds);
      plan.exact = plan.seconds - bound <= 1e-9 * plan.seconds;
      return plan;
    }
    if (plan.memory_is_met && round + 1 < kRounds) continue;
    const ClusterDevice& device = cluster_.devices()[static_cast<size_t>(stages[worst].device(0))];
    return absl::ResourceExhaustedError(absl::StrCat(
        "no plan was found that fits: the nearest needs ", plan.device_bytes[worst],
        " bytes for weights and values on device ", device.id.ToString(), ", which has ",
        MemoryOf(cluster_, stages[worst]), "; ", missing,
        " bytes are missing; use more devices, a larger tensor_parallel_size or more pipeline stages"));
  }
}

std::vector<double> PlanSearch::NodeSeconds(const Plan& plan) {
  const Graph& graph = graph_.graph();
  Resharder& resharder = SpaceOf(plan.stages[0]).resharder();
  std::vector<double> seconds;
  for (int32_t id : graph_.nodes()) {
    const Node& node = *graph.node(id);
    const Strategy& strategy = plan.strategies.at(id);
    double total = strategy.seconds + GatherSeconds(graph, node, resharder, strategy);
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      if (!input.valid() || graph.node(input.node)->is_const()) continue;
      total += resharder.Seconds(ProducedSharding(graph, plan, input),
                                 strategy.inputs[static_cast<size_t>(i)], graph.desc(input));
    }
    seconds.push_back(total);
  }
  return seconds;
}

absl::StatusOr<std::vector<int>> PlanSearch::AssignStages(const std::vector<Mesh>& stages,
                                                          const WaitLimit& limit) {
  const Graph& graph = graph_.graph();
  const size_t count = graph_.nodes().size();
  std::vector<int> stage_of(count, 0);
  if (stages.size() == 1) return stage_of;
  // Alone on one stage's devices the model need not fit them.
  std::optional<Plan>& cached =
      alone_[absl::StrCat(stages[0].ToString(), " ", PatternOf(cluster_, stages[0].devices()))];
  if (!cached) {
    ASSIGN_OR_RETURN(cached, SolveOnce({stages[0]}, stage_of, {-1e18}, /*offer_gathers=*/false, limit));
  }
  const Plan& alone = *cached;

  StageProblem problem;
  problem.stages = static_cast<int>(stages.size());
  // A pipeline is for requests in every stage at once.
  problem.in_flight = static_cast<double>(stages.size());
  problem.memory_bytes = static_cast<double>(MemoryOf(cluster_, stages[0]));
  problem.seconds = NodeSeconds(alone);
  // Bytes that cross before each operator.
  std::vector<double> crossing(count + 1, 0);
  std::vector<size_t> last(count, 0);
  for (size_t v = 0; v < count; ++v) {
    const Node& node = *graph.node(graph_.nodes()[v]);
    const Strategy& strategy = alone.strategies.at(node.id());
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      if (!input.valid()) continue;
      const int producer = graph_.index(input.node);
      if (producer >= 0) last[static_cast<size_t>(producer)] = v;
    }
    problem.weight_bytes.push_back(HeldBytes(graph, node, stages[0], strategy));
  }
  for (size_t v = 0; v < count; ++v) {
    const Node& node = *graph.node(graph_.nodes()[v]);
    double bytes = 0;
    for (const TensorDesc& output : node.outputs()) bytes += static_cast<double>(ByteSize(output));
    if (last[v] <= v) continue;
    crossing[v + 1] += bytes;
    crossing[last[v] + 1] -= bytes;
  }
  for (size_t v = 1; v <= count; ++v) crossing[v] += crossing[v - 1];
  std::vector<int> cuts;
  for (size_t v = 1; v < count; ++v) cuts.push_back(static_cast<int>(v));
  if (cuts.size() > kMostCuts) {
    std::stable_sort(cuts.begin(), cuts.end(), [&](int a, int b) {
      return crossing[static_cast<size_t>(a)] < crossing[static_cast<size_t>(b)];
    });
    // Evenly among those that are as good as the last one kept.
    const double most = crossing[static_cast<size_t>(cuts[kMostCuts - 1])];
    std::vector<int> kept;
    for (int cut : cuts) {
      if (crossing[static_cast<size_t>(cut)] <= most) kept.push_back(cut);
    }
    std::sort(kept.begin(), kept.end());
    cuts.clear();
    const size_t step = (kept.size() + kMostCuts - 1) / kMostCuts;
    for (size_t i = 0; i < kept.size(); i += step) cuts.push_back(kept[i]);
  }
  problem.cuts = cuts;
  const LinkCost link = cluster_.Link(stages[0].devices().back(), stages[1].device(0));
  for (int cut : cuts) problem.cut_seconds.push_back(link.Time(crossing[static_cast<size_t>(cut)]));
  std::optional<StageSolution> solution = CutIntoStages(problem);
  if (!solution && problem.memory_bytes > 0) {
    // The exact check, with what is missing, comes when the stages are planned.
    problem.memory_bytes = 0;
    solution = CutIntoStages(problem);
  }
  if (!solution) {
    return absl::InvalidArgumentError(absl::StrCat("pipe_stage_num ", stages.size(), ": the model has only ",
                                                   count, " operators to cut into stages"));
  }
  for (size_t s = 0; s < stages.size(); ++s) {
    const size_t end = s + 1 < stages.size() ? static_cast<size_t>(solution->begin[s + 1]) : count;
    for (size_t v = static_cast<size_t>(solution->begin[s]); v < end; ++v) stage_of[v] = static_cast<int>(s);
  }
  return stage_of;
}

absl::StatusOr<Plan> PlanSearch::Find(const std::vector<int>& devices, int stages,
                                      const std::optional<std::vector<int>>& axes, const WaitLimit& limit) {
  if (stages < 1 || devices.size() % static_cast<size_t>(stages) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("EF1012: ", devices.size(),
                                                   " devices cannot be shared out evenly over ", stages,
                                                   " pipeline stages"));
  }
  const std::vector<int> first(
      devices.begin(),
      devices.begin() + static_cast<std::ptrdiff_t>(devices.size() / static_cast<size_t>(stages)));
  const std::vector<std::vector<int>> candidates =
      axes ? std::vector<std::vector<int>>{*axes} : MeshCandidates(cluster_, first);
  std::optional<Plan> best;
  absl::Status failure;
  double bound = std::numeric_limits<double>::infinity();
  bool exact = true;
  for (const std::vector<int>& sizes : candidates) {
    std::vector<Mesh> meshes = StageMeshes(devices, stages, sizes);
    auto find = [&]() -> absl::StatusOr<Plan> {
      ASSIGN_OR_RETURN(const std::vector<int> stage_of, AssignStages(meshes, limit));
      return Solve(meshes, stage_of, limit);
    };
    absl::StatusOr<Plan> plan = find();
    if (!plan.ok()) {
      if (!absl::IsInvalidArgument(plan.status()) && !absl::IsResourceExhausted(plan.status()))
        return plan.status();
      failure.Update(plan.status());
      continue;
    }
    bound = std::min(bound, plan->lower_bound);
    exact = exact && plan->exact;
    if (!best || plan->seconds < best->seconds) best = *std::move(plan);
  }
  if (!best) return failure;
  best->lower_bound = bound;
  best->exact = exact;
  return *std::move(best);
}

}  // namespace omserve
