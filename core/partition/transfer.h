// Transfers: how a value gets from the mesh of one pipeline stage to that of another.
//
// The sender reshards to something without summands, each receiving rank gets one message with its box of the
// value from a sending rank that holds it, and reshards what it got. One function gives the messages and
// their price.
#ifndef OMSERVE_CORE_PARTITION_TRANSFER_H_
#define OMSERVE_CORE_PARTITION_TRANSFER_H_

#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/node_hash_map.h"
#include "core/cluster/cluster.h"
#include "core/partition/reshard.h"

namespace omserve {

struct Transfer {
  Sharding sent;             // on the sending mesh
  Sharding received;         // on the receiving mesh
  std::vector<int> sources;  // per receiving rank: the sending rank (both within their meshes)
  double send_seconds = 0;   // of the messages
  double seconds = 0;        // with both reshards
};

// Finds the cheapest transfers between two meshes. Remembers; not thread-safe. The resharders must outlive
// it.
class TransferPlanner {
 public:
  // The meshes say which devices the messages go between; the resharders may be those of other meshes of the
  // same form.
  TransferPlanner(Resharder& from, Resharder& to, Mesh from_mesh, Mesh to_mesh, const Cluster& cluster)
      : from_(from),
        to_(to),
        from_mesh_(std::move(from_mesh)),
        to_mesh_(std::move(to_mesh)),
        cluster_(cluster) {}

  // `produced` on the sending mesh → `wanted` on the receiving mesh. There always is a way when `wanted` has
  // no summands; else seconds is infinite.
  const Transfer& Best(const Sharding& produced, const Sharding& wanted, const TensorDesc& desc);

 private:
  const Transfer& Messages(const Sharding& sent, const Sharding& received, const TensorDesc& desc);

  Resharder& from_;
  Resharder& to_;
  const Mesh from_mesh_, to_mesh_;
  const Cluster& cluster_;
  using Key = std::tuple<Shape, int, Sharding, Sharding>;
  absl::node_hash_map<Key, Transfer> best_, messages_;
};

// Whether the box (first element, extent) lies inside the outer one.
bool BoxContains(const std::vector<int64_t>& outer_begin, const Shape& outer_extent,
                 const std::vector<int64_t>& begin, const Shape& extent);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_TRANSFER_H_
