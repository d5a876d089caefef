#include "core/partition/mesh.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_join.h"
#include "core/cluster/cluster.h"

namespace omserve {

AxisMask MaskOf(const AxisList& axes) {
  AxisMask mask = 0;
  for (int8_t axis : axes) mask |= AxisMask{1} << axis;
  return mask;
}

std::vector<AxisList> SubsetsOf(AxisMask mask) {
  std::vector<AxisList> subsets;
  for (AxisMask subset = mask; subset != 0; subset = (subset - 1) & mask) {
    AxisList axes;
    for (int8_t axis = 0; axis < 32; ++axis) {
      if (subset >> axis & 1) axes.push_back(axis);
    }
    subsets.push_back(std::move(axes));
  }
  return subsets;
}

namespace {

// Large primes first: the minor axes, which join near neighbours, are then the flexible twos.
std::vector<int> PrimeFactors(int rest) {
  std::vector<int> primes;
  for (int p = 2; rest > 1; ++p) {
    for (; rest % p == 0; rest /= p) primes.push_back(p);
  }
  return std::vector<int>(primes.rbegin(), primes.rend());
}

}  // namespace

Mesh::Mesh(std::vector<int> devices) : Mesh(devices, PrimeFactors(static_cast<int>(devices.size()))) {}

Mesh::Mesh(std::vector<int> devices, std::vector<int> axis_sizes)
    : devices_(std::move(devices)), axis_sizes_(std::move(axis_sizes)) {
  axis_strides_.assign(axis_sizes_.size(), 1);
  for (int i = num_axes() - 2; i >= 0; --i) axis_strides_[i] = axis_strides_[i + 1] * axis_sizes_[i + 1];
}

std::vector<std::vector<int>> MeshCandidates(const Cluster& cluster, const std::vector<int>& devices) {
  constexpr size_t kMostPrimes = 2;
  const int count = static_cast<int>(devices.size());
  std::vector<int> primes = PrimeFactors(count);
  if (primes.size() <= kMostPrimes) return {std::move(primes)};
  // Devices in a row that share a node: the run every node has at least.
  int inside = 0, run = 0;
  for (int i = 0; i < count; ++i) {
    const bool same = i > 0 && cluster.Link(devices[i - 1], devices[i]).Time(1e6) ==
                                   cluster.Link(devices[0], devices[1]).Time(1e6);
    run = same ? run + 1 : 1;
    inside = std::max(inside, run);
  }
  std::vector<std::vector<int>> candidates{{count}};
  for (int minor = 2; minor < count && minor <= inside; ++minor) {
    if (count % minor == 0 && inside % minor == 0) candidates.push_back({count / minor, minor});
  }
  return candidates;
}

int64_t Mesh::Parts(const AxisList& axes) const {
  int64_t parts = 1;
  for (int8_t axis : axes) parts *= axis_sizes_[axis];
  return parts;
}

int64_t Mesh::PartsOfMask(AxisMask axes) const {
  int64_t parts = 1;
  for (int axis = 0; axis < num_axes(); ++axis) {
    if (axes >> axis & 1) parts *= axis_sizes_[axis];
  }
  return parts;
}

int64_t Mesh::IndexOn(int rank, const AxisList& axes) const {
  int64_t index = 0;
  for (int8_t axis : axes) index = index * axis_sizes_[axis] + Coordinate(rank, axis);
  return index;
}

std::vector<int> Mesh::GroupOf(int rank, const AxisList& axes) const {
  int base = rank;
  for (int8_t axis : axes) base -= Coordinate(rank, axis) * axis_strides_[axis];
  std::vector<int> group(static_cast<size_t>(Parts(axes)));
  for (size_t index = 0; index < group.size(); ++index) {
    int64_t rest = static_cast<int64_t>(index);
    group[index] = base;
    for (auto it = axes.rbegin(); it != axes.rend(); ++it) {
      group[index] += static_cast<int>(rest % axis_sizes_[*it]) * axis_strides_[*it];
      rest /= axis_sizes_[*it];
    }
  }
  return group;
}

std::vector<std::vector<int>> Mesh::Groups(const AxisList& axes) const {
  std::vector<std::vector<int>> groups;
  for (int rank = 0; rank < size(); ++rank) {
    if (IndexOn(rank, axes) == 0) groups.push_back(GroupOf(rank, axes));
  }
  return groups;
}

std::string Mesh::ToString() const { return axis_sizes_.empty() ? "1" : absl::StrJoin(axis_sizes_, "x"); }

}  // namespace omserve
