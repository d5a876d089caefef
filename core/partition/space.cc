#include "core/partition/space.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/ops/op.h"
#include "core/partition/weight_gather.h"

namespace omserve {
namespace {

// Constants up to this size may be parameters (shapes, axes): their content is part of what an operator looks
// like.
constexpr size_t kParameterBytes = 512;

// Whether any producer behind the node multiplies by weights: what lies before is masks, positions, tables.
std::vector<bool> DependsOnWeights(const Graph& graph, const std::vector<int32_t>& order) {
  std::vector<bool> depends(static_cast<size_t>(graph.id_limit()), false);
  for (int32_t id : order) {
    for (ValueId input : graph.node(id)->inputs()) {
      if (!input.valid()) continue;
      const TensorSlice* constant = graph.ConstantOf(input);
      if (depends[input.node] || (constant != nullptr && constant->shape().size() >= 2)) depends[id] = true;
    }
  }
  return depends;
}

bool IsWhole(const Strategy& strategy) {
  auto whole = [](const std::vector<Sharding>& shardings) {
    return std::all_of(shardings.begin(), shardings.end(),
                       [](const Sharding& s) { return s.is_replicated(); });
  };
  return whole(strategy.inputs) && whole(strategy.outputs);
}

// A product of two computed tensors with batch dimensions is attention; its batch factors are batch and
// heads.
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
  return absl::InvalidArgumentError(absl::StrCat("tensor_parallel_size ", mesh.size(),
                                                 " does not divide the ", heads,
                                                 " attention heads (times batch) of node '", node.name(),
                                                 "'; sizes that do: ", DivisorsOf(heads, 1024)));
}

// Keeps the strategies that cut the weights most.
void KeepMostCut(const Graph& graph, const Node& node, const Mesh& mesh, std::vector<Strategy>* strategies) {
  int64_t most = 1;
  for (const Strategy& strategy : *strategies)
    most = std::max(most, WeightParts(graph, node, mesh, strategy));
  strategies->erase(
      std::remove_if(strategies->begin(), strategies->end(),
                     [&](const Strategy& s) { return WeightParts(graph, node, mesh, s) < most; }),
      strategies->end());
}

template <typename T>
void AppendBytes(const T& value, std::string* text) {
  text->append(reinterpret_cast<const char*>(&value), sizeof value);
}

void AppendDesc(const TensorDesc& desc, std::string* text) {
  AppendBytes(desc.type, text);
  AppendBytes(desc.shape.size(), text);
  for (const int64_t dim : desc.shape) AppendBytes(dim, text);
}

// A key: equal for operators that look alike.
void DescribeForSignature(const Graph& graph, const Node& node, bool after_weights, std::string* text) {
  text->assign(node.type());
  text->append(after_weights ? "|w" : "|");
  for (const auto& [key, value] : node.attrs()) absl::StrAppend(text, "|", key, "=", AttrToString(value));
  for (ValueId input : node.inputs()) {
    if (!input.valid()) {
      text->append("|none");
      continue;
    }
    const Node& producer = *graph.node(input.node);
    const TensorSlice* constant = producer.constant();
    text->append(producer.is_data() ? "|D" : constant != nullptr ? "|C" : "|V");
    AppendDesc(graph.desc(input), text);
    if (constant == nullptr) continue;
    const DataType type = constant->desc().type;
    if ((type == DataType::kInt64 || type == DataType::kInt32) && constant->byte_size() <= kParameterBytes) {
      const Tensor value = constant->Materialize();
      text->append(reinterpret_cast<const char*>(value.data()), value.byte_size());
    }
  }
  text->append(">");
  for (const TensorDesc& output : node.outputs()) AppendDesc(output, text);
}

// The last hint that names the node, or null.
const PlanHint* HintFor(const std::vector<PlanHint>& hints, const std::string& name) {
  const PlanHint* found = nullptr;
  for (const PlanHint& hint : hints) {
    if (MatchesPattern(hint.node, name)) found = &hint;
  }
  return found;
}

// Where an equal sharding is in the list; adds it when there is none.
size_t PlaceOf(const Sharding& sharding, std::vector<const Sharding*>* list) {
  for (size_t i = 0; i < list->size(); ++i) {
    if (*(*list)[i] == sharding) return i;
  }
  list->push_back(&sharding);
  return list->size() - 1;
}

bool Meets(const Mesh& mesh, const Sharding& output, const std::vector<int64_t>& parts) {
  if (output.partial != 0 || output.dims.size() != parts.size()) return false;
  for (size_t d = 0; d < parts.size(); ++d) {
    if (mesh.Parts(output.dims[d]) != parts[d]) return false;
  }
  return true;
}

}  // namespace

