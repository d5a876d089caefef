#include "core/partition/plan_search.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/partition/device_bytes.h"
#include "core/partition/weight_gather.h"

namespace omserve {
namespace {

template <typename Key>
int NumberOf(const Key& key, std::map<Key, int>* numbers) {
  return numbers->try_emplace(key, static_cast<int>(numbers->size())).first->second;
}

}  // namespace

// Which devices are the same one, and share an item, a node, a cluster, is all that links depend on.
std::string PatternOf(const Cluster& cluster, const std::vector<int>& devices) {
  std::string text;
  std::map<int, int> clusters;
  std::map<std::pair<int, int>, int> nodes;
  std::map<std::tuple<int, int, int>, int> items;
  std::map<LogicalDeviceId, int> ids;
  for (int position : devices) {
    const ClusterDevice& device = cluster.devices()[static_cast<size_t>(position)];
    const LogicalDeviceId& id = device.id;
    absl::StrAppend(&text, NumberOf(id.cluster, &clusters), ".", NumberOf({id.cluster, id.node}, &nodes), ".",
                    NumberOf({id.cluster, id.node, id.item}, &items), ".", NumberOf(id, &ids), ".", device.type,
                    " ");
  }
  return text;
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

const std::string& PlanSearch::KeyOf(const Mesh& mesh) {
  std::string& key = keys_[{mesh.axis_sizes(), mesh.devices()}];
  if (key.empty()) key = absl::StrCat(mesh.ToString(), " ", PatternOf(cluster_, mesh.devices()));
  return key;
}

bool PlanSearch::SameEverywhere(const std::vector<Mesh>& stages) {
  const std::string& first = KeyOf(stages[0]);
  return std::all_of(stages.begin(), stages.end(), [&](const Mesh& mesh) { return KeyOf(mesh) == first; });
}

PlanSpace& PlanSearch::SpaceOf(const Mesh& mesh) {
  std::unique_ptr<PlanSpace>& slot = spaces_[KeyOf(mesh)];
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

const std::vector<double>& PlanSearch::SecondsWithOutputs(PlanSpace& space, const Domain& domain, const Node& node,
                                                          const std::vector<int>& outputs) {
  std::vector<double>& costs = with_outputs_[{&domain, outputs}];
  if (!costs.empty()) return costs;
  costs = domain.seconds;
  for (int output : outputs) {
    for (size_t k = 0; k < costs.size(); ++k) {
      double seconds = 0;
      ResolveOutput(domain.strategies[k].outputs[static_cast<size_t>(output)], node.output(output),
                    space.resharder(), &seconds);
      costs[k] += seconds;
    }
  }
  return costs;
}

absl::StatusOr<PlanFloor> PlanSearch::Floor(const std::vector<Mesh>& stages, const WaitLimit& limit) {
  std::set<PlanSpace*> spaces;
  for (const Mesh& mesh : stages) spaces.insert(&SpaceOf(mesh));
  PlanFloor floor;
  floor.weight_bytes = graph_.constant_bytes() / stages[0].size();  // held in as many parts as there are devices
  const auto known = floors_.find(spaces);
  if (known != floors_.end()) {
    floor.seconds = known->second;
    return floor;
  }
  for (int v = 0; v < static_cast<int>(graph_.nodes().size()); ++v) {
    if (v % 64 == 0) RETURN_IF_ERROR(limit.Check("the planner"));
    double least = kNoCutoff;
    for (PlanSpace* space : spaces) {
      ASSIGN_OR_RETURN(const Domain* domain, space->DomainOf(v));
      least = std::min(least, domain->least_seconds);
    }
    floor.seconds += least;
  }
  floors_[std::move(spaces)] = floor.seconds;
  return floor;
}

absl::StatusOr<double> PlanSearch::Bound(const std::vector<Mesh>& stages, double cutoff, const WaitLimit& limit) {
  if (!SameEverywhere(stages)) {
    ASSIGN_OR_RETURN(const PlanFloor floor, Floor(stages, limit));
    return floor.seconds;
  }
  // All stages together hold no more than the memory of one device of each.
  std::vector<double> memory{0};
  for (const Mesh& mesh : stages) {
    const int64_t bytes = MemoryOf(mesh.devices());
    memory[0] += bytes == 0 ? kNoCutoff : static_cast<double>(bytes);
  }
  ASSIGN_OR_RETURN(Alone * alone, AloneOn(stages[0], limit));
  Offers& offers = alone->offers;
  ASSIGN_OR_RETURN_WITH(const bool fits, offers.plain->prices.FreeFits(memory, limit), "no plan");
  const double free = offers.plain->prices.free()->lower_bound;
  if (fits || free >= cutoff) return free;
  Staging staging;
  staging.stages = {stages[0]};
  staging.stage_of.assign(graph_.nodes().size(), 0);
  RETURN_IF_ERROR(OfferGathers(staging, &offers, limit));
  Offer& offer = offers.gathering ? *offers.gathering : *offers.plain;
  ASSIGN_OR_RETURN_WITH(const Solution solution, offer.prices.Within(memory, memory, cutoff, &price_, limit), "no plan");
  return solution.lower_bound;
}

absl::StatusOr<std::vector<const Domain*>> PlanSearch::DomainsOf(const Staging& staging, bool offer_gathers,
                                                                 LimitedNetwork* limited, const WaitLimit& limit) {
  const Graph& graph = graph_.graph();
  std::vector<PlanSpace*> spaces;
  for (const Mesh& mesh : staging.stages) spaces.push_back(&SpaceOf(mesh));
  auto space_of = [&](size_t v) -> PlanSpace& { return *spaces[static_cast<size_t>(staging.stage_of[v])]; };
  std::vector<const Domain*> domains;
  for (size_t v = 0; v < graph_.nodes().size(); ++v) {
    if (v % 64 == 0) RETURN_IF_ERROR(limit.Check("the planner"));
    ASSIGN_OR_RETURN(const Domain* domain, space_of(v).DomainOf(static_cast<int>(v), offer_gathers));
    domains.push_back(domain);
    limited->bytes.push_back(&domain->weight_bytes);
    limited->network.unary.push_back(&domain->seconds);
  }
  limited->group = staging.stage_of;
  std::map<int, std::vector<int>> outputs;  // of the model, by the node that makes them
  for (const GraphOutput& output : graph.outputs()) {
    const int producer = graph_.index(output.value.node);
    if (producer >= 0) outputs[producer].push_back(output.value.output);
  }
  for (const auto& [producer, numbers] : outputs) {
    const size_t v = static_cast<size_t>(producer);
    limited->network.unary[v] =
        &SecondsWithOutputs(space_of(v), *domains[v], *graph.node(graph_.nodes()[v]), numbers);
  }
  return domains;
}

absl::StatusOr<PlanSearch::Offers> PlanSearch::OffersOf(const Staging& staging, const WaitLimit& limit) {
  LimitedNetwork limited;
  ASSIGN_OR_RETURN(std::vector<const Domain*> domains, DomainsOf(staging, /*offer_gathers=*/false, &limited, limit));
  const std::vector<Mesh>& stages = staging.stages;
  const std::vector<int>& stage_of = staging.stage_of;
  std::vector<PlanSpace*> spaces;
  for (const Mesh& mesh : stages) spaces.push_back(&SpaceOf(mesh));
  if (options_.cut_weights && stages[0].size() > 1) {
    const bool any = std::any_of(spaces.begin(), spaces.end(), [](PlanSpace* s) { return s->any_weight(); });
    if (any && std::none_of(spaces.begin(), spaces.end(), [](PlanSpace* s) { return s->any_weight_cut(); })) {
      return absl::InvalidArgumentError(absl::StrCat("tensor_parallel_size ", stages[0].size(),
                                                     " divides no dimension of any weight of the model"));
    }
  }
  std::map<std::pair<int, int>, TransferPlanner*> transfers;
  for (const PlanEdge& edge : graph_.edges()) {
    const Domain& from = *domains[static_cast<size_t>(edge.from)];
    const Domain& to = *domains[static_cast<size_t>(edge.to)];
    const int from_stage = stage_of[static_cast<size_t>(edge.from)], to_stage = stage_of[static_cast<size_t>(edge.to)];
    const std::vector<double>* table = nullptr;
    if (from_stage == to_stage) {
      table = &spaces[static_cast<size_t>(to_stage)]->Table(from, edge.output, to, edge.input, *edge.desc);
    } else {
      TransferPlanner*& transfer = transfers[{from_stage, to_stage}];
      if (transfer == nullptr) {
        transfer = &TransferOf(stages[static_cast<size_t>(from_stage)], stages[static_cast<size_t>(to_stage)]);
      }
      table = &TransferTable(*transfer, from, edge.output, to, edge.input, *edge.desc);
    }
    limited.network.edges.push_back({edge.from, edge.to, table});
  }
  Offers offers;
  offers.plain = std::make_unique<Offer>(std::move(limited), std::move(domains), options_.fold ? &segments_ : nullptr,
                                         options_.solve, nullptr);
  return offers;
}

absl::Status PlanSearch::OfferGathers(const Staging& staging, Offers* offers, const WaitLimit& limit) {
  // Weights that are held in parts anyway leave nothing to offer.
  if (offers->gathering || options_.weight_sharding) return absl::OkStatus();
  const Offer& plain = *offers->plain;
  LimitedNetwork limited;
  ASSIGN_OR_RETURN(std::vector<const Domain*> domains, DomainsOf(staging, /*offer_gathers=*/true, &limited, limit));
  // However its weights are held, what a strategy does to values is the same.
  limited.base = &plain.limited.network;
  for (const Domain* domain : domains)
    limited.of_base.push_back(domain->base == nullptr ? nullptr : &domain->of_base);
  offers->gathering = std::make_unique<Offer>(std::move(limited), std::move(domains),
                                              options_.fold ? &segments_ : nullptr, options_.solve, &plain);
  if (plain.prices.free() != nullptr) {
    // With memory enough nothing is gathered.
    Solution free = *plain.prices.free();
    for (size_t v = 0; v < free.choice.size(); ++v) {
      const Domain& domain = *offers->gathering->domains[v];
      if (domain.base == nullptr) continue;
      free.choice[v] = static_cast<int>(std::find(domain.of_base.begin(), domain.of_base.end(), free.choice[v]) -
                                        domain.of_base.begin());
    }
    offers->gathering->prices.KnowFree(free, staging.stages.size());
  }
  return absl::OkStatus();
}

PlanDraft PlanSearch::DraftOf(const Staging& staging, const Offer& offer, Solution solution) {
  PlanDraft draft;
  draft.staging = staging;
  draft.domains = offer.domains;
  draft.choice = std::move(solution.choice);
  draft.seconds = solution.cost;
  draft.lower_bound = solution.lower_bound;
  draft.exact = solution.exact;
  draft.engine = std::move(solution.engine);
  draft.stage_seconds.assign(staging.stages.size(), 0);
  for (size_t v = 0; v < draft.choice.size(); ++v) {
    draft.stage_seconds[static_cast<size_t>(staging.stage_of[v])] +=
        (*offer.limited.network.unary[v])[static_cast<size_t>(draft.choice[v])];
  }
  const SharedNetwork& network = offer.limited.base != nullptr ? *offer.limited.base : offer.limited.network;
  auto chosen = [&](int v) {
    const size_t k = static_cast<size_t>(draft.choice[static_cast<size_t>(v)]);
    const Domain& domain = *draft.domains[static_cast<size_t>(v)];
    return domain.base == nullptr ? k : static_cast<size_t>(domain.of_base[k]);
  };
  for (const SharedNetwork::Edge& edge : network.edges) {
    draft.stage_seconds[static_cast<size_t>(staging.stage_of[static_cast<size_t>(edge.b)])] +=
        (*edge.cost)[chosen(edge.a) * network.unary[static_cast<size_t>(edge.b)]->size() + chosen(edge.b)];
  }
  draft.device_bytes = BytesOf(draft);
  return draft;
}

std::vector<int64_t> PlanSearch::BytesOf(const PlanDraft& draft) {
  // What is gathered on use lives as long as its schedule says.
  if (draft.gathers()) return DeviceBytes(graph_.graph(), Write(draft), graph_.nodes());
  const std::vector<int>& stage_of = draft.staging.stage_of;
  std::vector<int64_t> weights(draft.staging.stages.size(), 0), alive = weights, most = weights;
  auto chosen = [&](int v) { return static_cast<size_t>(draft.choice[static_cast<size_t>(v)]); };
  for (int v = 0; v < static_cast<int>(draft.choice.size()); ++v) {
    const size_t stage = static_cast<size_t>(stage_of[static_cast<size_t>(v)]);
    const Domain& domain = *draft.domains[static_cast<size_t>(v)];
    weights[stage] += static_cast<int64_t>(domain.weight_bytes[chosen(v)]);
    alive[stage] += domain.value_bytes[chosen(v)];
    most[stage] = std::max(most[stage], alive[stage]);
    for (int dead : graph_.end_with(v)) {
      alive[static_cast<size_t>(stage_of[static_cast<size_t>(dead)])] -=
          draft.domains[static_cast<size_t>(dead)]->value_bytes[chosen(dead)];
    }
  }
  // A constant is held once per stage and cut, however many read it.
  for (const auto& readers : graph_.shared_constants()) {
    std::set<std::pair<size_t, std::string>> held;
    for (const auto& [v, input] : readers) {
      const size_t stage = static_cast<size_t>(stage_of[static_cast<size_t>(v)]);
      const Sharding& wanted =
          draft.domains[static_cast<size_t>(v)]->strategies[chosen(v)].inputs[static_cast<size_t>(input)];
      if (held.emplace(stage, ToString(wanted)).second) continue;
      const Node& node = *graph_.graph().node(graph_.nodes()[static_cast<size_t>(v)]);
      const TensorDesc& desc = graph_.graph().desc(node.input(input));
      weights[stage] -=
          static_cast<int64_t>(ByteSize({desc.type, LocalShape(draft.staging.stages[stage], wanted, desc.shape)}));
    }
  }
  for (size_t s = 0; s < weights.size(); ++s) weights[s] += most[s];
  return weights;
}

int64_t PlanSearch::MemoryOf(const std::vector<int>& devices) const {
  int64_t least = 0;
  for (int position : devices) {
    const int64_t bytes = cluster_.devices()[static_cast<size_t>(position)].memory_bytes;
    if (bytes > 0 && (least == 0 || bytes < least)) least = bytes;
  }
  if (memory_scale_ != 1) least = static_cast<int64_t>(static_cast<double>(least) * memory_scale_);
  return least;
}

absl::Status PlanSearch::DoesNotFit(const Mesh& mesh, int64_t bytes) const {
  const int64_t memory = MemoryOf(mesh.devices());
  return absl::ResourceExhaustedError(absl::StrCat(
      "no plan was found that fits: the nearest needs ", bytes, " bytes for weights and values on device ",
      cluster_.devices()[static_cast<size_t>(mesh.device(0))].id.ToString(), ", which has ", memory, "; ",
      bytes - memory,
      " bytes are missing; use more devices, or cut a copy over more of them: tensor_parallel_size, pipe_stage_num, or auto"));
}

absl::StatusOr<std::optional<PlanDraft>> PlanSearch::Solve(const Staging& staging, double cutoff,
                                                           const WaitLimit& limit) {
  Offers own, *offers = &own;
  if (staging.stages.size() == 1) {
    ASSIGN_OR_RETURN(Alone * alone, AloneOn(staging.stages[0], limit));
    offers = &alone->offers;
  } else {
    ASSIGN_OR_RETURN(own, OffersOf(staging, limit));
  }
  std::vector<double> memory;
  for (const Mesh& mesh : staging.stages) {
    const int64_t bytes = MemoryOf(mesh.devices());
    memory.push_back(bytes == 0 ? kNoCutoff : static_cast<double>(bytes));
  }
  // Values alive at once are counted after the fact: what they take is reserved in the next round. It is what some
  // plan needs, not every plan: bounds hold without it.
  constexpr int kRounds = 4;
  std::vector<double> limits = memory;
  double bound = 0;
  for (int round = 1;; ++round) {
    // The larger offer holds the smaller one: with it, and where memory binds, only it is searched.
    ASSIGN_OR_RETURN_WITH(const bool fits, offers->plain->prices.FreeFits(limits, limit), "no plan");
    const bool binds = !fits;
    if (binds) RETURN_IF_ERROR(OfferGathers(staging, offers, limit));
    Offer& offer = binds && offers->gathering ? *offers->gathering : *offers->plain;
    ASSIGN_OR_RETURN_WITH(Solution solution, offer.prices.Within(limits, memory, cutoff, &price_, limit), "no plan");
    // That nothing keeps smaller limits proves nothing.
    if (round == 1 || solution.lower_bound < kNoCutoff) bound = std::max(bound, solution.lower_bound);
    if (cutoff < kNoCutoff && bound >= cutoff) return std::nullopt;
    const bool feasible = solution.feasible;
    PlanDraft draft = DraftOf(staging, offer, std::move(solution));
    draft.memory_binds = binds;
    std::vector<double> held(memory.size(), 0);
    for (size_t v = 0; v < draft.choice.size(); ++v) {
      held[static_cast<size_t>(staging.stage_of[v])] +=
          draft.domains[v]->weight_bytes[static_cast<size_t>(draft.choice[v])];
    }
    for (size_t s = 0; s < memory.size(); ++s) {
      const double bytes = static_cast<double>(draft.device_bytes[s]);
      if (bytes <= memory[s]) continue;
      // The next plan's weights are to be smaller by what is missing.
      limits[s] = std::max(memory[s] - (bytes - held[s]), 0.0);
    }
    if (Missing(draft, memory) > 0) {
      if (feasible && round < kRounds) continue;
      ASSIGN_OR_RETURN(draft, Uncrowd(staging, offer, memory, std::move(draft), limit));
      draft.memory_binds = true;
      missing_ = Missing(draft, memory);
      for (size_t s = 0; missing_ > 0 && s < memory.size(); ++s) {
        if (static_cast<double>(draft.device_bytes[s]) - memory[s] == missing_)
          return DoesNotFit(staging.stages[s], draft.device_bytes[s]);
      }
    }
    if (draft.gathers() && !options_.weight_sharding) HoldWholeAgain(&draft);
    if (draft.seconds >= cutoff) return std::nullopt;
    draft.lower_bound = std::min(bound, draft.seconds);
    draft.exact = draft.seconds - bound <= 1e-9 * draft.seconds;
    return draft;
  }
}

void PlanSearch::HoldWholeAgain(PlanDraft* draft) {
  Plan plan = Write(*draft);
  std::vector<Resharder*> resharders;
  std::vector<int64_t> memory;
  for (const Mesh& mesh : plan.stages) {
    resharders.push_back(&SpaceOf(mesh).resharder());
    memory.push_back(MemoryOf(mesh.devices()));
  }
  GatherLess(graph_.graph(), graph_.nodes(), resharders, memory, &plan);
  draft->seconds = plan.seconds;
  draft->stage_seconds = plan.stage_seconds;
  draft->device_bytes = plan.device_bytes;
  draft->changed = std::make_shared<const std::map<int32_t, Strategy>>(std::move(plan.strategies));
}

Plan PlanSearch::Write(const PlanDraft& draft) {
  const Graph& graph = graph_.graph();
  Plan plan;
  plan.stages = draft.staging.stages;
  for (size_t v = 0; v < draft.choice.size(); ++v) {
    const int32_t id = graph_.nodes()[v];
    plan.strategies.emplace_hint(plan.strategies.end(), id, draft.strategy(v));
    if (draft.staging.stage_of[v] != 0) plan.stage_of[id] = draft.staging.stage_of[v];
  }
  for (const GraphOutput& output : graph.outputs()) {
    double seconds = 0;
    plan.outputs.push_back(ResolveOutput(ProducedSharding(graph, plan, output.value), graph.desc(output.value),
                                         SpaceOf(plan.mesh_of(output.value.node)).resharder(), &seconds));
  }
  plan.seconds = draft.seconds;
  plan.lower_bound = draft.lower_bound;
  plan.exact = draft.exact;
  plan.engine = draft.engine;
  plan.stage_seconds = draft.stage_seconds;
  plan.device_bytes = draft.device_bytes;
  plan.memory_binds = draft.memory_binds;
  plan.weight_prefetch = options_.weight_prefetch;
  if (draft.changed) plan.strategies = *draft.changed;
  return plan;
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
  std::optional<PlanDraft> best;
  absl::Status failure;
  double bound = std::numeric_limits<double>::infinity();
  for (const std::vector<int>& sizes : candidates) {
    auto find = [&]() -> absl::StatusOr<std::optional<PlanDraft>> {
      ASSIGN_OR_RETURN(const Staging staging, Stage(StageMeshes(devices, stages, sizes), limit));
      return Solve(staging, best ? best->seconds : kNoCutoff, limit);
    };
    absl::StatusOr<std::optional<PlanDraft>> draft = find();
    if (!draft.ok()) {
      if (!absl::IsInvalidArgument(draft.status()) && !absl::IsResourceExhausted(draft.status()))
        return draft.status();
      failure.Update(draft.status());
      continue;
    }
    if (!*draft) continue;
    bound = std::min(bound, (*draft)->lower_bound);
    best = *std::move(draft);
  }
  if (!best) return failure;
  best->lower_bound = std::min(bound, best->seconds);
  best->exact = best->exact && best->seconds - best->lower_bound <= 1e-9 * best->seconds;
  return Write(*best);
}

}  // namespace omserve
