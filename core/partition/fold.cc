#include "core/partition/fold.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "core/base/status.h"
#include "core/partition/segment.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Longer stretches without a cut are no layers of a model; they go to the search engine.
constexpr size_t kMostInside = 256;

bool IsFixed(const SharedNetwork& network, int v) { return network.unary[static_cast<size_t>(v)]->size() == 1; }

// The variables (entry, exit]; -1 stands for the begin and the end of the network, where nothing comes in or goes
// out.
struct Stretch {
  int entry = -1;
  int exit = -1;
  std::vector<int> inside;  // those with a choice, without entry and exit
  // In which its inside is eliminated, whatever the costs; nothing while not asked for, or when tables would be too large.
  std::optional<std::vector<int>> order;
  std::shared_ptr<const SolvedSegment> solved;
};

}  // namespace

// A network as a chain of stretches. Variables without a choice are costs of their neighbours, or of nobody.
class FoldedNetwork::Chain {
 public:
  explicit Chain(const SharedNetwork& network)
      : network_(network),
        unary_(&network.unary),
        in_(network.unary.size()),
        own_(network.unary.size()),
        place_(network.unary.size(), -1),
        cuts_(CutVariables(network)) {
    for (size_t v = 0; v < network.unary.size(); ++v) {
      if (network.unary[v]->size() == 1) constant_ += network.unary[v]->front();
    }
    for (const SharedNetwork::Edge& edge : network.edges) {
      const bool a = IsFixed(network, edge.a), b = IsFixed(network, edge.b);
      if (a && b) {
        constant_ += edge.cost->front();
      } else if (a || b) {
        own_[static_cast<size_t>(a ? edge.b : edge.a)].push_back(edge.cost);
      } else {
        in_[static_cast<size_t>(edge.b)].push_back(&edge);
      }
    }
    Stretch stretch;
    auto cut = cuts_.begin();
    for (int v = 0; v < static_cast<int>(network.unary.size()); ++v) {
      if (IsFixed(network, v)) continue;
      if (cut == cuts_.end() || v != *cut) {
        stretch.inside.push_back(v);
        continue;
      }
      stretch.exit = v;
      stretches_.push_back(std::move(stretch));
      stretch = {};
      stretch.entry = v;
      ++cut;
    }
    if (!stretch.inside.empty()) stretches_.push_back(std::move(stretch));
  }

  // Other costs of the variables with a choice. Takes the tables of stretches away.
  void SetCosts(const Unary& unary) {
    unary_ = &unary;
    for (Stretch& stretch : stretches_) stretch.solved = nullptr;
  }

  size_t size() const { return network_.unary.size(); }
  const std::vector<int>& cuts() const { return cuts_; }
  std::vector<Stretch>& stretches() { return stretches_; }
  double constant() const { return constant_; }

  // All that a stretch is made of, as addresses of tables and small numbers.
  std::vector<uintptr_t> LookOf(const Stretch& stretch) {
    auto address = [](const std::vector<double>* table) { return reinterpret_cast<uintptr_t>(table); };
    std::vector<uintptr_t> look{SizeOf(stretch.entry), SizeOf(stretch.exit)};
    Number(stretch);
    ForEach(stretch, [&](int v) {
      const size_t at = static_cast<size_t>(v);
      look.push_back(address((*unary_)[at]));
      look.push_back(own_[at].size());
      for (const auto* table : own_[at]) look.push_back(address(table));
      look.push_back(in_[at].size());
      for (const SharedNetwork::Edge* edge : in_[at]) {
        look.push_back(static_cast<uintptr_t>(place_[static_cast<size_t>(edge->a)]));
        look.push_back(address(edge->cost));
      }
    });
    return look;
  }

  // Null when its tables would be too large.
  std::shared_ptr<const SolvedSegment> Solve(Stretch& stretch) {
    if (stretch.inside.size() > kMostInside) return nullptr;
    Number(stretch);
    std::vector<int> sizes;
    for (int v : stretch.inside) sizes.push_back(static_cast<int>(SizeOf(v)));
    sizes.push_back(static_cast<int>(SizeOf(stretch.entry)));
    sizes.push_back(static_cast<int>(SizeOf(stretch.exit)));
    if (!stretch.order) {
      std::vector<std::vector<int>> scopes;
      ForEach(stretch, [&](int v) {
        for (const SharedNetwork::Edge* edge : in_[static_cast<size_t>(v)])
          scopes.push_back({place_[static_cast<size_t>(edge->a)], place_[static_cast<size_t>(v)]});
      });
      stretch.order = SolvedSegment::Order(sizes, scopes);
      if (!stretch.order) return nullptr;
    }
    std::vector<CostFactor> factors;
    ForEach(stretch, [&](int v) {
      const size_t at = static_cast<size_t>(v);
      factors.push_back({{place_[at]}, CostsOf(v)});
      for (const SharedNetwork::Edge* edge : in_[at])
        factors.push_back({{place_[static_cast<size_t>(edge->a)], place_[at]}, *edge->cost});
    });
    return std::make_shared<const SolvedSegment>(std::move(sizes), std::move(factors), *stretch.order);
  }

