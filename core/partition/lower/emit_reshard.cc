// Reshard steps as operators. Hcom* operators join and cut dimension 0 of dense data, so a step on another dimension is
// wrapped into reshapes and a transpose.
#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/ops/emit.h"
#include "core/ops/op.h"
#include "core/partition/lower/lower.h"

namespace omserve {
namespace {

int64_t Product(absl::Span<const int64_t> dims) { return NumElements(dims); }

// Adds operators to one slice under a common name prefix.
class StepEmitter {
 public:
  StepEmitter(Graph& slice, std::string name) : slice_(slice), name_(std::move(name)) {}

  absl::StatusOr<ValueId> Add(const std::string& type, std::vector<ValueId> inputs, AttrMap attrs = {}) {
    Node* node = slice_.AddNode(type, absl::StrCat(name_, "/", type), std::move(inputs));
    for (auto& [key, value] : attrs) node->SetAttr(key, std::move(value));
    RETURN_IF_ERROR(InferNode(slice_, *node));
    return node->out();
  }

  ValueId Ints(const std::string& what, const std::vector<int64_t>& values) {
    return slice_.AddConst(absl::StrCat(name_, "/", what), Tensor::Int64s(values))->out();
  }

  absl::StatusOr<ValueId> Reshape(ValueId x, const Shape& shape) {
    if (slice_.desc(x).shape == shape) return x;
    return Add("Reshape", {x, Ints("shape", shape)});
  }

  absl::StatusOr<ValueId> Transpose(ValueId x, const std::vector<int64_t>& perm) {
    // Moving only dimensions of size 1 moves no data.
    std::vector<int64_t> moving;
    for (int64_t axis : perm) {
      if (slice_.desc(x).shape[axis] != 1) moving.push_back(axis);
    }
    if (std::is_sorted(moving.begin(), moving.end())) {
      Shape shape;
      for (int64_t axis : perm) shape.push_back(slice_.desc(x).shape[axis]);
      return Reshape(x, shape);
    }
    return Add("Transpose", {x, Ints("perm", perm)});
  }

 private:
  Graph& slice_;
  const std::string name_;
};

absl::StatusOr<ValueId> EmitSlice(StepEmitter& emit, const Mesh& mesh, int rank, ValueId value, const Shape& shape,
                                  const ReshardStep& step) {
  const int64_t parts = mesh.Parts(step.axes);
  std::vector<int64_t> begin(shape.size(), 0);
  Shape size = shape;
  size[step.dim] /= parts;
  begin[step.dim] = mesh.IndexOn(rank, step.axes) * size[step.dim];
  return emit.Add("Slice", {value, emit.Ints("offsets", begin), emit.Ints("size", size)});
}

// [A, p*d, B] of summands → [A, d, B] of the sum.
absl::StatusOr<ValueId> EmitReduceScatter(StepEmitter& emit, ValueId value, const Shape& shape, int dim, int64_t p,
                                          const AttrMap& attrs) {
  const absl::Span<const int64_t> dims(shape);
  const int64_t a = Product(dims.subspan(0, dim)), d = shape[dim] / p, b = Product(dims.subspan(dim + 1));
  Shape part = shape;
  part[dim] = d;
  ASSIGN_OR_RETURN(ValueId x, emit.Reshape(value, {a, p, d, b}));
  ASSIGN_OR_RETURN(x, emit.Transpose(x, {1, 0, 2, 3}));
  ASSIGN_OR_RETURN(x, emit.Reshape(x, {p * a * d, b}));
  ASSIGN_OR_RETURN(x, emit.Add("HcomReduceScatter", {x}, attrs));
  return emit.Reshape(x, part);
}

// `dim` grows by p, `to_dim` shrinks by p.
absl::StatusOr<ValueId> EmitAllToAll(StepEmitter& emit, ValueId value, const Shape& shape, int dim, int to_dim,
                                     int64_t p, const AttrMap& attrs) {
  const int rank = static_cast<int>(shape.size());
  // Split to_dim into (p, rest) and bring p to the front: block r is what rank r gets.
  Shape split = shape;
  split[to_dim] /= p;
  Shape with_parts = split;
  with_parts.insert(with_parts.begin() + to_dim, p);
  std::vector<int64_t> to_front{to_dim};
  for (int i = 0; i <= rank; ++i) {
    if (i != to_dim) to_front.push_back(i);
  }
  ASSIGN_OR_RETURN(ValueId x, emit.Reshape(value, with_parts));
  ASSIGN_OR_RETURN(x, emit.Transpose(x, to_front));
  ASSIGN_OR_RETURN(x, emit.Reshape(x, {p, Product(split)}));
  ASSIGN_OR_RETURN(x, emit.Add("HcomAllToAll", {x}, attrs));
  // Block r is rank r's part along dim: put it just before dim and join.
  Shape received = split;
  received.insert(received.begin(), p);
  std::vector<int64_t> before_dim;
  for (int i = 0; i < rank; ++i) {
    if (i == dim) before_dim.push_back(0);
    before_dim.push_back(i + 1);
  }
  Shape joined = split;
  joined[dim] *= p;
  ASSIGN_OR_RETURN(x, emit.Reshape(x, received));
  ASSIGN_OR_RETURN(x, emit.Transpose(x, before_dim));
  return emit.Reshape(x, joined);
}

}  // namespace

std::string GroupName(const Mesh& mesh, int first_rank, int rank, const AxisList& axes,
                      std::vector<SliceGroup>* groups) {
  std::vector<int> ranks = mesh.GroupOf(rank, axes);
  for (int& member : ranks) member += first_rank;
  std::string axes_text;
  for (int8_t axis : axes) absl::StrAppend(&axes_text, axes_text.empty() ? "" : ".", static_cast<int>(axis));
  std::string name = absl::StrCat("mesh_axes_", axes_text, "_from_rank_", ranks[0]);
  for (const SliceGroup& group : *groups) {
    if (group.name == name) return name;
  }
  groups->push_back({name, ranks});
  return name;
}

absl::StatusOr<ValueId> EmitReshardStep(Graph& slice, const Mesh& mesh, int first_rank, int rank, ValueId value,
                                        const Sharding& before, const ReshardStep& step, const std::string& name,
                                        std::vector<SliceGroup>* groups) {
  StepEmitter emit(slice, name);
  const Shape shape = slice.desc(value).shape;
  if (step.kind == ReshardStep::Kind::kSlice) return EmitSlice(emit, mesh, rank, value, shape, step);
  const int64_t p = mesh.Parts(step.axes);
  const std::string group = GroupName(mesh, first_rank, rank, step.axes, groups);
  AttrMap attrs{{"group", group}};
  const AttrMap::value_type sum{"reduction", std::string("sum")}, size{"rank_size", p},
      unfused{"fusion", int64_t{0}};
  switch (step.kind) {
    case ReshardStep::Kind::kSlice: break;
    case ReshardStep::Kind::kAllReduce:
      attrs.insert({sum, unfused});
      return emit.Add("HcomAllReduce", {value}, attrs);
    case ReshardStep::Kind::kAllGather:
      return AddAllGather(slice, absl::StrCat(name, "/HcomAllGather"), value, step.dim, p, group);
    case ReshardStep::Kind::kReduceScatter:
      attrs.insert({sum, size, unfused});
      return EmitReduceScatter(emit, value, shape, step.dim, p, attrs);
    case ReshardStep::Kind::kAllToAll:
      return EmitAllToAll(emit, value, shape, step.dim, step.to_dim, p, attrs);
  }
  return absl::InternalError("unknown reshard step");
}

}  // namespace omserve
