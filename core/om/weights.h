// Where the constants of a slice lie in its WEIGHTS_DATA partition.
#ifndef OMSERVE_CORE_OM_WEIGHTS_H_
#define OMSERVE_CORE_OM_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/graph/graph.h"

namespace omserve {

// Each constant begins at a multiple of this, the first one at this offset: so compiled OMs have it, and
// offset 0 means "not in WEIGHTS_DATA".
inline constexpr uint64_t kWeightAlignment = 512;

struct WeightRange {
  uint64_t offset = 0;
  uint64_t size = 0;
};

// By id of the Const node. A constant without an entry is stored inside the graph description.
using WeightRanges = absl::flat_hash_map<int32_t, WeightRange>;

// Receives bytes in order.
using ByteSink = std::function<absl::Status(const void* data, size_t size)>;

// Made once for a graph, which must outlive it. Constants with the same bytes are stored once: large ones are
// compared by where their source lies, small ones by content.
class WeightPlan {
 public:
  // Places the constants of `order` in this order. Constants without bytes get no range.
  WeightPlan(const Graph& graph, absl::Span<const int32_t> order);

  const WeightRanges& ranges() const { return ranges_; }
  // Of the partition: 0, or a multiple of kWeightAlignment.
  uint64_t size() const { return size_; }
  // Gives the bytes of the partition, straight from where the constants are mapped.
  absl::Status Stream(const ByteSink& sink) const;

 private:
  struct Block {
    const TensorSlice* constant;
    uint64_t offset;
    uint64_t size;
  };
  WeightRanges ranges_;
  std::vector<Block> blocks_;
  uint64_t size_ = 0;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_WEIGHTS_H_