  // A variable's own costs, with those that neighbours without a choice make.
  std::vector<double> CostsOf(int v) const {
    std::vector<double> costs = *(*unary_)[static_cast<size_t>(v)];
    for (const auto* table : own_[static_cast<size_t>(v)]) {
      for (size_t k = 0; k < costs.size(); ++k) costs[k] += (*table)[k];
    }
    return costs;
  }
  const std::vector<const SharedNetwork::Edge*>& in(int v) const { return in_[static_cast<size_t>(v)]; }

 private:
  size_t SizeOf(int v) const { return v < 0 ? 1 : network_.unary[static_cast<size_t>(v)]->size(); }

  // Places in the segment: the inside in order, entry, exit.
  void Number(const Stretch& stretch) {
    int next = 0;
    for (int v : stretch.inside) place_[static_cast<size_t>(v)] = next++;
    if (stretch.entry >= 0) place_[static_cast<size_t>(stretch.entry)] = next;
    if (stretch.exit >= 0) place_[static_cast<size_t>(stretch.exit)] = next + 1;
  }

  // Inside and exit: the cost of the entry is that of the stretch before.
  template <typename Visit>
  void ForEach(const Stretch& stretch, const Visit& visit) {
    for (int v : stretch.inside) visit(v);
    if (stretch.exit >= 0) visit(stretch.exit);
  }

  const SharedNetwork& network_;
  const Unary* unary_;
  std::vector<std::vector<const SharedNetwork::Edge*>> in_;   // between variables with a choice
  std::vector<std::vector<const std::vector<double>*>> own_;  // tables with variables without one
  std::vector<int> place_;
  const std::vector<int> cuts_;
  std::vector<Stretch> stretches_;
  double constant_ = 0;
};

namespace {

// The choices inside the stretches that are tables, given those at the cuts. Copies of a stretch between equal
// ends are decoded once.
void Decode(const std::vector<Stretch>& stretches, std::vector<int>* choice) {
  absl::flat_hash_map<std::tuple<const SolvedSegment*, int, int>, std::vector<int>> known;
  auto value = [&](int v) { return v < 0 ? 0 : (*choice)[static_cast<size_t>(v)]; };
  for (const Stretch& stretch : stretches) {
    if (!stretch.solved) continue;
    const int entry = value(stretch.entry), exit = value(stretch.exit);
    std::vector<int>& values = known[{stretch.solved.get(), entry, exit}];
    if (values.empty()) values = stretch.solved->Decode(entry, exit);
    for (size_t i = 0; i < stretch.inside.size(); ++i) (*choice)[static_cast<size_t>(stretch.inside[i])] = values[i];
  }
}

// Every stretch is a table: the cheapest way along the chain.
absl::StatusOr<Solution> Walk(const std::vector<Stretch>& stretches, size_t count) {
  Solution solution;
  solution.choice.assign(count, 0);
  std::vector<std::vector<double>> cost{{0}};  // per cut: of the cheapest way to each value
  for (const Stretch& stretch : stretches) {
    const std::vector<double>& table = stretch.solved->table();
    const size_t columns = static_cast<size_t>(stretch.solved->exit_size());
    std::vector<double> next(columns, kInfinity);
    for (size_t i = 0; i < cost.back().size(); ++i) {
      const double before = cost.back()[i];
      const double* row = table.data() + i * columns;
      for (size_t j = 0; j < columns; ++j) next[j] = std::min(next[j], before + row[j]);
    }
    cost.push_back(std::move(next));
  }
  size_t at = static_cast<size_t>(std::min_element(cost.back().begin(), cost.back().end()) - cost.back().begin());
  solution.cost = cost.back()[at];
  if (solution.cost == kInfinity) return absl::FailedPreconditionError("forbidden pairs leave no choice");
  for (size_t s = stretches.size(); s-- > 0;) {
    if (stretches[s].exit >= 0) solution.choice[static_cast<size_t>(stretches[s].exit)] = static_cast<int>(at);
    const std::vector<double>& table = stretches[s].solved->table();
    const size_t columns = static_cast<size_t>(stretches[s].solved->exit_size());
    size_t from = 0;
    while (cost[s][from] + table[from * columns + at] != cost[s + 1][at]) ++from;
    at = from;
  }
  solution.lower_bound = solution.cost;
  solution.exact = true;
  solution.engine = "elimination";
  return solution;
}

// Stretches that are no tables go to the search engine, with the tables between them.
template <typename Chain>
absl::StatusOr<Solution> Search(Chain& chain, const SolveOptions& options, const WaitLimit& limit) {
  CostNetwork rest;
  std::vector<int> left(chain.size(), -1);
  auto add = [&](int v, std::vector<double> costs) {
    left[static_cast<size_t>(v)] = static_cast<int>(rest.unary.size());
    rest.unary.push_back(std::move(costs));
  };
  for (const Stretch& stretch : chain.stretches()) {
    if (!stretch.solved) {
      for (int v : stretch.inside) add(v, chain.CostsOf(v));
      if (stretch.exit >= 0) add(stretch.exit, chain.CostsOf(stretch.exit));
      for (int v : stretch.inside) {
        for (const SharedNetwork::Edge* edge : chain.in(v))
          rest.edges.push_back({left[static_cast<size_t>(edge->a)], left[static_cast<size_t>(v)], *edge->cost});
      }
      if (stretch.exit < 0) continue;
      for (const SharedNetwork::Edge* edge : chain.in(stretch.exit)) {
        rest.edges.push_back(
            {left[static_cast<size_t>(edge->a)], left[static_cast<size_t>(stretch.exit)], *edge->cost});
      }
      continue;
    }
    const std::vector<double>& table = stretch.solved->table();
    if (stretch.exit >= 0) {
      // With a stretch before, its own cost is in the table of the pair.
      add(stretch.exit, stretch.entry < 0 ? table : std::vector<double>(chain.CostsOf(stretch.exit).size(), 0));
    } else if (stretch.entry >= 0) {
      std::vector<double>& costs = rest.unary[static_cast<size_t>(left[static_cast<size_t>(stretch.entry)])];
      for (size_t k = 0; k < costs.size(); ++k) costs[k] += table[k];
    }
    if (stretch.entry >= 0 && stretch.exit >= 0)
      rest.edges.push_back({left[static_cast<size_t>(stretch.entry)], left[static_cast<size_t>(stretch.exit)], table});
  }
  ASSIGN_OR_RETURN(Solution solution, Solve(rest, options, limit));
  std::vector<int> choice(chain.size(), 0);
  for (size_t v = 0; v < choice.size(); ++v) {
    if (left[v] >= 0) choice[v] = solution.choice[static_cast<size_t>(left[v])];
  }
  solution.choice = std::move(choice);
  return solution;
}

}  // namespace

