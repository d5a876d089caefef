// Shapes and layout: what rearranges elements without touching them.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/import/onnx/converter.h"

namespace omserve {
namespace {

constexpr int64_t kToTheEnd = std::numeric_limits<int64_t>::max();

// The number of elements of a vector, where it is a constant; -1 else.
int LengthOf(Conversion& c, int input) {
  const TensorSlice* constant = c.constant(c.optional_input(input));
  return constant != nullptr && constant->shape().size() == 1 ? static_cast<int>(constant->shape()[0]) : -1;
}

absl::Status ConvertReshape(Conversion& c) {
  AttrMap attrs;
  // A 0 in the shape copies a dimension, unless this is set.
  if (c.Int("allowzero", 0) != 0) attrs["allowzero"] = int64_t{1};
  const ValueInfo info{c.type(0), LengthOf(c, 1)};
  c.SetOutput(0, c.Node("Reshape", {c.input(0), c.input(1)}, std::move(attrs), info));
  return absl::OkStatus();
}

absl::Status ConvertFlatten(Conversion& c) {
  c.SetOutput(0, c.Node("Flatten", {c.input(0)}, {{"axis", c.Axis("axis", 1)}}, c.info(0).OfRank(2)));
  return absl::OkStatus();
}

absl::Status ConvertSqueeze1(Conversion& c) {
  const std::vector<int64_t> axes = c.Ints("axes");
  ValueInfo info{c.type(0)};
  const int removed = static_cast<int>(axes.size());
  if (removed > 0 && c.rank(0) >= removed) info.rank = c.rank(0) - removed;
  c.SetOutput(0, c.Node("Squeeze", {c.input(0)}, {{"axis", axes}}, info));
  return absl::OkStatus();
}

absl::Status ConvertSqueeze13(Conversion& c) {
  ValueInfo info{c.type(0)};
  const int removed = LengthOf(c, 1);
  if (removed > 0 && c.rank(0) >= removed) info.rank = c.rank(0) - removed;
  c.SetOutput(0, c.Node("SqueezeV3", {c.input(0), c.optional_input(1)}, {}, info));
  return absl::OkStatus();
}

absl::Status ConvertUnsqueeze1(Conversion& c) {
  const std::vector<int64_t> axes = c.Ints("axes");
  if (axes.empty()) return absl::InvalidArgumentError("its attribute 'axes' is missing");
  ValueInfo info{c.type(0)};
  if (c.rank(0) >= 0) info.rank = c.rank(0) + static_cast<int>(axes.size());
  c.SetOutput(0, c.Node("Unsqueeze", {c.input(0)}, {{"axes", axes}}, info));
  return absl::OkStatus();
}

absl::Status ConvertUnsqueeze13(Conversion& c) {
  ValueInfo info{c.type(0)};
  const int added = LengthOf(c, 1);
  if (added >= 0 && c.rank(0) >= 0) info.rank = c.rank(0) + added;
  c.SetOutput(0, c.Node("UnsqueezeV3", {c.input(0), c.input(1)}, {}, info));
  return absl::OkStatus();
}

absl::Status ConvertTranspose(Conversion& c) {
  const ValueId x = c.input(0);
  ValueId perm;
  if (c.HasAttr("perm")) {
    perm = c.Ints64("perm", c.Ints("perm"));
  } else if (c.rank(0) >= 0) {
    std::vector<int64_t> reversed;
    for (int i = c.rank(0) - 1; i >= 0; --i) reversed.push_back(i);
    perm = c.Ints64("perm", reversed);
  } else {
    const ValueInfo scalar{DataType::kInt64, 0};
    const ValueId last = c.Helper("Sub", {c.RankOf(x), c.Int64("one", 1)}, {}, scalar);
    const ValueId down = c.Int64("step", -1);
    perm = c.Helper("Range", {last, down, down}, {}, scalar.OfRank(1));
  }
  c.SetOutput(0, c.Node("Transpose", {x, perm}, {}, c.info(x)));
  return absl::OkStatus();
}

absl::Status ConvertShape(Conversion& c) {
  // Both may lie beyond the rank and are then cut to it, as StridedSliceV2 does.
  const int64_t start = c.Int("start", 0);
  std::optional<int64_t> end;
  if (c.HasAttr("end")) end = c.Int("end", 0);
  const ValueInfo info{DataType::kInt64, 1};
  ValueId shape = c.Node("Shape", {c.input(0)}, {{"dtype", int64_t{ToAclNumber(DataType::kInt64)}}}, info);
  if (start != 0 || end) shape = c.SliceVector(shape, start, end.value_or(kToTheEnd));
  c.SetOutput(0, shape);
  return absl::OkStatus();
}

absl::Status ConvertSize(Conversion& c) {
  c.SetOutput(0, c.Node("Size", {c.input(0)}, {{"dtype", int64_t{ToAclNumber(DataType::kInt64)}}},
                        {DataType::kInt64, 0}));
  return absl::OkStatus();
}

absl::Status ConvertExpand(Conversion& c) {
  ValueInfo info{c.type(0)};
  if (const int length = LengthOf(c, 1); length >= 0 && c.rank(0) >= 0) info.rank = std::max(length, c.rank(0));
  c.SetOutput(0, c.Node("Expand", {c.input(0), c.input(1)}, {}, info));
  return absl::OkStatus();
}

absl::Status ConvertTile(Conversion& c) {
  c.SetOutput(0, c.Node("Tile", {c.input(0), c.input(1)}, {}, c.info(0)));
  return absl::OkStatus();
}

// -- Pad --

// Cuts off what negative paddings ask for and returns x. `paddings` lose their negative entries.
ValueId CropNegative(Conversion& c, ValueId x, std::vector<int64_t>* paddings) {
  const size_t rank = paddings->size() / 2;
  std::vector<int64_t> begins, ends, axes;
  for (size_t i = 0; i < rank; ++i) {
    int64_t& before = (*paddings)[i];
    int64_t& after = (*paddings)[i + rank];
    if (before >= 0 && after >= 0) continue;
    axes.push_back(static_cast<int64_t>(i));
    // The most negative number has no positive counterpart; cutting off the most possible is the same.
    begins.push_back(before < 0 ? -std::max(before, -kToTheEnd) : 0);
    ends.push_back(after < 0 ? after : kToTheEnd);
    before = std::max<int64_t>(before, 0);
    after = std::max<int64_t>(after, 0);
  }
  if (axes.empty()) return x;
  const std::vector<int64_t> steps(axes.size(), 1);
  return c.Helper("StridedSliceV2",
                  {x, c.Ints64("begin", begins), c.Ints64("end", ends), c.Ints64("axes", axes),
                   c.Ints64("strides", steps)},
                  {}, c.info(x));
}

absl::Status Pad(Conversion& c, ValueId x, ValueId paddings, ValueId value) {
  const std::string mode = c.String("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge") {
    return c.Unsupported(absl::StrCat("its mode '", mode, "'"));
  }
  if (std::optional<std::vector<int64_t>> known = c.ConstantInts(paddings)) {
    if (known->size() % 2 != 0) {
      return absl::InvalidArgumentError(absl::StrCat("its pads are ", known->size(), " numbers, not an even count"));
    }
    if (std::any_of(known->begin(), known->end(), [](int64_t pad) { return pad < 0; })) {
      // Elements are cut off before the rest is padded: for mode constant the order does not matter, for the others
      // ONNX does not say.
      x = CropNegative(c, x, &*known);
      paddings = c.Ints64("paddings", *known);
    }
  }
  c.SetOutput(0, c.Node("PadV3", {x, paddings, mode == "constant" ? value : ValueId{}},
                        {{"mode", mode}, {"paddings_contiguous", false}}, c.info(x)));
  return absl::OkStatus();
}

absl::Status ConvertPad2(Conversion& c) {
  if (!c.HasAttr("pads")) return absl::InvalidArgumentError("its attribute 'pads' is missing");
  const ValueId value = c.Scalar("value", c.Float("value", 0), c.type(0));
  return Pad(c, c.input(0), c.Ints64("paddings", c.Ints("pads")), value);
}

// Pads given for some axes only, as pads of all axes.
absl::StatusOr<ValueId> PadsOfAllAxes(Conversion& c) {
  const std::optional<std::vector<int64_t>> axes = c.ConstantInts(3);
  if (!axes) return c.Unsupported("axes that are not constant");
  const int rank = c.rank(0);
  if (rank < 0) return c.Unsupported("axes for an input whose rank is not known before shape inference");
  const ValueId pads = c.input(1);
  const std::optional<std::vector<int64_t>> known = c.ConstantInts(1);
  if (known && known->size() != 2 * axes->size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("its pads are ", known->size(), " numbers for ", axes->size(), " axes"));
  }
  std::vector<int64_t> indices;
  std::vector<int64_t> all(static_cast<size_t>(2 * rank), 0);
  for (int end = 0; end < 2; ++end) {
    for (size_t i = 0; i < axes->size(); ++i) {
      ASSIGN_OR_RETURN(int axis, NormalizeAxis((*axes)[i], rank));
      indices.push_back(axis + end * rank);
      if (known) all[static_cast<size_t>(indices.back())] = (*known)[i + static_cast<size_t>(end) * axes->size()];
    }
  }
  const ValueId base = c.Ints64("paddings", all);
  if (known) return base;
  const Shape column{static_cast<int64_t>(indices.size()), 1};
  const ValueId places = c.Const("places", TensorSlice(Tensor::Of<int64_t>(column, indices)));
  return c.Helper("TensorScatterUpdate", {base, places, c.Cast(pads, DataType::kInt64)}, {},
                  {DataType::kInt64, 1});
}

absl::Status ConvertPad11(Conversion& c) {
  ValueId paddings = c.input(1);
  if (c.has_input(3)) {
    ASSIGN_OR_RETURN(paddings, PadsOfAllAxes(c));
  }
  return Pad(c, c.input(0), paddings, c.optional_input(2));
}

absl::Status ConvertIdentity(Conversion& c) {
  c.SetOutput(0, c.Node("Identity", {c.input(0)}, {}, c.info(0)));
  return absl::OkStatus();
}

// At inference nothing is dropped.
absl::Status ConvertDropout(Conversion& c) {
  c.Ignore("ratio");
  c.Ignore("seed");
  if (c.uses_output(1)) return c.Unsupported("its second output, the mask");
  if (c.ConstantBool(2, false)) return c.Unsupported("training mode");
  return ConvertIdentity(c);
}

absl::Status ConvertDepthToSpace(Conversion& c) {
  const AttrMap attrs{
      {"block_size", c.Int("blocksize", 0)}, {"mode", c.String("mode", "DCR")}, {"data_format", "NCHW"}};
  c.SetOutput(0, c.Node("DepthToSpace", {c.input(0)}, attrs, c.info(0)));
  return absl::OkStatus();
}

absl::Status ConvertSpaceToDepth(Conversion& c) {
  const AttrMap attrs{{"block_size", c.Int("blocksize", 0)}, {"data_format", "NCHW"}};
  c.SetOutput(0, c.Node("SpaceToDepth", {c.input(0)}, attrs, c.info(0)));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"DepthToSpace", 1, kNewestOpset, 1, 1, ConvertDepthToSpace},
    {"Dropout", 7, kNewestOpset, 1, 3, ConvertDropout},
    {"Expand", 8, kNewestOpset, 2, 2, ConvertExpand},
    {"Flatten", 1, kNewestOpset, 1, 1, ConvertFlatten},
    {"Identity", 1, kNewestOpset, 1, 1, ConvertIdentity},
    {"Pad", 2, 10, 1, 1, ConvertPad2},
    {"Pad", 11, kNewestOpset, 2, 4, ConvertPad11},
    {"Reshape", 5, kNewestOpset, 2, 2, ConvertReshape},
    {"Shape", 1, kNewestOpset, 1, 1, ConvertShape},
    {"Size", 1, kNewestOpset, 1, 1, ConvertSize},
    {"SpaceToDepth", 1, kNewestOpset, 1, 1, ConvertSpaceToDepth},
    {"Squeeze", 1, 12, 1, 1, ConvertSqueeze1},
    {"Squeeze", 13, kNewestOpset, 1, 2, ConvertSqueeze13},
    {"Tile", 6, kNewestOpset, 2, 2, ConvertTile},
    {"Transpose", 1, kNewestOpset, 1, 1, ConvertTranspose},
    {"Unsqueeze", 1, 12, 1, 1, ConvertUnsqueeze1},
    {"Unsqueeze", 13, kNewestOpset, 2, 2, ConvertUnsqueeze13},
};

}  // namespace

absl::Span<const Converter> ShapeConverters() { return kConverters; }

}  // namespace omserve
