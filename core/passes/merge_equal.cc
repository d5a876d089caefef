#include "core/passes/merge_equal.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "core/base/status.h"
#include "core/passes/fold.h"

namespace omserve {
namespace {

// Larger constants are compared by address only: reading all weights would cost more than it finds.
constexpr size_t kComparedBytes = 1024;

absl::string_view Bytes(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data()), tensor.byte_size()};
}

size_t HashOf(const TensorSlice& value) {
  if (value.byte_size() <= kComparedBytes) {
    return absl::HashOf(value.desc().type, value.shape(), Bytes(value.Materialize()));
  }
  return absl::HashOf(value.source().data(), value.begin(), value.shape());
}

bool SameConstant(const TensorSlice& a, const TensorSlice& b) {
  if (a.desc() != b.desc()) return false;
  if (a.byte_size() <= kComparedBytes) return Bytes(a.Materialize()) == Bytes(b.Materialize());
  return a.source().data() == b.source().data() && a.source().shape() == b.source().shape() &&
         a.begin() == b.begin();
}

// Attributes take no part: nodes that differ in them alone are rare, and meet in Same.
size_t HashOf(const Node& node) {
  if (node.is_const()) return HashOf(*node.constant());
  return absl::HashOf(node.type(), std::vector<ValueId>(node.inputs().begin(), node.inputs().end()));
}

bool Same(const Node& a, const Node& b) {
  if (a.type() != b.type()) return false;
  if (a.is_const()) return SameConstant(*a.constant(), *b.constant());
  return absl::c_equal(a.inputs(), b.inputs()) && a.attrs() == b.attrs() &&
         absl::c_equal(a.outputs(), b.outputs());
}

}  // namespace

absl::StatusOr<int> MergeEqualNodes(Graph& graph) {
  absl::flat_hash_map<size_t, std::vector<int32_t>> seen;
  std::vector<int32_t> kept(
      static_cast<size_t>(graph.id_limit()));  // by node id: the node that stands for it
  auto redirect = [&](ValueId value) {
    return value.valid() ? ValueId{kept[value.node], value.output} : value;
  };

  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  std::vector<int32_t> removed;
  for (int32_t id : order) {
    Node& node = *graph.node(id);
    kept[id] = id;
    for (int i = 0; i < node.num_inputs(); ++i) node.SetInput(i, redirect(node.input(i)));
    if (!IsPure(node)) continue;
    std::vector<int32_t>& candidates = seen[HashOf(node)];
    const auto equal =
        absl::c_find_if(candidates, [&](int32_t other) { return Same(*graph.node(other), node); });
    if (equal == candidates.end()) {
      candidates.push_back(id);
    } else {
      kept[id] = *equal;
      removed.push_back(id);
    }
  }
  for (GraphOutput& output : graph.mutable_outputs()) output.value = redirect(output.value);
  for (int32_t id : removed) graph.Remove(id);
  return static_cast<int>(removed.size());
}

}  // namespace omserve
