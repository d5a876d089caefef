// Reductions and searches along axes.
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

struct Axes {
  ValueId value;  // int64 vector; invalid when nothing is reduced
  int count = -1;  // -1 while unknown
  // What an empty vector means, where it is not constant and may turn out empty.
  std::optional<bool> noop_when_empty;
};

ValueId AllAxes(Conversion& c, ValueId x) {
  if (const int rank = c.info(x).rank; rank >= 0) {
    std::vector<int64_t> all;
    for (int i = 0; i < rank; ++i) all.push_back(i);
    return c.Ints64("axes", all);
  }
  return c.Helper("Range", {c.Int64("first", 0), c.RankOf(x), c.Int64("step", 1)}, {}, {DataType::kInt64, 1});
}

// Axes are an attribute in older and an input in newer opsets. Without axes everything is reduced, or nothing with
// noop_with_empty_axes. Ascend's operators differ in how they read an empty list, so constant axes are never empty.
absl::StatusOr<Axes> ReadAxes(Conversion& c, bool as_input) {
  const ValueId x = c.input(0);
  const bool noop = as_input && c.Int("noop_with_empty_axes", 0) != 0;
  std::optional<std::vector<int64_t>> listed;
  if (as_input) {
    if (c.has_input(1)) {
      listed = c.ConstantInts(1);
      if (!listed) return Axes{c.input(1), -1, noop};
    }
  } else if (c.HasAttr("axes")) {
    listed = c.Ints("axes");
  }
  if (listed && !listed->empty()) {
    return Axes{as_input ? c.input(1) : c.Ints64("axes", *listed), static_cast<int>(listed->size())};
  }
  if (noop) return Axes{ValueId{}, 0};
  return Axes{AllAxes(c, x), c.info(x).rank};
}

// One of Ascend's reductions between two element-wise steps (each may be null):
// ReduceL2 is Square, ReduceSum, Sqrt.
struct Reduction {
  const char* onnx;
  const char* before;
  const char* reduce;
  const char* after;
};

constexpr Reduction kReductions[] = {
    {"ReduceL1", "Abs", "ReduceSum", nullptr},
    {"ReduceL2", "Square", "ReduceSum", "Sqrt"},
    {"ReduceLogSum", nullptr, "ReduceSum", "Log"},
    {"ReduceLogSumExp", nullptr, "ReduceLogSumExp", nullptr},
    {"ReduceMax", nullptr, "ReduceMax", nullptr},
    {"ReduceMean", nullptr, "ReduceMean", nullptr},
    {"ReduceMin", nullptr, "ReduceMin", nullptr},
    {"ReduceProd", nullptr, "ReduceProd", nullptr},
    {"ReduceSum", nullptr, "ReduceSum", nullptr},
    {"ReduceSumSquare", "Square", "ReduceSum", nullptr},
};

absl::Status Reduce(Conversion& c, bool as_input) {
  const Reduction* reduction = nullptr;
  for (const Reduction& candidate : kReductions) {
    if (c.op_type() == candidate.onnx) reduction = &candidate;
  }
  const bool keep = c.Int("keepdims", 1) != 0;
  ASSIGN_OR_RETURN(Axes axes, ReadAxes(c, as_input));
  ValueId y = c.input(0);
  if (reduction->before != nullptr) y = c.Helper(reduction->before, {y}, {}, c.info(y));
  if (axes.value.valid()) {
    ValueInfo info = c.info(y);
    if (!keep) info.rank = info.rank < 0 || axes.count < 0 ? -1 : info.rank - axes.count;
    AttrMap attrs{{"keep_dims", keep}};
    if (axes.noop_when_empty) attrs["noop_with_empty_axes"] = *axes.noop_when_empty;
    y = c.Node(reduction->reduce, {y, axes.value}, std::move(attrs), info);
  } else {
    y = c.Node("Identity", {y}, {}, c.info(y));
  }
  if (reduction->after != nullptr) y = c.Helper(reduction->after, {y}, {}, c.info(y));
  c.SetOutput(0, y);
  return absl::OkStatus();
}

absl::Status ConvertReduceOfAttr(Conversion& c) { return Reduce(c, /*as_input=*/false); }
absl::Status ConvertReduceOfInput(Conversion& c) { return Reduce(c, /*as_input=*/true); }

