#include "core/partition/sharding.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace omserve {
namespace {

struct AxisFormatter {
  void operator()(std::string* out, int8_t axis) const { absl::StrAppend(out, static_cast<int>(axis)); }
};

}  // namespace

AxisMask Sharding::CutAxes() const {
  AxisMask mask = 0;
  for (const AxisList& axes : dims) mask |= MaskOf(axes);
  return mask;
}

bool IsLegal(const Mesh& mesh, const Sharding& sharding, absl::Span<const int64_t> shape) {
  if (sharding.dims.size() != shape.size()) return false;
  AxisMask seen = sharding.partial;
  for (size_t d = 0; d < shape.size(); ++d) {
    for (int8_t axis : sharding.dims[d]) {
      const AxisMask bit = AxisMask{1} << axis;
      if (axis >= mesh.num_axes() || (seen & bit)) return false;
      seen |= bit;
    }
    const int64_t parts = mesh.Parts(sharding.dims[d]);
    if (parts > 1 && (shape[d] % parts != 0 || shape[d] == 0)) return false;
  }
  return true;
}

Shape LocalShape(const Mesh& mesh, const Sharding& sharding, absl::Span<const int64_t> shape) {
  Shape local(shape.begin(), shape.end());
  for (size_t d = 0; d < local.size(); ++d) local[d] /= mesh.Parts(sharding.dims[d]);
  return local;
}

std::vector<int64_t> LocalBegin(const Mesh& mesh, const Sharding& sharding, absl::Span<const int64_t> shape,
                                int rank) {
  std::vector<int64_t> begin(shape.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    begin[d] = mesh.IndexOn(rank, sharding.dims[d]) * (shape[d] / mesh.Parts(sharding.dims[d]));
  }
  return begin;
}

std::string ToString(const Sharding& sharding) {
  std::vector<std::string> dims;
  for (const AxisList& axes : sharding.dims) {
    dims.push_back(axes.empty() ? "-" : absl::StrJoin(axes, ".", AxisFormatter()));
  }
  std::string text = absl::StrCat("[", absl::StrJoin(dims, ", "), "]");
  if (sharding.partial != 0) {
    AxisList axes;
    for (int8_t axis = 0; axis < 32; ++axis) {
      if (sharding.partial >> axis & 1) axes.push_back(axis);
    }
    absl::StrAppend(&text, "+sum(", absl::StrJoin(axes, ".", AxisFormatter()), ")");
  }
  return text;
}

}  // namespace omserve
