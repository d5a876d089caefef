// Constants, and tensors made from shapes and numbers.
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

absl::Status ConvertConstant(Conversion& c) {
  std::optional<Tensor> value;
  if (c.HasAttr("value")) {
    value = c.TensorAttr("value");
    if (!value) return c.status();
  } else if (c.HasAttr("value_float")) {
    value = Tensor::Scalar(c.Float("value_float", 0));
  } else if (c.HasAttr("value_floats")) {
    const std::vector<float> values = c.Floats("value_floats");
    value = Tensor::Of<float>({static_cast<int64_t>(values.size())}, values);
  } else if (c.HasAttr("value_int")) {
    value = Tensor::Scalar(c.Int("value_int", 0));
  } else if (c.HasAttr("value_ints")) {
    value = Tensor::Int64s(c.Ints("value_ints"));
  } else {
    return c.Unsupported("its value is none of value, value_float, value_floats, value_int, value_ints");
  }
  c.SetOutput(0, c.NodeConst(TensorSlice(*std::move(value))));
  return absl::OkStatus();
}

absl::Status ConvertConstantOfShape(Conversion& c) {
  ValueId value;
  if (c.HasAttr("value")) {
    const std::optional<Tensor> tensor = c.TensorAttr("value");
    if (!tensor) return c.status();
    if (tensor->num_elements() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("its value has ", tensor->num_elements(), " elements; it must have one"));
    }
    value = c.Const("value", TensorSlice(tensor->Reshaped({})));
  } else {
    value = c.Scalar("value", 0, DataType::kFloat);
  }
  ValueInfo info{c.info(value).type};
  if (const TensorSlice* shape = c.constant(c.input(0)); shape != nullptr && shape->shape().size() == 1) {
    info.rank = static_cast<int>(std::min<int64_t>(shape->shape()[0], kMaxRank + 1));
  }
  c.SetOutput(0, c.Node("Fill", {c.input(0), value}, {}, info));
  return absl::OkStatus();
}

absl::Status ConvertRange(Conversion& c) {
  c.SetOutput(0, c.Node("Range", {c.input(0), c.input(1), c.input(2)}, {}, c.info(0).OfRank(1)));
  return absl::OkStatus();
}

absl::Status ConvertTrilu(Conversion& c) {
  int64_t diagonal = 0;
  if (c.has_input(1)) {
    const std::optional<std::vector<int64_t>> k = c.ConstantInts(1);
    if (!k || k->size() != 1) return c.Unsupported("its second input must be a constant of one element");
    diagonal = k->front();
  }
  const char* type = c.Int("upper", 1) != 0 ? "Triu" : "Tril";
  c.SetOutput(0, c.Node(type, {c.input(0)}, {{"diagonal", diagonal}}, c.info(0)));
  return absl::OkStatus();
}

// Ones where column - row = k: a comparison of two ranges.
absl::Status ConvertEyeLike(Conversion& c) {
  DataType type = c.type(0);
  if (c.HasAttr("dtype")) {
    ASSIGN_OR_RETURN_WITH(type, DataTypeFromOnnxNumber(static_cast<int32_t>(c.Int("dtype", 1))), "its dtype");
  }
  if (type == DataType::kUndefined) return c.Unsupported("an input whose type is not known before shape inference");
  const ValueInfo vector{DataType::kInt64, 1};
  const ValueId shape = c.ShapeOf(c.input(0));
  const ValueId zero = c.Int64("zero", 0);
  const ValueId one = c.Int64("one", 1);
  const ValueId scalar = c.Ints64("scalar", {});
  auto range = [&](int64_t dimension) {
    const ValueId size = c.SliceVector(shape, dimension, dimension + 1);
    const ValueId limit = c.Helper("Reshape", {size, scalar}, {}, vector.OfRank(0));
    return c.Helper("Range", {zero, limit, one}, {}, vector);
  };
  const ValueId shifted = c.Helper("Add", {range(0), c.Int64("k", c.Int("k", 0))}, {}, vector);
  const ValueId diagonal = c.Helper("Equal", {c.Unsqueeze(shifted, {1}), range(1)}, {}, {DataType::kBool, 2});
  c.SetOutput(0, c.Node("Cast", {diagonal}, {{"dst_type", int64_t{ToAclNumber(type)}}}, {type, 2}));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"Constant", 1, kNewestOpset, 0, 0, ConvertConstant},
    {"ConstantOfShape", 9, kNewestOpset, 1, 1, ConvertConstantOfShape},
    {"EyeLike", 9, kNewestOpset, 1, 1, ConvertEyeLike},
    {"Range", 11, kNewestOpset, 3, 3, ConvertRange},
    {"Trilu", 14, kNewestOpset, 1, 2, ConvertTrilu},
};

}  // namespace

absl::Span<const Converter> CreationConverters() { return kConverters; }

}  // namespace omserve
