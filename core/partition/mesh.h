// Mesh: the devices of a plan in a grid of axes. By default axis sizes are primes (8 devices: axes 2x2x2), so every
// factorisation of the device count is a set of axes, and sizes that are no power of two need no special case. Large
// meshes take few, composite axes instead (MeshCandidates), because the number of shardings grows with that of axes.
#ifndef OMSERVE_CORE_PARTITION_MESH_H_
#define OMSERVE_CORE_PARTITION_MESH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"

namespace omserve {

// Mesh axes, major to minor.
using AxisList = absl::InlinedVector<int8_t, 4>;
using AxisMask = uint32_t;

AxisMask MaskOf(const AxisList& axes);
// The non-empty subsets of a mask, each in ascending order.
std::vector<AxisList> SubsetsOf(AxisMask mask);

// Ranks number the devices row-major over the axes: the last axis varies fastest. A value.
class Mesh {
 public:
  // One rank per entry of `devices` (positions in the cluster, nearest neighbours first).
  explicit Mesh(std::vector<int> devices);
  // With given axis sizes, whose product must be the number of devices.
  Mesh(std::vector<int> devices, std::vector<int> axis_sizes);

  int size() const { return static_cast<int>(devices_.size()); }
  int num_axes() const { return static_cast<int>(axis_sizes_.size()); }
  int axis_size(int axis) const { return axis_sizes_[axis]; }
  // Product of the sizes of the axes.
  int64_t Parts(const AxisList& axes) const;
  int64_t PartsOfMask(AxisMask axes) const;
  AxisMask all_axes() const { return (AxisMask{1} << num_axes()) - 1; }

  int device(int rank) const { return devices_[rank]; }
  const std::vector<int>& devices() const { return devices_; }
  const std::vector<int>& axis_sizes() const { return axis_sizes_; }

  // Coordinate of `rank` on `axis`.
  int Coordinate(int rank, int axis) const { return rank / axis_strides_[axis] % axis_sizes_[axis]; }
  // Index of `rank` among the ranks that differ from it only on `axes`, major to minor.
  int64_t IndexOn(int rank, const AxisList& axes) const;
  // The ranks that differ from `rank` only on `axes`, in the order of IndexOn.
  std::vector<int> GroupOf(int rank, const AxisList& axes) const;
  // All such groups, each once, by their lowest rank.
  std::vector<std::vector<int>> Groups(const AxisList& axes) const;

  // "2x2x2"
  std::string ToString() const;

 private:
  std::vector<int> devices_;
  std::vector<int> axis_sizes_;
  std::vector<int> axis_strides_;
};

// Axis sizes worth trying for a mesh of `devices`: the prime factors while these are few, else one axis of all devices
// and pairs of axes of which the minor one stays inside the nodes of the cluster, whose sizes are all factorisations.
class Cluster;
std::vector<std::vector<int>> MeshCandidates(const Cluster& cluster, const std::vector<int>& devices);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_MESH_H_
