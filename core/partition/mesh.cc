#include "core/partition/mesh.h"

#include <numeric>

#include "absl/strings/str_join.h"

namespace omserve {

AxisMask MaskOf(const AxisList& axes) {
  AxisMask mask = 0;
  for (int8_t axis : axes) mask |= AxisMask{1} << axis;
  return mask;
}

Mesh::Mesh(std::vector<int> devices) : devices_(std::move(devices)) {
  int rest = size();
  // Large primes first: the minor axes, which join near neighbours, are then the flexible twos.
  std::vector<int> primes;
  for (int p = 2; rest > 1; ++p) {
    for (; rest % p == 0; rest /= p) primes.push_back(p);
  }
  axis_sizes_.assign(primes.rbegin(), primes.rend());
  axis_strides_.assign(axis_sizes_.size(), 1);
  for (int i = num_axes() - 2; i >= 0; --i) axis_strides_[i] = axis_strides_[i + 1] * axis_sizes_[i + 1];
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

std::string Mesh::ToString() const {
  return axis_sizes_.empty() ? "1" : absl::StrJoin(axis_sizes_, "x");
}

}  // namespace omserve
