// Gathering, scattering and other uses of indices.
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/import/onnx/converter.h"

namespace omserve {
namespace {

// Negative indices count from the end in ONNX.
absl::Status ConvertGather(Conversion& c) {
  const int64_t axis = c.Axis("axis", 0);
  ValueInfo info{c.type(0)};
  if (c.rank(0) >= 1 && c.rank(1) >= 0) info.rank = c.rank(0) - 1 + c.rank(1);
  const AttrMap attrs{{"batch_dims", 0}, {"negative_index_support", true}};
  c.SetOutput(0, c.Node("GatherV2", {c.input(0), c.input(1), c.Int32("axis", static_cast<int32_t>(axis))}, attrs,
                        info));
  return absl::OkStatus();
}

absl::Status ConvertGatherElements(Conversion& c) {
  c.SetOutput(0, c.Node("GatherElements", {c.input(0), c.input(1)}, {{"dim", c.Axis("axis", 0)}},
                        c.info(1).As(c.type(0))));
  return absl::OkStatus();
}

absl::Status ConvertGatherNd(Conversion& c) {
  c.RequireInt("batch_dims", 0);
  c.SetOutput(0, c.Node("GatherNd", {c.input(0), c.input(1)}, {{"negative_index_support", true}}, {c.type(0)}));
  return absl::OkStatus();
}

// Also the deprecated Scatter of opset 9 and 10.
absl::Status ConvertScatterElements(Conversion& c) {
  const AttrMap attrs{{"axis", c.Axis("axis", 0)}, {"reduction", c.String("reduction", "none")}};
  c.SetOutput(0, c.Node("ScatterElements", {c.input(0), c.input(1), c.input(2)}, attrs, c.info(0)));
  return absl::OkStatus();
}

absl::Status ConvertScatterNd(Conversion& c) {
  c.RequireString("reduction", "none");
  c.SetOutput(0, c.Node("TensorScatterUpdate", {c.input(0), c.input(1), c.input(2)}, {}, c.info(0)));
  return absl::OkStatus();
}

// (elements, rank) in Ascend, (rank, elements) in ONNX.
absl::Status ConvertNonZero(Conversion& c) {
  c.SetOutput(0, c.Node("NonZero", {c.input(0)}, {{"transpose", true}, {"dtype", DataType::kInt64}},
                        {DataType::kInt64, 2}));
  return absl::OkStatus();
}

// One element of the vector `values` as a scalar.
ValueId Element(Conversion& c, ValueId values, int32_t index) {
  return c.Helper("GatherV2", {values, c.Int32("index", index), c.Int32("values_axis", 0)}, {{"batch_dims", 0}},
                  c.info(values).OfRank(0));
}

// Indices and depth may be any number; negative indices count from the end.
absl::Status ConvertOneHot(Conversion& c) {
  const int64_t axis = c.Axis("axis", -1);
  const ValueId indices = c.Cast(c.input(0), DataType::kInt64);
  ValueId depth = c.Cast(c.input(1), DataType::kInt64);
  // ONNX accepts a vector of one element.
  if (c.rank(1) != 0) depth = c.Helper("Reshape", {depth, c.Ints64("scalar", {})}, {}, {DataType::kInt64, 0});
  const ValueInfo info = c.info(indices);
  const ValueId negative =
      c.Helper("Less", {indices, c.Int64("zero", 0)}, {}, info.As(DataType::kBool));
  const ValueId wrapped = c.Helper("SelectV2", {negative, c.Helper("Add", {indices, depth}, {}, info), indices}, {},
                                   info);
  const ValueId off = Element(c, c.input(2), 0);
  const ValueId on = Element(c, c.input(2), 1);
  const ValueInfo result{c.type(2), c.rank(0) < 0 ? -1 : c.rank(0) + 1};
  c.SetOutput(0, c.Node("OneHot", {wrapped, depth, on, off}, {{"axis", axis}}, result));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"Gather", 1, kNewestOpset, 2, 2, ConvertGather},
    {"GatherElements", 11, kNewestOpset, 2, 2, ConvertGatherElements},
    {"GatherND", 11, kNewestOpset, 2, 2, ConvertGatherNd},
    {"NonZero", 9, kNewestOpset, 1, 1, ConvertNonZero},
    {"OneHot", 9, kNewestOpset, 3, 3, ConvertOneHot},
    {"Scatter", 9, 10, 3, 3, ConvertScatterElements},
    {"ScatterElements", 11, kNewestOpset, 3, 3, ConvertScatterElements},
    {"ScatterND", 11, kNewestOpset, 3, 3, ConvertScatterNd},
};

}  // namespace

absl::Span<const Converter> GatherConverters() { return kConverters; }

}  // namespace omserve
