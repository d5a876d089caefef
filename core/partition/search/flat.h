// FlatNetwork: a contracted network laid out for message passing and block moves. Read-only and shared by threads.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_FLAT_H_
#define OMSERVE_CORE_PARTITION_SEARCH_FLAT_H_

#include <cstddef>
#include <span>
#include <vector>

#include "core/partition/search/network.h"

namespace omserve {

struct FlatNetwork {
  // One end of an edge, as seen from a variable v: `own` points at its table [value of v][value of other], `across` at
  // [value of other][value of v], so that either direction is read along memory.
  struct Link {
    int other = 0;
    int edge = 0;
    size_t own = 0;
    size_t across = 0;
    size_t message = 0;          // offset of this end's message (size of v)
    size_t other_message = 0;    // offset of the other end's
  };
  struct Usage {
    int first = 0, end = 0;
    size_t amount = 0;
  };

  explicit FlatNetwork(const CostNetwork& network);

  int variables() const { return static_cast<int>(size.size()); }
  int edge_count() const { return static_cast<int>(edges.size()); }
  std::span<const Link> LinksOf(int v) const { return {&links[first_link[v]], first_link[v + 1] - first_link[v]}; }
  std::span<const Usage> UsagesOf(int v) const { return {&usages[first_usage[v]], first_usage[v + 1] - first_usage[v]}; }
  double CostOf(const std::vector<int>& choice) const;
  // Use of each row less its slack.
  std::vector<double> Excess(const std::vector<int>& choice) const;

  std::vector<int> size;        // per variable
  std::vector<size_t> offset;   // of its values in `unary`; one more at the end
  std::vector<double> unary;
  std::vector<double> tables;   // both orientations of each edge
  std::vector<std::pair<int, int>> edges;
  std::vector<Link> links;
  std::vector<size_t> first_link;
  size_t message_entries = 0;
  std::vector<Usage> usages;
  std::vector<size_t> first_usage;
  std::vector<double> amounts;
  std::vector<double> slack;    // per row
};

// out[l] = min over k of (h[k] + table[k][l]).
void MinPlus(const double* h, const double* table, int rows, int columns, double* out);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_FLAT_H_
