// Collectives between the processes of one group: one rank of each process, its leader, takes part.
#ifndef OMSERVE_CORE_COMM_NETWORK_COLLECTIVES_H_
#define OMSERVE_CORE_COMM_NETWORK_COLLECTIVES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/comm/network.h"
#include "core/comm/scratch.h"
#include "core/comm/wait.h"
#include "core/device/device.h"
#include "core/tensor/data_type.h"

namespace omserve {

// Consecutive group ranks of one process.
struct RankRun {
  int first;
  int count;
};

// One process, as the others of a group see it.
struct GroupNode {
  int leader;                   // world rank
  std::vector<RankRun> blocks;  // the group ranks it hosts, ascending
};

// One leader's view of one call. Sizes below are the same on all leaders.
struct NodeExchange {
  NetworkWorker* worker;
  Scratch* scratch;
  absl::Span<const GroupNode> nodes;
  int self;  // index into nodes
  int group;
  uint32_t number;  // of the call in its group
  const CallScope* scope;

  int num_nodes() const { return static_cast<int>(nodes.size()); }
  size_t Send(int node, const void* data, size_t bytes) const;
  size_t Receive(int node, void* data, size_t bytes) const;
  absl::Status WaitAll() const { return worker->WaitAll(*scope); }
};

// data[count] becomes the reduction of everybody's; the same bits everywhere. Small: recursive doubling,
// log2(nodes) messages of the whole. Large: ring, 2 (nodes - 1) messages of a part each.
absl::Status NodeAllReduce(const NodeExchange& exchange, void* data, size_t count, DataType type,
                           CollectiveBackend::Reduction reduction);

// data[group size * block_bytes]: every node comes with its own blocks and leaves with all. Ring.
absl::Status NodeAllGather(const NodeExchange& exchange, std::byte* data, size_t block_bytes);

// input[group size * count]; for each own block: output(block)[count] = reduction of everybody's. Pairwise.
// The first of the own blocks goes to output, the next one behind it. `output` may be where the own blocks
// lie in `input` if these are consecutive.
absl::Status NodeReduceScatter(const NodeExchange& exchange, const std::byte* input, std::byte* output,
                               size_t count, DataType type, CollectiveBackend::Reduction reduction);

// On node `root`, `source` is sent; on the others it arrives in `target`. Binomial tree.
absl::Status NodeBroadcast(const NodeExchange& exchange, const void* source, void* target, size_t bytes,
                           int root);

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_NETWORK_COLLECTIVES_H_
