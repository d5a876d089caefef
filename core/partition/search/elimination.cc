#include "core/partition/search/elimination.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

absl::StatusOr<Elimination> Elimination::Plan(const CostNetwork& network, int64_t max_entries, const WaitLimit& limit) {
  Elimination plan(network);
  const size_t n = network.unary.size();
  for (const auto& unary : network.unary) plan.domain_.push_back(static_cast<int>(unary.size()));
  std::vector<std::set<int>> neighbours(n);
  std::vector<std::vector<int>> edges_of(n);
  for (size_t e = 0; e < network.edges.size(); ++e) {
    const auto [a, b] = std::pair(network.edges[e].a, network.edges[e].b);
    neighbours[static_cast<size_t>(a)].insert(b);
    neighbours[static_cast<size_t>(b)].insert(a);
    edges_of[static_cast<size_t>(a)].push_back(static_cast<int>(e));
    edges_of[static_cast<size_t>(b)].push_back(static_cast<int>(e));
  }
  // Entries of the table that eliminating `v` makes.
  const auto table_size = [&](int v) {
    double size = plan.domain(v);
    for (int u : neighbours[static_cast<size_t>(v)]) size *= plan.domain(u);
    return size;
  };
  std::set<std::pair<double, int>> queue;
  for (int v = 0; v < static_cast<int>(n); ++v) queue.insert({table_size(v), v});
  std::vector<int> bucket_of(n, -1);
  double entries = 0;
  while (!queue.empty()) {
    const auto [size, v] = *queue.begin();
    queue.erase(queue.begin());
    entries += size;
    if (entries > static_cast<double>(max_entries)) {
      return absl::ResourceExhaustedError(absl::StrCat("tables of more than ", max_entries, " entries"));
    }
    if (plan.buckets_.size() % 256 == 0) RETURN_IF_ERROR(limit.Check("elimination"));
    Bucket bucket;
    bucket.variable = v;
    bucket.values = static_cast<size_t>(plan.domain(v));
    bucket.scope.assign(neighbours[static_cast<size_t>(v)].begin(), neighbours[static_cast<size_t>(v)].end());
    for (int u : bucket.scope) bucket.entries *= static_cast<size_t>(plan.domain(u));
    plan.width_ = std::max(plan.width_, static_cast<int>(bucket.scope.size()));
    bucket_of[static_cast<size_t>(v)] = static_cast<int>(plan.buckets_.size());
    std::vector<double> old_size;
    for (int u : bucket.scope) old_size.push_back(table_size(u));
    for (int u : bucket.scope) {
      neighbours[static_cast<size_t>(u)].erase(v);
      for (int w : bucket.scope) {
        if (w != u) neighbours[static_cast<size_t>(u)].insert(w);
      }
    }
    for (size_t i = 0; i < bucket.scope.size(); ++i) {
      queue.erase({old_size[i], bucket.scope[i]});
      queue.insert({table_size(bucket.scope[i]), bucket.scope[i]});
    }
    plan.buckets_.push_back(std::move(bucket));
  }
  plan.buckets_.emplace_back();
  const int last = static_cast<int>(n);
  for (int b = 0; b < last; ++b) {
    Bucket& bucket = plan.buckets_[static_cast<size_t>(b)];
    bucket.parent = last;
    for (int u : bucket.scope) bucket.parent = std::min(bucket.parent, bucket_of[static_cast<size_t>(u)]);
    for (int e : edges_of[static_cast<size_t>(bucket.variable)]) {
      const CostNetwork::Edge& edge = network.edges[static_cast<size_t>(e)];
      const int other = edge.a == bucket.variable ? edge.b : edge.a;
      if (bucket_of[static_cast<size_t>(other)] > b) bucket.edges.push_back(plan.PartOf(bucket, e, {edge.a, edge.b}));
    }
    Bucket& parent = plan.buckets_[static_cast<size_t>(bucket.parent)];
    parent.children.push_back(plan.PartOf(parent, b, bucket.scope));
  }
  return plan;
}

