// Operators that give the same elements another shape. On a device each becomes a Reshape to its local shape.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/emit.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/rule_util.h"
#include "core/ops/schema.h"

namespace omserve {
namespace {

int Rank(const NodeView& view) { return static_cast<int>(view.input_shape(0).size()); }

// --- Reshape
// --------------------------------------------------------------------------------------------------------

// 0 copies the dimension of x (unless allowzero), -1 is what is left over. Copied dimensions cancel, so that
// what is left over can be known although they are not.
absl::StatusOr<Shape> ReshapedShape(const Shape& x, const std::vector<int64_t>& requested, bool allow_zero) {
  auto error = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot reshape ", ToString(x), " to (", absl::StrJoin(requested, ","), "): ", why));
  };
  Shape shape = requested;
  Shape not_copied = x;
  int64_t explicit_product = 1;
  int left_over = -1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] < -1) return error("a negative dimension");
    if (shape[d] == -1) {
      if (left_over >= 0) return error("two dimensions are -1");
      left_over = static_cast<int>(d);
    } else if (shape[d] == 0 && !allow_zero) {
      if (d >= x.size()) return error(absl::StrCat("dimension ", d, " is to be copied, but there is none"));
      shape[d] = x[d];
      not_copied[d] = 1;
    } else {
      ASSIGN_OR_RETURN(explicit_product, MultiplyDims(explicit_product, shape[d]));
    }
  }
  ASSIGN_OR_RETURN(int64_t elements, ProductOfDims(not_copied));
  if (left_over >= 0) {
    if (elements == kUnknownDim) return shape;
    if (explicit_product == 0) return error("what -1 stands for is not determined");
    if (elements % explicit_product != 0) {
      return error(absl::StrCat(elements, " elements are not divisible by ", explicit_product));
    }
    shape[left_over] = elements / explicit_product;
    return shape;
  }
  // Where a copied dimension is 0, neither side has elements, whatever the other dimensions.
  const bool empty =
      std::find(shape.begin(), shape.end(), 0) != shape.end() && std::find(x.begin(), x.end(), 0) != x.end();
  if (elements != kUnknownDim && elements != explicit_product && !empty) {
    return error(absl::StrCat("it has ", elements, " elements where ", explicit_product, " are asked for"));
  }
  return shape;
}

absl::StatusOr<Descs> InferReshape(const NodeView& view) {
  if (view.Attr<int64_t>("axis") != 0 || view.Attr<int64_t>("num_axes") != -1) {
    return absl::UnimplementedError("a partial reshape (attributes 'axis', 'num_axes') is not supported");
  }
  ASSIGN_OR_RETURN(std::vector<int64_t> requested, view.ConstantInts(1));
  ASSIGN_OR_RETURN(Shape shape,
                   ReshapedShape(view.input_shape(0), requested, view.Attr<int64_t>("allowzero") != 0));
  return Descs{{view.input(0).type, shape}};
}

// --- Adding and removing dimensions of size 1
// -------------------------------------------------------------------------

// From parameter 1 when the operator has one, else from the attribute "axes" (Unsqueeze) or "axis".
absl::StatusOr<std::vector<int64_t>> AxesOf(const NodeView& view) {
  const std::string& type = view.node().type();
  if (type == "ExpandDims" || type == "UnsqueezeV3") return view.ConstantInts(1);
  if (type == "SqueezeV3") {
    return view.has_input(1) ? view.ConstantInts(1)
                             : absl::StatusOr<std::vector<int64_t>>(std::vector<int64_t>{});
  }
  return view.Attr<std::vector<int64_t>>(type == "Unsqueeze" ? "axes" : "axis");
}

absl::StatusOr<Descs> InferUnsqueeze(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int64_t> requested, AxesOf(view));
  ASSIGN_OR_RETURN(std::vector<int> axes,
                   NormalizeAxes(requested, Rank(view) + static_cast<int>(requested.size())));
  // Sorted, so that each insertion is at its final place.
  TensorDesc y = view.input(0);
  for (int axis : axes) y.shape.insert(y.shape.begin() + axis, 1);
  return Descs{y};
}

absl::StatusOr<Descs> InferSqueeze(const NodeView& view) {
  ASSIGN_OR_RETURN(std::vector<int64_t> requested, AxesOf(view));
  const TensorDesc& x = view.input(0);
  ASSIGN_OR_RETURN(std::vector<int> axes, NormalizeAxes(requested, Rank(view)));
  if (axes.empty()) {
    if (!IsStatic(x.shape)) {
      return absl::FailedPreconditionError(
          absl::StrCat("x is ", ToString(x), "; without axes its shape must be known"));
    }
    for (int d = 0; d < Rank(view); ++d) {
      if (x.shape[d] == 1) axes.push_back(d);
    }
  }
  for (int axis : axes) {
    if (DimsAgree(x.shape[axis], 1)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("x is ", ToString(x), "; dimension ", axis, " cannot be removed because it is not 1"));
  }
  return Descs{{x.type, ReducedShape(x.shape, axes, /*keep_dims=*/false)}};
}

