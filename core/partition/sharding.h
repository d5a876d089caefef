// Sharding: how one tensor lies on a mesh. Each dimension is cut over an ordered list of axes; over the axes of
// `partial` every device holds a summand of the value; over all other axes the value is replicated. An axis occurs at
// most once.
#ifndef OMSERVE_CORE_PARTITION_SHARDING_H_
#define OMSERVE_CORE_PARTITION_SHARDING_H_

#include <string>
#include <vector>

#include "core/partition/mesh.h"
#include "core/tensor/shape.h"

namespace omserve {

struct Sharding {
  absl::InlinedVector<AxisList, 4> dims;
  AxisMask partial = 0;

  static Sharding Replicated(int rank) {
    Sharding sharding;
    sharding.dims.resize(static_cast<size_t>(rank));
    return sharding;
  }

  // Axes that cut a dimension.
  AxisMask CutAxes() const;
  AxisMask UsedAxes() const { return CutAxes() | partial; }
  bool is_replicated() const { return UsedAxes() == 0; }

  bool operator==(const Sharding&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Sharding& s) {
    return H::combine(std::move(h), s.dims, s.partial);
  }
};

// Whether every cut dimension divides evenly and no axis occurs twice.
bool IsLegal(const Mesh& mesh, const Sharding& sharding, absl::Span<const int64_t> shape);

// Shape of the part each rank holds; equal on all ranks because cuts are even.
Shape LocalShape(const Mesh& mesh, const Sharding& sharding, absl::Span<const int64_t> shape);
// First element of `rank`'s part in each dimension.
std::vector<int64_t> LocalBegin(const Mesh& mesh, const Sharding& sharding, absl::Span<const int64_t> shape, int rank);

// "[0.1, -]+sum(2)": dimension 0 cut over axes 0 and 1, dimension 1 whole, partial over axis 2.
std::string ToString(const Sharding& sharding);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SHARDING_H_