Elimination::Part Elimination::PartOf(const Bucket& bucket, int id, const std::vector<int>& scope) const {
  Part part{id, std::vector<size_t>(bucket.scope.size() + 1, 0)};
  size_t stride = 1;
  for (auto it = scope.rbegin(); it != scope.rend(); ++it) {
    const size_t place = *it == bucket.variable
                             ? bucket.scope.size()
                             : static_cast<size_t>(std::lower_bound(bucket.scope.begin(), bucket.scope.end(), *it) - bucket.scope.begin());
    part.stride[place] = stride;
    stride *= static_cast<size_t>(domain(*it));
  }
  return part;
}

double Elimination::Minimise(const std::vector<std::vector<double>>& unary) {
  for (Bucket& bucket : buckets_) {
    const size_t values = bucket.values;
    bucket.joint.resize(bucket.entries * values);
    for (size_t entry = 0; entry < bucket.entries; ++entry) {
      for (size_t k = 0; k < values; ++k) {
        bucket.joint[entry * values + k] = bucket.variable < 0 ? 0 : unary[static_cast<size_t>(bucket.variable)][k];
      }
    }
    const auto add = [&](const Part& part, const std::vector<double>& table) {
      const size_t step = part.stride.back();
      Walk(bucket, part, [&](size_t entry, size_t place) {
        double* row = &bucket.joint[entry * values];
        for (size_t k = 0; k < values; ++k) row[k] += table[place + k * step];
      });
    };
    for (const Part& part : bucket.edges) add(part, network_->edges[static_cast<size_t>(part.id)].cost);
    for (const Part& part : bucket.children) add(part, buckets_[static_cast<size_t>(part.id)].least);
    bucket.least.resize(bucket.entries);
    for (size_t entry = 0; entry < bucket.entries; ++entry) {
      const double* row = &bucket.joint[entry * values];
      bucket.least[entry] = *std::min_element(row, row + values);
    }
  }
  return buckets_.back().least[0];
}

std::vector<int> Elimination::Choice() const {
  std::vector<int> choice(domain_.size(), 0);
  for (auto bucket = buckets_.rbegin() + 1; bucket != buckets_.rend(); ++bucket) {
    size_t entry = 0;
    for (int u : bucket->scope) entry = entry * static_cast<size_t>(domain(u)) + static_cast<size_t>(choice[static_cast<size_t>(u)]);
    const double* row = &bucket->joint[entry * bucket->values];
    choice[static_cast<size_t>(bucket->variable)] = static_cast<int>(std::min_element(row, row + bucket->values) - row);
  }
  return choice;
}

void Elimination::FindOutside() {
  buckets_.back().outside = {0};
  for (auto bucket = buckets_.rbegin(); bucket != buckets_.rend(); ++bucket) {
    for (const Part& part : bucket->children) {
      Bucket& child = buckets_[static_cast<size_t>(part.id)];
      child.outside.assign(child.entries, kInfinity);
      const size_t step = part.stride.back();
      Walk(*bucket, part, [&](size_t entry, size_t place) {
        for (size_t k = 0; k < bucket->values; ++k) {
          const size_t at = place + k * step;
          if (child.least[at] == kInfinity) continue;
          const double rest = bucket->joint[entry * bucket->values + k] - child.least[at] + bucket->outside[entry];
          child.outside[at] = std::min(child.outside[at], rest);
        }
      });
    }
  }
}

absl::StatusOr<Solution> SolveByElimination(const CostNetwork& network, int64_t max_entries, const WaitLimit& limit) {
  RETURN_IF_ERROR(network.Validate());
  ASSIGN_OR_RETURN(Elimination elimination, Elimination::Plan(network, max_entries, limit));
  if (elimination.Minimise(network.unary) == kInfinity) {
    return absl::FailedPreconditionError("no choice has a finite cost: each one has a forbidden value or pair");
  }
  Solution solution;
  solution.choice = elimination.Choice();
  solution.cost = solution.lower_bound = network.CostOf(solution.choice);
  solution.exact = true;
  solution.statistics.width = elimination.width();
  return solution;
}

}  // namespace omserve
