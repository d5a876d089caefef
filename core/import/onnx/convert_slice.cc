// Joining, splitting and slicing along axes.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/import/onnx/converter.h"

namespace omserve {
namespace {

absl::Status ConvertConcat(Conversion& c) {
  if (!c.HasAttr("axis")) return absl::InvalidArgumentError("its attribute 'axis' is missing");
  const int64_t axis = c.Axis("axis", 0);
  ValueInfo info;
  for (int i = 0; i < c.num_inputs(); ++i) {
    if (info.type == DataType::kUndefined) info.type = c.type(i);
    if (info.rank < 0) info.rank = c.rank(i);
  }
  c.SetOutput(0, c.num_inputs() == 1
                     ? c.Node("Identity", {c.input(0)}, {}, info)
                     : c.Node("ConcatD", c.inputs(), {{"concat_dim", axis}, {"N", int64_t{c.num_inputs()}}}, info));
  return absl::OkStatus();
}

void SetAllOutputs(Conversion& c, ValueId first) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    c.SetOutput(i, {first.node, i});
    c.SetInfo({first.node, i}, c.info(0));
  }
}

absl::Status SplitBySizes(Conversion& c, ValueId sizes, int64_t axis) {
  SetAllOutputs(c, c.Node("SplitV", {c.input(0), sizes, c.Int32("split_dim", static_cast<int32_t>(axis))},
                          {{"num_split", int64_t{c.num_outputs()}}}, c.info(0), c.num_outputs()));
  return absl::OkStatus();
}

absl::Status SplitEvenly(Conversion& c, int64_t axis) {
  SetAllOutputs(c, c.Node("Split", {c.Int32("split_dim", static_cast<int32_t>(axis)), c.input(0)},
                          {{"num_split", int64_t{c.num_outputs()}}}, c.info(0), c.num_outputs()));
  return absl::OkStatus();
}

absl::Status CheckSizes(Conversion& c, size_t count) {
  if (static_cast<int>(count) == c.num_outputs()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("it splits into ", count, " parts and has ", c.num_outputs(), " outputs"));
}

absl::Status ConvertSplit2(Conversion& c) {
  const int64_t axis = c.Axis("axis", 0);
  if (!c.HasAttr("split")) return SplitEvenly(c, axis);
  const std::vector<int64_t> sizes = c.Ints("split");
  RETURN_IF_ERROR(CheckSizes(c, sizes.size()));
  return SplitBySizes(c, c.Ints64("size_splits", sizes), axis);
}

// num_outputs parts of ceil(dimension / num_outputs), the last one smaller where that does not divide.
absl::Status SplitInto(Conversion& c, int64_t parts, int64_t axis) {
  if (parts != c.num_outputs()) return CheckSizes(c, static_cast<size_t>(std::max<int64_t>(parts, 0)));
  const ValueId shape = c.ShapeOf(c.input(0));
  const ValueId size = axis == -1 ? c.SliceVector(shape, -1, kMaxRank) : c.SliceVector(shape, axis, axis + 1);
  const ValueId parts_less_1 = c.Ints64("parts_less_1", {parts - 1});
  const ValueId rounded = c.VectorMath("Add", {size, parts_less_1});
  const ValueId part = c.VectorMath("TruncateDiv", {rounded, c.Ints64("parts", {parts})});
  const ValueId others = c.VectorMath("Mul", {part, parts_less_1});
  std::vector<ValueId> sizes(static_cast<size_t>(parts - 1), part);
  sizes.push_back(c.VectorMath("Sub", {size, others}));
  return SplitBySizes(c, parts == 1 ? size : c.ConcatVectors(std::move(sizes)), axis);
}

absl::Status ConvertSplit13(Conversion& c) {
  const int64_t axis = c.Axis("axis", 0);
  if (c.has_input(1)) {
    if (c.HasAttr("num_outputs")) {
      return absl::InvalidArgumentError("it has both num_outputs and an input 'split'");
    }
    if (std::optional<std::vector<int64_t>> sizes = c.ConstantInts(1)) RETURN_IF_ERROR(CheckSizes(c, sizes->size()));
    return SplitBySizes(c, c.input(1), axis);
  }
  if (c.opset() < 18) return SplitEvenly(c, axis);
  return SplitInto(c, c.Int("num_outputs", c.num_outputs()), axis);
}

absl::Status ConvertSlice1(Conversion& c) {
  const std::vector<int64_t> begins = c.Ints("starts");
  const std::vector<int64_t> ends = c.Ints("ends");
  std::vector<int64_t> axes = c.Ints("axes");
  if (!c.HasAttr("axes")) {
    for (size_t i = 0; i < begins.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (begins.size() != ends.size() || begins.size() != axes.size()) {
    return absl::InvalidArgumentError(absl::StrCat("its attributes starts, ends and axes have ", begins.size(), ", ",
                                                   ends.size(), " and ", axes.size(), " entries"));
  }
  const std::vector<int64_t> strides(begins.size(), 1);
  c.SetOutput(0, c.Node("StridedSliceV2",
                        {c.input(0), c.Ints64("begin", begins), c.Ints64("end", ends), c.Ints64("axes", axes),
                         c.Ints64("strides", strides)},
                        {}, c.info(0)));
  return absl::OkStatus();
}

absl::Status ConvertSlice10(Conversion& c) {
  c.SetOutput(0, c.Node("StridedSliceV2",
                        {c.input(0), c.input(1), c.input(2), c.optional_input(3), c.optional_input(4)}, {},
                        c.info(0)));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"Concat", 4, kNewestOpset, 1, kAnyNumber, ConvertConcat},
    {"Slice", 1, 9, 1, 1, ConvertSlice1},
    {"Slice", 10, kNewestOpset, 3, 5, ConvertSlice10},
    {"Split", 2, 12, 1, 1, ConvertSplit2},
    {"Split", 13, kNewestOpset, 1, 2, ConvertSplit13},
};

}  // namespace

absl::Span<const Converter> SliceConverters() { return kConverters; }

}  // namespace omserve