CostNetwork SharedNetwork::Expand() const {
  CostNetwork network;
  for (const std::vector<double>* costs : unary) network.unary.push_back(*costs);
  for (const Edge& edge : edges) network.edges.push_back({edge.a, edge.b, *edge.cost});
  return network;
}

std::vector<int> CutVariables(const SharedNetwork& network) {
  // Edges that go past each variable, as differences.
  std::vector<int> past(network.unary.size() + 1, 0);
  for (const SharedNetwork::Edge& edge : network.edges) {
    if (IsFixed(network, edge.a) || IsFixed(network, edge.b)) continue;
    ++past[static_cast<size_t>(edge.a) + 1];
    --past[static_cast<size_t>(edge.b)];
  }
  std::vector<int> cuts;
  for (int v = 0, open = 0; v < static_cast<int>(network.unary.size()); ++v) {
    open += past[static_cast<size_t>(v)];
    if (open == 0 && !IsFixed(network, v)) cuts.push_back(v);
  }
  return cuts;
}

const std::shared_ptr<const SolvedSegment>* SegmentCache::Find(const std::vector<uintptr_t>& look) const {
  auto it = segments_.find(look);
  if (it != segments_.end()) return &it->second;
  return shared_ == nullptr ? nullptr : shared_->Find(look);
}

FoldedNetwork::FoldedNetwork(const SharedNetwork& network) : chain_(std::make_unique<Chain>(network)) {}

FoldedNetwork::~FoldedNetwork() = default;

const std::vector<int>& FoldedNetwork::cuts() const { return chain_->cuts(); }

absl::StatusOr<Solution> FoldedNetwork::Solve(const Unary& unary, SegmentCache& cache, const SolveOptions& options,
                                              const WaitLimit& limit) {
  Chain& chain = *chain_;
  chain.SetCosts(unary);
  bool all = true;
  for (Stretch& stretch : chain.stretches()) {
    std::vector<uintptr_t> look = chain.LookOf(stretch);
    if (const auto* known = cache.Find(look)) {
      stretch.solved = *known;
    } else {
      RETURN_IF_ERROR(limit.Check("the planner"));
      stretch.solved = chain.Solve(stretch);
      cache.Add(std::move(look), stretch.solved);
    }
    all = all && stretch.solved != nullptr;
  }
  ASSIGN_OR_RETURN(Solution solution, all ? Walk(chain.stretches(), chain.size()) : Search(chain, options, limit));
  Decode(chain.stretches(), &solution.choice);
  solution.cost += chain.constant();
  solution.lower_bound += chain.constant();
  solution.statistics.variables = static_cast<int>(chain.size());
  solution.engine = "folding+" + solution.engine;
  return solution;
}

}  // namespace omserve