bool MatchesPattern(absl::string_view pattern, absl::string_view text) {
  size_t p = 0, t = 0, star = absl::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Sharding ResolveOutput(const Sharding& produced, const TensorDesc& desc, Resharder& resharder,
                       double* seconds) {
  *seconds = 0;
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

absl::StatusOr<PlanGraph> PlanGraph::Create(const Graph& graph) {
  PlanGraph result;
  result.graph_ = &graph;
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  result.after_weights_ = DependsOnWeights(graph, order);
  result.epilogues_ = FindEpilogues(graph);
  result.index_.assign(static_cast<size_t>(graph.id_limit()), -1);
  absl::flat_hash_map<std::string, int> known;
  std::string text;
  for (int32_t id : order) {
    const Node& node = *graph.node(id);
    if (node.is_data() || node.is_const()) continue;
    for (const TensorDesc& output : node.outputs()) {
      if (std::find(output.shape.begin(), output.shape.end(), kUnknownDim) == output.shape.end()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("EF1008: the shape of node '", node.name(), "' is dynamic (", ToString(output),
                       "); a model that is cut needs static shapes, give the shapes of its inputs"));
    }
    result.index_[static_cast<size_t>(id)] = static_cast<int>(result.nodes_.size());
    result.nodes_.push_back(id);
    DescribeForSignature(graph, node, result.after_weights_[static_cast<size_t>(id)], &text);
    if (result.epilogues_.contains(id)) text.append("|epilogue");
    result.signatures_.push_back(known.try_emplace(text, static_cast<int>(known.size())).first->second);
  }
  result.num_signatures_ = static_cast<int>(known.size());
  result.FindEdges();
  return result;
}

void PlanGraph::FindEdges() {
  const size_t count = nodes_.size();
  std::vector<size_t> last(count, 0);
  std::map<int32_t, std::vector<std::pair<int, int>>> constants;
  for (size_t reader = 0; reader < count; ++reader) {
    const Node& node = *graph_->node(nodes_[reader]);
    last[reader] = std::max(last[reader], reader);
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      if (!input.valid()) continue;
      if (graph_->node(input.node)->is_const()) constants[input.node].emplace_back(static_cast<int>(reader), i);
      const int producer = index(input.node);
      if (producer < 0) continue;
      last[static_cast<size_t>(producer)] = reader;
      edges_.push_back({producer, input.output, static_cast<int>(reader), i, &graph_->desc(input)});
    }
  }
  end_with_.resize(count);
  for (const GraphOutput& output : graph_->outputs()) {
    const int producer = index(output.value.node);
    if (producer >= 0) last[static_cast<size_t>(producer)] = count;
  }
  for (size_t v = 0; v < count; ++v) {
    if (last[v] < count) end_with_[last[v]].push_back(static_cast<int>(v));
  }
  for (auto& [id, readers] : constants) {
    constant_bytes_ += static_cast<double>(ByteSize(graph_->node(id)->output()));
    if (readers.size() > 1) shared_constants_.push_back(std::move(readers));
  }
}

PlanSpace::PlanSpace(const PlanGraph& graph, const Cluster& cluster, Mesh mesh, const PlanOptions& options)
    : graph_(graph),
      cluster_(cluster),
      mesh_(std::move(mesh)),
      options_(options),
      resharder_(mesh_, cluster) {}

absl::StatusOr<const Domain*> PlanSpace::DomainOf(int index, bool offer_gathers) {
  auto node = [&]() -> const Node& { return *graph_.graph().node(graph_.nodes()[static_cast<size_t>(index)]); };
  const PlanHint* hint = options_.hints.empty() ? nullptr : HintFor(options_.hints, node().name());
  if (alike_.empty()) alike_.resize(static_cast<size_t>(graph_.num_signatures()));
  Alike& alike = hint == nullptr
                     ? alike_[static_cast<size_t>(graph_.signature(index))]
                     : hinted_[{graph_.signature(index), absl::StrJoin(hint->output_parts, ",")}];
  if (!alike.plain) {
    ASSIGN_OR_RETURN_WITH(alike.plain, MakeDomain(node()),
                          absl::StrCat("node '", node().name(), "' (", node().type(), ")"));
  }
  if (!offer_gathers) return alike.plain.get();
  if (alike.offering == nullptr) {
    alike.gathering = WithGathers(node(), *alike.plain);
    alike.offering = alike.gathering ? alike.gathering.get() : alike.plain.get();
  }
  return alike.offering;
}

std::unique_ptr<Domain> PlanSpace::WithGathers(const Node& node, const Domain& base) {
  bool any = false;
  for (int i = 0; i < node.num_inputs(); ++i) any = any || MayBeGathered(graph_.graph(), node, i);
  if (!any) return nullptr;
  auto domain = std::make_unique<Domain>(base);
  domain->id = next_id_++;
  domain->base = &base;
  domain->of_base.resize(base.strategies.size());
  std::iota(domain->of_base.begin(), domain->of_base.end(), 0);
  for (size_t k = 0; k < base.strategies.size(); ++k) {
    if (!base.strategies[k].held.empty()) continue;
    Strategy gathering = base.strategies[k];
    if (!HoldFewest(graph_.graph(), node, resharder_, &gathering)) continue;
    AddStrategy(node, std::move(gathering), domain.get());
    domain->of_base.push_back(static_cast<int>(k));
  }
  return domain->strategies.size() > base.strategies.size() ? std::move(domain) : nullptr;
}

void PlanSpace::AddStrategy(const Node& node, Strategy strategy, Domain* domain) {
  const Graph& graph = graph_.graph();
  double seconds = strategy.seconds + GatherSeconds(graph, node, resharder_, strategy);
  for (int i = 0; i < node.num_inputs(); ++i) {
    const ValueId input = node.input(i);
    if (!input.valid() || !graph.node(input.node)->is_data()) continue;  // a model input arrives whole
    const TensorDesc& desc = graph.desc(input);
    seconds += resharder_.Seconds(Sharding::Replicated(static_cast<int>(desc.shape.size())),
                                  strategy.inputs[static_cast<size_t>(i)], desc);
  }
  int64_t values = 0;
  for (int i = 0; i < node.num_outputs(); ++i) {
    const TensorDesc& desc = node.output(i);
    values += static_cast<int64_t>(
        ByteSize({desc.type, LocalShape(mesh_, strategy.outputs[static_cast<size_t>(i)], desc.shape)}));
  }
  domain->least_seconds = domain->seconds.empty() ? seconds : std::min(domain->least_seconds, seconds);
  domain->seconds.push_back(seconds);
  domain->weight_bytes.push_back(HeldBytes(graph, node, mesh_, strategy));
  domain->value_bytes.push_back(values);
  domain->strategies.push_back(std::move(strategy));
}

absl::StatusOr<std::unique_ptr<Domain>> PlanSpace::MakeDomain(const Node& node) {
  const Graph& graph = graph_.graph();
  auto domain = std::make_unique<Domain>();
  domain->id = next_id_++;
  StrategySpace strategy_space = options_.space;
  strategy_space.epilogues = &graph_.epilogues();
  ASSIGN_OR_RETURN(std::vector<Strategy> strategies,
                   EnumerateStrategies(graph, node, cluster_, resharder_, strategy_space));
  if (options_.weight_sharding) {
    for (Strategy& strategy : strategies) HoldFewest(graph, node, resharder_, &strategy);
  }
  const bool after_weights = graph_.after_weights(node.id());
  if (const PlanHint* hint = HintFor(options_.hints, node.name())) {
    std::vector<std::string> possible;
    std::vector<Strategy> kept;
    for (Strategy& strategy : strategies) {
      const bool meets =
          std::all_of(strategy.outputs.begin(), strategy.outputs.end(),
                      [&](const Sharding& output) { return Meets(mesh_, output, hint->output_parts); });
      if (meets) {
        kept.push_back(std::move(strategy));
      } else if (possible.size() < 12 && strategy.outputs.size() == 1 && strategy.outputs[0].partial == 0) {
        std::vector<int64_t> parts;
        for (const AxisList& axes : strategy.outputs[0].dims) parts.push_back(mesh_.Parts(axes));
        std::string text = absl::StrCat("[", absl::StrJoin(parts, ", "), "]");
        if (std::find(possible.begin(), possible.end(), text) == possible.end())
          possible.push_back(std::move(text));
      }
    }
    if (kept.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          hint->where, ": no strategy leaves the output cut into [", absl::StrJoin(hint->output_parts, ", "),
          "] parts on mesh ", mesh_.ToString(), "; possible are ", absl::StrJoin(possible, ", ")));
    }
    strategies = std::move(kept);
  } else {
    if (options_.cut_weights && mesh_.size() > 1) {
      if (IsAttentionProduct(graph, node) && after_weights) {
        RETURN_IF_ERROR(CheckAttention(graph, node, strategies, mesh_));
      }
      KeepMostCut(graph, node, mesh_, &strategies);
    }
    if (options_.whole_before_weights && !after_weights) {
      strategies.erase(
          std::remove_if(strategies.begin(), strategies.end(), [](const Strategy& s) { return !IsWhole(s); }),
          strategies.end());
    }
  }
  for (ValueId input : node.inputs()) {
    const TensorSlice* constant = input.valid() ? graph.ConstantOf(input) : nullptr;
    if (constant == nullptr || constant->shape().size() < 2) continue;
    any_weight_ = true;
    any_weight_cut_ |= WeightParts(graph, node, mesh_, strategies[0]) > 1;
  }
  for (Strategy& strategy : strategies) AddStrategy(node, std::move(strategy), domain.get());
  return domain;
}

const std::vector<double>& PlanSpace::Table(const Domain& from, int output, const Domain& to, int input,
                                            const TensorDesc& desc) {
  std::unique_ptr<const std::vector<double>>& slot = tables_[{from.id, output, to.id, input}];
  if (slot) return *slot;
  // Many strategies leave a value in the same way, and many want it so.
  std::vector<const Sharding*> left, wanted;
  std::vector<size_t> row, column;
  for (const Strategy& a : from.strategies) row.push_back(PlaceOf(a.outputs[static_cast<size_t>(output)], &left));
  for (const Strategy& b : to.strategies) column.push_back(PlaceOf(b.inputs[static_cast<size_t>(input)], &wanted));
  std::vector<double> seconds;
  for (const Sharding* a : left) {
    for (const Sharding* b : wanted) seconds.push_back(resharder_.Seconds(*a, *b, desc));
  }
  auto table = std::make_unique<std::vector<double>>();
  table->reserve(row.size() * column.size());
  for (size_t r : row) {
    for (size_t c : column) table->push_back(seconds[r * wanted.size() + c]);
  }
  slot = std::move(table);
  return *slot;
}

}  // namespace omserve