// --- Flatten
// --------------------------------------------------------------------------------------------------------

// To two dimensions: those before `axis`, and the rest.
absl::StatusOr<Descs> InferFlatten(const NodeView& view) {
  const TensorDesc& x = view.input(0);
  const int64_t requested = view.Attr<int64_t>("axis");
  if (requested < -Rank(view) || requested > Rank(view)) {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'axis' is ", requested, "; x has ", Rank(view), " dimensions"));
  }
  const int axis = static_cast<int>(requested < 0 ? requested + Rank(view) : requested);
  ASSIGN_OR_RETURN(int64_t outer, ProductOfDims(absl::MakeConstSpan(x.shape).first(axis)));
  ASSIGN_OR_RETURN(int64_t inner, ProductOfDims(absl::MakeConstSpan(x.shape).subspan(axis)));
  return Descs{{x.type, {outer, inner}}};
}

// Dimensions axis .. end_axis become one.
absl::StatusOr<Descs> InferFlattenV2(const NodeView& view) {
  const TensorDesc& x = view.input(0);
  if (x.shape.empty()) return Descs{{x.type, {1}}};
  ASSIGN_OR_RETURN_WITH(int begin, NormalizeAxis(view.Attr<int64_t>("axis"), Rank(view)), "attribute 'axis'");
  ASSIGN_OR_RETURN_WITH(int end, NormalizeAxis(view.Attr<int64_t>("end_axis"), Rank(view)),
                        "attribute 'end_axis'");
  if (end < begin) {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'end_axis' (", end, ") is before 'axis' (", begin, ")"));
  }
  ASSIGN_OR_RETURN(int64_t middle,
                   ProductOfDims(absl::MakeConstSpan(x.shape).subspan(begin, end - begin + 1)));
  Shape shape(x.shape.begin(), x.shape.begin() + begin);
  shape.push_back(middle);
  shape.insert(shape.end(), x.shape.begin() + end + 1, x.shape.end());
  return Descs{{x.type, shape}};
}

OpDef ReshapeLike(std::string type, std::vector<InputDef> inputs, std::vector<AttrDef> attrs,
                  InferFunction infer) {
  return {.type = std::move(type),
          .inputs = std::move(inputs),
          .outputs = {"y"},
          .attrs = std::move(attrs),
          .infer = std::move(infer),
          .rule = ReshapeRule(),
          .emit = EmitReshape,
          .cost = NoCost()};
}

}  // namespace

void AddReshapeOps(OpRegistry& registry) {
  const AttrValue no_axes = std::vector<int64_t>{};
  registry.Add(ReshapeLike("Reshape", {Required("x"), Parameter("shape")},
                           {DefaultAttr("axis", int64_t{0}), DefaultAttr("num_axes", int64_t{-1}),
                            DefaultAttr("allowzero", int64_t{0})},
                           InferReshape));
  registry.Add(ReshapeLike("Unsqueeze", {Required("x")}, {DefaultAttr("axes", no_axes)}, InferUnsqueeze));
  registry.Add(ReshapeLike("UnsqueezeV2", {Required("x")}, {DefaultAttr("axis", no_axes)}, InferUnsqueeze));
  registry.Add(ReshapeLike("UnsqueezeV3", {Required("x"), Parameter("axes")}, {}, InferUnsqueeze));
  registry.Add(ReshapeLike("ExpandDims", {Required("x"), Parameter("axis")}, {}, InferUnsqueeze));
  registry.Add(ReshapeLike("Squeeze", {Required("x")}, {DefaultAttr("axis", no_axes)}, InferSqueeze));
  registry.Add(ReshapeLike("SqueezeV2", {Required("x")}, {DefaultAttr("axis", no_axes)}, InferSqueeze));
  registry.Add(ReshapeLike("SqueezeV3", {Required("x"), OptionalParameter("axes")}, {}, InferSqueeze));
  registry.Add(ReshapeLike("Flatten", {Required("x")}, {DefaultAttr("axis", int64_t{1})}, InferFlatten));
  registry.Add(ReshapeLike("FlattenV2", {Required("x")},
                           {DefaultAttr("axis", int64_t{1}), DefaultAttr("end_axis", int64_t{-1})},
                           InferFlattenV2));
}

}  // namespace omserve