// Ascend's operators drop the axis; ONNX keeps it by default.
absl::Status ConvertArg(Conversion& c) {
  const int64_t axis = c.Axis("axis", 0);
  c.RequireInt("select_last_index", 0);
  const bool keep = c.Int("keepdims", 1) != 0;
  const ValueId dimension = c.Int64("dimension", axis);
  ValueInfo info{DataType::kInt64, c.rank(0) < 1 ? -1 : c.rank(0) - 1};
  ValueId y = c.Node(c.target(), {c.input(0), dimension}, {{"dtype", DataType::kInt64}}, info);
  if (keep) y = c.Helper("ExpandDims", {y, dimension}, {}, info.OfRank(c.rank(0)));
  c.SetOutput(0, y);
  return absl::OkStatus();
}

// Ascend's indices are int32.
void SetTopK(Conversion& c, ValueId k, bool sorted, bool largest) {
  const AttrMap attrs{{"sorted", sorted}, {"largest", largest}, {"dim", c.Axis("axis", -1)}};
  const ValueId values = c.Node("TopK", {c.input(0), k}, attrs, c.info(0), 2);
  const ValueId indices{values.node, 1};
  c.SetInfo(indices, c.info(0).As(DataType::kInt32));
  c.SetOutput(0, values);
  c.SetOutput(1, c.uses_output(1) ? c.Cast(indices, DataType::kInt64) : indices);
}

absl::Status ConvertTopK1(Conversion& c) {
  if (!c.HasAttr("k")) return absl::InvalidArgumentError("its attribute 'k' is missing");
  SetTopK(c, c.Ints64("k", {c.Int("k", 0)}), true, true);
  return absl::OkStatus();
}

absl::Status ConvertTopK10(Conversion& c) {
  SetTopK(c, c.input(1), c.Int("sorted", 1) != 0, c.Int("largest", 1) != 0);
  return absl::OkStatus();
}

absl::Status ConvertCumSum(Conversion& c) {
  const AttrMap attrs{{"exclusive", c.Int("exclusive", 0) != 0}, {"reverse", c.Int("reverse", 0) != 0}};
  c.SetOutput(0, c.Node("Cumsum", {c.input(0), c.input(1)}, attrs, c.info(0)));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"ArgMax", 1, kNewestOpset, 1, 1, ConvertArg, "ArgMaxV2"},
    {"ArgMin", 1, kNewestOpset, 1, 1, ConvertArg, "ArgMin"},
    {"CumSum", 11, kNewestOpset, 2, 2, ConvertCumSum},
    {"ReduceL1", 1, 17, 1, 1, ConvertReduceOfAttr},
    {"ReduceL1", 18, kNewestOpset, 1, 2, ConvertReduceOfInput},
    {"ReduceL2", 1, 17, 1, 1, ConvertReduceOfAttr},
    {"ReduceL2", 18, kNewestOpset, 1, 2, ConvertReduceOfInput},
    {"ReduceLogSum", 1, 17, 1, 1, ConvertReduceOfAttr},
    {"ReduceLogSum", 18, kNewestOpset, 1, 2, ConvertReduceOfInput},
    {"ReduceLogSumExp", 1, 17, 1, 1, ConvertReduceOfAttr},
    {"ReduceLogSumExp", 18, kNewestOpset, 1, 2, ConvertReduceOfInput},
    {"ReduceMax", 1, 17, 1, 1, ConvertReduceOfAttr},
    {"ReduceMax", 18, kNewestOpset, 1, 2, ConvertReduceOfInput},
    {"ReduceMean", 1, 17, 1, 1, ConvertReduceOfAttr},
    {"ReduceMean", 18, kNewestOpset, 1, 2, ConvertReduceOfInput},
    {"ReduceMin", 1, 17, 1, 1, ConvertReduceOfAttr},
    {"ReduceMin", 18, kNewestOpset, 1, 2, ConvertReduceOfInput},
    {"ReduceProd", 1, 17, 1, 1, ConvertReduceOfAttr},
    {"ReduceProd", 18, kNewestOpset, 1, 2, ConvertReduceOfInput},
    {"ReduceSum", 1, 12, 1, 1, ConvertReduceOfAttr},
    {"ReduceSum", 13, kNewestOpset, 1, 2, ConvertReduceOfInput},
    {"ReduceSumSquare", 1, 17, 1, 1, ConvertReduceOfAttr},
    {"ReduceSumSquare", 18, kNewestOpset, 1, 2, ConvertReduceOfInput},
    {"TopK", 1, 9, 1, 1, ConvertTopK1},
    {"TopK", 10, kNewestOpset, 2, 2, ConvertTopK10},
};

}  // namespace

absl::Span<const Converter> ReduceConverters() { return kConverters; }

}  // namespace omserve
