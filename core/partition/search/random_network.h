// Random networks and their optima by trying everything, for the tests of this folder.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_RANDOM_NETWORK_H_
#define OMSERVE_CORE_PARTITION_SEARCH_RANDOM_NETWORK_H_

#include <limits>
#include <random>
#include <vector>

#include "core/partition/search/network.h"

namespace omserve {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Shape {
  int max_variables = 7, max_values = 4;
  double density = 0.4, forbidden = 0.15;
  int rows = 0;
};

inline int Uniform(std::mt19937& rng, int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); }

inline void AddRandomEdge(std::mt19937& rng, CostNetwork& network, int a, int b, double forbidden, bool functions = true) {
  CostNetwork::Edge edge{a, b, {}};
  edge.cost.resize(network.unary[a].size() * network.unary[b].size());
  // A third are near functions: what contraction lives on.
  const bool function = functions && Uniform(rng, 0, 2) == 0;
  for (size_t i = 0; i < edge.cost.size(); ++i) {
    const bool diagonal = i / network.unary[b].size() % network.unary[b].size() == i % network.unary[b].size();
    const bool bad = function ? !diagonal : Uniform(rng, 0, 999) < forbidden * 1000;
    edge.cost[i] = bad ? kInfinity : Uniform(rng, 0, 20);
  }
  network.edges.push_back(edge);
}

inline CostNetwork RandomNetwork(std::mt19937& rng, const Shape& shape) {
  CostNetwork network;
  const int n = Uniform(rng, 1, shape.max_variables);
  for (int v = 0; v < n; ++v) {
    std::vector<double> unary(static_cast<size_t>(Uniform(rng, 1, shape.max_values)));
    for (double& cost : unary) cost = Uniform(rng, 0, 20);
    network.unary.push_back(unary);
  }
  for (int a = 0; a < n; ++a) {
    for (int b = 0; b < n; ++b) {
      if (a != b && Uniform(rng, 0, 999) < shape.density * 1000) AddRandomEdge(rng, network, a, b, shape.forbidden);
    }
  }
  if (shape.rows == 0) return network;
  for (int row = 0; row < shape.rows; ++row) network.row_limit.push_back(Uniform(rng, 4 * n, 9 * n));
  for (int v = 0; v < n; ++v) {
    for (int i = Uniform(rng, 0, 2); i > 0; --i) {
      const int first = Uniform(rng, 0, shape.rows - 1);
      CostNetwork::Usage usage{v, first, Uniform(rng, first, shape.rows), {}};
      for (size_t k = 0; k < network.unary[v].size(); ++k) usage.amount.push_back(Uniform(rng, 0, 12));
      network.usages.push_back(usage);
    }
  }
  return network;
}

// The least cost of the choices that keep the rows; infinity when there is none. `any` tells of choices that do not.
inline double BruteForce(const CostNetwork& network, bool* any = nullptr) {
  std::vector<int> choice(network.unary.size(), 0);
  double best = kInfinity;
  while (true) {
    const double cost = network.CostOf(choice);
    if (any != nullptr && cost < kInfinity) *any = true;
    if (cost < best && network.ExcessOf(choice).row < 0) best = cost;
    size_t i = 0;
    while (i < choice.size() && ++choice[i] == static_cast<int>(network.unary[i].size())) choice[i++] = 0;
    if (i == choice.size()) return best;
  }
}

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_RANDOM_NETWORK_H_
